"""What may lie in a photo beside its lesion, drawn on real photos: the lesion stays what it is, so the grade should, too.

Every drawing is a pure function of a view, a generator and a strength, and says where it changed pixels. Ink leaves the
lesion free, rulers lie where least of it is; borders and corners may cover its edge, and hair may cross it, as they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import simplejpeg

from screening.stages.quality.regions import around, at_size_of, find_regions
from screening.training import marks

PEN_WIDTHS_PX = (1, 5)
"""Of 256, the width of pen lines as in the scenes that the quality filters learn from: a tip of about 1 mm in 5 cm of skin."""
PEN_DOSE = 1.0
"""Density of a fresh line: what of red, green and blue is left is the pen's own colour (``marks.PENS``)."""
RING_REACH = (1.3, 1.9)
"""Half axes of a ring, in half axes of the lesion: the skin between them is seen."""
HAIRS = (15, 45)
"""The quality filters flag 93 % of photos with so many, of 76, and refuse none: photos that are graded."""
RULER_WIDTH = 0.12
"""Of the side that it lies across: a strip of 1 cm on the 8 cm of skin that a phone shows."""
CORNER_RADIUS = (0.52, 0.62)
"""Of the mean side, a dermoscope's round view: at 0.5 it touches the sides, at 0.71 the corners are free."""
BORDER_WIDTH = (0.04, 0.1)
"""Of the side: bars of a screenshot, and the paper of a scanned print."""
JPEG_QUALITY = 40
"""About half of the 75 that libjpeg takes where nobody asks: blocks are seen."""
WARM, COLD = (1.21, 1.0, 0.74), (0.92, 1.0, 1.14)
"""CIE illuminants D50 and D75 as linear sRGB, green 1: light that a camera set to daylight (D65) did not balance."""


@dataclass(frozen=True)
class View:
    """A photo and what the quality filters find in it.

    ``pixels``: shape (height, width, 3), uint8, RGB. ``lesion``, ``ink``: shape (height, width), bool.
    """

    pixels: np.ndarray
    lesion: np.ndarray
    ink: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class Drawn:
    """``pixels`` as in the view, ``mask`` (height, width), bool: outside of it no pixel differs."""

    pixels: np.ndarray
    mask: np.ndarray


Drawing = Callable[[View, np.random.Generator], Drawn]


def look_at(pixels: np.ndarray) -> View:
    """Find lesion and ink in an RGB photo of any size, uint8, with the network of the quality filters.

    A cell that may be either is what it is more likely to be.
    """
    regions = find_regions(pixels)
    ink = regions.ink_mask & (regions.ink > regions.lesion)
    return View(pixels, at_size_of(regions.lesion_mask & ~ink, pixels), at_size_of(ink, pixels))


# --- ink ----------------------------------------------------------------------------------------------------------------


def ink_ring(view: View, random: np.random.Generator, dose: float = PEN_DOSE) -> Drawn:
    """A pen line around the lesion; around a lesion that fills the frame, along its rim."""
    centre, axes = _place_of(view.lesion)
    most = 0.46 * np.array(view.shape[::-1], np.float64)
    half = np.minimum(axes * random.uniform(*RING_REACH) * random.uniform(0.9, 1.1, 2), most)
    strokes = np.zeros(view.shape, np.uint8)
    # As a curve and not by cv2.ellipse: a hand's ring waves and does not close exactly.
    turn, waves = random.uniform(0, 2 * np.pi), random.uniform(0.02, 0.06)
    angle = turn + np.linspace(0, random.uniform(0.9, 1.05) * 2 * np.pi, 72)
    wavering = 1 + waves * np.sin(3 * angle + turn) + 0.5 * waves * np.sin(5 * angle - turn)
    curve = centre + np.stack([np.cos(angle), np.sin(angle)], axis=1) * half * wavering[:, None]
    marks.draw_polyline(strokes, curve, _pen_width(view.shape, random))
    return _inked(view, strokes, dose, random)


def ink_arrow(view: View, random: np.random.Generator, dose: float = PEN_DOSE) -> Drawn:
    """An arrow that points at the lesion from the side where there is most room."""
    centre, axes = _place_of(view.lesion)
    heading = _towards_room(view.shape, centre, random)
    rim = centre + heading * axes
    room = 0.5 * min(view.shape)
    tip = rim + 0.05 * room * heading
    strokes = np.zeros(view.shape, np.uint8)
    marks.draw_arrow(strokes, tip + random.uniform(0.4, 0.7) * room * heading, tip, _pen_width(view.shape, random))
    return _inked(view, strokes, dose, random)


def ink_letters(view: View, random: np.random.Generator, dose: float = PEN_DOSE) -> Drawn:
    """A letter or number, or three, beside the lesion."""
    centre, axes = _place_of(view.lesion)
    size = np.array(view.shape[::-1], np.float64)
    spot = centre + _towards_room(view.shape, centre, random) * (1.3 * axes + 0.1 * size)
    place = np.clip(spot, [0, 0.15 * size[1]], [0.75 * size[0], 0.98 * size[1]])
    strokes = np.zeros(view.shape, np.uint8)
    marks.draw_letters(strokes, place, _pen_width(view.shape, random), random)
    return _inked(view, strokes, dose, random)


def ink_painted_over(view: View, _: np.random.Generator, margin: float = 0.02) -> Drawn:
    """The skin drawn on under the ink that the filters found (inpainting by Telea 2004); ink on the lesion stays.

    Args:
        margin: of the long side, painted over beyond the ink: its cells are 1/64 of a side, and ink fades out.
    """
    return _painted_over(view, view.ink, margin)


def skin_painted_over(view: View, _: np.random.Generator, margin: float = 0.02) -> Drawn:
    """Skin without ink painted over in the same shape, mirrored: what the painting over does by itself."""
    return _painted_over(view, view.ink[:, ::-1] & ~view.ink, margin)


def _painted_over(view: View, area: np.ndarray, margin: float) -> Drawn:
    mask = around(area, max(1, round(margin * max(view.shape)))) & ~view.lesion if area.any() else area
    if not mask.any() or mask.all():
        return Drawn(view.pixels.copy(), np.zeros_like(mask))
    painted = cv2.inpaint(np.ascontiguousarray(view.pixels), mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return Drawn(np.where(mask[..., None], painted, view.pixels), mask)


def _inked(view: View, strokes: np.ndarray, dose: float, random: np.random.Generator) -> Drawn:
    # No ink on the lesion: its look must not change. Half way at its edge, so that no stroke ends as if it were cut.
    bare = cv2.GaussianBlur((~view.lesion).astype(np.float32), (0, 0), 1.5 * marks.unit(view.shape))
    density = marks.felt_tip(strokes, random) * dose * np.clip(2 * bare - 1, 0, 1)
    absorbed = np.array(marks.PENS[random.integers(len(marks.PENS))]) * random.uniform(0.8, 1.2, 3)
    return _changed(view, view.pixels * marks.transmitted(density, absorbed), density > 0)


def _pen_width(shape: tuple[int, int], random: np.random.Generator) -> int:
    return max(1, round(random.uniform(*PEN_WIDTHS_PX) * marks.unit(shape)))


def _place_of(lesion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (x, y) of the lesion and its half axes along x and y; the frame's middle where there is none."""
    size = np.array(lesion.shape[::-1], np.float64)
    if not lesion.any():
        return size / 2, size / 8
    rows, columns = np.nonzero(lesion)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()])
    return (low + high) / 2, np.maximum((high - low + 1) / 2, 0.04 * size)


def _towards_room(shape: tuple[int, int], centre: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A direction (x, y) of length 1 from the lesion to the middle of the frame, or any from a lesion that lies there."""
    size = np.array(shape[::-1], np.float64)
    heading = (size / 2 - centre) / size + random.normal(0, 0.1, 2)
    return np.asarray(heading / max(float(np.hypot(*heading)), 1e-6))


# --- hair, rulers, frames -----------------------------------------------------------------------------------------------


def hair(view: View, random: np.random.Generator, count: tuple[int, int] = HAIRS) -> Drawn:
    """Curved hairs of one colour, with their shadows."""
    hairs = marks.grow_hairs(view.shape, random, count)
    lit = 255 * hairs.colour
    shaded = view.pixels * (1 - hairs.shadow[..., None])
    mask = (hairs.cover > 0) | (hairs.shadow > 0)
    return _changed(view, shaded + (lit - shaded) * hairs.cover[..., None], mask)


def ruler(view: View, random: np.random.Generator, width: float = RULER_WIDTH) -> Drawn:
    """A strip of paper or clear film with a scale, along the side of the frame where least of the lesion is."""
    sides = [np.rot90(view.lesion, turn) for turn in range(4)]
    covered = [float(side[: max(1, round(width * side.shape[0]))].mean()) for side in sides]
    turn = int(np.argmin(np.array(covered) + random.uniform(0, 1e-3, 4)))
    height, length = sides[turn].shape
    across = max(1, round(width * height))
    step = max(2, round(0.025 * max(view.shape)))  # a millimetre, where 4 cm are seen
    strip = np.full((across, length, 3), 255 * np.array(_PAPERS[random.integers(len(_PAPERS))]), np.float32)
    is_clear = random.random() < 0.4
    is_line = np.zeros((across, length), bool)
    for number, at in enumerate(range(int(random.integers(0, step)), length, step)):
        long = 1.0 if number % 10 == 0 else 0.7 if number % 5 == 0 else 0.4
        is_line[round((1 - long * 0.8) * across) :, at : at + max(1, step // 5)] = True
    strip[is_line] = 20.0
    cover = np.where(is_line, 0.9, 0.0 if is_clear else 0.95)
    full = np.zeros((height, length), np.float32)
    full[:across] = cover
    colours = np.zeros((height, length, 3), np.float32)
    colours[:across] = strip
    full, colours = np.rot90(full, -turn), np.rot90(colours, -turn)
    return _changed(view, view.pixels + (colours - view.pixels) * full[..., None], full > 0)


def dark_corners(view: View, random: np.random.Generator, radius: tuple[float, float] = CORNER_RADIUS) -> Drawn:
    """The round view of a dermoscope, black outside."""
    height, width = view.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
    middle = np.array([width, height]) * random.uniform(0.48, 0.52, 2)
    side = (height + width) / 2
    away = np.hypot(x - middle[0], y - middle[1]) / side
    edge = random.uniform(0.01, 0.04)
    left = np.clip((random.uniform(*radius) - away) / edge + 0.5, 0, 1)
    return _changed(view, view.pixels * left[..., None], left < 1)


def black_border(view: View, random: np.random.Generator, width: tuple[float, float] = BORDER_WIDTH) -> Drawn:
    """Black bars on two sides or all four."""
    return _bordered(view, random, width, 8)


def white_border(view: View, random: np.random.Generator, width: tuple[float, float] = BORDER_WIDTH) -> Drawn:
    """White bars on two sides or all four."""
    return _bordered(view, random, width, 250)


def _bordered(view: View, random: np.random.Generator, width: tuple[float, float], level: int) -> Drawn:
    rows, columns = (max(1, round(random.uniform(*width) * side)) for side in view.shape)
    kind = random.integers(3)
    mask = np.zeros(view.shape, bool)
    if kind != 0:
        mask[:rows] = mask[-rows:] = True
    if kind != 1:
        mask[:, :columns] = mask[:, -columns:] = True
    return Drawn(np.where(mask[..., None], np.uint8(level), view.pixels), mask)


_PAPERS = ((0.95, 0.95, 0.93), (0.93, 0.87, 0.55), (0.6, 0.78, 0.9))
"""White, yellow and light blue: red, green and blue, 0..1."""

# --- the whole picture --------------------------------------------------------------------------------------------------


def jpeg(view: View, _: np.random.Generator, quality: int = JPEG_QUALITY) -> Drawn:
    """Encoded and decoded again."""
    encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(view.pixels), quality=quality, colorsubsampling="420")
    return Drawn(np.asarray(simplejpeg.decode_jpeg(encoded, "RGB")), np.ones(view.shape, bool))


def warm_light(view: View, _: np.random.Generator, gains: tuple[float, float, float] = WARM) -> Drawn:
    """Redder light than the camera was set to."""
    return _lit_by(view, gains)


def cold_light(view: View, _: np.random.Generator, gains: tuple[float, float, float] = COLD) -> Drawn:
    """Bluer light than the camera was set to."""
    return _lit_by(view, gains)


def _lit_by(view: View, gains: tuple[float, float, float]) -> Drawn:
    encoded = np.array(gains, np.float32) ** np.float32(1 / marks.GAMMA)
    return _changed(view, view.pixels * encoded, np.ones(view.shape, bool))


def _changed(view: View, pixels: np.ndarray, mask: np.ndarray) -> Drawn:
    rounded = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Drawn(np.where(mask[..., None], rounded, view.pixels), mask)


INK: Mapping[str, Drawing] = MappingProxyType(
    {"ink ring": ink_ring, "ink arrow": ink_arrow, "ink letters": ink_letters}
)
PAINTED: Mapping[str, Drawing] = MappingProxyType(
    {"ink painted over": ink_painted_over, "skin painted over (control)": skin_painted_over}
)
"""Only photos in which the filters find ink are changed."""
DRAWINGS: Mapping[str, Drawing] = MappingProxyType(
    {
        **INK,
        **PAINTED,
        "hair": hair,
        "ruler": ruler,
        "dark corners": dark_corners,
        "black border": black_border,
        "white border": white_border,
        "JPEG": jpeg,
        "warm light": warm_light,
        "cold light": cold_light,
    }
)
"""Every drawing with its usual strength."""
