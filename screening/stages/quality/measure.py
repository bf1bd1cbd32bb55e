"""Measure what can be seen in one photo. No other photo, no clock and no random number takes part.

Everything is measured in views of a fixed size, so that a cut-off means the same for every camera. A photo that is
smaller than a view is never enlarged, except for the network that finds regions. How well each measure works on real
photos: docs/quality-filters.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from screening.stages.pixels import MODEL_SIDE, DecodedPhoto, shrink
from screening.stages.quality.blur import blur_features, blur_probabilities
from screening.stages.quality.colour_cast import measure_cast_stops
from screening.stages.quality.faces import find_face
from screening.stages.quality.framing import cut_score, framing_features
from screening.stages.quality.lettering import measure_lettering
from screening.stages.quality.regions import CELLS, around, at_size_of, find_regions
from screening.stages.quality.skin_colour import find_skin_colour
from screening.stages.quality.skin_tone import COLOUR_LONG_SIDE, measure_ita_deg
from screening.stages.quality.surface import surface_features, surface_scores

LIGHT_LONG_SIDE = 256
"""Pixels of the view in which light is measured."""

_TINY = 1e-6  # keeps a certain answer finite: a score lies within 14 of 0
_HAIR_CELLS = 4  # hair beside the lesion is beside it beyond this
_RIM_CELLS = 2  # the network hardly dares to mark the outermost cells: so close to the rim is at the rim
_SPOT_CELLS = 8  # whose mean is the certainty of a region: one cell alone may be a speck
_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 3.0  # middling detail lies between them
_BLACK_LEVEL, _WHITE_LEVEL = 5, 250  # grey levels; within five of the ends, as JPEG ripples


@dataclass(frozen=True)
class QualityMeasures:
    """What was measured; each field is a column of the table ``quality``, which also names its unit."""

    blur_score: float
    """Log odds that the lesion is out of focus or moved, against sharp."""
    motion_share: float
    """Share of motion in what speaks for a blur, 0..1."""
    detail_grey_levels: float
    """Standard deviation of the middling detail (G1 - G3) of the frame, grey levels of 255."""
    lesion_certainty: float
    """The probability that there is a lesion where it is likeliest, 0..1."""
    lesion_diameter_px: float
    """Diameter of a disc of the lesion's area, pixels of the 256 that the grading networks get."""
    lesion_rim_fraction: float
    """Share of the frame's rim that the lesion reaches, 0..1."""
    lesion_cut_score: float
    """Log odds that the frame cuts the lesion, against all of it with skin around."""
    lesion_offset: float
    """Distance of the lesion's centre from the frame's, in half sides: 1 is the rim."""
    skin_fraction: float
    """Share of the frame that is skin, lesion included, by its relief and by its colour, 0..1."""
    border_skin_fraction: float
    """Share of the outer eighth of the frame that is skin, 0..1."""
    dye_certainty: float
    """The probability that there is ink or dye where it is likeliest, 0..1."""
    dye_fraction: float
    """Share of the frame under ink or dye, 0..1."""
    lesion_dye_fraction: float
    """Share of the lesion under ink or dye, 0..1."""
    hair_fraction: float
    """Share of the frame that hairs cross, 0..1."""
    lesion_hair_fraction: float
    """Share of the lesion and what is close to it that hairs cross, 0..1."""
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
    face_score: float
    """The probability that there is a face where it is likeliest, 0..1."""
    crust_score: float
    """Log odds that crust, scale, exudate or blood hides a third and more of the lesion."""
    object_score: float
    """Log odds that a thing lies on the lesion, such as a ruler, a sticker or a gauze."""
    skin_ita_deg: float | None = None
    """Individual typology angle of the skin beside the lesion, degrees; None where there is too little of it."""
    colour_cast_stops: float | None = None
    """By how much one colour of light on that skin is beyond what skin of any tone has; negative within; None as above."""
    lettering_score: float | None = None
    """Log odds that the likeliest row of marks is print; None where no marks stand in a row."""


def measure_quality(photo: DecodedPhoto) -> QualityMeasures:
    """Measure one photo; about 20 ms of one core for 1000 x 750 pixels."""
    view = photo.view
    regions = find_regions(view)
    lesion, skin, ink, hair = regions.lesion_mask, regions.skin_mask, regions.ink_mask, regions.hair_mask
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
    small, tiny = shrink(grey, LIGHT_LONG_SIDE), shrink(view, COLOUR_LONG_SIDE)
    sharp, defocus, motion = blur_probabilities(blur_features(grey, lesion))
    is_white = small >= _WHITE_LEVEL
    skin_luma = small[at_size_of(skin, small)]
    crust, thing = surface_scores(surface_features(view, regions))
    bare_skin = skin & ~around(lesion, _HAIR_CELLS) & ~ink & ~hair
    return QualityMeasures(
        blur_score=float(np.log((defocus + motion + _TINY) / (sharp + _TINY))),
        motion_share=float(motion / (defocus + motion + _TINY)),
        detail_grey_levels=_measure_detail(grey),
        lesion_certainty=_certainty(regions.lesion),
        lesion_diameter_px=2.0 * MODEL_SIDE * (_share(lesion) / np.pi) ** 0.5,
        lesion_rim_fraction=rim_fraction(lesion),
        lesion_cut_score=cut_score(framing_features(regions.encoding)),
        lesion_offset=_offset(lesion),
        skin_fraction=_share(skin & at_size_of(find_skin_colour(view), skin)),
        border_skin_fraction=_share(_rim(skin, CELLS // 8)),
        dye_certainty=_certainty(regions.ink),
        dye_fraction=_share(ink),
        lesion_dye_fraction=_share(ink[lesion]),
        hair_fraction=_share(hair),
        lesion_hair_fraction=_share(hair[around(lesion, _HAIR_CELLS)]),
        skin_brightness=float(np.median(skin_luma if skin_luma.size else small)) / 255.0,
        clipped_dark_fraction=_share(small <= _BLACK_LEVEL),
        clipped_bright_fraction=_share(is_white),
        lesion_glare_fraction=_share(is_white[at_size_of(lesion, small)]),
        short_side_px=min(photo.header.width, photo.header.height),
        is_greyscale=photo.is_greyscale,
        face_score=find_face(view).score,
        crust_score=crust,
        object_score=thing,
        skin_ita_deg=None if photo.is_greyscale else measure_ita_deg(tiny, bare_skin),
        colour_cast_stops=None if photo.is_greyscale else measure_cast_stops(tiny, bare_skin),
        lettering_score=measure_lettering(view),
    )


def rim_fraction(lesion: np.ndarray) -> float:
    """Share of the frame's outermost cells that a lesion reaches, or nearly."""
    return _share(_rim(around(lesion, _RIM_CELLS), 1))


def _measure_detail(grey: np.ndarray) -> float:
    fine = cv2.GaussianBlur(grey, (7, 7), _FINE_SIGMA_PX).astype(np.float32)
    coarse = cv2.GaussianBlur(grey, (19, 19), _COARSE_SIGMA_PX).astype(np.float32)
    return float((fine - coarse).std())


def _certainty(probabilities: np.ndarray) -> float:
    return float(np.partition(probabilities.ravel(), -_SPOT_CELLS)[-_SPOT_CELLS:].mean())


def _share(mask: np.ndarray) -> float:
    return float(np.count_nonzero(mask)) / mask.size if mask.size else 0.0


def _rim(mask: np.ndarray, width: int) -> np.ndarray:
    """The cells along the frame's four sides."""
    middle = mask[width:-width]
    return np.concatenate(
        [side.ravel() for side in (mask[:width], mask[-width:], middle[:, :width], middle[:, -width:])]
    )


def _offset(lesion: np.ndarray) -> float:
    rows, columns = np.nonzero(lesion)
    return float(np.hypot(rows.mean() + 0.5 - CELLS / 2, columns.mean() + 0.5 - CELLS / 2)) / (CELLS / 2)
