"""Where the networks look, drawn over a photo. A map tells where, not why, and not whether the answer is right."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

OPACITY = 0.45
"""Of the brightest place: the skin below must stay to be seen."""


def draw_heat_map(photo: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Lay the mean of the members' maps over a photo; what speaks against the disease is not shown.

    Args:
        photo: shape (height, width, 3), uint8, RGB.
        maps: of one disease, one of each member, shape (rows, columns), any scale: each counts the same.

    Returns:
        Shape (height, width, 3), uint8, RGB: blue nothing, red the most.
    """
    height, width = photo.shape[:2]
    heat = np.zeros((height, width), np.float32)
    for of_member in maps:
        speaks_for = np.maximum(of_member.astype(np.float32), 0.0)
        # The photo was squeezed into a square for the networks, so the map is stretched back with it.
        heat += cv2.resize(speaks_for / max(float(speaks_for.max()), 1e-6), (width, height)) / len(maps)
    colours = cv2.applyColorMap((heat.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    weight = OPACITY * heat.clip(0, 1)[..., None]
    return np.asarray((photo * (1 - weight) + colours * weight).round().astype(np.uint8))
