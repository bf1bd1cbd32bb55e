"""Sharp photos blurred in a known way: by a lens or a movement, in the frame or in the lesion only, noise after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from screening.stages.pixels import PhotoLimits, decode_photo, fit_long_side
from screening.training.quality.held_out import is_held_out
from screening.training.quality.photos import read_mask

VIEW_LONG_SIDE = 512
_SHARPER_SHARE = 0.5
"""Of the photos, by the share of the finest detail: what is blurred already cannot show what a blur does."""
_RADIUS_PX, _LENGTH_PX = (2.2, 12.0), (7.0, 40.0)
"""From what is just seen to what hides everything; drawn evenly by the logarithm."""


@dataclass(frozen=True)
class SharpPhoto:
    """``pixels``: RGB, uint8; ``lesion``: the drawn mask of the same size, 0 or 255."""

    pixels: np.ndarray
    lesion: np.ndarray


def read_sharp_photos(root: Path, apart: set[str]) -> list[SharpPhoto]:
    """The sharper half of the large clinical photos with a lesion mask; nobody who is held out or in ``apart``."""
    found = list(_large_photos(root / "pad_ufes", apart))
    limit = np.quantile([_finest_share(photo.pixels) for photo in found], 1 - _SHARPER_SHARE)
    return [photo for photo in found if _finest_share(photo.pixels) >= limit]


def _large_photos(folder: Path, apart: set[str]) -> Iterator[SharpPhoto]:
    for row in pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False).to_dict("records"):
        stem, patient = Path(str(row["file"])).stem, str(row["patient_id"])
        mask = folder / "masks" / f"{stem}.png"
        if is_held_out(patient) or f"pad_ufes:{patient}" in apart or not mask.is_file():
            continue
        photo = decode_photo((folder / "images" / str(row["file"])).read_bytes(), PhotoLimits())
        pixels = fit_long_side(photo.pixels, VIEW_LONG_SIDE)
        if max(pixels.shape) < VIEW_LONG_SIDE:  # nobody knows whether it was made small, or cut out and enlarged
            continue
        lesion = cv2.resize(read_mask(mask), pixels.shape[1::-1])
        yield SharpPhoto(pixels, np.asarray(lesion))


def _finest_share(pixels: np.ndarray) -> float:
    """Energy between one and two pixels over that between two and four."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    one, two, four = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (0.7, 1.4, 2.8))
    return float((one - two).std() / max(float((two - four).std()), 1e-3))


def blurred_views(photo: SharpPhoto, random: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Views of one photo, RGB, uint8, each with its class: sharp 0, out of focus 1, moved 2."""
    light = (photo.pixels / np.float32(255)) ** np.float32(2.2)  # light adds up before the camera's curve
    share = cv2.GaussianBlur(photo.lesion.astype(np.float32) / 255, (0, 0), 2.0)[..., None]
    for _ in range(3):
        yield 0, _taken(light, random)
    for _ in range(2):
        for kind, kernel in (
            (1, disc(_between(_RADIUS_PX, random))),
            (2, line(_between(_LENGTH_PX, random), random.uniform(0, np.pi))),
        ):
            soft = np.asarray(cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_REFLECT_101))
            yield kind, _taken(soft, random)
            yield kind, _taken(light * (1 - share) + soft * share, random)


def _taken(light: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As a camera takes it: more or less light, and its noise."""
    picture = 255 * (np.maximum(light, 0) * np.exp(random.uniform(-1.2, 0.3))) ** (1 / 2.2)
    noisy = picture + random.normal(0, random.uniform(0.5, 4.0), picture.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _between(bounds: tuple[float, float], random: np.random.Generator) -> float:
    return float(np.exp(random.uniform(*np.log(bounds))))


def disc(radius_px: float) -> np.ndarray:
    """Where a lens out of focus sends the light of a point."""
    reach = int(np.ceil(radius_px)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    weights = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(weights / weights.sum(), np.float32)


def line(length_px: float, angle: float) -> np.ndarray:
    """Where a moved camera sends the light of a point; ``angle`` in radians."""
    reach = int(np.ceil(length_px / 2)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    weights = np.clip(length_px / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(weights / weights.sum(), np.float32)
