"""Made-up nights for the monitoring: contract-true tables of as many photos as wanted, and the task over them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from screening.contracts import (
    GRADES,
    PHOTOS,
    PREDICTIONS,
    QUALITY,
    REFERRALS,
    REVIEW_QUEUE,
    VETTED_PHOTOS,
    Contract,
    grades_contract,
)
from screening.cutoffs import GradeCutoffs, QualityCutoffs
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.release import load_release
from screening.edges.tables import write_table
from screening.settings import Settings
from screening.tasks.context import NightContext, Plan, release_classes
from screening.tasks.monitor import Raised, monitor
from tests.unit.made_up_night import _filled as filled

FIRST = date(2026, 9, 1)
SETTINGS = Settings(model_repository=str(Path(__file__).parents[2] / "model_repository"))
RELEASE = load_release(SETTINGS.model_repository, "r0001")
CLASSES = release_classes(SETTINGS, RELEASE)
LIKELIEST = {"low_risk": "nevus", "high_risk": "basal_cell_carcinoma", "dangerous": "melanoma"}


@dataclass(frozen=True)
class Programme:
    """What a programme's photos are like: shares are 0..1, ``brightness`` the mean of the skin's."""

    photos: int = 40
    refused: float = 0.08
    dangerous: float = 0.05
    high_risk: float = 0.15
    flagged: float = 0.1
    brightness: float = 0.6
    distance: float = 1.0
    spread_of_nights: float = 0.02
    """Standard deviation of the brightness between nights."""


def context_at(folder: Path) -> NightContext:
    store = FolderStore(folder)
    return NightContext(SETTINGS, store, store)


def night_number(number: int) -> date:
    return FIRST + timedelta(days=number)


def claimed(night: date) -> datetime:
    return datetime.combine(night, time(23, 30), UTC)


def plan_of(night: date, release: str = "r0001", claimed_at: datetime | None = None) -> Plan:
    cutoffs = GradeCutoffs(**RELEASE.cutoffs)
    return Plan(f"night-{night}", night, [1], release, "test", claimed_at or claimed(night), QualityCutoffs(), cutoffs)


def stage(context: NightContext, programmes: Mapping[str, Programme], night: date, plan: Plan | None = None) -> str:
    """Write the staged tables and the plan of a night; returns its run id."""
    plan = plan or plan_of(night)
    rows: dict[str, list[dict[str, object]]] = {"photos": [], "quality": [], "predictions": [], "grades": []}
    referrals: list[dict[str, object]] = []
    for name, programme in programmes.items():
        seed = int.from_bytes(hashlib.sha256(f"{name}{night}".encode()).digest()[:4])
        _add(rows, referrals, name, programme, night, np.random.default_rng(seed))
    contracts: dict[Contract, list[dict[str, object]]] = {
        PHOTOS: rows["photos"],
        QUALITY: rows["quality"],
        PREDICTIONS: rows["predictions"],
        grades_contract(CLASSES.class_ids): rows["grades"],
        REFERRALS: referrals,
    }
    for contract, found in contracts.items():
        key = paths.staged_table(plan.run_id, contract.name)
        write_table(context.results, key, contract.table(found), contract)
    context.results.put(paths.run_plan(plan.run_id), plan.to_json())
    return plan.run_id


def watch(context: NightContext, programmes: Mapping[str, Programme], night: date, plan: Plan | None = None) -> Raised:
    return monitor(stage(context, programmes, night, plan), context)


def _add(
    rows: dict[str, list[dict[str, object]]],
    referrals: list[dict[str, object]],
    name: str,
    p: Programme,
    night: date,
    noise: np.random.Generator,
) -> None:
    of_night = noise.normal(0.0, p.spread_of_nights)
    for number in range(p.photos):
        photo_id = hashlib.sha256(f"{name}{night}{number}".encode()).hexdigest()[:32]
        key = f"uploads/{name}/{night}/{number}.jpg"
        is_refused = noise.random() < p.refused
        brightness = float(np.clip(noise.normal(p.brightness + of_night, 0.08), 0, 1))
        rows["photos"].append(
            filled(
                PHOTOS,
                {
                    "key": key,
                    "etag": photo_id,
                    "programme": name,
                    "photo_id": photo_id,
                    "age_years": int(noise.integers(5, 95)),
                    "sex": ("female", "male", None)[noise.integers(3)],
                    "fitzpatrick": (None, 2, 3, 5)[noise.integers(4)],
                    "outcome": "refused" if is_refused else "graded",
                    "reason": "too_dark" if is_refused else None,
                },
            )
        )
        rows["quality"].append(
            filled(
                QUALITY,
                {
                    "photo_id": photo_id,
                    "programme": name,
                    "skin_brightness": brightness,
                    "skin_ita_deg": float(np.clip(noise.normal(40, 25), -90, 90)),
                    "blur_score": float(noise.normal(-0.5, 1.8)),
                    "lesion_diameter_px": float(noise.lognormal(4.6, 0.4)),
                    "skin_fraction": float(noise.beta(20, 1)),
                    "short_side_px": int(noise.choice([720, 1080, 3024])),
                    "verdict": "refused" if is_refused else "usable",
                    "filters_version": "f-test",
                },
            )
        )
        if is_refused:
            continue
        grade = str(
            noise.choice(
                ["low_risk", "high_risk", "dangerous"], p=[1 - p.high_risk - p.dangerous, p.high_risk, p.dangerous]
            )
        )
        members = np.array([_answer(grade, noise) for _ in RELEASE.members])
        by_grade = CLASSES.grade_probabilities(members).mean(axis=0)
        for member, answer in zip(RELEASE.members, members, strict=True):
            row = {"photo_id": photo_id, "programme": name, "member": member.name, "probabilities": answer.tolist()}
            rows["predictions"].append(filled(PREDICTIONS, row))
        rows["grades"].append(
            filled(
                grades_contract(CLASSES.class_ids),
                {
                    "photo_id": photo_id,
                    "programme": name,
                    "key": key,
                    "grade": grade,
                    "verdict": "flagged" if noise.random() < p.flagged else "usable",
                    "outlier_distance": float(noise.lognormal(np.log(p.distance), 0.25)),
                    **{f"p_{g}": float(by_grade[i]) for i, g in enumerate(GRADES)},
                },
            )
        )
        referrals.append(
            filled(
                REFERRALS,
                {
                    "referral_id": photo_id,
                    "programme": name,
                    "patient": f"photo:{photo_id}",
                    "subject": "patient",
                    "grade": grade,
                    "due_by": night,
                    "night": night,
                },
            )
        )


def _answer(grade: str, noise: np.random.Generator) -> np.ndarray:
    answer = noise.dirichlet(np.full(len(CLASSES.class_ids), 0.5)) * 0.4
    answer[CLASSES.class_ids.index(LIKELIEST[grade])] += 0.6
    return answer


def review(context: NightContext, programme: str, night: date, rows: list[dict[str, object]]) -> None:
    """Publish a review queue and what became of it; each row has ``photo_id``, ``grade``, ``truth`` or None, and more."""
    queue, vetted = [], []
    for row in rows:
        own = {k: v for k, v in row.items() if k not in ("truth", "strength", "settled_at_utc")}
        base: dict[str, object] = {"programme": programme, "night": night, "release": "r0001", "reasons": ["dangerous"]}
        queue.append(filled(REVIEW_QUEUE, base | {"inclusion_probability": 1.0} | own))
        if row.get("truth"):
            settled = {
                "photo_id": row["photo_id"],
                "programme": programme,
                "night": night,
                "state": "settled",
                "disease": LIKELIEST[str(row["truth"])],
                "label_strength": row.get("strength", "consensus"),
                "settled_at_utc": row.get("settled_at_utc", claimed(night) + timedelta(hours=10)),
                "is_in_corpus": True,
            }
            vetted.append(filled(VETTED_PHOTOS, settled))
    write_table(
        context.results, paths.published("review_queue", programme, night), REVIEW_QUEUE.table(queue), REVIEW_QUEUE
    )
    write_table(
        context.results, paths.published("vetted_photos", programme, night), VETTED_PHOTOS.table(vetted), VETTED_PHOTOS
    )
