"""Where the skin, the lesion and the ink are in one photo.

This is the seam for a lesion segmenter: it would replace ``find_lesion``; the measures only take masks. All masks are
uint8, 0 or 255. Sizes and limits in this module were measured on real photos: docs/decisions/0006.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

COLOUR_LONG_SIDE = 256
"""Pixels of the view in which skin and ink are found: a pen line is two pixels wide or more."""
LESION_LONG_SIDE = 128
"""Pixels of the view in which the lesion is found: 64 to 128 agree with the drawn masks equally well."""

_LESION_BLUR_PX = 2.0  # sigma at LESION_LONG_SIDE; 1 to 4 agree with the drawn masks equally well
_RING_RADIUS2 = 0.8  # squared distance from the centre, in half sides, from which on a pixel is taken for plain skin
_VIGNETTE_SHADE = 0.35  # of the median lightness: darker pixels of the ring are a dermoscope's black corners
_DISTANCE_CAP = 6.0  # spreads of the plain skin: beyond it a pixel is no likelier to be lesion
# Logistic regression of the masks drawn by students on half of PAD-UFES-20 and of ISIC 2017: intercept, weight of the
# distance from the plain skin's colour, weight of the squared distance from the centre. Seventeen more features
# (lightness, chroma, texture, scales) agreed no better with the other half.
_LESION_FIT = (-1.27, 0.80, -5.33)
_GROWN_SHARE = 0.6  # of the lesion's mean distance: how far the lesion is followed outwards to the frame's rim

_SKIN_RED_OVER_GREEN = 0.02  # log ratio; the median pixel of 99 of 100 PAD-UFES-20 photos has 0.016 or more
_SKIN_RED_OVER_BLUE = -0.15  # log ratio; bluish dermoscopic photos (ISIC) reach this at their 1st percentile

_PEN_WIDTH_PX = 15  # at COLOUR_LONG_SIDE: a pen line is narrower
_PEN_BLUER_THAN_NEIGHBOURS = 0.08  # log(B/G)
_PEN_BLUER_THAN_SKIN = 0.15  # log(B/G)
_PEN_DARKER_THAN_NEIGHBOURS = 0.15  # mean of the logs of R, G, B
_PAINT_BLUER_THAN_SKIN = 0.35  # log(B/G): violet and blue dyes
_PAINT_BLUE_OVER_GREEN = 0.05  # log(B/G): a grey area is bluer than skin, too, but not bluer than green
_PAINT_RED_OVER_GREEN = -0.10  # log(R/G): green dyes; no skin and no lesion is that green


@dataclass(frozen=True)
class Lesion:
    """The likeliest lesion of a photo; every photo has one, but it may not stand out."""

    mask: np.ndarray
    """Long side at most ``LESION_LONG_SIDE``."""
    grown: np.ndarray
    """The lesion and what is connected with it and differs from skin nearly as much; it may reach the frame's rim."""
    contrast: float
    """Mean distance of its colours from the plain skin's, in spreads of the plain skin (0 in a flat picture)."""


def find_lesion(colour: np.ndarray) -> Lesion:
    """Find what differs most from the plain skin along the frame's rim; the nearer the centre the likelier.

    Args:
        colour: RGB, uint8.
    """
    small = shrink(colour, LESION_LONG_SIDE)
    lab = cv2.cvtColor(small.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    radius2 = _squared_radius(*lab.shape[:2])
    ring = radius2 > _RING_RADIUS2
    bright = ring & (lab[..., 0] > _VIGNETTE_SHADE * np.median(lab[..., 0]))
    plain = lab[bright] if bright.any() else lab[ring]
    skin = np.median(plain, axis=0)
    # One unit of CIELAB is about the least difference that an eye sees; 1.48 makes the median deviation a sigma.
    spread = 1.48 * np.median(np.abs(plain - skin), axis=0) + 1.0
    distance = np.sqrt((((cv2.GaussianBlur(lab, (0, 0), _LESION_BLUR_PX) - skin) / spread) ** 2).sum(axis=2))
    intercept, by_distance, by_radius2 = _LESION_FIT
    likely = 1.0 / (
        1.0 + np.exp(-(intercept + by_distance * np.minimum(distance, _DISTANCE_CAP) + by_radius2 * radius2))
    )
    lesion = _heaviest_part(likely > likely.max() / 2, likely)
    contrast = float(distance[lesion].mean())
    grown = _parts_touching(distance > _GROWN_SHARE * contrast, lesion)
    return Lesion(_mask(lesion), _mask(grown), contrast)


def shrink(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """Shrink so that the long side is at most ``long_side`` pixels; never enlarge.

    Down to half the size, bilinear weights average the same neighbours as area weights, in an eighth of the time.
    """
    height, width = pixels.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1.0:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR if scale >= 0.5 else cv2.INTER_AREA))


def around(mask: np.ndarray, reach: float) -> np.ndarray:
    """Widen a lesion's mask on every side by ``reach`` of the long side."""
    size = 2 * max(1, round(reach * max(mask.shape))) + 1
    return np.asarray(cv2.dilate(mask, np.ones((size, size), np.uint8)))


def enlarge(mask: np.ndarray, view: np.ndarray) -> np.ndarray:
    """The mask at the size of a view."""
    return np.asarray(cv2.resize(mask, (view.shape[1], view.shape[0]), interpolation=cv2.INTER_NEAREST))


def find_skin(colour: np.ndarray) -> np.ndarray:
    """Find pixels with more red than green and not much more blue, as blood and melanin make skin of every tone.

    A rule of colour ratios, not of brightness: dark skin is skin. Wood, brick and brown cloth pass, too.
    """
    red, green, blue = cv2.split(_logs(cv2.GaussianBlur(shrink(colour, LESION_LONG_SIDE), (0, 0), 2.0)))
    skin = (red - green > _SKIN_RED_OVER_GREEN) & (red - blue > _SKIN_RED_OVER_BLUE)
    return enlarge(_mask(skin), colour)


def find_dye(colour: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Find pen lines, and patches of violet, blue or green dye that do not reach the frame's rim (drapes and gloves do).

    Brown dyes (iodine) look like pigment and are not found.

    Args:
        colour: RGB, uint8, long side at most ``COLOUR_LONG_SIDE``.
        skin: its skin mask.
    """
    red, green, blue = cv2.split(_logs(cv2.GaussianBlur(cv2.medianBlur(colour, 3), (5, 5), 0.8)))
    blueness = blue - green
    own = blueness[::2, ::2][skin[::2, ::2] > 0]
    bluer = blueness - float(np.median(own if own.size else blueness))
    width = np.ones((_PEN_WIDTH_PX, _PEN_WIDTH_PX), np.uint8)
    pen = (
        (bluer > _PEN_BLUER_THAN_SKIN)
        & (cv2.morphologyEx(blueness, cv2.MORPH_TOPHAT, width) > _PEN_BLUER_THAN_NEIGHBOURS)
        & (cv2.morphologyEx((red + green + blue) / 3.0, cv2.MORPH_BLACKHAT, width) > _PEN_DARKER_THAN_NEIGHBOURS)
    )
    paint = (bluer > _PAINT_BLUER_THAN_SKIN) & (blueness > _PAINT_BLUE_OVER_GREEN)
    paint |= red - green < _PAINT_RED_OVER_GREEN
    return _mask(pen | _parts_inside(paint))


@lru_cache(maxsize=64)
def _squared_radius(height: int, width: int) -> np.ndarray:
    """Squared distance from the centre, in half sides: 1 in the middle of each side, 2 in the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.asarray(x * x + y * y)


# One grey level more takes the noise out of the ratios of black without bending those of dark skin.
_LOG_OF_LEVEL = np.log(np.arange(256) + 1.0).astype(np.float32)


def _logs(colour: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.LUT(colour, _LOG_OF_LEVEL))


def _mask(truth: np.ndarray) -> np.ndarray:
    return truth.astype(np.uint8) * 255


def _heaviest_part(truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    _, labels = cv2.connectedComponents(_mask(truth), connectivity=4)
    totals = np.bincount(labels.ravel(), weights=weights.ravel())
    totals[0] = 0.0  # the background
    return np.asarray(labels == totals.argmax())


def _parts_touching(truth: np.ndarray, seed: np.ndarray) -> np.ndarray:
    count, labels = cv2.connectedComponents(_mask(truth | seed), connectivity=4)
    is_touched = np.zeros(count, bool)
    is_touched[labels[seed]] = True
    return np.asarray(is_touched[labels])


def _parts_inside(truth: np.ndarray) -> np.ndarray:
    """The connected parts that do not touch the frame's rim."""
    count, labels = cv2.connectedComponents(_mask(truth), connectivity=8)
    is_inside = np.ones(count, bool)
    is_inside[0] = False
    for rim in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        is_inside[rim] = False
    return np.asarray(is_inside[labels])
