"""What lies on the lesion: its own crust, scale, exudate or blood, or a thing such as a ruler, a sticker or a gauze.

Under either the networks see less of the lesion than they think. Two logistic regressions (``surface.json``, made by
`screening quality train`) read from the network's encoding of the lesion and of the skin around, and from their colours, how
likely each is. Source: docs/decisions/0030.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from screening.stages.quality.regions import Regions, around, at_size_of
from screening.stages.quality.regression import read_regression

SURFACE = Path(__file__).with_name("surface.json")
QUESTIONS = ("crust", "object")
"""What the regressions tell, in the order of their answers."""
_COLOUR_SIDE = 64
"""Pixels of the square in which colours are compared."""
_RING_CELLS = 6  # a tenth of the frame shows what lies beside a lesion, and little that is farther off
_PERCENTILES = (5, 25, 75, 95)


def surface_features(view: np.ndarray, regions: Regions) -> np.ndarray:
    """What is compared: shape (4 * channels + 21,).

    Args:
        view: RGB, uint8, of any size.
        regions: of the same picture.
    """
    lesion = regions.lesion_mask
    beside = around(lesion, _RING_CELLS) & ~lesion
    ring = beside if beside.any() else lesion  # a lesion may fill the frame
    small = cv2.resize(view, (_COLOUR_SIDE, _COLOUR_SIDE), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float64)
    on, off = (colours[at_size_of(region, small)] for region in (lesion, ring))
    return np.concatenate(
        [
            *(_pooled(regions.encoding, region) for region in (lesion, ring)),
            on.mean(axis=0) - off.mean(axis=0),
            on.std(axis=0),
            off.std(axis=0),
            (np.percentile(on, _PERCENTILES, axis=0) - np.median(off, axis=0)).ravel(),
        ]
    )


def surface_scores(features: np.ndarray) -> tuple[float, float]:
    """Log odds of crust and of a thing on the lesion, as ``QUESTIONS``."""
    crust, thing = (read_regression(SURFACE, question).log_odds(features) for question in QUESTIONS)
    return crust, thing


def _pooled(encoding: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of every channel over a region, by the share of each place that lies in it."""
    channels, rows, columns = encoding.shape
    shares = cv2.resize(region.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA).ravel()
    shares = shares.astype(np.float64) / max(float(shares.sum()), 1e-6)
    places = encoding.reshape(channels, -1).astype(np.float64)
    mean = places @ shares
    return np.concatenate([mean, np.sqrt(np.maximum(places**2 @ shares - mean**2, 0.0))])
