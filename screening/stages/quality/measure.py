"""Measure what can be seen in one photo. No other photo, no clock and no random number takes part.

Everything is measured in views of a fixed size, so that a cut-off means the same for every camera. A photo that is
smaller than a view is never enlarged. How well each measure works on real photos: docs/decisions/0006.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from screening.stages.pixels import DecodedPhoto
from screening.stages.quality.regions import (
    COLOUR_LONG_SIDE,
    LESION_LONG_SIDE,
    around,
    enlarge,
    find_dye,
    find_lesion,
    find_skin,
    shrink,
)

DETAIL_LONG_SIDE = 512
"""Pixels of the view in which focus and hair are measured."""

# How far a region reaches over the lesion, of the long side. A blurred lesion on sharp skin is seen only close to it;
# motion is that of the whole frame and needs edges, hair lies beside the lesion, too.
_EDGE, _SURROUNDINGS = 3 / 128, 11 / 128
_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 3.0  # two octaves of detail: screening/../FACTS, checked in docs/decisions/0006
_MOTION_FINE_SIGMA_PX = 1.2  # at COLOUR_LONG_SIDE: diagonal neighbours are 1.4 pixels apart
_STRONGEST_DETAIL = 0.05  # share of the region: edges, where detail outweighs the camera's noise
_HAIR_WIDTH_PX = 9  # at DETAIL_LONG_SIDE: hair is narrower (FACTS, Lee et al. 1997 used 11 on larger photos)
_HAIR_GREY_LEVELS = 15  # darker or brighter than the skin beside it
_HAIR_LENGTH = 0.08  # of the long side: shorter streaks are skin texture
_HAIR_THINNESS = 0.1  # area over squared length: a straight line of 9 by 90 pixels has 0.1
_CALM_LONG_SIDE = 256  # smaller photos are not median-filtered before hair is sought: hair is one pixel wide in them
_BLACK_LEVEL, _WHITE_LEVEL = 5, 250  # grey levels; within five of the ends, as JPEG ripples


@dataclass(frozen=True)
class QualityMeasures:
    """What was measured; each field is a column of the table ``quality``, which also names its unit."""

    detail_grey_levels: float
    """Standard deviation of the middling detail (G1 - G3) around the lesion, grey levels of 255."""
    focus_ratio: float | None
    """Fine over middling detail on the strongest edges around the lesion; 0 = no fine detail. None without detail."""
    coarse_focus_ratio: float | None
    """The same in the view of 256 px: low only when the blur is heavy."""
    motion_ratio: float | None
    """The focus ratio at 256 px of the direction with the least fine detail, squared, over that with the most."""
    coarse_motion_ratio: float | None
    """The same in the view of 128 px: low when the camera moved far."""
    lesion_fraction: float
    """Area of the likeliest lesion, 0..1 of the frame."""
    lesion_contrast: float
    """Mean distance of the lesion's colours from the plain skin's, in spreads of the plain skin."""
    lesion_rim_fraction: float
    """Share of the frame's rim that the lesion reaches, 0..1."""
    skin_fraction: float
    """Skin-coloured share of the frame, 0..1."""
    border_skin_fraction: float
    """Skin-coloured share of the outer tenth of the frame, 0..1."""
    dye_fraction: float
    """Share of the frame under ink or dye, 0..1."""
    lesion_dye_fraction: float
    """Share of the lesion under ink or dye, 0..1."""
    hair_fraction: float
    """Share of the lesion and its edge under hair, 0..1."""
    skin_brightness: float
    """Median luma of the skin, of the whole frame when there is none, 0..1."""
    clipped_dark_fraction: float
    """Share of the frame that is black, 0..1; a dermoscope's corners count."""
    clipped_bright_fraction: float
    """Share of the frame that is white, 0..1."""
    lesion_glare_fraction: float
    """Share of the lesion that is white, 0..1."""
    short_side_px: int
    """Shorter side as uploaded, pixels."""
    is_greyscale: bool


def measure_quality(photo: DecodedPhoto) -> QualityMeasures:
    """Measure one photo; at most 9 ms of one core for 1000 x 750 pixels."""
    view = shrink(photo.pixels, DETAIL_LONG_SIDE)
    colour = shrink(view, COLOUR_LONG_SIDE)
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
    small_grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)

    lesion = find_lesion(colour)
    skin = find_skin(colour)
    dye = find_dye(colour, skin)
    lesion_mask = enlarge(lesion.mask, colour)
    edge, surroundings = around(lesion.mask, _EDGE), around(lesion.mask, _SURROUNDINGS)
    detail, focus = _measure_focus(grey, enlarge(edge, grey))
    _, coarse_focus = _measure_focus(small_grey, enlarge(edge, small_grey))
    smallest_grey = shrink(small_grey, LESION_LONG_SIDE)
    is_white = cv2.compare(small_grey, _WHITE_LEVEL, cv2.CMP_GE)
    skin_luma = small_grey[skin > 0]
    return QualityMeasures(
        detail_grey_levels=detail,
        focus_ratio=focus,
        coarse_focus_ratio=coarse_focus,
        motion_ratio=_measure_motion(small_grey, enlarge(surroundings, small_grey)),
        coarse_motion_ratio=_measure_motion(smallest_grey, enlarge(surroundings, smallest_grey)),
        lesion_fraction=_share(lesion.mask),
        lesion_contrast=lesion.contrast,
        lesion_rim_fraction=_share(_rim(lesion.grown, 0.02)),
        skin_fraction=_share(skin),
        border_skin_fraction=_share(_rim(skin, 0.1)),
        dye_fraction=_share(dye),
        lesion_dye_fraction=_share(dye[lesion_mask > 0]),
        hair_fraction=_measure_hair(grey, dye, enlarge(surroundings, grey)),
        skin_brightness=float(np.median(skin_luma if skin_luma.size else small_grey)) / 255.0,
        clipped_dark_fraction=_share(cv2.compare(small_grey, _BLACK_LEVEL, cv2.CMP_LE)),
        clipped_bright_fraction=_share(is_white),
        lesion_glare_fraction=_share(is_white[lesion_mask > 0]),
        short_side_px=min(photo.header.width, photo.header.height),
        is_greyscale=photo.is_greyscale,
    )


def _share(mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask)) / mask.size if mask.size else 0.0


def _rim(mask: np.ndarray, width: float) -> np.ndarray:
    """The pixels along the frame's four sides, ``width`` (of each side) wide."""
    height, length = mask.shape
    rows, columns = max(1, round(height * width)), max(1, round(length * width))
    middle = mask[rows:-rows]
    sides = (mask[:rows], mask[-rows:], middle[:, :columns], middle[:, -columns:])
    return np.concatenate([side.ravel() for side in sides])


def _measure_focus(grey: np.ndarray, region: np.ndarray) -> tuple[float, float | None]:
    """Middling detail in grey levels, and the ratio of fine to middling detail on the region's strongest edges."""
    x, y, width, height = cv2.boundingRect(region)
    reach = 10  # pixels: what the widest filter sees
    box = np.s_[max(0, y - reach) : y + height + reach, max(0, x - reach) : x + width + reach]
    calm = cv2.medianBlur(grey[box], 3).astype(np.float32)
    fine = cv2.GaussianBlur(calm, (7, 7), _FINE_SIGMA_PX)
    middling = fine - cv2.GaussianBlur(calm, (19, 19), _COARSE_SIGMA_PX)
    inside = region[box] > 0
    middling = middling[inside]
    return float(middling.std()), _slope((calm - fine)[inside], middling)


def _slope(fine: np.ndarray, middling: np.ndarray) -> float | None:
    """How much fine detail goes with the strongest middling detail (least squares; noise does not go with it)."""
    strength = np.abs(middling)
    if not strength.any():
        return None
    place = int(strength.size * (1.0 - _STRONGEST_DETAIL))
    strongest = strength >= np.partition(strength, place)[place]
    fine, middling = fine[strongest], middling[strongest]
    return max(0.0, float(fine @ middling) / float(middling @ middling))


def _measure_motion(grey: np.ndarray, region: np.ndarray) -> float | None:
    """The focus ratio along four directions: weakest squared over strongest. A moved camera blurs along one only."""
    calm = cv2.medianBlur(grey, 3)
    height, width = calm.shape
    inside = region.copy()
    margin = 10  # pixels: the widest filter must not reach over the frame's rim
    inside[:margin] = inside[-margin:] = 0
    inside[:, :margin] = inside[:, -margin:] = 0
    # Rows of one pixel more or less put diagonal neighbours below each other, rows of one pixel horizontal ones.
    ratios = []
    for row_length, step in ((width, 1.0), (1, 1.0), (width + 1, 2**0.5), (width - 1, 2**0.5)):
        ratios.append(_slope_along_columns(calm, inside, row_length, step))
    known = [r for r in ratios if r is not None]
    if not known or max(known) == 0.0:
        return None
    return min(known) ** 2 / max(known)


def _slope_along_columns(grey: np.ndarray, inside: np.ndarray, row_length: int, step: float) -> float | None:
    if row_length == 1:
        lines, mask = grey.T, inside.T
    else:
        rows = grey.size // row_length
        lines, mask = (a.ravel()[: rows * row_length].reshape(rows, row_length) for a in (grey, inside))
    lines = np.ascontiguousarray(lines).astype(np.float32)
    none = np.ones(1, np.float32)
    fine = cv2.sepFilter2D(lines, -1, none, cv2.getGaussianKernel(7, _MOTION_FINE_SIGMA_PX / step, cv2.CV_32F))
    coarse = cv2.sepFilter2D(lines, -1, none, cv2.getGaussianKernel(17, _COARSE_SIGMA_PX / step, cv2.CV_32F))
    chosen = mask > 0
    return _slope(lines[chosen] - fine[chosen], fine[chosen] - coarse[chosen])


def _measure_hair(grey: np.ndarray, dye: np.ndarray, region: np.ndarray) -> float:
    """Share of the region under long thin lines that are darker or brighter than the skin beside them; ink is no hair."""
    calm = cv2.medianBlur(grey, 3) if max(grey.shape) > _CALM_LONG_SIDE else grey
    width = np.ones((_HAIR_WIDTH_PX, _HAIR_WIDTH_PX), np.uint8)
    ink = enlarge(cv2.dilate(dye, np.ones((3, 3), np.uint8)), grey)
    inside = region > 0
    hair = np.zeros(int(np.count_nonzero(inside)), bool)
    for operation in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        _, lines = cv2.threshold(cv2.morphologyEx(calm, operation, width), _HAIR_GREY_LEVELS, 255, cv2.THRESH_BINARY)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.subtract(lines, ink), connectivity=8)
        length = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        is_hair = (length > _HAIR_LENGTH * max(grey.shape)) & (stats[:, cv2.CC_STAT_AREA] < _HAIR_THINNESS * length**2)
        is_hair[0] = False  # the background
        if is_hair.any():
            hair |= is_hair[labels[inside]]
    return _share(hair)
