"""Champion and challenger on the same photos: what the gate and its page read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

_AGES = {"under 40": (0, 40), "40 to 64": (40, 65), "65 and over": (65, 200)}


@dataclass(frozen=True)
class Answers:
    """What one release says of the photos; each array has the shape (photos,).

    ``grade``: the one given, a place in ``GRADES``. ``p_at_risk``: of high risk or dangerous. ``is_right``: the likeliest
    disease is the true one, ``certainty`` its probability. ``cutoffs``: as in ``release.json``.
    """

    release: str
    grade: np.ndarray
    p_at_risk: np.ndarray
    p_dangerous: np.ndarray
    is_right: np.ndarray
    certainty: np.ndarray
    cutoffs: Mapping[str, Any]
    ms_per_photo: float
    size_bytes: int


@dataclass(frozen=True)
class Compared:
    """The same photos, in the same order, for both.

    ``true_grades``: places in ``GRADES``. ``groups``: a column for each kind of subgroup, null where a photo's is unknown.
    """

    photo_ids: np.ndarray
    patients: np.ndarray
    true_grades: np.ndarray
    groups: pd.DataFrame
    champion: Answers
    challenger: Answers


def age_bands(years: pd.Series) -> pd.Series:
    """Words for an age in years; None where it is unknown."""
    words = pd.Series(None, index=years.index, dtype=object)
    for band, (low, high) in _AGES.items():
        words[(years >= low) & (years < high)] = band
    return words
