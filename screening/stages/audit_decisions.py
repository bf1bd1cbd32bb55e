"""The audit of decisions and of what they come to, before they are published. Source: docs/decisions/0007, 0018."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import DECISIONS, VETTED_PHOTOS
from screening.stages.audit import AuditResult, run_suites
from screening.stages.expectations import (
    PHOTO_ID,
    Expectation,
    expectations_of_contract,
    filled,
    like,
    one_of,
    that_apply,
)
from screening.taxonomy import Taxonomy


def audit_decisions(decisions: pa.Table, vetted: pa.Table, taxonomy: Taxonomy) -> AuditResult:
    """Check both tables, of any number of nights, each alone and against each other."""
    diseases = tuple(disease.id for disease in taxonomy.diseases)
    suites = []
    for contract, table, own in (
        (DECISIONS, decisions, _of_decisions(diseases)),
        (VETTED_PHOTOS, vetted, _of_vetted(diseases)),
    ):
        lists = [column.name for column in table.schema if pa.types.is_list(column.type)]
        frame = table.drop_columns(lists).to_pandas(date_as_object=False)
        suites.append((contract.name, frame, that_apply([*expectations_of_contract(contract, frame), *own], frame)))
    results = run_suites(suites, "decisions")
    faults = [*_mismatches(decisions, vetted), *(fault for suite in results for fault in suite.faults)]
    warnings = [warning for suite in results for warning in suite.warnings]
    return AuditResult(not faults, faults, warnings, sum(suite.checked for suite in results))


def _of_decisions(diseases: tuple[str, ...]) -> Iterator[Expectation]:
    for column in ("photo_id", "decision_id", "corrects"):
        yield like(column, "32 hex digits", PHOTO_ID)
    yield filled("disease", "who can tell names a disease", ("answer", "disease"))
    yield Expectation(
        "expect_column_values_to_be_null",
        "who cannot tell names none",
        {"column": "disease"},
        where=("answer", "cannot_tell"),
    )
    # A taxonomy may lose a node: the photo is held, and the others go on.
    yield one_of("disease", "a disease of the taxonomy", diseases, severity="warning")
    yield Expectation(
        "expect_column_value_lengths_to_be_between",
        "a comment of at most 2,000 characters",
        {"column": "comment", "max_value": 2000},
    )


def _of_vetted(diseases: tuple[str, ...]) -> Iterator[Expectation]:
    yield like("photo_id", "32 hex digits of the SHA-256", PHOTO_ID)
    settled, others = ("state", "settled"), _others()
    for column in ("disease", "label_strength", "settled_at_utc"):
        yield filled(column, f"a settled photo has its {column}", settled)
        yield Expectation(
            "expect_column_values_to_be_null", f"one that is not has no {column}", {"column": column}, where=others
        )
    yield one_of("disease", "a disease of the taxonomy", diseases)
    pairs = [("settled", True), ("settled", False), *((state, False) for state in others[1:])]
    yield Expectation(
        "expect_column_pair_values_to_be_in_set",
        "only a settled photo may be learnt from",
        {"column_A": "state", "column_B": "is_in_corpus", "value_pairs_set": pairs},
    )


def _others() -> tuple[str, ...]:
    [states] = [column.words for column in VETTED_PHOTOS.columns if column.name == "state"]
    return ("state", *(state for state in states if state != "settled"))


def _mismatches(decisions: pa.Table, vetted: pa.Table) -> Iterator[str]:
    """Photos with decisions and without a row or the other way round, decisions that nobody made or that count twice."""
    decided, rows = set(decisions["photo_id"].to_pylist()), set(vetted["photo_id"].to_pylist())
    if decided != rows:
        yield f"vetted_photos: {len(decided - rows)} photos with decisions are missing, {len(rows - decided)} have none"
    counted = Counter(vetted["decisions"].combine_chunks().flatten().to_pylist())
    unknown = counted.keys() - set(decisions["decision_id"].to_pylist())
    if unknown:
        yield f"vetted_photos: {len(unknown)} decisions count that are not there"
    if twice := [i for i, n in counted.items() if n > 1]:
        yield f"vetted_photos: {len(twice)} decisions count more than once"
    is_kept_out = pc.is_valid(vetted["kept_out"])
    if contradictory := pc.sum(pc.equal(is_kept_out, vetted["is_in_corpus"])).as_py():
        yield f"vetted_photos: {contradictory} rows are in the corpus and kept out of it, or neither"
