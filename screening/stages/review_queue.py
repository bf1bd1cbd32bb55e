"""Which photos of a night a clinician should look at, and why; and how photos get there by chance. docs/decisions/0018."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from screening.contracts import RiskGrade, Verdict
from screening.cutoffs import GradeCutoffs
from screening.stages.review_rules import ReviewRules

Row = Mapping[str, Any]


class Reason(StrEnum):
    """Why a photo is in the queue, weightiest first."""

    DANGEROUS = "dangerous"
    HIGH_RISK = "high_risk"
    SHADOW_DIFFERENCE = "shadow_difference"
    NEAR_CUTOFF = "near_cutoff"
    MEMBER_SPREAD = "member_spread"
    OUTLIER = "outlier"
    WARNING = "warning"
    FLAGGED = "flagged"
    AUDIT_SAMPLE = "audit_sample"


_WEIGHTIEST_FIRST = list(Reason)


@dataclass(frozen=True)
class QueuedNight:
    """What the queue needs to know of a night."""

    night: date
    run_id: str
    cutoffs: GradeCutoffs
    sampling_key: bytes
    """Keeps uploaders from foreseeing the sample: that of the pseudonyms."""


def queue_rows(
    grades: Sequence[Row],
    photos: Sequence[Row],
    rules: ReviewRules,
    about: QueuedNight,
    *,
    shadow_differences: AbstractSet[str] = frozenset(),
) -> list[dict[str, object]]:
    """The rows of ``REVIEW_QUEUE`` of one programme and night, weightiest first.

    Args:
        grades: the programme's rows of ``grades``.
        photos: its rows of ``photos``; those that were graded are read.
        rules: of the programme.
        about: the night.
        shadow_differences: photo_ids to which a challenger gave another grade.
    """
    reasons = {
        str(grade["photo_id"]): list(reasons_of(grade, rules, about.cutoffs, shadow_differences)) for grade in grades
    }
    unsuspected = [photo_id for photo_id, found in reasons.items() if not found]
    probability = audit_probability(len(unsuspected), rules)
    for photo_id in unsuspected:
        if sampling_place(photo_id, about.sampling_key) < probability:
            reasons[photo_id] = [Reason.AUDIT_SAMPLE]
    facts = {str(photo["photo_id"]): photo for photo in photos if photo["outcome"] == "graded"}
    rows = []
    for grade in grades:
        photo_id = str(grade["photo_id"])
        if found := reasons[photo_id]:
            priority = _WEIGHTIEST_FIRST.index(found[0])
            chance = probability if found == [Reason.AUDIT_SAMPLE] else 1.0
            rows.append(_row(grade, facts[photo_id], found, priority, chance, rules, about))
    return sorted(rows, key=lambda row: (row["priority"], -_suspicion(row), row["photo_id"]))


def reasons_of(
    grade: Row, rules: ReviewRules, cutoffs: GradeCutoffs, shadow_differences: AbstractSet[str] = frozenset()
) -> Iterator[Reason]:
    """Why a graded photo should be looked at, weightiest first; nothing of the other photos counts."""
    if grade["grade"] == RiskGrade.DANGEROUS:
        yield Reason.DANGEROUS
    if grade["grade"] == RiskGrade.HIGH_RISK:
        yield Reason.HIGH_RISK
    if grade["photo_id"] in shadow_differences:
        yield Reason.SHADOW_DIFFERENCE
    is_near = _distance_to_cutoff(grade, cutoffs) <= rules.margin
    is_split = grade["member_spread"] >= rules.spread
    if is_near:
        yield Reason.NEAR_CUTOFF
    if is_split:
        yield Reason.MEMBER_SPREAD
    if grade.get("is_outlier"):
        yield Reason.OUTLIER
    if grade.get("warnings"):
        yield Reason.WARNING
    # A flag of the quality filters alone brings nobody here: a fifth of phone photos may have one.
    if grade["verdict"] == Verdict.FLAGGED and (is_near or is_split):
        yield Reason.FLAGGED


def _distance_to_cutoff(grade: Row, cutoffs: GradeCutoffs) -> float:
    distances: tuple[float, float] = (
        abs(grade["p_dangerous"] - cutoffs.dangerous),
        abs(_suspicion(grade) - cutoffs.high_risk),
    )
    # Sums of probabilities carry rounding errors of about 1e-16.
    return round(min(distances), 12)


def _suspicion(row: Row) -> float:
    return float(row["p_dangerous"]) + float(row["p_high_risk"])


def audit_probability(photos: int, rules: ReviewRules) -> float:
    """Chance of each of so many unsuspected low-risk photos to be looked at, 0..1."""
    return min(1.0, max(rules.audit_share, rules.audit_minimum / photos)) if photos else 1.0


def sampling_place(photo_id: str, key: bytes) -> float:
    """A number from 0 to below 1, spread evenly over photos and always the same for one photo.

    Each photo is drawn by itself where this is below its chance (Poisson sampling), so the same night run again has the
    same sample, and another share keeps the photos that both draw.
    """
    digest = hmac.new(key, f"audit\0{photo_id}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


_OF_PHOTO = ("body_site", "age_years", "sex", "fitzpatrick", "has_training_consent")
_OF_GRADE = (
    "photo_id",
    "programme",
    "patient",
    "lesion",
    "grade",
    "disease",
    "differential",
    "p_low_risk",
    "p_high_risk",
    "p_dangerous",
    "member_spread",
    "verdict",
    "release",
)


def _row(
    grade: Row,
    photo: Row,
    reasons: Sequence[Reason],
    priority: int,
    chance: float,
    rules: ReviewRules,
    about: QueuedNight,
) -> dict[str, object]:
    return (
        {name: grade[name] for name in _OF_GRADE}
        | {name: photo[name] for name in _OF_PHOTO}
        | {"night": about.night, "run_id": about.run_id, "reasons": [str(reason) for reason in reasons]}
        | {"priority": priority, "inclusion_probability": chance, "readers_wanted": rules.readers_wanted}
    )
