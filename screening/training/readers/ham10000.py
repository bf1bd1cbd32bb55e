"""HAM10000 as published (Tschandl et al. 2018): ``HAM10000_metadata.csv``, some folders of images beside it."""

from __future__ import annotations

from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.errors import ContractError
from screening.training.readers.record import LabelledPhoto, Reading, Row, photo_finder, read_rows

METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata")
"""The second name is that of the file on Harvard's Dataverse."""

STRENGTHS = {
    "histo": LabelStrength.HISTOPATHOLOGY,
    # Seen unchanged over time, or under the confocal microscope: the ISIC archive ranks both above experts who agree on
    # one photo, and below histopathology.
    "follow_up": LabelStrength.CONSENSUS,
    "confocal": LabelStrength.CONSENSUS,
    "consensus": LabelStrength.CONSENSUS,
}


def strength_of(row: Row) -> LabelStrength:
    """What the label of a row rests on, by ``dx_type``.

    Raises:
        ContractError: the type is not one of the four published ones.
    """
    said = row.get("dx_type")
    if said and said not in STRENGTHS:
        raise ContractError(f"{row.where}: dx_type is {said!r}, expected one of {', '.join(STRENGTHS)}")
    return STRENGTHS.get(said, LabelStrength.UNKNOWN)


def metadata_of(folder: Path) -> Path | None:
    """The table of a published data set; None where there is none."""
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def read(folder: Path) -> Reading:
    """Read the published data set; photos may lie in any folder below."""
    find = photo_finder(folder)
    rows = read_rows(metadata_of(folder) or folder / METADATA[0], ("image_id", "lesion_id", "dx", "dx_type"))
    return Reading(
        [
            LabelledPhoto(
                file=find(row.get("image_id")),
                label=row.get("dx"),
                where=row.where,
                kind=PhotoKind.DERMOSCOPIC,
                strength=strength_of(row),
                lesion=row.get("lesion_id"),
                age_years=row.number("age", 0, 120),
                sex=row.word("sex", ("female", "male")),
                body_site=row.site("localization"),
                licence="CC BY-NC 4.0",
            )
            for row in rows
        ],
        {},
    )
