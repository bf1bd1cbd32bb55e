"""Diverse Dermatology Images (Daneshjou et al. 2022): ``ddi_metadata.csv`` beside the images; every label by biopsy."""

from __future__ import annotations

from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.errors import ContractError
from screening.training.readers.record import LabelledPhoto, Reading, photo_finder, read_rows

METADATA = "ddi_metadata.csv"
SKIN_GROUPS = {"12": "I-II", "34": "III-IV", "56": "V-VI"}


def read(folder: Path) -> Reading:
    """Read the published data set.

    Raises:
        ContractError: besides what ``read_rows`` raises, a skin tone is not one of the three published groups.
    """
    find = photo_finder(folder)
    photos = []
    for row in read_rows(folder / METADATA, ("DDI_file", "skin_tone", "disease")):
        tone = row.get("skin_tone").removesuffix(".0")
        if tone and tone not in SKIN_GROUPS:
            raise ContractError(f"{row.where}: skin_tone is {tone!r}, expected one of {', '.join(SKIN_GROUPS)}")
        disease = row.get("disease")
        photos.append(
            LabelledPhoto(
                file=find(row.get("DDI_file")),
                label=disease,
                where=row.where,
                kind=PhotoKind.CLINICAL,
                strength=LabelStrength.HISTOPATHOLOGY,
                names=(disease, disease.replace("-", " ")),
                skin_group=SKIN_GROUPS.get(tone),
            )
        )
    return Reading(photos, {})
