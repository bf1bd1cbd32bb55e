"""Whether coloured light fell on the skin: its colour beside that of skin of any tone, and nothing but the skin's.

Melanin and blood take away green and blue in proportions that hardly differ between people, so skin under balanced light
keeps to a range of ratios of red, green and blue, whatever its tone and however much light there is. What lies outside,
the light or the camera has made. Source: docs/decisions/0027.
"""

from __future__ import annotations

import numpy as np

from screening.stages.quality.skin_tone import pixels_of_skin

_GAMMA = 2.2  # of sRGB, nearly
_NOISE_LEVELS = 2.0  # added to every level: takes the noise out of the ratios of dark skin
_LEAST_RED_OVER_BLUE = -0.2  # stops; less is blue light
_MOST_GREEN_OVER_BLUE = 1.65  # more is yellow light
_GREEN_OVER_RED_AND_BLUE = (-1.0, 0.3)  # over their geometric mean; less is magenta light, more is green


def measure_cast_stops(pixels: np.ndarray, skin: np.ndarray) -> float | None:
    """By how many stops blue or green light must be changed before the median skin pixel has a colour of skin.

    Args:
        pixels: RGB, uint8, of any size.
        skin: map of cells, bool, without the lesion.

    Returns:
        Negative as far within the range of skin; None where there is too little of it.
    """
    of_skin = pixels_of_skin(pixels, skin)
    if of_skin is None:
        return None
    red, green, blue = _GAMMA * np.log2(np.median(of_skin, axis=0) + _NOISE_LEVELS)
    green_excess = green - (red + blue) / 2
    least, most = _GREEN_OVER_RED_AND_BLUE
    return float(
        max(
            _LEAST_RED_OVER_BLUE - (red - blue),
            (green - blue) - _MOST_GREEN_OVER_BLUE,
            least - green_excess,
            green_excess - most,
        )
    )
