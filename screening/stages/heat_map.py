"""Where the networks look, drawn over a photo. A map tells where, not why, and not whether the answer is right."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

OPACITY = 0.45
"""Of the brightest place: the skin below must stay to be seen."""
_COMMON_CELLS = 168
"""Side of the map in which those of the members are added up: a multiple of 6, 7 and 8 cells, so that nothing of theirs is
lost, and a quarter of the pixels of the photo."""

_COLOURS = cv2.applyColorMap(np.arange(256, dtype=np.uint8).reshape(-1, 1), cv2.COLORMAP_JET)[..., ::-1].copy()
"""RGB of each level, from blue to red."""


def enlarge_map(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lay a map over a picture, bilinear, each cell where the network looked: the first at the rim, not half a cell inside.

    A convolution of odd size with stride 2 and its padding sees around every second pixel from the first on, and so does
    a stack of them. Laid half a cell further in, as pictures are enlarged, a map stands 7 % of the side too far right and down.

    Args:
        cells: shape (rows, columns), float.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns:
        Shape (height, width), of the type of ``cells``.
    """
    rows, columns = cells.shape
    to_cells = np.array([[columns / width, 0, 0], [0, rows / height, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(cells, to_cells, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def draw_heat_map(photo: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Lay the mean of the members' maps over a photo; what speaks against the disease is not shown.

    Args:
        photo: shape (height, width, 3), uint8, RGB.
        maps: of one disease, one of each member, shape (rows, columns), any scale: each counts the same.

    Returns:
        Shape (height, width, 3), uint8, RGB: blue nothing, red the most.
    """
    common = np.zeros((_COMMON_CELLS, _COMMON_CELLS), np.float32)
    for of_member in maps:
        speaks_for = np.maximum(of_member.astype(np.float32), 0.0)
        common += enlarge_map(speaks_for / max(float(speaks_for.max()), 1e-6), *common.shape) / len(maps)
    # The photo was squeezed into a square for the networks, so the map is stretched back with it.
    heat = enlarge_map(common, *photo.shape[:2])
    levels = cv2.convertScaleAbs(heat, alpha=255)
    colours = cv2.applyColorMap(levels, _COLOURS)
    weight = heat * OPACITY
    return np.asarray(cv2.blendLinear(photo, colours, 1 - weight, weight))
