"""One picture of all pictures, to see by eye whether the damage looks real."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from tests.benchmarks.quality.real_photos import RealPhoto
from tests.benchmarks.quality.scenes import Picture, pictures_of

_SIDE, _COLUMNS = 224, 9


def write_contact_sheets(photos: list[RealPhoto], folder: Path) -> list[Path]:
    """One PNG per group, a block of rows per photo; every tile bears its kind and level."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks: dict[str, list[np.ndarray]] = {}
    for photo in photos:
        for group, pictures in groupby(pictures_of(photo), key=lambda p: p.group):
            tiles = [_tile(p) for p in pictures]
            tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % _COLUMNS)
            blocks.setdefault(group, []).extend(
                np.hstack(tiles[at : at + _COLUMNS]) for at in range(0, len(tiles), _COLUMNS)
            )
    written = []
    for group, rows in blocks.items():
        written.append(folder / f"{group}.png")
        cv2.imwrite(str(written[-1]), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return written


def _tile(picture: Picture) -> np.ndarray:
    pixels = np.clip(picture.pixels, 0, 255).astype(np.uint8)
    tile = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    label = f"{picture.kind} {picture.level}"
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, label, (4, _SIDE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA)
    return np.asarray(tile)
