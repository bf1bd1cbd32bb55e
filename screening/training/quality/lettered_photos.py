"""Photos as they are, and with print drawn into them: what the regression on rows of marks learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import simplejpeg

from screening.stages.pixels import PhotoLimits, decode_photo, fit_long_side
from screening.training.quality.held_out import is_held_out

_LONG_SIDE = 512
_LEAST_LONG_SIDE = 480
"""Smaller photos are learnt from as they are: drawn letters would be finer than any in an upload."""
_SOURCES = ("pad_ufes", "ham10000", "isic9", "isic2017_masks")
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)
_HEIGHT_PX = (8, 36)
"""Of a capital letter; drawn evenly by the logarithm. Fonts of 12 to 48 px."""
_WHITE, _YELLOW, _BLACK, _ORANGE, _RED = (255, 255, 255), (255, 235, 40), (0, 0, 0), (255, 140, 20), (225, 30, 30)
_COLOURS = (_WHITE, _WHITE, _YELLOW, _BLACK, _BLACK, _ORANGE, _RED)
_BACKGROUNDS = ("none", "none", "outline", "box")
_LETTERS, _DIGITS = "ABCDEFGHIJKLMNOPRSTUVZ", "0123456789"


@dataclass(frozen=True)
class Lettered:
    """A picture, RGB, uint8, and the box in which something is printed: left, top, right, bottom; None without."""

    pixels: np.ndarray
    print_box: tuple[int, int, int, int] | None


def read_unlettered(root: Path, apart: set[str]) -> Iterator[np.ndarray]:
    """All photos, RGB, uint8; nobody who is held out or in ``apart``."""
    for source in _SOURCES:
        folder = root / source
        for row in pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False).to_dict("records"):
            stem = Path(str(row["file"])).stem
            person = str(row.get("patient_id", row.get("lesion_id", stem)))
            if is_held_out(person) or f"{source}/{stem}" in apart or f"{source}:{person}" in apart:
                continue
            photo = decode_photo((folder / "images" / str(row["file"])).read_bytes(), PhotoLimits())
            yield fit_long_side(photo.pixels, _LONG_SIDE)


def lettered_views(photo: np.ndarray, random: np.random.Generator) -> Iterator[Lettered]:
    """The photo as it is; a large one with print, too, twice."""
    yield Lettered(photo, None)
    if max(photo.shape) >= _LEAST_LONG_SIDE:
        yield _with_print(photo, random)
        yield _with_print(photo, random)


def _with_print(photo: np.ndarray, random: np.random.Generator) -> Lettered:
    height, width = photo.shape[:2]
    font = int(random.choice(_FONTS))
    lines = [_line(random) for _ in range(random.integers(1, 4))]
    capital = float(np.exp(random.uniform(*np.log(_HEIGHT_PX))))
    for _ in range(8):  # until it fits
        scale = cv2.getFontScaleFromHeight(font, round(capital))
        thickness = max(1, round(capital * random.uniform(0.06, 0.18)))
        wide = max(cv2.getTextSize(line, font, scale, thickness)[0][0] for line in lines)
        if wide < 0.9 * width:
            break
        capital *= 0.8
    step, margin = 1.7 * capital, round(0.5 * capital)
    across, down = wide + 2 * margin, round(step * len(lines)) + margin
    left = int(random.choice([2, max(0, (width - across) // 2), max(0, width - across - 2)]))
    top = int(random.choice([2, height - down - 2]))
    ink = np.array(_COLOURS[random.integers(len(_COLOURS))], np.float32)
    paper = np.zeros(3, np.float32) if ink.mean() > 100 else np.full(3, random.uniform(215, 255), np.float32)
    letters, outline = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    for number, line in enumerate(lines):
        at = (left + margin, round(top + margin + capital + number * step))
        cv2.putText(letters, line, at, font, scale, 255, thickness, cv2.LINE_AA)
        cv2.putText(outline, line, at, font, scale, 255, thickness + 2, cv2.LINE_AA)
    background = str(random.choice(_BACKGROUNDS))
    box = slice(max(0, top), top + down), slice(left, left + across)
    picture = photo.astype(np.float32)
    if background == "outline":
        picture = _laid(picture, paper, outline / np.float32(255))
    elif background == "box":
        cover = np.zeros((height, width), np.float32)
        cover[box] = random.uniform(0.4, 1)
        picture = _laid(picture, paper, cover)
    picture = _laid(picture, ink, letters / np.float32(255))
    if random.random() < 0.3:  # a sticker is seen through the lens, as the skin is
        soft = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 1.0))
        picture[box] = soft[box]
    return Lettered(_as_jpeg(picture, random), (left, top, left + across, top + down))


def _line(random: np.random.Generator) -> str:
    """A name, a date or a number."""
    kind = random.integers(3)
    if kind == 0:
        names = ["".join(random.choice(list(_LETTERS), random.integers(3, 9))) for _ in range(2)]
        return " ".join(name if random.random() < 0.4 else name.title() for name in names)
    digits = "".join(random.choice(list(_DIGITS), 8))
    if kind == 1:
        mark = str(random.choice(["/", "-", "."]))
        return mark.join((digits[:2], digits[2:4], digits[4:]))
    return f"{random.choice(['ID', 'No.', 'Pat'])} {digits[: random.integers(4, 9)]}"


def _laid(below: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return np.asarray(below + (colour - below) * cover[..., None], np.float32)


def _as_jpeg(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    pixels = np.ascontiguousarray(np.clip(np.rint(picture), 0, 255), np.uint8)
    return np.asarray(simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(pixels, quality=int(random.integers(75, 96)))))
