"""Whether the frame cuts the lesion: how the whole picture looks to the network, not where it marks the lesion.

The map of the lesion cannot say it: in the photos that the network learnt from lesions lie in the middle, and of one that
fills the frame it marks the middle or nothing. Its encoding knows better. A logistic regression (``framing.json``, made by
`screening quality train`) reads from its mean and spread how likely a part of the lesion lies outside. Source:
docs/decisions/0023.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from screening.stages.quality.regression import read_regression

FRAMING = Path(__file__).with_name("framing.json")


def framing_features(encoding: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of every channel over the frame: shape (2 * channels,), whatever the order of places.

    Args:
        encoding: shape (channels, rows, columns), as ``Regions.encoding``.
    """
    return np.concatenate([encoding.mean(axis=(1, 2)), encoding.std(axis=(1, 2))]).astype(np.float64)


def cut_score(features: np.ndarray) -> float:
    """Log odds that the frame cuts the lesion, against all of it with skin around."""
    return read_regression(FRAMING).log_odds(features)
