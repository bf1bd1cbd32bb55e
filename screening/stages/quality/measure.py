"""Measure what can be seen in one photo. No other photo, no clock and no random number takes part."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from screening.stages.pixels import DecodedPhoto, fit_long_side
from screening.stages.quality.regions import Regions, find_regions

DETAIL_LONG_SIDE = 512
"""Pixels of the view in which focus, motion and hair are measured."""
COLOUR_LONG_SIDE = 256
"""Pixels of the view in which skin, lesion, dye and exposure are measured."""


@dataclass(frozen=True)
class QualityMeasures:
    """What was measured; the names are columns of the table ``quality``, which has their descriptions and units."""

    detail_grey_levels: float
    focus_ratio: float | None
    motion_ratio: float | None
    lesion_fraction: float | None
    lesion_rim_fraction: float | None
    skin_fraction: float
    border_skin_fraction: float
    dye_fraction: float
    lesion_dye_fraction: float
    hair_fraction: float
    skin_brightness: float
    clipped_dark_fraction: float
    clipped_bright_fraction: float
    short_side_px: int
    is_greyscale: bool


def measure_quality(photo: DecodedPhoto) -> QualityMeasures:
    """Measure one photo of any size from about 180 to 1024 px."""
    detail_view = fit_long_side(photo.pixels, DETAIL_LONG_SIDE)
    colour = fit_long_side(detail_view, COLOUR_LONG_SIDE)
    regions = find_regions(colour)
    grey = cv2.cvtColor(detail_view, cv2.COLOR_RGB2GRAY)
    has_lesion = bool(regions.lesion.any())
    region = _enlarge(regions.lesion if has_lesion else np.full_like(regions.lesion, 255), grey.shape)
    detail, focus = _focus(grey, region)
    dye = _dye(colour, regions)
    small_grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    skin_grey = small_grey[regions.skin > 0]
    return QualityMeasures(
        detail_grey_levels=detail,
        focus_ratio=focus,
        motion_ratio=_motion(grey, region),
        lesion_fraction=_share(regions.lesion) if has_lesion else None,
        lesion_rim_fraction=_share(_border(regions.lesion, 0.01)) if has_lesion else None,
        skin_fraction=_share(regions.skin),
        border_skin_fraction=_share(_border(regions.skin, 0.1)),
        dye_fraction=_share(dye),
        lesion_dye_fraction=_share(dye[regions.lesion > 0]) if has_lesion else 0.0,
        hair_fraction=_hair(grey, region),
        skin_brightness=float(np.median(skin_grey if skin_grey.size else small_grey)) / 255.0,
        clipped_dark_fraction=float((small_grey <= 5).mean()),
        clipped_bright_fraction=float((small_grey >= 250).mean()),
        short_side_px=min(photo.header.width, photo.header.height),
        is_greyscale=photo.is_greyscale,
    )


def _share(mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask)) / mask.size if mask.size else 0.0


def _border(mask: np.ndarray, width: float) -> np.ndarray:
    height, length = mask.shape
    rows, columns = max(1, round(height * width)), max(1, round(length * width))
    inner = mask[rows:-rows, columns:-columns]
    return (
        np.concatenate(
            [
                mask[:rows].ravel(),
                mask[-rows:].ravel(),
                mask[rows:-rows, :columns].ravel(),
                mask[rows:-rows, -columns:].ravel(),
            ]
        )
        if inner.size
        else mask
    )


def _enlarge(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST))


def _focus(grey: np.ndarray, region: np.ndarray) -> tuple[float, float | None]:
    calm = cv2.medianBlur(grey, 3).astype(np.float32)
    fine = cv2.GaussianBlur(calm, (7, 7), 1.0)
    coarse = cv2.GaussianBlur(calm, (19, 19), 3.0)
    finest = float(cv2.meanStdDev(calm - fine, mask=region)[1][0, 0])
    middling = float(cv2.meanStdDev(fine - coarse, mask=region)[1][0, 0])
    return middling, finest / middling if middling > 0 else None


def _motion(grey: np.ndarray, region: np.ndarray) -> float | None:
    half = cv2.medianBlur(
        cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA), 3
    ).astype(np.float32)
    mask = _enlarge(region, half.shape)
    ratios = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        near = _difference(half, mask, dy, dx)
        far = _difference(half, mask, 3 * dy, 3 * dx)
        if far > 0:
            ratios.append(near / far)
    return min(ratios) if ratios else None


def _difference(grey: np.ndarray, mask: np.ndarray, dy: int, dx: int) -> float:
    height, width = grey.shape
    left, right = max(0, -dx), max(0, dx)
    a = grey[: height - dy, left : width - right]
    b = grey[dy:, right : width - left] if dx >= 0 else grey[dy:, : width - left]
    m = np.ascontiguousarray(mask[: height - dy, left : width - right])
    return float(cv2.meanStdDev(b - a, mask=m)[1][0, 0])


def _dye(colour: np.ndarray, regions: Regions) -> np.ndarray:
    logs = np.log(np.maximum(np.arange(256), 4)).astype(np.float32)
    logged = cv2.LUT(colour, logs)
    blueness = logged[..., 2] - logged[..., 1]
    own = float(np.median(blueness))
    return ((blueness - own > 0.25) & (blueness > 0.05)).astype(np.uint8) * 255


def _hair(grey: np.ndarray, region: np.ndarray) -> float:
    kernel = np.ones((9, 9), np.uint8)
    lines = np.maximum(
        cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel), cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel)
    )
    mask = (lines > 20).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    is_hair = (extent > 40) & (stats[:, cv2.CC_STAT_AREA] < 0.15 * extent**2)
    is_hair[0] = False
    hair = is_hair[labels]
    return _share(hair[region > 0])
