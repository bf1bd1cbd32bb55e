"""Whether the frame cuts the lesion: how the whole picture looks to the network, not where it marks the lesion.

The map of the lesion cannot say it: in the photos that the network learnt from lesions lie in the middle, and of one that
fills the frame it marks the middle or nothing. Its encoding knows better. A logistic regression (``framing.json``, made by
`screening quality train`) reads from its mean and spread how likely a part of the lesion lies outside. Source:
docs/decisions/0023.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

FRAMING = Path(__file__).with_name("framing.json")


def framing_features(encoding: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of every channel over the frame: shape (2 * channels,), whatever the order of places.

    Args:
        encoding: shape (channels, rows, columns), as ``Regions.encoding``.
    """
    return np.concatenate([encoding.mean(axis=(1, 2)), encoding.std(axis=(1, 2))]).astype(np.float64)


def cut_score(features: np.ndarray) -> float:
    """Log odds that the frame cuts the lesion, against all of it with skin around."""
    mean, scale, weights, intercept = _weights()
    return float(weights @ ((features - mean) / scale) + intercept)


@lru_cache(maxsize=1)
def _weights() -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    fitted = json.loads(FRAMING.read_text())
    mean, scale, weights = (np.array(fitted[name]) for name in ("mean", "scale", "weights"))
    return mean, scale, weights, float(fitted["intercept"])
