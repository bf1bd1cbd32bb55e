"""What a reader answers, from the form to the row of ``DECISIONS``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from screening.contracts import GRADES
from screening.errors import ContractError
from screening.review.access import Form, User
from screening.review.queue_index import QueueEntry
from screening.taxonomy import Disease, Taxonomy

COMMENT_CHARACTERS = 2000
QUALITIES: Mapping[str, str] = {"good": "Good", "acceptable": "Acceptable", "unusable": "Unusable"}


@dataclass(frozen=True)
class Answer:
    """The fields of the form as they were filled in; ``disease`` is an id, a name or a synonym."""

    disease: str = ""
    cannot_tell: bool = False
    grade: str = ""
    photo_quality: str = ""
    comment: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Answer:
        """Of the fields of a request or a draft; whatever else they hold is left out."""
        return cls(
            disease=str(fields.get("disease") or "").strip()[:200],
            cannot_tell=bool(fields.get("cannot_tell")),
            grade=str(fields.get("grade") or ""),
            photo_quality=str(fields.get("photo_quality") or ""),
            # A browser counts a line's end as one character and sends two.
            comment=str(fields.get("comment") or "").replace("\r\n", "\n").strip(),
        )

    def fields(self) -> dict[str, Any]:
        return asdict(self)

    def problems(self, taxonomy: Taxonomy) -> dict[str, str]:
        """What is wrong, by field, in words for the reader; empty when it can be saved."""
        found: dict[str, str] = {}
        if not self.disease and not self.cannot_tell:
            found["disease"] = "Choose a disease, or say that you cannot tell."
        elif self.disease and self.cannot_tell:
            found["disease"] = "Choose a disease or “cannot tell”, not both."
        elif self.disease and find_disease(taxonomy, self.disease) is None:
            found["disease"] = f"No disease goes by “{self.disease}”. Choose one of the list."
        if self.grade and self.grade not in GRADES:
            found["grade"] = "Choose low risk, high risk or dangerous."
        if self.photo_quality and self.photo_quality not in QUALITIES:
            found["photo_quality"] = "Choose good, acceptable or unusable."
        if len(self.comment) > COMMENT_CHARACTERS:
            found["comment"] = f"The comment has {len(self.comment):,} characters, at most {COMMENT_CHARACTERS:,} fit."
        return found


def find_disease(taxonomy: Taxonomy, text: str) -> Disease | None:
    """The disease that a reader may mean by an id, a name or a synonym; the root says nothing and is none."""
    try:
        disease = taxonomy.of_label(text)
    except ContractError:
        return None
    return None if disease.parent is None else disease


def decision_row(  # noqa: PLR0913  # each is a fact of its own
    answer: Answer,
    form: Form,
    entry: QueueEntry,
    user: User,
    taxonomy: Taxonomy,
    *,
    evidence: str,
    was_blind: bool,
    corrects: str | None,
) -> dict[str, Any]:
    """The decision as it is kept; the answer has no ``problems``."""
    now = datetime.now(UTC)
    disease = None if answer.cannot_tell else find_disease(taxonomy, answer.disease)
    return {
        "decision_id": form.decision_id,
        "photo_id": entry.photo_id,
        "programme": entry.programme,
        "night": entry.night,
        "reader": user.name,
        "decided_at_utc": now,
        "recorded_at_utc": now,
        "source": "pages",
        "evidence": evidence,
        "answer": "disease" if disease else "cannot_tell",
        "disease": disease.id if disease else None,
        "grade": answer.grade or None,
        "photo_quality": answer.photo_quality or None,
        "comment": answer.comment or None,
        "was_blind": was_blind,
        "seconds": max(0.0, (now - form.opened).total_seconds()),
        "corrects": corrects,
        "shown_grade": entry.grade,
        "release": entry.row["release"],
    }
