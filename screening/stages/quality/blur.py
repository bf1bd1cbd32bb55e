"""How blurred the lesion is: what a lens out of focus and a moved camera take away, in the lesion and not in the frame.

Detail is compared at three sizes, in the core of the lesion, in all of it, with its edge, and in the skin around it: noise
is sharper than any blurred lesion, dark smooth skin has little detail at any size, and a blurred lesion may lie on sharp
skin. A multinomial logistic regression (``blur.json``, made by `screening quality train`) says from these numbers how
likely the lesion is sharp, out of focus or moved. Source: docs/decisions/0010.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from screening.stages.pixels import shrink
from screening.stages.quality.regions import around, at_size_of, core_of

CLASSES = ("sharp", "defocus", "motion")
LONG_SIDES_PX = (512, 256, 128)
"""Views in which detail is compared; the first is as large as the photo's, where that is smaller."""
WEIGHTS = Path(__file__).with_name("blur.json")

_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 3.0  # fine detail is below the first, middling between the two
_NEAR_SIGMA_PX, _FAR_SIGMA_PX, _FAR_PX = (
    0.8,
    2.0,
    4,
)  # along a direction: second differences over one pixel and over four
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
_REACH_PX = 12  # half of the widest filter, and the median's
_FEWEST_PX = 30  # of a region in a view: less tells nothing, and the whole view is taken
# Added to deviations, in grey levels: below the rounding of 8 bits there is nothing to compare.
_LEAST_FINE, _LEAST_MIDDLING, _LEAST_LIGHT = 0.02, 0.05, 8.0


def blur_features(grey: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """What is compared: shape (33,), logarithms of ratios.

    Args:
        grey: uint8, long side at most 512.
        lesion: its mask in cells, as ``Regions.lesion_mask``.
    """
    regions = (core_of(lesion), lesion, around(lesion, 1), around(lesion, 6) & ~around(lesion, 2))
    features: list[float] = []
    view = grey
    for long_side in LONG_SIDES_PX:
        view = shrink(view, long_side)
        light = float(view.mean()) + _LEAST_LIGHT
        masks = [_inside(region, view) for region in regions]
        box = _box_around(masks)
        calm = cv2.medianBlur(view[box], 3).astype(np.float32)
        fine, middling = _fine_and_middling(calm)
        for mask in masks:
            inside = mask[box]
            middling_sd = float(middling[inside].std()) + _LEAST_MIDDLING
            features += [
                np.log((float(fine[inside].std()) + _LEAST_FINE) / middling_sd),
                np.log(middling_sd / light),
            ]
        along = sorted(_ratios_along(calm, masks[1][box]))
        features += [along[0], along[-1] - along[0], float(np.mean(along))]
    return np.array(features)


def blur_probabilities(features: np.ndarray) -> np.ndarray:
    """Probabilities of ``CLASSES``, shape (3,)."""
    mean, scale, weights, intercepts = _weights()
    logits = weights @ ((features - mean) / scale) + intercepts
    odds = np.exp(logits - logits.max())
    return np.asarray(odds / odds.sum())


def sharpness_map(grey: np.ndarray) -> np.ndarray:
    """Fine over middling detail around every pixel, to be looked at: about 0.1 is blurred, 0.5 is sharp."""
    fine, middling = _fine_and_middling(cv2.medianBlur(grey, 3).astype(np.float32))
    around_px = (33, 33)
    energy = cv2.boxFilter(middling**2, -1, around_px) + _LEAST_MIDDLING**2
    return np.asarray(np.sqrt(np.maximum(cv2.boxFilter(fine**2, -1, around_px), 0) / energy))


def _fine_and_middling(calm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    fine = cv2.GaussianBlur(calm, (7, 7), _FINE_SIGMA_PX)
    coarse = cv2.GaussianBlur(calm, (19, 19), _COARSE_SIGMA_PX)
    return calm - fine, fine - coarse


def _ratios_along(calm: np.ndarray, inside: np.ndarray) -> list[float]:
    """Of each direction the logarithm of near over far detail; a moved camera takes it away in one, a lens in all."""
    near, far = (cv2.GaussianBlur(calm, (0, 0), sigma) for sigma in (_NEAR_SIGMA_PX, _FAR_SIGMA_PX))
    return [
        float(
            np.log(
                (_second_difference(near, dy, dx)[inside].std() + _LEAST_FINE)
                / (_second_difference(far, _FAR_PX * dy, _FAR_PX * dx)[inside].std() + _LEAST_MIDDLING)
            )
        )
        for dy, dx in _DIRECTIONS
    ]


def _second_difference(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Over the rim it is taken with the opposite side: one pixel or four of 128 and more."""
    return np.asarray(2 * image - np.roll(image, (dy, dx), (0, 1)) - np.roll(image, (-dy, -dx), (0, 1)))


def _box_around(masks: Sequence[np.ndarray]) -> tuple[slice, slice]:
    """Rows and columns of all regions, and as much around them as the widest filter reaches."""
    x, y, width, height = cv2.boundingRect(np.any(masks, axis=0).astype(np.uint8))
    return slice(max(0, y - _REACH_PX), y + height + _REACH_PX), slice(max(0, x - _REACH_PX), x + width + _REACH_PX)


def _inside(region: np.ndarray, view: np.ndarray) -> np.ndarray:
    inside = at_size_of(region, view)
    return inside if np.count_nonzero(inside) >= _FEWEST_PX else np.ones(view.shape, bool)


@lru_cache(maxsize=1)
def _weights() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    fitted = json.loads(WEIGHTS.read_text())
    mean, scale, weights, intercepts = (np.array(fitted[k]) for k in ("mean", "scale", "weights", "intercepts"))
    return mean, scale, weights, intercepts
