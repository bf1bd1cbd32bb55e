"""All batches of a night to grades and referrals: the one task that sees the night as a whole.

Each photo is still judged alone. What needs the whole night is only who shares whose bytes or picture, and which photos
show the same lesion or person.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import (
    LEDGER,
    PHOTOS,
    PREDICTIONS,
    PREPARED,
    QUALITY,
    REFERRALS,
    UNANSWERED,
    Contract,
    Outcome,
    RiskGrade,
    Verdict,
)
from screening.edges import paths
from screening.edges.release import Release
from screening.edges.tables import iter_table, read_table, write_table
from screening.stages.ensemble import ENSEMBLE
from screening.stages.grading import grade_photo
from screening.stages.referral import DueDays, JudgedPhoto, make_referrals
from screening.stages.refusals import NOT_GRADED_ADVICE
from screening.tasks.context import NightContext, Plan, answer_limits
from screening.tasks.same_pictures import name_same_pictures
from screening.tasks.staged import earlier_grades, published_contracts
from screening.taxonomy import TrainingClasses

log = logging.getLogger(__name__)

Row = dict[str, object]


def grade(run_id: str, context: NightContext) -> None:
    """Write the run's tables photos, quality, predictions, grades and referrals; may run again."""
    plan = context.plan(run_id)
    release = context.release(plan.release)
    classes = context.classes(release)
    with context.timed(run_id, "grade", photos=plan.photos):
        photos = _resolve_outcomes(plan, context)
        quality = _first_per_photo(_concat(plan, context, QUALITY))
        name_same_pictures(photos, quality, plan, context)
        predictions = _first_per_photo(_concat(plan, context, PREDICTIONS))
        # A photo that failed after its neighbour's copy was answered must not leave half an answer behind.
        graded_ids = pa.array([p["photo_id"] for p in photos if p["outcome"] == Outcome.GRADED], pa.string())
        predictions = predictions.filter(pc.is_in(predictions["photo_id"], graded_ids))
        grades = _grade_rows(photos, quality, predictions, plan, release, classes)
        settings = context.settings
        due = DueDays(settings.low_risk_due_days, settings.high_risk_due_days, settings.dangerous_due_days)
        judged = _judged_photos(photos, grades, context)
        referrals = make_referrals(judged, plan.night, release.name, due)
        contracts = published_contracts(classes)
        for table, contract in (
            (PHOTOS.table(photos), PHOTOS),
            (quality, QUALITY),
            (predictions, PREDICTIONS),
            (contracts["grades"].table(grades), contracts["grades"]),
            (REFERRALS.table(referrals), REFERRALS),
        ):
            write_table(context.results, paths.staged_table(run_id, contract.name), table, contract)
    outcomes = Counter(str(p["outcome"]) for p in photos)
    log.info(
        "grade run=%s listed=%d same_picture=%d %s",
        run_id, len(photos), sum(p["same_picture_as"] is not None for p in photos),
        " ".join(f"{k}={v}" for k, v in sorted(outcomes.items())),
    )  # fmt: skip


def _concat(plan: Plan, context: NightContext, contract: Contract) -> pa.Table:
    tables = [
        read_table(context.results, paths.staged_batch(plan.run_id, contract.name, batch), contract)
        for batch in range(len(plan.batch_sizes))
    ]
    return pa.concat_tables(tables) if tables else contract.table([])


def _first_per_photo(table: pa.Table) -> pa.Table:
    """Keep one batch's rows where two batches prepared the same bytes, and order them by photo, whatever the batches."""
    if not table.num_rows:
        return table
    keys = [name for name in ("photo_id", "member") if name in table.column_names]
    seen: set[tuple[object, ...]] = set()
    keep = []
    for values in zip(*(table[name].to_pylist() for name in keys), strict=True):
        keep.append(values not in seen)
        seen.add(values)
    return table.filter(pa.array(keep)).sort_by([(name, "ascending") for name in keys])


def _resolve_outcomes(plan: Plan, context: NightContext) -> list[Row]:
    """Every listed photo with its final outcome, in key order."""
    photos: list[Row] = sorted(_concat(plan, context, PREPARED).to_pylist(), key=lambda p: (p["key"], p["etag"]))
    unanswered = {r["photo_id"]: r for r in _concat(plan, context, UNANSWERED).to_pylist()}
    for photo in photos:
        if photo["outcome"] is None and (fault := unanswered.get(photo["photo_id"])):
            photo |= {
                "outcome": Outcome.FAILED,
                "reason": fault["reason"],
                "reason_text": fault["reason_text"],
                "advice": NOT_GRADED_ADVICE,
            }
    earlier = _graded_earlier({str(p["photo_id"]) for p in photos if p["photo_id"]}, plan, context)
    first_of: dict[object, Row] = {}
    for photo in photos:
        photo_id = photo["photo_id"]
        if photo_id is None:
            continue
        if photo_id in earlier:
            key, night = earlier[str(photo_id)]
            _mark_duplicate(photo, key, f"the same bytes were graded on {night}", night)
        elif photo_id in first_of:
            first = first_of[photo_id]
            _mark_duplicate(
                photo, first["key"], f"the same bytes as another photo of this night, which is {first['outcome']}"
            )
        else:
            photo["outcome"] = photo["outcome"] or Outcome.GRADED
            first_of[photo_id] = photo
    return photos


def _mark_duplicate(photo: Row, key: object, text: str, night: object = None) -> None:
    photo |= {
        "outcome": Outcome.DUPLICATE,
        "reason": "same_bytes",
        "reason_text": text,
        "duplicate_of": key,
        "duplicate_of_night": night,
    }


def _graded_earlier(photo_ids: set[str], plan: Plan, context: NightContext) -> dict[str, tuple[str, object]]:
    """Which of these bytes a night that was claimed before this one has graded: photo_id to (key, night).

    Claimed before, not dated before: a night run again then finds the same, whatever was back-filled since.
    """
    wanted = pa.array(sorted(photo_ids), pa.string())
    found: dict[str, tuple[object, str, object]] = {}
    for page in context.results.pages(paths.LEDGER_PREFIX):
        for ledger in page:
            if ledger.key == paths.ledger(plan.night):
                continue
            for batch in iter_table(context.results, ledger.key, LEDGER):
                hit = pc.and_(pc.is_in(batch["photo_id"], wanted), pc.equal(batch["outcome"], str(Outcome.GRADED)))
                for row in batch.filter(pc.fill_null(hit, False)).to_pylist():
                    if row["claimed_at_utc"] < plan.claimed_at_utc:
                        entry = (row["claimed_at_utc"], row["key"], row["night"])
                        found[row["photo_id"]] = min(entry, found.get(row["photo_id"], entry))
    return {photo_id: (key, night) for photo_id, (_, key, night) in found.items()}


def _grade_rows(
    photos: list[Row], quality: pa.Table, predictions: pa.Table, plan: Plan, release: Release, classes: TrainingClasses
) -> list[Row]:
    cutoffs, limits = plan.grade_cutoffs, answer_limits(release)
    verdict_of = dict(zip(quality["photo_id"].to_pylist(), quality["verdict"].to_pylist(), strict=True))
    answers: dict[str, dict[str, list[float]]] = {}
    distance_of: dict[str, float | None] = {}
    for photo_id, member, probabilities, distance in zip(
        *(predictions[c].to_pylist() for c in ("photo_id", "member", "probabilities", "outlier_distance")), strict=True
    ):
        answers.setdefault(photo_id, {})[member] = probabilities
        if member == ENSEMBLE:
            distance_of[photo_id] = distance
    rows: list[Row] = []
    for photo in photos:
        if photo["outcome"] != Outcome.GRADED:
            continue
        photo_id = str(photo["photo_id"])
        answer = answers[photo_id]
        ensemble = np.array(answer[ENSEMBLE])
        members = np.array([answer[m.name] for m in release.members])
        graded = asdict(
            grade_photo(
                ensemble,
                members,
                classes,
                cutoffs,
                limits=limits,
                outlier_distance=distance_of[photo_id],
                fitzpatrick=photo["fitzpatrick"],  # type: ignore[arg-type]  # the contract says a number or null
            )
        )
        rows.append(
            {name: photo[name] for name in ("photo_id", "programme", "source_name", "key", "patient", "lesion")}
            | graded
            | {"verdict": str(Verdict.FLAGGED) if graded["warnings"] else verdict_of[photo_id]}
            | {"release": release.name, "weights_sha256": release.weights_sha256, "cutoffs_version": cutoffs.version}
            | {"taxonomy_version": classes.taxonomy.version, "code_revision": plan.code_revision}
            | {f"p_{disease}": p for disease, p in zip(classes.class_ids, ensemble.tolist(), strict=True)}
        )
    return rows


def _judged_photos(photos: list[Row], grades: list[Row], context: NightContext) -> Iterable[JudgedPhoto]:
    """Graded photos, and duplicates with the grade that they share: a second person may have sent the same bytes."""
    grade_of = {str(g["photo_id"]): g for g in grades}
    grade_of |= {str(g["photo_id"]): g for g in earlier_grades(photos, context).to_pylist()}
    for photo in photos:
        shared = grade_of.get(str(photo["photo_id"]))
        if shared is not None and photo["outcome"] in (Outcome.GRADED, Outcome.DUPLICATE):
            yield JudgedPhoto(
                photo_id=str(photo["photo_id"]),
                programme=str(photo["programme"]),
                patient=photo["patient"],  # type: ignore[arg-type]  # the contract says text or null
                lesion=photo["lesion"],  # type: ignore[arg-type]
                grade=RiskGrade(str(shared["grade"])),
                p_dangerous=float(str(shared["p_dangerous"])),
                p_high_risk=float(str(shared["p_high_risk"])),
            )
