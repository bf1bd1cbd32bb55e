"""The count of a night, and the proof, photo by photo, that nothing was lost on the way (promise 1 of the design).

``count`` is what the reports print. ``accounting_faults`` is what a night must pass before anything of it is published:
it compares whole tables with each other, which the expectations on single tables (``audit.py``) cannot.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import GRADES, Outcome, Verdict
from screening.stages.ensemble import ENSEMBLE
from screening.taxonomy import TrainingClasses

SUM_TOLERANCE = 1e-6
"""Largest rounding error of a sum of probabilities: eight float64 terms are good to 1e-15, eight float32 to 1e-6."""
EXAMPLES = 3
"""Photos that a fault names; their number stands before them."""
_LONGEST_KEY = 80

_Row = dict[str, object]


@dataclass(frozen=True)
class Accounting:
    """What became of the listed objects; ``per_reason`` counts those that were not graded."""

    listed: int
    graded: int
    refused: int
    failed: int
    duplicate: int
    per_grade: dict[str, int]
    per_reason: dict[str, int]

    @property
    def is_balanced(self) -> bool:
        """Listed = graded + refused + failed + duplicate."""
        return self.listed == self.graded + self.refused + self.failed + self.duplicate


def count(photos: pa.Table, grades: pa.Table) -> Accounting:
    """Count a night, or the part of it that the given rows are."""
    outcomes = _counts(photos["outcome"])
    not_graded = photos.filter(pc.field("outcome") != str(Outcome.GRADED))
    found = _counts(grades["grade"])
    reasons = _counts(not_graded["reason"])
    return Accounting(
        listed=photos.num_rows,
        graded=outcomes.get(Outcome.GRADED, 0),
        refused=outcomes.get(Outcome.REFUSED, 0),
        failed=outcomes.get(Outcome.FAILED, 0),
        duplicate=outcomes.get(Outcome.DUPLICATE, 0),
        per_grade={str(grade): found.get(grade, 0) for grade in GRADES},
        per_reason=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def count_by_programme(photos: pa.Table, grades: pa.Table) -> dict[str, Accounting]:
    """Count each programme of a night, by name."""
    return {
        programme: count(
            photos.filter(pc.field("programme") == programme),
            grades.filter(pc.field("programme") == programme),
        )
        for programme in sorted(pc.unique(photos["programme"]).to_pylist())
    }


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(pair["values"]): int(pair["counts"]) for pair in pc.value_counts(column).to_pylist()}


def accounting_faults(
    tables: Mapping[str, pa.Table], ledger: pa.Table, *, night: date, members: Sequence[str], classes: TrainingClasses
) -> list[str]:
    """Say which promises the tables of a night break; an empty list when they keep them all.

    Args:
        tables: ``photos``, ``quality``, ``predictions``, ``grades`` and ``referrals`` of the night, each as its
            contract wants it.
        ledger: what the night claimed; its columns ``key``, ``etag`` and, where present, ``night`` are read.
        night: the night that is audited.
        members: names of the release's CNNs, without ``ensemble``.
        classes: of the release, in the order of ``probabilities``.

    Returns:
        Sentences with counts and at most three keys or photo ids each, never a person.
    """
    grades, predictions = tables["grades"], tables["predictions"]
    listed = tables["photos"].select(_PHOTO_COLUMNS).to_pylist()
    graded = [row for row in listed if row["outcome"] == Outcome.GRADED]
    return [
        *_ledger_faults(ledger, listed, night),
        *_reason_faults(listed),
        *_duplicate_faults(listed, night),
        *_same_picture_faults(listed),
        *_graded_faults(graded, predictions, grades, members),
        *_verdict_faults(listed, tables["quality"], grades),
        *_sum_faults(grades, predictions, members, classes),
        *_referral_faults(listed, grades, tables["referrals"], night),
    ]


_PHOTO_COLUMNS = [
    *("key", "etag", "programme", "photo_id", "patient", "lesion"),
    *("outcome", "reason", "duplicate_of", "duplicate_of_night", "same_picture_as"),
]


def _name(row: Mapping[str, object]) -> str:
    """The photo's id, or its key when its bytes were never read. ``ascii``: a hostile key must not break a log line."""
    if row.get("photo_id"):
        return str(row["photo_id"])
    return _shorten(str(row["key"]))


def _shorten(key: str) -> str:
    return ascii(key if len(key) <= _LONGEST_KEY else key[: _LONGEST_KEY - 1] + "…")


def _fault(names: Collection[str], what: str) -> Iterable[str]:
    """One sentence about all the photos that share a fault; none when there are none."""
    if names:
        examples = sorted(names)[:EXAMPLES]
        more = f" and {len(names) - len(examples):,} more" if len(names) > len(examples) else ""
        yield f"{len(names):,} {what}: {', '.join(examples)}{more}"


def _ledger_faults(ledger: pa.Table, listed: list[_Row], night: date) -> Iterable[str]:
    claimed = Counter(zip(ledger["key"].to_pylist(), ledger["etag"].to_pylist(), strict=True))
    found = Counter((row["key"], row["etag"]) for row in listed)
    yield from _fault(
        [_shorten(key) for key, _ in claimed.keys() - found.keys()], "listed uploads have no row in photos"
    )
    yield from _fault(
        [_shorten(str(key)) for key, _ in found.keys() - claimed.keys()], "rows of photos were not listed by this night"
    )
    yield from _fault(
        [_shorten(str(key)) for (key, _), n in found.items() if n > 1], "listed uploads stand more than once in photos"
    )
    if "night" in ledger.column_names:
        others = ledger.filter(pc.field("night") != pa.scalar(night, pa.date32()))["key"].to_pylist()
        yield from _fault([_shorten(key) for key in others], f"ledger rows belong to another night than {night}")


def _reason_faults(listed: list[_Row]) -> Iterable[str]:
    silent = [row for row in listed if row["outcome"] != Outcome.GRADED and not row["reason"]]
    yield from _fault([_name(row) for row in silent], "photos were not graded and have no reason")
    unread = [row for row in listed if row["outcome"] in (Outcome.GRADED, Outcome.DUPLICATE) and not row["photo_id"]]
    yield from _fault([_name(row) for row in unread], "graded or duplicate photos have no photo_id")


def _duplicate_faults(listed: list[_Row], night: date) -> Iterable[str]:
    by_key: dict[object, list[_Row]] = defaultdict(list)
    for row in listed:  # one key may have been listed twice, with other bytes each time
        by_key[row["key"]].append(row)
    unnamed, unknown, chained, unlike = [], [], [], []
    for row in listed:
        if row["outcome"] != Outcome.DUPLICATE:
            continue
        first, first_night = row["duplicate_of"], row["duplicate_of_night"]
        if not first:
            unnamed.append(_name(row))
        elif first_night not in (None, night):
            # Its night was claimed before this one, though a back-filled night may have an earlier date.
            continue
        elif first not in by_key:
            unknown.append(_name(row))
        elif all(other["outcome"] == Outcome.DUPLICATE for other in by_key[first]):
            chained.append(_name(row))
        elif all(other["photo_id"] != row["photo_id"] for other in by_key[first]):
            unlike.append(_name(row))
    yield from _fault(unnamed, "duplicates do not name the photo whose grade they share")
    yield from _fault(unknown, "duplicates name a photo that this night does not have")
    yield from _fault(chained, "duplicates name a photo that is a duplicate itself")
    yield from _fault(unlike, "duplicates name a photo with other bytes")


def _same_picture_faults(listed: list[_Row]) -> Iterable[str]:
    copies = [row for row in listed if row["same_picture_as"]]
    # A photo of an earlier night is believed. Another programme may have sent its bytes this night, with other copies.
    copied = {(row["programme"], row["photo_id"]) for row in copies}
    itself = [_name(row) for row in copies if row["same_picture_as"] == row["photo_id"]]
    yield from _fault(itself, "photos are said to show the same picture as themselves")
    chained = [
        _name(row)
        for row in copies
        if row["same_picture_as"] != row["photo_id"] and (row["programme"], row["same_picture_as"]) in copied
    ]
    yield from _fault(chained, "photos show the same picture as one that itself repeats an earlier one")


def _graded_faults(
    graded: list[_Row], predictions: pa.Table, grades: pa.Table, members: Sequence[str]
) -> Iterable[str]:
    outcome_graded = Counter(str(row["photo_id"]) for row in graded if row["photo_id"])
    yield from _fault([p for p, n in outcome_graded.items() if n > 1], "photo ids were graded more than once")
    in_grades = Counter(grades["photo_id"].to_pylist())
    yield from _fault(outcome_graded.keys() - in_grades.keys(), "graded photos have no row in grades")
    yield from _fault(in_grades.keys() - outcome_graded.keys(), "rows of grades belong to no graded photo")
    yield from _fault([p for p, n in in_grades.items() if n > 1], "photos have more than one row in grades")

    expected = {*members, ENSEMBLE}
    answers: dict[str, list[str]] = defaultdict(list)
    for photo_id, member in zip(predictions["photo_id"].to_pylist(), predictions["member"].to_pylist(), strict=True):
        answers[photo_id].append(member)
    lacking = [p for p in outcome_graded if expected - set(answers.get(p, ()))]
    yield from _fault(lacking, f"graded photos lack a prediction of one of {', '.join(sorted(expected))}")
    yield from _fault(
        [p for p, found in answers.items() if len(found) > len(set(found))], "photos have two predictions of one member"
    )
    yield from _fault(
        [p for p, found in answers.items() if set(found) - expected],
        "photos have a prediction of a member that the release does not have",
    )
    yield from _fault(answers.keys() - outcome_graded.keys(), "photos have predictions and were not graded")


def _verdict_faults(listed: list[_Row], quality: pa.Table, grades: pa.Table) -> Iterable[str]:
    outcomes = {
        str(row["photo_id"]): row["outcome"]
        for row in listed
        if row["photo_id"] and row["outcome"] != Outcome.DUPLICATE
    }
    judged_of_grade = grades.select(["photo_id", "verdict", "warnings"]).to_pylist()
    verdict_of_grade = {row["photo_id"]: row["verdict"] for row in judged_of_grade}
    warned = {row["photo_id"] for row in judged_of_grade if row["warnings"]}
    refused_yet_used, used_yet_refused, unlike = [], [], []
    judged = quality.select(["photo_id", "verdict", "quality_mode"]).to_pylist()
    for row in judged:
        photo_id, outcome = row["photo_id"], outcomes.get(row["photo_id"])
        is_refused = row["verdict"] == Verdict.REFUSED
        if row["quality_mode"] == "observe":  # there a refusal is recorded, and the photo graded all the same
            continue
        if is_refused and outcome in (Outcome.GRADED, Outcome.FAILED):
            refused_yet_used.append(photo_id)
        if not is_refused and outcome == Outcome.REFUSED:
            used_yet_refused.append(photo_id)
        expected = str(Verdict.FLAGGED) if photo_id in warned else row["verdict"]
        if not is_refused and verdict_of_grade.get(photo_id, expected) != expected:
            unlike.append(photo_id)
    known = {row["photo_id"] for row in judged}
    yield from _fault(refused_yet_used, "photos have the verdict refused and another outcome")
    yield from _fault(used_yet_refused, "photos have the outcome refused and another verdict")
    yield from _fault(unlike, "photos have one verdict in quality and another in grades")
    # A photo that repeats an earlier night's is measured before that is known.
    listed_ids = {str(row["photo_id"]) for row in listed if row["photo_id"]}
    yield from _fault(known - listed_ids, "rows of quality belong to no photo of this night")
    unjudged = [p for p, outcome in outcomes.items() if outcome == Outcome.GRADED and p not in known]
    yield from _fault(unjudged, "graded photos have no row in quality")


def _sum_faults(
    grades: pa.Table, predictions: pa.Table, members: Sequence[str], classes: TrainingClasses
) -> Iterable[str]:
    photo_ids = grades["photo_id"].to_pylist()

    def off(wrong: np.ndarray, of: Sequence[str] = photo_ids) -> list[str]:
        return sorted({of[int(i)] for i in np.flatnonzero(wrong)})

    by_grade = _matrix(grades, [f"p_{grade}" for grade in GRADES])
    by_disease = _matrix(grades, [f"p_{disease}" for disease in classes.class_ids])
    yield from _fault(
        off(~_close(by_grade.sum(axis=1), 1.0)), "rows of grades whose three grade probabilities do not sum to 1"
    )
    sums = classes.grade_probabilities(by_disease)
    yield from _fault(off(~_close(by_grade, sums)), "rows of grades where a grade is not the sum of its diseases")
    grade_of = dict(zip(classes.class_ids, map(str, classes.grades), strict=True))
    pairs = zip(grades["disease"].to_pylist(), grades["grade"].to_pylist(), strict=True)
    yield from _fault(
        off(np.array([grade_of.get(d) != g for d, g in pairs], dtype=bool)),
        "rows of grades whose disease has another grade",
    )

    answers, answer_ids = _probabilities(predictions, len(classes))
    if answers is None:
        yield f"{predictions.num_rows:,} rows of predictions do not all have {len(classes)} probabilities"
        return
    yield from _fault(
        off(~_close(answers.sum(axis=1), 1.0), answer_ids), "photos have predictions that do not sum to 1"
    )
    names = np.array(predictions["member"].to_pylist(), dtype=object)
    order = {photo_id: i for i, photo_id in enumerate(dict.fromkeys(answer_ids))}
    at = np.array([order[photo_id] for photo_id in answer_ids], dtype=np.int64)
    totals = np.zeros((len(order), len(classes)))
    seen = np.zeros(len(order))
    is_member = np.isin(names, list(members)) if len(names) else np.zeros(0, dtype=bool)
    np.add.at(totals, at[is_member], answers[is_member])
    np.add.at(seen, at[is_member], 1)
    is_ensemble = names == ENSEMBLE if len(names) else np.zeros(0, dtype=bool)
    rows = at[is_ensemble]
    # A photo that lacks a member is named by `_graded_faults`; its mean cannot be right.
    complete = seen[rows] == len(members)
    means = totals[rows] / max(1, len(members))
    wrong = complete & ~_close(answers[is_ensemble], means)
    ensemble_ids = [answer_ids[i] for i in np.flatnonzero(is_ensemble)]
    yield from _fault(off(wrong, ensemble_ids), "photos have an ensemble that is not the mean of its members")
    row_of = {photo_id: i for i, photo_id in enumerate(ensemble_ids)}
    shared = [i for i, photo_id in enumerate(photo_ids) if photo_id in row_of]
    asked = answers[is_ensemble][[row_of[photo_ids[i]] for i in shared]]
    unlike = ~_close(by_disease[shared], asked)
    yield from _fault(
        off(unlike, [photo_ids[i] for i in shared]),
        "rows of grades whose diseases differ from the ensemble's prediction",
    )


def _close(found: np.ndarray, expected: np.ndarray | float) -> np.ndarray:
    """Shape (rows,): true where every figure of the row is as expected; NaN never is."""
    near = np.abs(found - expected) <= SUM_TOLERANCE
    return np.asarray(near if near.ndim == 1 else near.all(axis=1))


def _matrix(table: pa.Table, columns: list[str]) -> np.ndarray:
    """Shape (rows, columns), float64."""
    return np.stack([table[name].to_numpy().astype(np.float64) for name in columns], axis=1)


def _probabilities(predictions: pa.Table, classes: int) -> tuple[np.ndarray | None, list[str]]:
    """Shape (rows, classes), or None when a row has another length."""
    lists = predictions["probabilities"].combine_chunks()
    lengths = pc.list_value_length(lists)
    if pc.any(pc.fill_null(pc.not_equal(lengths, classes), True)).as_py():
        return None, []
    flat = pc.list_flatten(lists).to_numpy(zero_copy_only=False).astype(np.float64)
    return flat.reshape(-1, classes), predictions["photo_id"].to_pylist()


@dataclass
class _Person:
    """What a referral must rest on: a lesion's or a person's photos of this night."""

    grades: list[str]
    photo_ids: set[str]
    has_earlier: bool = False
    """One of its photos was graded in an earlier night, whose tables are not at hand: its grade may be more severe."""


def _referral_faults(listed: list[_Row], grades: pa.Table, referrals: pa.Table, night: date) -> Iterable[str]:
    expected = _who_needs_a_referral(listed, grades)
    rows = referrals.select(
        ["referral_id", "programme", "patient", "lesion", "grade", "photos", "key_photo_id", "due_by", "night"]
    ).to_pylist()
    found = {(row["programme"], row["patient"], row["lesion"]): row for row in rows}
    missing = {min(who.photo_ids) for key, who in expected.items() if who.grades and key not in found}
    yield from _fault(missing, "persons or lesions with a graded photo have no referral; theirs are the photos")
    twice = len(rows) - len(found)
    if twice:
        yield f"{twice:,} referrals are for a person or lesion that has one already"
    yield from _fault([str(r["referral_id"]) for r in rows if r["night"] != night], "referrals belong to another night")
    yield from _fault(
        [str(r["referral_id"]) for r in rows if r["due_by"] < r["night"]], "referrals were due before their night"
    )

    groundless, unlike, miscounted, foreign = [], [], [], []
    for key, row in found.items():
        referral_id, who = str(row["referral_id"]), expected.get(key)
        if who is None:
            groundless.append(referral_id)
            continue
        severity = GRADES.index(row["grade"])
        worst = max((GRADES.index(grade) for grade in who.grades), default=-1)
        if severity < worst or (severity > worst and not who.has_earlier):
            unlike.append(referral_id)
        if row["photos"] != len(who.grades) and not who.has_earlier:
            miscounted.append(referral_id)
        if row["key_photo_id"] not in who.photo_ids:
            foreign.append(referral_id)
    yield from _fault(groundless, "referrals rest on no graded photo of this night")
    yield from _fault(unlike, "referrals do not have the most severe grade of their photos")
    yield from _fault(miscounted, "referrals count another number of photos than they rest on")
    yield from _fault(foreign, "referrals name a deciding photo that is not theirs")


def _who_needs_a_referral(listed: list[_Row], grades: pa.Table) -> dict[tuple[object, object, object], _Person]:
    """Photos of each person (lesion None) and of each lesion; a duplicate counts for the person it was uploaded for."""
    grade_of = dict(zip(grades["photo_id"].to_pylist(), grades["grade"].to_pylist(), strict=True))
    people: dict[tuple[object, object, object], _Person] = {}
    for row in listed:
        photo_id = str(row["photo_id"])
        is_earlier = row["outcome"] == Outcome.DUPLICATE and photo_id not in grade_of
        if row["outcome"] not in (Outcome.GRADED, Outcome.DUPLICATE) or (
            is_earlier and row["duplicate_of_night"] is None
        ):
            continue  # not graded, or the copy of a photo of this night that was not graded
        patient = row["patient"] or f"photo:{photo_id}"
        for lesion in {None, row["lesion"]}:
            who = people.setdefault((row["programme"], patient, lesion), _Person([], set()))
            who.photo_ids.add(photo_id)
            if is_earlier:
                who.has_earlier = True
            else:
                who.grades.append(grade_of.get(photo_id, GRADES[0]))
    return people
