"""A small night whose tables keep every promise, and the means to break one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from screening.contracts import (
    LEDGER,
    MANIFEST_ISSUES,
    PHOTOS,
    PREDICTIONS,
    QUALITY,
    REFERRALS,
    Contract,
    RiskGrade,
    grades_contract,
)
from screening.cutoffs import GradeCutoffs, QualityCutoffs
from screening.edges.release import MemberOfRelease, Release
from screening.stages.ensemble import ENSEMBLE, average_members
from screening.stages.grading import grade_photo
from screening.stages.referral import DueDays, JudgedPhoto, make_referrals
from screening.taxonomy import load_taxonomy, load_training_classes

NIGHT = date(2026, 11, 20)
CLASSES = load_training_classes("isic8", load_taxonomy())
MEMBERS = ("lesion_one", "lesion_two")
CUTOFFS = GradeCutoffs("c-test", dangerous=0.2, high_risk=0.3, diseases=dict.fromkeys(CLASSES.class_ids, 0.1))
WEIGHTS = "ab" * 32
RELEASE = Release(
    name="r0001",
    model="lesion_ensemble_r0001",
    members=tuple(MemberOfRelease(name, "1", hashlib.sha256(name.encode()).hexdigest(), name) for name in MEMBERS),
    classes=CLASSES.class_ids,
    taxonomy_version=CLASSES.taxonomy.version,
    model_input="test",
    input_shape=(256, 256, 3),
    cutoffs=asdict(CUTOFFS),
    weights_sha256=WEIGHTS,
)
LIKELIEST = {"low_risk": "nevus", "high_risk": "basal_cell_carcinoma", "dangerous": "melanoma"}


def photo_id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def pseudonym(kind: str, name: str) -> str:
    return f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:24]}"


@dataclass(frozen=True)
class Upload:
    """One upload, as a test wants to speak of it; ``same_as`` is the name of the upload whose bytes it repeats.

    ``shows`` is the name of the upload whose picture it shows.
    """

    name: str
    outcome: str = "graded"
    grade: str = "low_risk"
    verdict: str = "usable"
    reason: str | None = None
    patient: str | None = None
    lesion: str | None = None
    programme: str = "coast"
    same_as: str | None = None
    same_as_night: date | None = None
    shows: str | None = None
    is_decoded: bool = True
    body_site: str | None = "back"

    @property
    def key(self) -> str:
        return f"uploads/{self.programme}/{NIGHT}/{self.name}"

    @property
    def patient_pseudonym(self) -> str | None:
        return pseudonym("p", self.patient) if self.patient else None

    @property
    def lesion_pseudonym(self) -> str | None:
        return pseudonym("l", self.lesion) if self.lesion else None

    @property
    def photo_id(self) -> str:
        return photo_id_of(self.same_as or self.name)


@dataclass(frozen=True)
class MadeUpNight:
    """Tables by name, and the ledger's rows of the night."""

    tables: Mapping[str, pa.Table]
    ledger: pa.Table

    def changed(self, table: str, change: Callable[[pa.Table], pa.Table]) -> MadeUpNight:
        return replace(self, tables={**self.tables, table: change(self.tables[table])})


def night_of(*uploads: Upload) -> MadeUpNight:
    """The night that a pipeline without faults makes of the uploads."""
    photos, quality, predictions, grades, judged = [], [], [], [], []
    graded = {}
    for upload in uploads:
        photos.append(_photo(upload))
        if upload.outcome == "duplicate":
            continue
        is_refused_by_quality = upload.outcome == "refused" and upload.is_decoded
        if upload.outcome == "graded" or is_refused_by_quality:
            verdict = "refused" if is_refused_by_quality else upload.verdict
            quality.append(_quality(upload, verdict))
        if upload.outcome == "graded":
            members = np.array([_probabilities(upload.grade, 0.02 * i) for i in range(len(MEMBERS))])
            ensemble = average_members(members[:, None])[0]
            for name, row in (*zip(MEMBERS, members, strict=True), (ENSEMBLE, ensemble)):
                predictions.append(_prediction(upload, name, row))
            graded[upload.photo_id] = _grade(upload, ensemble, members)
            grades.append(graded[upload.photo_id])
    for upload in uploads:
        found = graded.get(upload.photo_id)
        if found and upload.outcome in ("graded", "duplicate"):
            judged.append(
                JudgedPhoto(
                    photo_id=upload.photo_id,
                    programme=upload.programme,
                    patient=upload.patient_pseudonym,
                    lesion=upload.lesion_pseudonym,
                    grade=RiskGrade(str(found["grade"])),
                    p_dangerous=float(str(found["p_dangerous"])),
                    p_high_risk=float(str(found["p_high_risk"])),
                )
            )
    tables = {
        "photos": PHOTOS.table(photos),
        "quality": QUALITY.table(quality),
        "predictions": PREDICTIONS.table(predictions),
        "grades": grades_contract(CLASSES.class_ids).table(grades),
        "referrals": REFERRALS.table(make_referrals(judged, NIGHT, RELEASE.name, DueDays(365, 30, 7))),
        "manifest_issues": MANIFEST_ISSUES.table([]),
    }
    claimed = [
        {"key": u.key, "etag": f"etag-{u.name}", "size_bytes": 1, "programme": u.programme, "night": NIGHT}
        for u in uploads
    ]
    opened = datetime(2026, 11, 21, 1, tzinfo=UTC)
    return MadeUpNight(tables, LEDGER.table([row | {"claimed_at_utc": opened} for row in claimed]))


def a_night() -> MadeUpNight:
    """Every outcome and every grade, two photos of one lesion that disagree, and a person with two lesions."""
    return night_of(
        Upload("mole.jpg", patient="anna", lesion="back"),
        Upload("mole-closer.jpg", grade="dangerous", patient="anna", lesion="back"),
        Upload("spot.jpg", grade="high_risk", patient="anna", lesion="arm", verdict="flagged", reason="soft_focus"),
        Upload("unnamed.jpg", grade="dangerous"),
        Upload("again.jpg", outcome="duplicate", same_as="mole.jpg", patient="bert", lesion="leg", programme="hills"),
        Upload("dark.jpg", outcome="refused", reason="too_dark", patient="bert", lesion="leg", programme="hills"),
        Upload("text.jpg", outcome="refused", reason="not_an_accepted_format", is_decoded=False),
        Upload("lost.jpg", outcome="failed", reason="deleted_before_fetch", is_decoded=False),
    )


def with_value(table: pa.Table, column: str, value: object, rows: Sequence[int] | None = None) -> pa.Table:
    """The table with a column's value replaced, in some rows or in all."""
    values = table[column].to_pylist()
    for row in range(len(values)) if rows is None else rows:
        values[row] = value
    at = table.column_names.index(column)
    return table.set_column(at, table.schema.field(column), pa.array(values, table.schema.field(column).type))


def without_rows(table: pa.Table, *rows: int) -> pa.Table:
    return table.take([i for i in range(table.num_rows) if i not in rows])


def twice(table: pa.Table, row: int) -> pa.Table:
    return pa.concat_tables([table, table.slice(row, 1)])


def _filled(contract: Contract, row: dict[str, object]) -> dict[str, object]:
    """The row with a lawful value in every column that it lacks and needs."""
    for column in contract.columns:
        if row.get(column.name) is None and not column.nullable:
            if pa.types.is_string(column.type):
                row[column.name] = column.words[0] if column.words else "x"
            elif pa.types.is_list(column.type):
                row[column.name] = []
            else:
                row[column.name] = column.type.to_pandas_dtype()(column.low or 0)
    return row


def _photo(upload: Upload) -> dict[str, object]:
    is_judged = upload.outcome in ("graded", "duplicate")
    row: dict[str, object] = {
        "key": upload.key,
        "etag": f"etag-{upload.name}",
        "size_bytes": 1000,
        "programme": upload.programme,
        "source_name": upload.name,
        "photo_id": upload.photo_id if upload.is_decoded else None,
        "format": "jpeg" if upload.is_decoded else None,
        "width_px": 4000 if upload.is_decoded else None,
        "height_px": 3000 if upload.is_decoded else None,
        "patient": upload.patient_pseudonym,
        "lesion": upload.lesion_pseudonym,
        "body_site": upload.body_site,
        "outcome": upload.outcome,
        "reason": None if upload.outcome == "graded" else "same_bytes" if is_judged else upload.reason,
        "reason_text": None if is_judged else f"found {upload.reason}",
        "advice": None if is_judged else "Take the photo again.",
        "has_training_consent": False,
        "same_picture_as": photo_id_of(upload.shows) if upload.shows else None,
    }
    if upload.outcome == "duplicate":
        row["duplicate_of"] = f"uploads/coast/{NIGHT}/{upload.same_as}"
        row["duplicate_of_night"] = upload.same_as_night
    return _filled(PHOTOS, row)


def _quality(upload: Upload, verdict: str) -> dict[str, object]:
    has_issue = verdict != "usable"
    row: dict[str, object] = {
        "photo_id": upload.photo_id,
        "programme": upload.programme,
        "perceptual_hash": "0f" * 44,
        "skin_brightness": 0.6,
        "issues": [upload.reason] if has_issue else [],
        "verdict": verdict,
        "reason": upload.reason if has_issue else None,
        "advice": "Take the photo again." if has_issue else None,
        "quality_mode": "enforce",
        "cutoffs_version": QualityCutoffs().version,
        "filters_version": "0a1b2c3d-4e5f6071",
        "short_side_px": 3000,
    }
    return _filled(QUALITY, row)


def _probabilities(grade: str, shift: float) -> np.ndarray:
    p = np.full(len(CLASSES.class_ids), 0.02)
    p[CLASSES.class_ids.index(LIKELIEST[grade])] += 1.0 - p.sum() - shift
    p[CLASSES.class_ids.index("nevus")] += shift
    return p


def _prediction(upload: Upload, member: str, probabilities: np.ndarray) -> dict[str, object]:
    weights = {m.name: m.weights_sha256 for m in RELEASE.members}
    return {
        "photo_id": upload.photo_id,
        "programme": upload.programme,
        "member": member,
        "member_version": "1" if member in weights else RELEASE.name,
        "weights_sha256": weights.get(member, WEIGHTS),
        "release": RELEASE.name,
        "probabilities": probabilities.tolist(),
    }


def _grade(upload: Upload, ensemble: np.ndarray, members: np.ndarray) -> dict[str, object]:
    graded = grade_photo(ensemble, members, CLASSES, CUTOFFS)
    assert graded.grade == upload.grade
    return {
        "photo_id": upload.photo_id,
        "programme": upload.programme,
        "source_name": upload.name,
        "key": upload.key,
        "patient": upload.patient_pseudonym,
        "lesion": upload.lesion_pseudonym,
        "p_low_risk": graded.p_low_risk,
        "p_high_risk": graded.p_high_risk,
        "p_dangerous": graded.p_dangerous,
        "grade": str(graded.grade),
        "disease": graded.disease,
        "differential": list(graded.differential),
        "member_spread": graded.member_spread,
        "warnings": list(graded.warnings),
        "verdict": upload.verdict,
        "release": RELEASE.name,
        "weights_sha256": WEIGHTS,
        "cutoffs_version": CUTOFFS.version,
        "taxonomy_version": CLASSES.taxonomy.version,
        "code_revision": "test",
        **{f"p_{d}": float(p) for d, p in zip(CLASSES.class_ids, ensemble, strict=True)},
    }
