"""Fitzpatrick17k (Groh et al. 2021): ``fitzpatrick17k.csv``; each photo is called after its MD5."""

from __future__ import annotations

from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.training.readers.record import LabelledPhoto, Reading, photo_finder, read_rows

METADATA = "fitzpatrick17k.csv"
_WRONG = "3 Wrongly labelled"


def read(folder: Path) -> Reading:
    """Read the published table; photos that its dermatologist called wrongly labelled are not used."""
    find = photo_finder(folder)
    photos: list[LabelledPhoto] = []
    wrong: list[str] = []
    for row in read_rows(folder / METADATA, ("md5hash", "fitzpatrick_scale", "label")):
        if row.get("qc") == _WRONG:
            wrong.append(row.get("md5hash"))
            continue
        skin_type = row.number("fitzpatrick_scale", -1, 6)
        photos.append(
            LabelledPhoto(
                file=find(row.get("md5hash")),
                label=row.get("label"),
                where=row.where,
                kind=PhotoKind.CLINICAL,
                strength=LabelStrength.UNKNOWN,  # two atlases, which do not say
                fitzpatrick=skin_type if skin_type and skin_type > 0 else None,  # -1: could not be told
            )
        )
    return Reading(photos, {"called wrongly labelled by the source": wrong} if wrong else {})
