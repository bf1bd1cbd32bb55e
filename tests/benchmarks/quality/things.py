"""Things that lie on a lesion or beside it: a ruler, a round sticker, a plaster, a gauze. Pictures as in ``damage``."""

from __future__ import annotations

import cv2
import numpy as np

from tests.benchmarks.quality.damage import blend, centre_and_radius, clouds, unit
from tests.benchmarks.quality.look_alikes import cloth, ruler_strip

THINGS = ("ruler", "sticker", "plaster", "gauze")
PLACES = ("over", "beside")
_STICKERS = ((240, 240, 238), (250, 210, 70), (90, 190, 110), (205, 60, 70), (70, 110, 200))
_PLASTER, _WHITE_GAUZE = (214, 172, 138), (236, 233, 226)
_PRINT = (40, 40, 44)
_HIDDEN = 0.5
"""Share of the lesion's width that a thing over it hides."""


def with_thing(photo: np.ndarray, lesion: np.ndarray, thing: str, place: str, noise: np.random.Generator) -> np.ndarray:
    """Lay a thing over half of the lesion's width, or where a strip of skin as wide as a third of it lies between."""
    height, width = lesion.shape
    scale = unit(photo)
    x, y, radius = centre_and_radius(lesion)
    angle = noise.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(angle), np.sin(angle)])
    rows, columns = np.nonzero(lesion)
    reach = (columns - x) * towards[0] + (rows - y) * towards[1]
    edge = np.quantile(reach, _HIDDEN) if place == "over" else reach.max() + 0.66 * radius + 4 * scale
    surface, cover = {"ruler": _ruler, "sticker": _sticker, "plaster": _plaster, "gauze": _gauze}[thing](
        radius, scale, noise
    )
    # The thing lies along the first axis of its own picture, its near edge at row 0.
    middle = np.array([cover.shape[1] / 2, 0.0])
    turn = np.array([[towards[1], -towards[0]], [towards[0], towards[1]]], np.float64).T
    start = np.array([x, y]) + edge * towards
    to_photo = np.column_stack([turn, start - turn @ middle]).astype(np.float32)
    laid = cv2.warpAffine(surface, to_photo, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(cover, to_photo, (width, height), flags=cv2.INTER_LINEAR)
    light = min(1.0, float(np.percentile(photo, 90)) / 215) * (1 + 0.05 * clouds((height, width), 90 * scale, noise))
    shadow = cv2.GaussianBlur(np.roll(mask, (round(4 * scale), round(3 * scale)), axis=(0, 1)), (0, 0), 4 * scale)
    return blend(
        photo * (1 - 0.25 * shadow[..., None]), np.clip(laid * light[..., None], 0, 255).astype(np.float32), mask
    )


def _ruler(_radius: float, scale: float, _noise: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    strip = ruler_strip(round(1600 * scale), scale).astype(np.float32)
    return strip, np.ones(strip.shape[:2], np.float32)


def _sticker(radius: float, scale: float, noise: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    side = round(noise.uniform(1.6, 2.6) * radius + 24 * scale)
    surface = np.full((side, side, 3), _STICKERS[noise.integers(len(_STICKERS))], np.uint8)
    number = str(noise.integers(1, 30))
    place, line = (side // 4, side * 2 // 3), max(1, side // 40)
    cv2.putText(surface, number, place, cv2.FONT_HERSHEY_DUPLEX, side / 60, _PRINT, line, cv2.LINE_AA)
    cover = np.zeros((side, side), np.float32)
    cv2.circle(cover, (side // 2, side // 2), side // 2 - 1, 1.0, -1, cv2.LINE_AA)
    return surface.astype(np.float32), cover


def _plaster(radius: float, scale: float, noise: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    deep, long = round(1.6 * radius + 30 * scale), round(4 * radius + 90 * scale)
    surface = np.full((deep, long, 3), _PLASTER, np.float32) * (1 + 0.03 * noise.standard_normal((deep, long, 1)))
    for row in range(3, deep, max(4, round(9 * scale))):
        for column in range(3, long, max(4, round(9 * scale))):
            cv2.circle(surface, (column, row), max(1, round(1.2 * scale)), (170, 130, 100), -1, cv2.LINE_AA)
    return surface.astype(np.float32), np.ones((deep, long), np.float32)


def _gauze(radius: float, scale: float, noise: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    side = round(2.4 * radius + 60 * scale)
    return cloth((side, side), _WHITE_GAUZE, noise), np.full((side, side), 0.96, np.float32)
