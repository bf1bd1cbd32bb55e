"""Skin by its colour alone: the network that finds regions goes by relief, and would take grey leather for skin."""

from __future__ import annotations

import cv2
import numpy as np

from screening.stages.pixels import shrink

_VIEW_LONG_SIDE = 128
_RED_OVER_GREEN = 0.02  # log ratio; the median pixel of 99 of 100 PAD-UFES-20 photos has 0.016 or more
_RED_OVER_BLUE = -0.15  # log ratio; bluish dermoscopic photos (ISIC) reach this at their 1st percentile
# One grey level more takes the noise out of the ratios of black without bending those of dark skin.
_LOG_OF_LEVEL = np.log(np.arange(256) + 1.0).astype(np.float32)


def find_skin_colour(pixels: np.ndarray) -> np.ndarray:
    """Pixels with more red than green and not much more blue, as blood and melanin make skin of every tone: 0 or 255.

    A rule of colour ratios, not of brightness: dark skin is skin. Wood, brick and brown cloth pass, too.

    Returns:
        The mask of a view whose long side is at most 128 pixels.
    """
    red, green, blue = cv2.split(logs_of(cv2.GaussianBlur(shrink(pixels, _VIEW_LONG_SIDE), (0, 0), 2.0)))
    return np.asarray(((red - green > _RED_OVER_GREEN) & (red - blue > _RED_OVER_BLUE)).astype(np.uint8) * 255)


def logs_of(pixels: np.ndarray) -> np.ndarray:
    """The logarithm of every level."""
    return np.asarray(cv2.LUT(pixels, _LOG_OF_LEVEL))
