"""A rule of colour by which ink is suspected in photos that nobody marked: a start for the network's training.

All masks are uint8, 0 or 255. Limits were measured on real photos: docs/decisions/0006.
"""

from __future__ import annotations

import cv2
import numpy as np

from screening.stages.quality.skin_colour import logs_of

_PEN_WIDTH_PX = 15  # of 256: a pen line is narrower
_PEN_BLUER_THAN_NEIGHBOURS = 0.08  # log(B/G)
_PEN_BLUER_THAN_SKIN = 0.15  # log(B/G)
_PEN_DARKER_THAN_NEIGHBOURS = 0.15  # mean of the logs of R, G, B
_PAINT_BLUER_THAN_SKIN = 0.35  # log(B/G): violet and blue dyes
_PAINT_BLUE_OVER_GREEN = 0.05  # log(B/G): a grey area is bluer than skin, too, but not bluer than green
_PAINT_RED_OVER_GREEN = -0.10  # log(R/G): green dyes; no skin and no lesion is that green


def find_dye(colour: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Find pen lines, and patches of violet, blue or green dye that do not reach the frame's rim (drapes and gloves do).

    Brown dyes (iodine) look like pigment and are not found.

    Args:
        colour: RGB, uint8, long side about 256.
        skin: its skin mask.
    """
    red, green, blue = cv2.split(logs_of(cv2.GaussianBlur(cv2.medianBlur(colour, 3), (5, 5), 0.8)))
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


def _mask(truth: np.ndarray) -> np.ndarray:
    return truth.astype(np.uint8) * 255


def _parts_inside(truth: np.ndarray) -> np.ndarray:
    """The connected parts that do not touch the frame's rim."""
    count, labels = cv2.connectedComponents(_mask(truth), connectivity=8)
    is_inside = np.ones(count, bool)
    is_inside[0] = False
    for rim in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        is_inside[rim] = False
    return np.asarray(is_inside[labels])
