"""Where the lesion, the skin, the ink and the hair are in one photo, as a small network sees them.

The network was trained on published photos and on scenes composed of them (screening/training/quality); how well it
finds them: docs/quality-filters.md. Maps are of square cells: the whole frame is squeezed into a square, as for the
networks that grade.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from screening.stages.pixels import squeeze
from screening.stages.quality.network import ask_regions

CHANNELS = ("lesion", "skin", "ink", "hair")
"""Maps of the network, in order."""
CELLS = 64
"""Cells along a side; each is 4 x 4 pixels of the network's input."""
_SURE = 0.5
"""Probability from which a cell belongs to a region: the network's own middle."""
_FEWEST_CELLS = 6
"""Of a core, about 400 pixels at a long side of 512: the detail of fewer says little."""


@dataclass(frozen=True)
class Regions:
    """Probabilities, shape (CELLS, CELLS), float32, 0..1, and the network's encoding of the picture."""

    lesion: np.ndarray
    skin: np.ndarray
    ink: np.ndarray
    hair: np.ndarray
    encoding: np.ndarray
    """Shape (channels, rows, columns), float32; the channels have no names."""

    @property
    def lesion_mask(self) -> np.ndarray:
        """The one likeliest lesion, bool: every photo has one, but ``lesion_certainty`` may be low."""
        is_likely = self.lesion >= min(_SURE, float(self.lesion.max()) / 2)
        _, parts = cv2.connectedComponents(is_likely.astype(np.uint8), connectivity=4)
        weights = np.bincount(parts.ravel(), weights=self.lesion.ravel())
        weights[0] = -1.0  # what is not likely
        return np.asarray(parts == weights.argmax())

    @property
    def skin_mask(self) -> np.ndarray:
        """Skin, and the lesion on it, bool."""
        return np.asarray(np.maximum(self.skin, self.lesion) >= _SURE)

    @property
    def ink_mask(self) -> np.ndarray:
        """Ink and dyes, bool."""
        return np.asarray(self.ink >= _SURE)

    @property
    def hair_mask(self) -> np.ndarray:
        """Cells that a hair crosses, bool."""
        return np.asarray(self.hair >= _SURE)


def find_regions(pixels: np.ndarray) -> Regions:
    """Find the regions of an RGB photo of any size, uint8."""
    maps, encoding = ask_regions(squeeze(pixels))
    lesion, skin, ink, hair = maps
    return Regions(lesion, skin, ink, hair, encoding)


def around(mask: np.ndarray, cells: int) -> np.ndarray:
    """The region and so many cells more on every side."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * cells + 1,) * 2, np.uint8)) > 0)


def core_of(mask: np.ndarray) -> np.ndarray:
    """The region without its outermost cells; a small region whole."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(core if np.count_nonzero(core) >= _FEWEST_CELLS else mask)


def at_size_of(mask: np.ndarray, view: np.ndarray) -> np.ndarray:
    """A map of cells at the size of a view, bool."""
    size = (view.shape[1], view.shape[0])
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)
