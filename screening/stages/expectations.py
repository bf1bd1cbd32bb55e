"""What must hold in each staged table of a night, as plain values: ``audit.py`` has them checked.

Most follow from the contracts (columns, nulls, ranges, words, keys). The rest is what the clinic relies on: a refusal
has advice, a person stands under a pseudonym, a night has one release. ``critical`` ones must hold, or nothing is
published; ``warning`` ones watch for drift and go into the report. Source: docs/decisions/0007.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import (
    GRADES,
    MANIFEST_ISSUES,
    PHOTOS,
    PREDICTIONS,
    QUALITY,
    REFERRALS,
    Column,
    Contract,
    Outcome,
    RiskGrade,
    Verdict,
    grades_contract,
)
from screening.stages.accounting import SUM_TOLERANCE
from screening.stages.ensemble import ENSEMBLE
from screening.stages.referral import ACTIONS
from screening.taxonomy import TrainingClasses

if TYPE_CHECKING:  # a process that does not audit should not wait for its import
    import pandas as pd

PHOTO_ID = r"^[0-9a-f]{32}$"
PERSON = r"^p-[0-9a-f]{24}$"
LESION = r"^l-[0-9a-f]{24}$"
REFERRED = r"^(?:p-[0-9a-f]{24}|photo:[0-9a-f]{32})$"
SHA256 = r"^[0-9a-f]{64}$"
PERCEPTUAL_HASH = r"^[0-9a-f]{88}$"

# Lists are replaced by figures, because an expectation looks at one value at a time.
HOW_MANY, SUM, LEAST, MOST = (f"probabilities: {what}" for what in ("how many", "sum", "least", "most"))
GRADE_SUM = "p of the grades: sum"
UNKNOWN_DISEASES = "differential: unknown diseases"
# Great Expectations looks at pairs one row after the other, an eighth of an audit of 500 photos; at words all at once.
PAIRS = (("grade", "disease"), ("grade", "action"))
_AND = " + "
ISSUES = "issues: how many"


@dataclass(frozen=True)
class DriftLimits:
    """Shares of a night above which the report carries a warning; nothing is stopped. Source: docs/decisions/0007.

    They are wide on purpose: a warning that comes every morning is not read. Tables with fewer rows than
    ``fewest_rows`` get none, since one photo is a large share of ten.
    """

    refused: float = 0.60
    failed: float = 0.05
    duplicate: float = 0.30
    flagged: float = 0.60
    dangerous: float = 0.50
    without_person: float = 0.50
    member_spread: float = 0.50
    """A probability, not a share: two members that differ by more than this disagree."""
    members_disagree: float = 0.10
    fewest_rows: int = 50


@dataclass(frozen=True)
class Night:
    """What the expectations compare the tables with; ``members`` without ``ensemble``."""

    date: date
    members: Sequence[str]
    classes: TrainingClasses
    limits: DriftLimits = field(default_factory=DriftLimits)


@dataclass(frozen=True)
class Expectation:
    """One expectation: ``type`` and ``limits`` as Great Expectations calls them, ``says`` in plain words.

    ``where`` keeps the rows whose column holds one of the words, e.g. ``("outcome", "graded")``.
    """

    type: str
    says: str
    limits: Mapping[str, object]
    severity: Literal["critical", "warning"] = "critical"
    where: tuple[str, ...] = ()


def contracts_of(classes: TrainingClasses) -> dict[str, Contract]:
    """The tables that are audited, by name, in the order of the pages."""
    contracts = (PHOTOS, QUALITY, PREDICTIONS, grades_contract(classes.class_ids), REFERRALS, MANIFEST_ISSUES)
    return {contract.name: contract for contract in contracts}


def to_frame(table: pa.Table, classes: TrainingClasses) -> pd.DataFrame:
    """The table for pandas, its lists replaced by figures about them."""
    lists = [column.name for column in table.schema if pa.types.is_list(column.type)]
    frame: pd.DataFrame = table.drop_columns(lists).to_pandas(date_as_object=False)
    if "probabilities" in lists:
        for name, figures in _figures_of_lists(table["probabilities"].combine_chunks()).items():
            frame[name] = figures
    if "issues" in lists:
        frame[ISSUES] = pc.fill_null(pc.list_value_length(table["issues"]), 0).to_numpy()
    if "differential" in lists:
        known = set(classes.class_ids)
        frame[UNKNOWN_DISEASES] = [len(set(row or ()) - known) for row in table["differential"].to_pylist()]
    for column, other in PAIRS:
        if {column, other} <= set(frame.columns):
            frame[_together(column, other)] = frame[column].astype("string") + _AND + frame[other].astype("string")
    grades = [f"p_{grade}" for grade in GRADES]
    if set(grades) <= set(frame.columns):
        frame[GRADE_SUM] = frame[grades].sum(axis=1)
    return frame


def _figures_of_lists(lists: pa.ListArray) -> dict[str, np.ndarray]:
    """Length, sum, least and most of each list; NaN for an empty one."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    values = pc.list_flatten(lists).to_numpy(zero_copy_only=False).astype(np.float64)
    filled = np.flatnonzero(lengths)
    starts = (np.cumsum(lengths) - lengths)[filled]
    figures = {HOW_MANY: lengths.astype(np.int64)}
    for name, reduce in ((SUM, np.add), (LEAST, np.minimum), (MOST, np.maximum)):
        figures[name] = np.full(len(lengths), np.nan)
        if len(filled):
            figures[name][filled] = reduce.reduceat(values, starts)
    return figures


def expectations_on(contract: Contract, frame: pd.DataFrame, night: Night) -> list[Expectation]:
    """The whole suite of a table; a column that is missing is one failed expectation, not one for each that names it."""
    return [
        *that_apply(expectations_of_contract(contract, frame), frame),
        *beyond_contract(contract, frame, night),
    ]


def beyond_contract(contract: Contract, frame: pd.DataFrame, night: Night) -> list[Expectation]:
    """What the clinic relies on in a table, and its contract does not say."""
    of_table = {
        "photos": _of_photos,
        "quality": _of_quality,
        "predictions": _of_predictions,
        "grades": _of_grades,
        "referrals": _of_referrals,
    }.get(contract.name)
    return that_apply(of_table(len(frame), night) if of_table else (), frame)


def that_apply(suite: Iterable[Expectation], frame: pd.DataFrame) -> list[Expectation]:
    """Those whose columns are there."""
    found = set(frame.columns)
    return [expectation for expectation in suite if _columns_of(expectation) <= found]


def _columns_of(expectation: Expectation) -> set[str]:
    limits = expectation.limits
    listed = limits["column_list"] if expectation.type == "expect_compound_columns_to_be_unique" else ()
    assert isinstance(listed, (list, tuple))  # noqa: S101  # narrows the type; the line above made it
    named = (limits.get(name) for name in ("column", "column_A", "column_B"))
    return {str(name) for name in (*named, *listed, *expectation.where[:1]) if name}


def expectations_of_contract(contract: Contract, frame: pd.DataFrame) -> Iterator[Expectation]:
    """What follows from the contract alone."""
    derived = [name for name in frame.columns if ": " in name]
    plain = [column.name for column in contract.columns if not pa.types.is_list(column.type)]
    yield Expectation(
        "expect_table_columns_to_match_ordered_list",
        f"the columns of the contract {contract.name}, in order; lists stand as figures",
        {"column_list": plain + derived},
    )
    for column in contract.columns:
        yield from _of_column(column)
    if len(contract.key) == 1:
        yield Expectation("expect_column_values_to_be_unique", "each value stands once", {"column": contract.key[0]})
    else:
        words = " + ".join(contract.key)
        yield Expectation(
            "expect_compound_columns_to_be_unique", f"each {words} stands once", {"column_list": list(contract.key)}
        )


def _of_column(column: Column) -> Iterator[Expectation]:
    if not column.nullable:
        yield filled(column.name, "never empty")
    if column.low is not None or column.high is not None:
        low, high = (f"{bound:g}" if bound is not None else "any" for bound in (column.low, column.high))
        yield _between(column.name, f"from {low} to {high} {column.unit}".rstrip(), column.low, column.high)
    if column.words:
        yield one_of(column.name, f"one of: {', '.join(column.words)}", column.words)


def _of_photos(rows: int, night: Night) -> Iterator[Expectation]:
    yield like("photo_id", "32 hex digits of the SHA-256", PHOTO_ID)
    yield like("patient", "a person stands under a pseudonym", PERSON)
    yield like("lesion", "a lesion stands under a pseudonym", LESION)
    others = tuple(str(outcome) for outcome in Outcome if outcome != Outcome.GRADED)
    yield filled("reason", "every photo that was not graded has a reason", ("outcome", *others))
    unjudged = ("outcome", str(Outcome.REFUSED), str(Outcome.FAILED))
    yield filled("advice", "a photo that could not be judged comes with advice", unjudged)
    duplicate = ("outcome", str(Outcome.DUPLICATE))
    yield filled("duplicate_of", "a duplicate names the photo whose grade it shares", duplicate)
    singles = ("outcome", *(str(outcome) for outcome in Outcome if outcome != Outcome.DUPLICATE))
    yield Expectation(
        "expect_column_values_to_be_null",
        "only a duplicate names another photo",
        {"column": "duplicate_of"},
        where=singles,
    )
    yield like("same_picture_as", "32 hex digits of the SHA-256", PHOTO_ID)
    yield Expectation(
        "expect_column_values_to_be_null",
        "a duplicate is said to share the bytes, not the picture as well",
        {"column": "same_picture_as"},
        where=duplicate,
    )
    for column in ("photo_id", "format", "width_px", "height_px"):
        yield filled(column, f"a graded photo has its {column}", ("outcome", str(Outcome.GRADED)))
    # A camera may be a zone ahead of UTC.
    latest = datetime.combine(night.date, time.max, UTC) + timedelta(days=1)
    yield _between("captured_at_utc", "no photo is taken after its night", None, latest, severity="warning")
    limits = night.limits
    if rows >= limits.fewest_rows:
        yield _at_most(limits.refused, "outcome", Outcome.REFUSED)
        yield _at_most(limits.failed, "outcome", Outcome.FAILED)
        yield _at_most(limits.duplicate, "outcome", Outcome.DUPLICATE)
        yield Expectation(
            "expect_column_values_to_not_be_null",
            f"at most {limits.without_person:.0%} of the photos name no person",
            {"column": "patient", "mostly": 1.0 - limits.without_person},
            "warning",
        )


def _of_quality(rows: int, night: Night) -> Iterator[Expectation]:
    yield like("photo_id", "32 hex digits of the SHA-256", PHOTO_ID)
    yield like("perceptual_hash", "88 hex digits", PERCEPTUAL_HASH)
    not_usable = ("verdict", str(Verdict.FLAGGED), str(Verdict.REFUSED))
    yield filled("reason", "a flagged or refused photo has a reason", not_usable)
    yield filled("advice", "a flagged or refused photo has advice", not_usable)
    yield _between(ISSUES, "a flagged or refused photo has an issue", 1, None, where=not_usable)
    yield _one_for_the_night("quality_mode")
    yield _one_for_the_night("cutoffs_version")
    yield _one_for_the_night("filters_version")
    if rows >= night.limits.fewest_rows:
        yield _at_most(night.limits.flagged, "verdict", Verdict.FLAGGED)


def _of_predictions(_rows: int, night: Night) -> Iterator[Expectation]:
    classes = len(night.classes)
    yield like("photo_id", "32 hex digits of the SHA-256", PHOTO_ID)
    yield like("weights_sha256", "64 hex digits of a SHA-256", SHA256)
    yield one_of("member", "a member of the release, or the ensemble", (*night.members, ENSEMBLE))
    yield _between(HOW_MANY, f"{classes}, one per class of the release", classes, classes)
    yield _between(SUM, "the probabilities of an answer sum to 1", 1.0 - SUM_TOLERANCE, 1.0 + SUM_TOLERANCE)
    yield _between(LEAST, "no probability is below 0", 0.0, None)
    yield _between(MOST, "no probability is above 1", None, 1.0 + SUM_TOLERANCE)
    yield filled(SUM, "no probability is NaN")
    yield _one_for_the_night("release")
    yield Expectation(
        "expect_column_unique_value_count_to_be_between",
        "each member has one set of weights for the whole night",
        {"column": "weights_sha256", "max_value": len(night.members) + 1},
    )


def _of_grades(rows: int, night: Night) -> Iterator[Expectation]:
    yield like("photo_id", "32 hex digits of the SHA-256", PHOTO_ID)
    yield like("patient", "a person stands under a pseudonym", PERSON)
    yield like("lesion", "a lesion stands under a pseudonym", LESION)
    yield like("weights_sha256", "64 hex digits of a SHA-256", SHA256)
    yield _between(GRADE_SUM, "p_low_risk + p_high_risk + p_dangerous = 1", 1.0 - SUM_TOLERANCE, 1.0 + SUM_TOLERANCE)
    pairs = zip(map(str, night.classes.grades), night.classes.class_ids, strict=True)
    yield _pairs("grade", "disease", "the disease has the grade that was given", pairs)
    yield _between(UNKNOWN_DISEASES, "the differential names classes of the release only", None, 0)
    version = night.classes.taxonomy.version
    yield one_of("taxonomy_version", f"the taxonomy of the release, {version}", (version,))
    for column in ("release", "weights_sha256", "cutoffs_version", "code_revision"):
        yield _one_for_the_night(column)
    limits = night.limits
    if rows >= limits.fewest_rows:
        yield _at_most(limits.dangerous, "grade", RiskGrade.DANGEROUS)
        yield Expectation(
            "expect_column_values_to_be_between",
            f"the members differ by more than {limits.member_spread:g} on at most {limits.members_disagree:.0%}",
            {"column": "member_spread", "max_value": limits.member_spread, "mostly": 1.0 - limits.members_disagree},
            "warning",
        )


def _of_referrals(_rows: int, _night: Night) -> Iterator[Expectation]:
    yield like("key_photo_id", "32 hex digits of the SHA-256", PHOTO_ID)
    yield like("patient", "a person stands under a pseudonym, or as photo:<photo_id>", REFERRED)
    yield like("lesion", "a lesion stands under a pseudonym", LESION)
    actions = ((str(grade), action) for grade, (action, _) in ACTIONS.items())
    yield _pairs("grade", "action", "the action is that of the grade", actions)
    yield Expectation(
        "expect_column_pair_values_a_to_be_greater_than_b",
        "no referral is due before its night",
        {"column_A": "due_by", "column_B": "night", "or_equal": True},
    )
    yield filled("lesion", "the referral of a lesion names it", ("subject", "lesion"))
    yield Expectation(
        "expect_column_values_to_be_null",
        "the referral of a person names no lesion",
        {"column": "lesion"},
        where=("subject", "patient"),
    )
    yield _one_for_the_night("release")
    yield _one_for_the_night("night")


def filled(column: str, says: str, where: tuple[str, ...] = ()) -> Expectation:
    """The column is never null, or not where ``where`` holds."""
    return Expectation("expect_column_values_to_not_be_null", says, {"column": column}, where=where)


def like(column: str, says: str, regex: str) -> Expectation:
    """Every value that is there has this form."""
    return Expectation("expect_column_values_to_match_regex", says, {"column": column, "regex": regex})


def one_of(
    column: str, says: str, words: Sequence[str], severity: Literal["critical", "warning"] = "critical"
) -> Expectation:
    """Every value that is there is one of the words."""
    limits = {"column": column, "value_set": [str(word) for word in words]}
    return Expectation("expect_column_values_to_be_in_set", says, limits, severity)


def _pairs(column: str, other: str, says: str, pairs: Iterable[tuple[str, str]]) -> Expectation:
    """Both columns together hold one of the pairs."""
    return one_of(_together(column, other), says, [_AND.join(pair) for pair in pairs])


def _together(column: str, other: str) -> str:
    return f"{column}+{other}: together"


def _between(
    column: str,
    says: str,
    low: float | None,
    high: float | datetime | None,
    severity: Literal["critical", "warning"] = "critical",
    where: tuple[str, ...] = (),
) -> Expectation:
    bounds = {"min_value": low, "max_value": high}
    limits = {"column": column, **{name: bound for name, bound in bounds.items() if bound is not None}}
    return Expectation("expect_column_values_to_be_between", says, limits, severity, where)


def _one_for_the_night(column: str) -> Expectation:
    limits = {"column": column, "max_value": 1}
    says = f"one {column} for the whole night"
    return Expectation("expect_column_unique_value_count_to_be_between", says, limits)


def _at_most(share: float, column: str, word: str) -> Expectation:
    limits = {"column": column, "value_set": [str(word)], "mostly": 1.0 - share}
    says = f"at most {share:.0%} of the rows are {word}"
    return Expectation("expect_column_values_to_not_be_in_set", says, limits, "warning")
