"""Skin tone by its colour, for counting who is on the photos; no grade depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

from screening.stages.pixels import shrink
from screening.stages.quality.regions import at_size_of

COLOUR_LONG_SIDE = 64
"""Pixels of the view: those of the map of regions, and a median needs no more."""
_FEWEST_PIXELS = 30
"""A hundredth of a photo of 3 to 4."""
_PURE_GREY = 1.0
"""b* from which the angle means anything: at 0 it jumps from -90 to 90 degrees."""

ITA_GROUPS: Mapping[str, float] = MappingProxyType({"I-II": 28.0, "III-IV": -30.0, "V-VI": -91.0})
"""Lowest individual typology angle of each pair of skin types, degrees: over 28 is `intermediate` to `very light`, from -30
to 28 `tan` and `brown`, below `dark` (Chardon et al. 1991; Del Bino and Bernerd 2013); as pairs, as Kinyanjui et al. 2020."""


def measure_ita_deg(pixels: np.ndarray, skin: np.ndarray) -> float | None:
    """Individual typology angle of the median skin pixel: atan((L* - 50) / b*), degrees.

    The photo's light and white balance go into it whole: one photo tells little, a programme's many photos something.

    Args:
        pixels: RGB, uint8, of any size.
        skin: map of cells, bool, without the lesion.

    Returns:
        -90..90, light skin is large; None where there is too little skin, or skin without colour.
    """
    of_skin = pixels_of_skin(pixels, skin)
    if of_skin is None:
        return None
    lab = cv2.cvtColor(of_skin[None].astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)[0]
    lightness, _, yellow = np.median(lab, axis=0)
    if yellow < _PURE_GREY:
        return None
    return float(np.degrees(np.arctan((lightness - 50.0) / yellow)))


def pixels_of_skin(pixels: np.ndarray, skin: np.ndarray) -> np.ndarray | None:
    """The colours of a map of cells in a small view, RGB, shape (pixels, 3), uint8; None where there are too few."""
    view = shrink(pixels, COLOUR_LONG_SIDE)
    of_skin = view[at_size_of(skin, view)]
    return of_skin if len(of_skin) >= _FEWEST_PIXELS else None


def ita_group(ita_deg: float) -> str:
    """The pair of skin types that an angle stands for."""
    return next(group for group, lowest in ITA_GROUPS.items() if ita_deg > lowest)
