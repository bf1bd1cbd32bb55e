"""Names, dates and numbers as devices print them into a photo, or as they stand on a sticker. Pictures as in ``damage``.

Letters are Pillow's: those of DejaVu where the system has them, and Pillow's own. The regression has learnt from OpenCV's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

from tests.benchmarks.quality.damage import unit

FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
STYLES = ("plain", "outlined", "on a strip", "on a sticker")
LINES = (
    "Maria Silva", "João P. Souza", "ANNA NOWAK 58F", "2024-03-15", "15/03/2024 14:32", "'24 11 28", "DOB 03.07.1961",
    "HOSPITAL SÃO LUCAS", "Dermatology Clinic", "Dr. K. Meyer", "ID 0048213", "Pat. 77120", "MRN: 552-18-903", "Left arm",
)  # fmt: skip
COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"white": (255, 255, 255), "yellow": (255, 235, 40), "black": (0, 0, 0), "orange": (255, 140, 20)}
)
_STICKER, _ITS_INK = (228, 226, 220), (30, 30, 32)
_MOST_TILT_DEGREES = 6


def with_print(photo: np.ndarray, style: str, size_px: float, noise: np.random.Generator) -> np.ndarray:
    """One to three lines along the upper or the lower rim, letters of so many pixels of 512, fewer where they do not fit."""
    height, width = photo.shape[:2]
    lines = [str(line) for line in noise.choice(LINES, noise.integers(1, 4), replace=False)]
    font_name, size = str(noise.choice([*FONTS, ""])), size_px * unit(photo)
    while (across := max(_font(font_name, size).getlength(line) for line in lines)) > 0.94 * width:
        size *= 0.9
    box_width, box_height = round(across + 0.4 * size), round((1.2 * len(lines) + 0.3) * size)
    left = int(noise.choice([0.02 * width, (width - box_width) / 2, 0.98 * width - box_width]))
    top = int(noise.choice([0.02 * height, 0.98 * height - box_height]))
    box = slice(top, top + box_height), slice(left, left + box_width)
    colour = np.array(_ITS_INK if style == "on a sticker" else COLOURS[str(noise.choice(list(COLOURS)))], np.float32)
    behind = np.zeros(3, np.float32) if colour.mean() > 100 else np.full(3, 255, np.float32)
    letters = Image.new("L", (width, height))
    for number, line in enumerate(lines):
        place = (left + 0.2 * size, top + (0.1 + 1.2 * number) * size)
        ImageDraw.Draw(letters).text(place, line, fill=255, font=_font(font_name, size))
    cover = np.asarray(letters, np.float32)[..., None] / 255
    picture = photo.astype(np.float32)
    if style == "outlined":
        around = cv2.dilate(cover, np.ones((3, 3), np.uint8))[..., None]
        picture += (behind - picture) * around
    elif style == "on a strip":
        picture[box] += (behind - picture[box]) * noise.uniform(0.5, 1)
    elif style == "on a sticker":
        picture[box] = _STICKER
    picture += (colour - picture) * cover
    if style == "on a sticker":
        picture = _stuck_on(photo, picture, (left, top, box_width, box_height), noise)
    return as_sent(picture)


def as_sent(photo: np.ndarray) -> np.ndarray:
    """Through a JPEG, whose colours have half the resolution."""
    pixels = np.ascontiguousarray(np.clip(np.rint(photo), 0, 255), np.uint8)
    return np.asarray(simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(pixels, quality=88)), np.float32)


def _stuck_on(
    photo: np.ndarray, picture: np.ndarray, box: tuple[int, int, int, int], noise: np.random.Generator
) -> np.ndarray:
    """The box of the picture, tilted, as soft and as much lit as the skin around."""
    left, top, across, down = box
    height, width = photo.shape[:2]
    centre = (left + across / 2, top + down / 2)
    tilt = cv2.getRotationMatrix2D(centre, noise.uniform(-_MOST_TILT_DEGREES, _MOST_TILT_DEGREES), 1)
    there = np.zeros((height, width), np.float32)
    there[top : top + down, left : left + across] = 1
    tilted = cv2.warpAffine(picture, tilt, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    soft = cv2.GaussianBlur(tilted, (0, 0), 0.7 * unit(photo)) * min(1.0, float(np.percentile(photo, 90)) / 210)
    return np.asarray(photo + (soft - photo) * cv2.warpAffine(there, tilt, (width, height))[..., None], np.float32)


def _font(name: str, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if name:
        try:
            return ImageFont.truetype(name, round(size))
        except OSError:  # the system has no such font
            pass
    return ImageFont.load_default(round(size))
