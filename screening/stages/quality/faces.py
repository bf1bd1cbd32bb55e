"""Whether somebody's face is in the picture: a photo that shows who it is of must be looked at before others see it.

BlazeFace for short range (Bazarevsky et al. 2019), as MediaPipe publishes it, finds faces in a view of 128 px: ``faces.onnx``, the
same network in another format. Source: docs/decisions/0029.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from screening.stages.quality.network import open_network

FACES = Path(__file__).with_name("faces.onnx")
_SIDE = 128
_GRIDS = ((16, 2), (8, 6))
"""Cells along a side, and boxes that are looked for in each."""


@dataclass(frozen=True)
class Face:
    """The likeliest face: probability as the network gives it, and its box in pixels of the view."""

    score: float
    left: float
    top: float
    right: float
    bottom: float


def find_face(view: np.ndarray) -> Face:
    """The likeliest face of an RGB picture of any size, uint8; every picture has one, mostly of a low score."""
    height, width = view.shape[:2]
    longest = max(height, width)
    inside = tuple(max(1, round(length * _SIDE / longest)) for length in (width, height))
    small = cv2.resize(view, inside, interpolation=cv2.INTER_AREA)
    beside, above = ((_SIDE - length) // 2 for length in inside)
    square = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    square[above : above + inside[1], beside : beside + inside[0]] = small
    session = open_network(FACES)
    boxes, scores = session.run(["boxes", "scores"], {"pixels": square[None]})
    best = int(scores[0, :, 0].argmax())
    x, y, across, down = (boxes[0, best, :4] + np.pad(_centres()[best], (0, 2))).tolist()
    scale = longest / _SIDE
    left, top = (x - across / 2 - beside) * scale, (y - down / 2 - above) * scale
    return Face(float(scores[0, best, 0]), left, top, left + across * scale, top + down * scale)


@lru_cache(maxsize=1)
def _centres() -> np.ndarray:
    """Pixels from which the boxes are counted, shape (boxes, 2), x and y."""
    centres = []
    for cells, boxes in _GRIDS:
        at = (np.arange(cells) + 0.5) * (_SIDE / cells)
        y, x = np.meshgrid(at, at, indexing="ij")
        centres.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), boxes, axis=0))
    return np.concatenate(centres)
