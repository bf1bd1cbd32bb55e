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
_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 3.0  # what is fine, and what is middling
_MOTION_FINE_SIGMA_PX = 1.2  # at COLOUR_LONG_SIDE: diagonal neighbours are 1.4 pixels apart
_WIDEST_FILTER_PX = 10  # half of the 19 pixels in which a sigma of 3 is all but complete, and one of the median filter
_CELL_PX = 12  # about four coarse sigmas
_LEAST_COVER = 0.4  # of a cell by the region
_VISIBLE_CONTRAST = 0.01  # of the cell's brightness: about the least contrast that an eye sees; scales with dark skin
_SHARPER_CELLS_PERCENTILE = 75
_STRONGEST_DETAIL = 0.05  # share of the region: edges, where detail outweighs the camera's noise
_LEAST_DETAIL = 0.1  # grey levels: a tenth of the least step of 8 bits; what is left of a blank frame is rounding
_HAIR_WIDTH_PX = 9  # at DETAIL_LONG_SIDE: hair is narrower
_HAIR_GREY_LEVELS = 15  # darker or brighter than the skin beside it
_HAIR_LENGTH = 0.08  # of the long side: shorter streaks are skin texture
_HAIR_BOX = 0.12  # of the long side: how far hair is followed beyond the region
_HAIR_THINNESS = 0.1  # area over squared length: a straight line of 9 by 90 pixels has 0.1
_CALM_LONG_SIDE = 256  # smaller photos are not median-filtered before hair is sought: hair is one pixel wide in them
_BLACK_LEVEL, _WHITE_LEVEL = 5, 250  # grey levels; within five of the ends, as JPEG ripples


@dataclass(frozen=True)
class QualityMeasures:
    """What was measured; each field is a column of the table ``quality``, which also names its unit."""

    detail_grey_levels: float
    """Standard deviation of the middling detail (G1 - G3) around the lesion, grey levels of 255."""
    focus_ratio: float
    """Fine over middling detail in the sharper cells of the lesion and its edge; 0 = no detail that can be seen."""
    coarse_focus_ratio: float
    """The same in the view of 256 px: low only when the blur is heavy."""
    motion_ratio: float | None
    """Fine over middling detail along the direction that has least of it, squared, over that with most; at 256 px."""
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
    is_white = small_grey >= _WHITE_LEVEL
    skin_luma = small_grey[::2, ::2][skin[::2, ::2] > 0]
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
        clipped_dark_fraction=_share(small_grey <= _BLACK_LEVEL),
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


def _box_around(region: np.ndarray, reach: int) -> tuple[slice, slice]:
    """The rows and columns of a region and ``reach`` pixels more on every side."""
    x, y, width, height = cv2.boundingRect(region)
    return slice(max(0, y - reach), y + height + reach), slice(max(0, x - reach), x + width + reach)


def _measure_focus(grey: np.ndarray, region: np.ndarray) -> tuple[float, float]:
    """Middling detail in grey levels, and the ratio of fine to middling detail in the sharper cells of the region.

    A cell tells only if its middling detail can be seen; noise does not, and does not go with middling detail, so a
    cell's ratio is a least-squares slope. A lesion with a soft edge in focus is judged by the sharper cells beside it.
    """
    rows, columns = _box_around(region, _WIDEST_FILTER_PX)
    calm = cv2.medianBlur(grey[rows, columns], 3).astype(np.float32)
    fine = cv2.GaussianBlur(calm, (7, 7), _FINE_SIGMA_PX)
    coarse = cv2.GaussianBlur(calm, (19, 19), _COARSE_SIGMA_PX)
    inside = region[rows, columns] > 0
    middling = np.where(inside, fine - coarse, np.float32(0.0))
    covered = _cell_means(inside.astype(np.float32))
    energy = _cell_means(middling * middling) / np.maximum(covered, _LEAST_COVER)
    is_telling = (covered >= _LEAST_COVER) & (energy > (_VISIBLE_CONTRAST * _cell_means(coarse)) ** 2)
    detail = float(middling[inside].std())
    if not is_telling.any():
        return detail, 0.0
    together = _cell_means((calm - fine) * middling) / np.maximum(covered, _LEAST_COVER)
    ratio = np.percentile(together[is_telling] / energy[is_telling], _SHARPER_CELLS_PERCENTILE)
    return detail, max(0.0, float(ratio))


def _cell_means(image: np.ndarray) -> np.ndarray:
    """Means of square cells; what is left over at the right and the bottom is dropped, a smaller image is one cell."""
    rows, columns = max(1, image.shape[0] // _CELL_PX), max(1, image.shape[1] // _CELL_PX)
    whole = image[: rows * _CELL_PX, : columns * _CELL_PX]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA))


def _slope(fine: np.ndarray, middling: np.ndarray, inside: np.ndarray) -> float | None:
    """How much fine detail goes with middling detail at the strongest edges (least squares; noise does not go with it).

    Middling detail is strongest beside an edge and nothing on it, fine detail the other way round: so each pixel counts
    as strong as its strongest neighbour.
    """
    strength = cv2.dilate(np.abs(middling), np.ones((3, 3), np.uint8))[inside]
    if strength.max(initial=0.0) < _LEAST_DETAIL:
        return None
    place = int(strength.size * (1.0 - _STRONGEST_DETAIL))
    strongest = strength >= np.partition(strength, place)[place]
    fine, middling = fine[inside][strongest], middling[inside][strongest]
    return max(0.0, float(fine @ middling) / float(middling @ middling))


def _measure_motion(grey: np.ndarray, region: np.ndarray) -> float | None:
    """Ratio of fine to middling detail along four directions, the weakest squared over the strongest.

    A moved camera blurs along one direction, a lens along all.
    """
    margin = _WIDEST_FILTER_PX  # it must not reach over the frame's rim
    if min(grey.shape) <= 2 * margin:
        return None
    calm = cv2.medianBlur(grey, 3)
    inside = np.zeros_like(region)
    inside[margin:-margin, margin:-margin] = region[margin:-margin, margin:-margin]
    width = grey.shape[1]
    diagonal = 2**0.5  # pixels between diagonal neighbours
    ratios = [
        _slope_along_columns(calm, inside, 1.0),
        _slope_along_columns(calm.T, inside.T, 1.0),
        _slope_along_columns(_in_rows_of(calm, width + 1), _in_rows_of(inside, width + 1), diagonal),
        _slope_along_columns(_in_rows_of(calm, width - 1), _in_rows_of(inside, width - 1), diagonal),
    ]
    known = [ratio for ratio in ratios if ratio is not None]
    if not known or max(known) == 0.0:
        return None
    return min(known) ** 2 / max(known)


def _in_rows_of(image: np.ndarray, length: int) -> np.ndarray:
    """The same pixels in rows that are one longer or shorter: what was diagonal is now below each other."""
    rows = image.size // length
    return image.ravel()[: rows * length].reshape(rows, length)


def _slope_along_columns(grey: np.ndarray, inside: np.ndarray, step: float) -> float | None:
    """Ratio of fine to middling detail along the columns, whose pixels are ``step`` apart."""
    lines = np.ascontiguousarray(grey).astype(np.float32)
    across = np.ones(1, np.float32)
    fine = cv2.sepFilter2D(lines, -1, across, cv2.getGaussianKernel(7, _MOTION_FINE_SIGMA_PX / step, cv2.CV_32F))
    coarse = cv2.sepFilter2D(lines, -1, across, cv2.getGaussianKernel(17, _COARSE_SIGMA_PX / step, cv2.CV_32F))
    return _slope(lines - fine, fine - coarse, np.ascontiguousarray(inside) > 0)


def _measure_hair(grey: np.ndarray, dye: np.ndarray, region: np.ndarray) -> float:
    """Share of the region under long thin lines that are darker or brighter than the skin beside them; ink is no hair."""
    shortest = _HAIR_LENGTH * max(grey.shape)
    # Hair that leaves the box is long enough without its ends.
    box = _box_around(region, round(_HAIR_BOX * max(grey.shape)))
    calm = cv2.medianBlur(grey[box], 3) if max(grey.shape) > _CALM_LONG_SIDE else grey[box]
    ink = enlarge(cv2.dilate(dye, np.ones((3, 3), np.uint8)), grey)[box]
    width = np.ones((_HAIR_WIDTH_PX, _HAIR_WIDTH_PX), np.uint8)
    inside = region[box] > 0
    hair = np.zeros(int(np.count_nonzero(inside)), bool)
    for operation in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        _, lines = cv2.threshold(cv2.morphologyEx(calm, operation, width), _HAIR_GREY_LEVELS, 255, cv2.THRESH_BINARY)
        # The same components as by the default algorithm, in a third of its time (OpenCV 5.0, photos of few lines).
        _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
            cv2.subtract(lines, ink), 8, cv2.CV_32S, cv2.CCL_GRANA
        )
        length = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        is_hair = (length > shortest) & (stats[:, cv2.CC_STAT_AREA] < _HAIR_THINNESS * length**2)
        is_hair[0] = False  # the background
        if is_hair.any():
            hair |= is_hair[labels[inside]]
    return _share(hair)
