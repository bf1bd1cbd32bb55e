"""Photo to lesion to person: the more severe grade wins, and says what to do by when."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from screening.contracts import GRADES, RiskGrade

ACTIONS = {
    RiskGrade.LOW_RISK: (
        "keep_monitoring",
        "Keep watching the lesion: photograph it again if it grows, bleeds, itches or changes. Protect the skin from the sun.",
    ),
    RiskGrade.HIGH_RISK: ("visit_nearby_hospital", "Have a doctor at a nearby hospital examine the lesion."),
    RiskGrade.DANGEROUS: (
        "pathological_examination_at_once",
        "Go to a superior hospital at once for a pathological examination of the lesion.",
    ),
}
"""What each grade asks for (Zhao et al. 2019, the advice given with each of the three grades)."""


@dataclass(frozen=True)
class JudgedPhoto:
    """One graded photo, or a duplicate with the grade that it shares."""

    photo_id: str
    programme: str
    patient: str | None
    lesion: str | None
    grade: RiskGrade
    p_dangerous: float
    p_high_risk: float


@dataclass(frozen=True)
class DueDays:
    """Days from the night to the last day for each grade's action; settings of the programme."""

    low_risk: int
    high_risk: int
    dangerous: int

    def due_by(self, night: date, grade: RiskGrade) -> date:
        return night + timedelta(days=(self.low_risk, self.high_risk, self.dangerous)[GRADES.index(grade)])


def make_referrals(photos: Iterable[JudgedPhoto], night: date, release: str, due: DueDays) -> list[dict[str, object]]:
    """One row per lesion that the uploader named and one per person, in a fixed order.

    A photo without a person stands for a person of its own, named by the photo, so that nobody at risk is lost.
    """
    groups: dict[tuple[str, str, str | None], list[JudgedPhoto]] = defaultdict(list)
    for photo in photos:
        patient = photo.patient or f"photo:{photo.photo_id}"
        groups[photo.programme, patient, None].append(photo)
        if photo.lesion:
            groups[photo.programme, patient, photo.lesion].append(photo)
    rows: list[dict[str, object]] = []
    for (programme, patient, lesion), members in sorted(groups.items(), key=lambda item: tuple(map(str, item[0]))):
        worst = max(members, key=lambda p: (GRADES.index(p.grade), p.p_dangerous, p.p_high_risk, p.photo_id))
        action, advice = ACTIONS[worst.grade]
        words = (programme, patient, lesion or "", str(worst.grade), night.isoformat())
        rows.append(
            {
                "referral_id": "r-" + hashlib.sha256("\0".join(words).encode()).hexdigest()[:24],
                "programme": programme,
                "patient": patient,
                "lesion": lesion,
                "subject": "lesion" if lesion else "patient",
                "grade": str(worst.grade),
                "action": action,
                "advice": advice,
                "due_by": due.due_by(night, worst.grade),
                "photos": len(members),
                "key_photo_id": worst.photo_id,
                "state": "open",
                "night": night,
                "release": release,
            }
        )
    return rows
