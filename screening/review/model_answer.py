"""What the model said of a photo, in the words of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from screening.contracts import GRADES
from screening.review.night_tables import NightTables
from screening.review.queue_index import QueueEntry
from screening.stages.grading import WARNINGS
from screening.stages.review_queue import Reason
from screening.taxonomy import Taxonomy

GRADE_WORDS: Mapping[str, str] = {"low_risk": "low risk", "high_risk": "high risk", "dangerous": "dangerous"}
REASON_WORDS: Mapping[str, str] = {
    Reason.SHADOW_DIFFERENCE: "the challenger disagrees",
    Reason.NEAR_CUTOFF: "near a cut-off",
    Reason.MEMBER_SPREAD: "the networks disagree",
    Reason.OUTLIER: "unlike the training photos",
    Reason.WARNING: "answer with a warning",
    Reason.FLAGGED: "photo quality in doubt",
    Reason.AUDIT_SAMPLE: "random sample",
}
"""Why a photo is in review, where the code itself does not say it."""


@dataclass(frozen=True)
class ModelAnswer:
    """Names are in words; a probability that the night's tables no longer hold is None."""

    grade: str
    disease: str
    differential: Sequence[tuple[str, float | None]]
    of_grades: Sequence[tuple[str, float]]
    member_spread: float
    prediction_set: Sequence[str] | None
    warnings: Sequence[str]
    reasons: Sequence[str]
    release: str


def model_answer(entry: QueueEntry, tables: NightTables, taxonomy: Taxonomy) -> ModelAnswer:
    """Gather it from the queue and, where they are still those of the same release, from the night's grades."""
    row = entry.row
    grades = tables.row("grades", entry.programme, entry.night, entry.photo_id)
    if grades.get("release") != row["release"]:
        grades = {}
    named = list(dict.fromkeys([row["disease"], *row["differential"]]))
    chances: list[tuple[str, float | None]] = [(disease, grades.get(f"p_{disease}")) for disease in named]
    prediction_set = grades.get("prediction_set")
    return ModelAnswer(
        grade=row["grade"],
        disease=disease_name(taxonomy, row["disease"]),
        differential=[
            (disease_name(taxonomy, disease), p) for disease, p in sorted(chances, key=lambda c: -(c[1] or 0.0))
        ],
        of_grades=[(str(grade), row[f"p_{grade}"]) for grade in reversed(GRADES)],
        member_spread=row["member_spread"],
        prediction_set=None if prediction_set is None else [disease_name(taxonomy, d) for d in prediction_set],
        warnings=[WARNINGS.get(code, words(code)) for code in grades.get("warnings") or ()],
        reasons=[reason_words(code) for code in row["reasons"]],
        release=row["release"],
    )


def disease_name(taxonomy: Taxonomy, disease_id: str | None) -> str:
    """The name in today's tree; an older release may know a disease that this tree does not."""
    known: Any = next((d for d in taxonomy.diseases if d.id == disease_id), None) if disease_id else None
    return known.name if known else words(disease_id)


def reason_words(code: str) -> str:
    """Why a photo is in review, in plain words."""
    return REASON_WORDS.get(code, words(code))


def words(code: object) -> str:
    """A code in plain words."""
    return str(code or "").replace("_", " ")
