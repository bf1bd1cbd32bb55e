"""Photos cut out of photos with a drawn lesion: some show all of it with skin on every side, in some the frame cuts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from screening.stages.pixels import MODEL_SIDE, PhotoLimits, decode_photo, fit_long_side, squeeze
from screening.training.quality.held_out import is_held_out
from screening.training.quality.photos import read_mask
from screening.training.quality.scenes import MELANIN

_LONG_SIDE = 512
_SOURCES = ("pad_ufes", "isic2017_masks")
_WINDOWS_TRIED, _WINDOWS_KEPT = 60, 4
"""Windows drawn for each photo, and how many are kept at most of those that cut the lesion, and of those that do not."""
_LESION_PER_WINDOW = (0.3, 2.8)
"""Extent of the lesion over that of the window, drawn evenly by the logarithm."""
_LEAST_WINDOW_PX = 40
_LEAST_LOST, _LEAST_MARGIN = 0.1, 0.03
"""A lesion is cut where so much of its area lies outside, or where it reaches two opposite sides; it is whole where so
much skin (of the short side) lies on every side. What is between the two is neither."""


@dataclass(frozen=True)
class DrawnLesion:
    """A photo, RGB, uint8, and the drawn mask of the same size, bool."""

    person: str
    pixels: np.ndarray
    lesion: np.ndarray


def read_drawn_lesions(root: Path, apart: set[str]) -> Iterator[DrawnLesion]:
    """All photos with a drawn lesion; nobody who is held out or in ``apart``."""
    for source in _SOURCES:
        folder = root / source
        for row in pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False).to_dict("records"):
            stem = Path(str(row["file"])).stem
            person = str(row.get("patient_id", stem))
            mask = folder / "masks" / f"{stem}.png"
            is_apart = f"{source}/{stem}" in apart or f"{source}:{person}" in apart
            if is_held_out(person) or is_apart or not mask.is_file():
                continue
            photo = decode_photo((folder / "images" / str(row["file"])).read_bytes(), PhotoLimits())
            pixels = fit_long_side(photo.pixels, _LONG_SIDE)
            lesion = cv2.resize(read_mask(mask), pixels.shape[1::-1]) > 127
            if lesion.any():
                yield DrawnLesion(person, pixels, np.asarray(lesion))


def framed_views(photo: DrawnLesion, random: np.random.Generator) -> Iterator[tuple[bool, np.ndarray]]:
    """Parts of one photo as the networks see them, RGB, uint8, (256, 256, 3), each with whether the frame cuts the lesion."""
    kept = {True: 0, False: 0}
    for number in range(_WINDOWS_TRIED):
        window = (0, 0, *photo.lesion.shape[::-1]) if number == 0 else _window(photo.lesion, random)
        is_cut = is_cut_by(photo.lesion, window)
        if is_cut is None or kept[is_cut] == _WINDOWS_KEPT:
            continue
        kept[is_cut] += 1
        left, top, width, height = window
        yield is_cut, _taken(photo.pixels[top : top + height, left : left + width], random)


def _window(lesion: np.ndarray, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, width and height of a part of the frame, of the frame's shape."""
    height, width = lesion.shape
    x, y, across, down = cv2.boundingRect(lesion.astype(np.uint8))
    share = max(across / width, down / height) / np.exp(random.uniform(*np.log(_LESION_PER_WINDOW)))
    share = float(np.clip(share, _LEAST_WINDOW_PX / min(height, width), 1.0))
    size = np.array([width, height]) * share
    # From anywhere where it still shows the lesion's centre.
    centre = np.array([x + across / 2, y + down / 2]) + random.uniform(-0.5, 0.5, 2) * size * random.uniform(0, 1)
    left, top = np.clip(centre - size / 2, 0, np.array([width, height]) - size)
    return int(left), int(top), int(size[0]), int(size[1])


def is_cut_by(lesion: np.ndarray, window: tuple[int, int, int, int]) -> bool | None:
    """Whether the window cuts the lesion; None where that is a matter of taste."""
    left, top, width, height = window
    shown = lesion[top : top + height, left : left + width]
    count, whole = np.count_nonzero(shown), np.count_nonzero(lesion)
    if count == 0:
        return None
    x, y, across, down = cv2.boundingRect(shown.astype(np.uint8))
    if count < (1 - _LEAST_LOST) * whole or across >= width - 1 or down >= height - 1:
        return True
    margin = min(x, y, width - x - across, height - y - down) / min(width, height)
    return False if count == whole and margin >= _LEAST_MARGIN else None


def in_another_tone(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same with less melanin, or with more up to the darkest skin; pixels 0..255, of any number type."""
    light = (np.maximum(picture, 0) / 255) ** 2.2 * np.exp(-random.uniform(-0.5, 2.2) * np.array(MELANIN))
    return np.asarray(255 * np.minimum(light, 1) ** (1 / 2.2))


def _taken(part: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As a camera might have taken it, on any skin: a part is soft, and softness must not tell that it is a part."""
    side = round(np.exp(random.uniform(np.log(48), np.log(MODEL_SIDE))))
    soft = cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA) if random.random() < 0.7 else part
    soft = squeeze(soft).astype(np.float32)
    if random.random() < 0.5:
        soft = cv2.GaussianBlur(soft, (0, 0), random.uniform(0.4, 2.5))
    if random.random() < 0.4:  # more or less melanin everywhere
        soft = in_another_tone(soft, random)
    gains = np.exp(random.uniform(-0.1, 0.1, 3) + random.uniform(-0.4, 0.2))
    picture = soft * gains + random.normal(0, random.uniform(0, 4.0), soft.shape)
    if random.random() < 0.5:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(np.clip(np.rint(picture), 0, 255), np.uint8)
