"""Photos of the ISIC archive as it hands them out: ``metadata.csv`` beside the images."""

from __future__ import annotations

from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.training.readers.record import LabelledPhoto, Reading, Row, photo_finder, read_rows

METADATA = "metadata.csv"

STRENGTHS = {
    "histopathology": LabelStrength.HISTOPATHOLOGY,
    # The archive ranks these two above experts who agree on one photo, and below histopathology.
    "confocal microscopy with consensus dermoscopy": LabelStrength.CONSENSUS,
    "serial imaging showing no change": LabelStrength.CONSENSUS,
    "single image expert consensus": LabelStrength.CONSENSUS,
    "single contributor clinical assessment": LabelStrength.SINGLE_READER,
}
KINDS = {
    "": PhotoKind.DERMOSCOPIC,  # older exports have no such column, and hold dermoscopy
    "dermoscopic": PhotoKind.DERMOSCOPIC,
    "clinical: close-up": PhotoKind.CLINICAL,
    "tbp tile: close-up": PhotoKind.CLINICAL,
}
"""By image_type; others (overviews, slides of histopathology) show no single lesion from outside."""
_FINEST_FIRST = (
    "diagnosis_5",
    "diagnosis_4",
    "diagnosis_3",
    "diagnosis",
    "diagnosis_2",
    "diagnosis_1",
    "benign_malignant",
)


def read(folder: Path) -> Reading:
    """Read an export: the finest diagnosis that the taxonomy knows counts; photos without one are not used."""
    find = photo_finder(folder)
    photos: list[LabelledPhoto] = []
    not_used: dict[str, list[str]] = {}
    for row in read_rows(folder / METADATA, ("isic_id",)):
        labels = tuple(dict.fromkeys(text for column in _FINEST_FIRST if (text := row.get(column))))
        image_type = row.get("image_type")
        if image_type.lower() not in KINDS:
            not_used.setdefault(f"photo of type {image_type!r}", []).append(row.get("isic_id"))
        elif not labels:
            not_used.setdefault("no diagnosis", []).append(row.get("isic_id"))
        else:
            photos.append(_photo(find(row.get("isic_id")), row, labels, KINDS[image_type.lower()]))
    return Reading(photos, not_used)


def _photo(file: Path, row: Row, labels: tuple[str, ...], kind: PhotoKind) -> LabelledPhoto:
    skin_type = row.get("fitzpatrick_skin_type").upper()
    roman = ("I", "II", "III", "IV", "V", "VI")
    return LabelledPhoto(
        file=file,
        label=labels[0],
        where=row.where,
        kind=kind,
        strength=_strength(row),
        names=labels,
        patient=row.get("patient_id"),
        lesion=row.get("lesion_id"),
        age_years=row.number("age_approx", 0, 120),
        sex=row.word("sex", ("female", "male")),
        fitzpatrick=roman.index(skin_type) + 1 if skin_type in roman else None,
        body_site=row.site("anatom_site_special") or row.site("anatom_site_general"),
        licence=row.get("copyright_license") or None,
    )


def _strength(row: Row) -> LabelStrength:
    said = STRENGTHS.get(row.get("diagnosis_confirm_type").lower())
    if said:
        return said
    # A biopsy was taken with the photo, and the archive names no other ground of the diagnosis.
    return LabelStrength.HISTOPATHOLOGY if row.get("concomitant_biopsy").lower() == "true" else LabelStrength.UNKNOWN
