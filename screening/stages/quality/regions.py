"""Where the skin and the lesion are. A lesion segmenter may one day replace ``find_lesion``: the measures take masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Regions:
    """Masks of one photo, uint8, 0 or 255, all of one size."""

    skin: np.ndarray
    """Skin-coloured pixels, the lesion included."""
    lesion: np.ndarray
    """The likeliest lesion; empty when none stands out."""


def find_regions(colour: np.ndarray) -> Regions:
    """Find skin and lesion in a small RGB photo (uint8, long side at most 256)."""
    return Regions(skin=find_skin(colour), lesion=find_lesion(colour))


def find_skin(colour: np.ndarray) -> np.ndarray:
    """Pixels whose red exceeds their green and blue, as the blood under every skin makes it."""
    red, green, blue = (colour[..., i].astype(np.float32) for i in range(3))
    skin = (red > 1.03 * green) & (red > 0.95 * blue) & (red > 8)
    return skin.astype(np.uint8) * 255


def find_lesion(colour: np.ndarray) -> np.ndarray:
    """The region that differs most from the photo's own skin, the nearer the centre the likelier."""
    height, width = colour.shape[:2]
    lab = cv2.GaussianBlur(cv2.cvtColor(colour, cv2.COLOR_RGB2LAB), (0, 0), 2.0).astype(np.float32)
    reference = np.median(lab.reshape(-1, 3), axis=0)
    distance = np.linalg.norm(lab - reference, axis=2)
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    likely = distance * np.exp(-(x * x + y * y) / 0.8)
    scaled = cv2.normalize(likely, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    threshold, mask = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return np.zeros_like(mask)
    totals = np.bincount(labels.ravel(), weights=likely.ravel())
    totals[0] = 0
    return (labels == int(totals.argmax())).astype(np.uint8) * 255
