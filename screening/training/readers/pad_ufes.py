"""PAD-UFES-20 as published (Pacheco et al. 2020): ``metadata.csv``, some folders of images beside it."""

from __future__ import annotations

from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.training.readers.record import LabelledPhoto, Reading, Row, photo_finder, read_rows

METADATA = "metadata.csv"


def strength_of(row: Row) -> LabelStrength:
    """Biopsied, or else agreed on by a group of dermatologists (Pacheco et al. 2020)."""
    return LabelStrength.HISTOPATHOLOGY if row.get("biopsed") == "True" else LabelStrength.CONSENSUS


def read(folder: Path) -> Reading:
    """Read the published data set; photos may lie in any folder below."""
    find = photo_finder(folder)
    needed = ("img_id", "diagnostic", "patient_id", "lesion_id", "biopsed")
    return Reading(
        [
            LabelledPhoto(
                file=find(row.get("img_id")),
                label=row.get("diagnostic"),
                where=row.where,
                kind=PhotoKind.CLINICAL,
                strength=strength_of(row),
                patient=row.get("patient_id"),
                # 64 of 930 lesion ids stand under two people, with other places and ages: they are of a person, not of the set.
                lesion=f"{row.get('patient_id')}/{row.get('lesion_id')}" if row.get("lesion_id") else "",
                age_years=row.number("age", 0, 120),
                sex=row.word("gender", ("female", "male")),
                fitzpatrick=row.number("fitspatrick", 1, 6),
                body_site=row.site("region"),
                licence="CC BY 4.0",
            )
            for row in read_rows(folder / METADATA, needed)
        ],
        {},
    )
