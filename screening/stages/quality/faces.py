"""Whether somebody's face is in the picture: a photo that shows who it is of must be looked at before others see it.

BlazeFace for short range (Bazarevsky et al. 2019), as MediaPipe publishes it, finds faces in a view of 128 px: ``faces.onnx``, the
same network in another format. Source: docs/decisions/0029.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from screening.stages.quality.network import open_network

FACES = Path(__file__).with_name("faces.onnx")
_SIDE = 128
_GRIDS = ((16, 2), (8, 6))
"""Cells along a side, and boxes that are looked for in each."""
_MIGHT_BE = 0.5  # the network's own middle: one photo of skin in 14 is looked at again
_AROUND = 3  # sides of the face along a side of the second look


@dataclass(frozen=True)
class Face:
    """The likeliest face: how likely it is one, 0..1, and its box in pixels of the view, which may reach beyond."""

    score: float
    left: float
    top: float
    right: float
    bottom: float


def find_face(view: np.ndarray) -> Face:
    """The likeliest face of an RGB picture of any size, uint8; every picture has one, mostly of a low score.

    What might be a face is looked at again, with as much around as a portrait shows, and the mean of both is its score: wounds
    and scars look like faces at one size, faces at every size.
    """
    height, width = view.shape[:2]
    face = _look_at(view, width / 2, height / 2, max(height, width))
    if face.score < _MIGHT_BE:
        return face
    x, y = np.clip([(face.left + face.right) / 2, (face.top + face.bottom) / 2], 0, (width, height))
    side = np.clip(_AROUND * max(face.right - face.left, face.bottom - face.top), 3, _AROUND * max(height, width))
    again = _look_at(view, x, y, round(side))
    return replace(face, score=(face.score + again.score) / 2)


def _look_at(view: np.ndarray, x: float, y: float, side: int) -> Face:
    """The likeliest face in the square around a place; what of it lies beyond the picture is black, as MediaPipe has it."""
    height, width = view.shape[:2]
    left, top = round(x - side / 2), round(y - side / 2)
    right, bottom = left + side, top + side
    part = view[max(0, top) : bottom, max(0, left) : right]
    above, below, before, after = (max(0, past) for past in (-top, bottom - height, -left, right - width))
    square = cv2.copyMakeBorder(part, above, below, before, after, cv2.BORDER_CONSTANT)
    pixels = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    boxes, scores = open_network(FACES).run(["boxes", "scores"], {"pixels": pixels[None]})
    best = int(scores[0, :, 0].argmax())
    scale = side / _SIDE
    across, down = boxes[0, best, 2:4] * scale
    middle_x, middle_y = (boxes[0, best, :2] + _centres()[best]) * scale + (left, top)
    corners = (middle_x - across / 2, middle_y - down / 2, middle_x + across / 2, middle_y + down / 2)
    return Face(float(scores[0, best, 0]), *(float(corner) for corner in corners))


@lru_cache(maxsize=1)
def _centres() -> np.ndarray:
    """Pixels from which the boxes are counted, shape (boxes, 2), x and y."""
    centres = []
    for cells, boxes in _GRIDS:
        at = (np.arange(cells) + 0.5) * (_SIDE / cells)
        y, x = np.meshgrid(at, at, indexing="ij")
        centres.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), boxes, axis=0))
    return np.concatenate(centres)
