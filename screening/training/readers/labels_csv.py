"""``labels.csv`` beside ``images/``: selections of published data sets, each with the columns of its source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.training.readers import ham10000, pad_ufes
from screening.training.readers.record import LabelledPhoto, Reading, Row, read_rows

LABELS = "labels.csv"


@dataclass(frozen=True)
class Columns:
    """How one data set's labels.csv is read; a column that is None is not there."""

    kind: PhotoKind
    finer_label: str | None = None
    patient: str | None = None
    lesion: str | None = None
    sex: str = "sex"
    body_site: str = "localization"
    licence: str | None = None
    """Of the whole set, where the file has no column of it."""


SELECTIONS = {
    # PAD-UFES-20 (Pacheco et al. 2020): smartphone photos, several lesions a patient. Some lesion ids stand under two
    # people (see pad_ufes.py); here they join them, which is safe, because release r0001 was split so.
    "pad_ufes": Columns(
        PhotoKind.CLINICAL,
        patient="patient_id",
        lesion="lesion_id",
        sex="gender",
        body_site="region",
        licence="CC BY 4.0",
    ),
    # HAM10000 (Tschandl et al. 2018); the ISIC archive's finer diagnosis tells squamous cell carcinoma from keratosis.
    "ham10000": Columns(PhotoKind.DERMOSCOPIC, finer_label="isic_diag9", lesion="lesion_id", licence="CC BY-NC 4.0"),
    # A selection of the ISIC archive in nine folders.
    "isic9": Columns(PhotoKind.DERMOSCOPIC),
}


def read_selection(folder: Path, name: str) -> Reading:
    """Read the selection ``name``, a key of ``SELECTIONS``."""
    columns = SELECTIONS[name]
    needed = ["file", "label", *(c for c in (columns.finer_label, columns.patient, columns.lesion) if c)]
    return Reading([_photo(folder, columns, row) for row in read_rows(folder / LABELS, needed)], {})


def _photo(folder: Path, columns: Columns, row: Row) -> LabelledPhoto:
    finer = row.get(columns.finer_label) if columns.finer_label else ""
    return LabelledPhoto(
        file=folder / "images" / row.get("file"),
        label=finer or row.get("label"),
        where=row.where,
        kind=columns.kind,
        strength=_strength(row),
        patient=row.get(columns.patient) if columns.patient else "",
        lesion=row.get(columns.lesion) if columns.lesion else "",
        has_other_view_in="ham10000" if row.get("in_ham10000") == "True" else "",
        age_years=row.number("age", 0, 120),
        sex=row.word(columns.sex, ("female", "male")),
        fitzpatrick=row.number("fitspatrick", 1, 6),
        body_site=row.site(columns.body_site),
        licence=row.get("licence") or columns.licence,
    )


def _strength(row: Row) -> LabelStrength:
    if "dx_type" in row.values:
        return ham10000.strength_of(row)
    if "biopsed" in row.values:
        return pad_ufes.strength_of(row)
    return LabelStrength.UNKNOWN
