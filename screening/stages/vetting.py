"""What a night's decisions come to. docs/decisions/0018.

The table of vetted photos, the corpus rows of those that may be learnt from, and what was found among photos graded low risk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from screening.contracts import SKIN_TYPES, RiskGrade
from screening.stages.adjudication import adjudicate
from screening.stages.missed_lesions import Stratum
from screening.stages.review_rules import ReviewRules
from screening.taxonomy import Taxonomy

Row = Mapping[str, Any]

LICENCE = "consent"


@dataclass(frozen=True)
class Standing:
    """Photo_ids of a night: of people who agreed to training, of people who took that back, and with a working copy."""

    consenting: AbstractSet[str]
    withdrawn: AbstractSet[str]
    with_copy: AbstractSet[str]


def vet_photos(
    decisions: Sequence[Row], place: tuple[str, date], rules: ReviewRules, taxonomy: Taxonomy, standing: Standing
) -> list[dict[str, object]]:
    """Rows of ``VETTED_PHOTOS`` of a programme's night.

    Args:
        decisions: all of the night's, rows of ``DECISIONS``.
        place: the programme and the night.
        rules: of the programme.
        taxonomy: of diseases.
        standing: of the photos.
    """
    of_photo: dict[str, list[Row]] = {}
    for decision in decisions:
        of_photo.setdefault(decision["photo_id"], []).append(decision)
    rows = []
    for photo_id, found in sorted(of_photo.items()):
        adjudicated = asdict(adjudicate(found, taxonomy, rules.readers_wanted))
        is_unusable = adjudicated.pop("is_unusable")
        reasons = {
            "withdrawn": photo_id in standing.withdrawn,
            "no_consent": photo_id not in standing.consenting,
            "not_settled": adjudicated["state"] != "settled",
            "unusable_photo": is_unusable,
            "no_working_copy": photo_id not in standing.with_copy,
        }
        kept_out = next((reason for reason, holds in reasons.items() if holds), None)
        rows.append(
            {"photo_id": photo_id, "programme": place[0], "night": place[1]}
            | adjudicated
            | {"is_in_corpus": kept_out is None, "kept_out": kept_out}
        )
    return rows


def corpus_rows(
    vetted: Sequence[Row], photos: Sequence[Row], quality: Sequence[Row], *, kind: str, taxonomy: Taxonomy
) -> list[dict[str, object]]:
    """Rows of ``CORPUS`` of a programme's night; ``photos`` and ``quality`` hold at least the photos in the corpus."""
    facts = {photo["photo_id"]: photo for photo in photos if photo["outcome"] == "graded"}
    judged = {row["photo_id"]: row for row in quality}
    return [
        _corpus_row(row, facts[row["photo_id"]], judged.get(row["photo_id"]), kind, taxonomy)
        for row in vetted
        if row["is_in_corpus"]
    ]


def _corpus_row(vetted: Row, photo: Row, quality: Row | None, kind: str, taxonomy: Taxonomy) -> dict[str, object]:
    programme, photo_id = vetted["programme"], vetted["photo_id"]
    lesion = f"{programme}/{photo['lesion'] or photo_id}"
    site = photo["body_site"]
    same = ("captured_at_utc", "device", "age_years", "sex", "fitzpatrick")
    return {
        "photo_id": photo_id,
        "photo": f"photos/{photo_id}.jpg",
        "disease": vetted["disease"],
        "source_label": taxonomy[vetted["disease"]].name,
        "label_strength": vetted["label_strength"],
        "patient": f"{programme}/{photo['patient']}" if photo["patient"] else lesion,
        "lesion": lesion,
        "source": programme,
        "kind": kind,
        "has_other_view_in": "",
        "skin_group": SKIN_TYPES.get(photo["fitzpatrick"]),
        "body_site": site.lower() if site else None,
        "licence": LICENCE,
        "perceptual_hash": quality["perceptual_hash"] if quality else None,
        "quality_verdict": quality["verdict"] if quality else None,
        "quality_issues": quality["issues"] if quality else None,
        "quality_reason": quality["reason"] if quality else None,
        **{name: photo[name] for name in same},
    }


def low_risk_strata(queue: Sequence[Row], vetted: Sequence[Row], low_risk: int, taxonomy: Taxonomy) -> list[Stratum]:
    """The photos of a night graded low risk, by their chance to be looked at; ``low_risk`` is how many there are."""
    grade_of = {
        row["photo_id"]: grade
        for row in vetted
        if row["state"] == "settled" and (grade := taxonomy.grade_of(row["disease"])) is not None
    }
    by_chance: dict[float, list[str]] = {}
    for row in queue:
        if row["grade"] == RiskGrade.LOW_RISK:
            by_chance.setdefault(row["inclusion_probability"], []).append(row["photo_id"])
    certain = len(by_chance.get(1.0, ()))
    strata = []
    for chance, chosen in sorted(by_chance.items()):
        settled = [grade_of[photo_id] for photo_id in chosen if photo_id in grade_of]
        strata.append(
            Stratum(
                photos=certain if chance == 1.0 else low_risk - certain,
                inclusion_probability=chance,
                chosen=len(chosen),
                settled=len(settled),
                found=sum(grade != RiskGrade.LOW_RISK for grade in settled),
            )
        )
    return strata
