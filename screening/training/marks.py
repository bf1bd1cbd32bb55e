"""Pen strokes and hair as maps: what is drawn on photos, in one place for everything that draws.

Lengths named ``_px`` are meant at a long side of 256 and grow with the picture. All randomness comes from the generator
that is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

GAMMA = 2.2
"""Of sRGB, nearly: light is absorbed before the camera encodes it."""
PENS = ((1.9, 1.5, 0.6), (1.3, 1.9, 0.7), (2.0, 2.0, 1.8), (2.0, 1.0, 1.5), (0.2, 1.9, 1.8), (1.8, 1.2, 0.5))
"""Absorption of blue, violet, black, green, red and light blue markers."""
HAIR_COLOURS = ((0.1, 0.08, 0.07), (0.25, 0.16, 0.1), (0.45, 0.35, 0.25), (0.75, 0.65, 0.5), (0.85, 0.85, 0.83))
"""Black, dark brown, light brown, fair and grey hair: red, green and blue, 0..1."""
LETTERS = "ABCDRL123X+"
_SIDE = 256


@dataclass(frozen=True)
class Hairs:
    """``cover`` and ``shadow``: shape (height, width), float32, 0..1; ``colour``: red, green and blue, 0..1."""

    cover: np.ndarray
    shadow: np.ndarray
    colour: np.ndarray


def unit(shape: tuple[int, int]) -> float:
    """One pixel of a picture of 256, in pixels of this one."""
    return max(shape) / _SIDE


def point(xy: np.ndarray) -> tuple[int, int]:
    """The pixel at (x, y)."""
    return round(float(xy[0])), round(float(xy[1]))


def clouds(shape: tuple[int, int], sigma_px: float, random: np.random.Generator) -> np.ndarray:
    """Smooth noise, mean 0, deviation 1."""
    height, width = (max(8, min(side, round(side * 2 / (sigma_px * unit(shape))))) for side in shape)
    noise = cv2.resize(
        random.standard_normal((height, width)).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6))


def draw_curves(
    canvas: np.ndarray,
    centre: np.ndarray,
    number: int,
    reach: float,
    width_px: tuple[int, int],
    random: np.random.Generator,
) -> None:
    """Bent strokes whose ends lie within ``reach`` pixels of the centre (x, y); at the lower to the higher width."""
    for _ in range(number):
        ends = centre + random.uniform(-1, 1, (3, 2)) * reach
        steps = np.linspace(0, 1, 16)[:, None]
        curve = (1 - steps) ** 2 * ends[0] + 2 * steps * (1 - steps) * ends[1] + steps**2 * ends[2]
        thick = int(random.integers(*width_px)) if width_px[1] > width_px[0] else width_px[0]
        draw_polyline(canvas, curve, thick)


def draw_arc(
    canvas: np.ndarray, centre: np.ndarray, axes: np.ndarray, is_ring: bool, width: int, random: np.random.Generator
) -> None:
    """An ellipse with these half axes, or a part of one, turned at random."""
    start = random.uniform(0, 360)
    end = start + (360 if is_ring else random.uniform(40, 300))
    cv2.ellipse(canvas, point(centre), point(axes), random.uniform(0, 180), start, end, 255, width, cv2.LINE_AA)


def draw_arrow(canvas: np.ndarray, tail: np.ndarray, tip: np.ndarray, width: int) -> None:
    """A line with a barb on either side of its tip."""
    cv2.arrowedLine(canvas, point(tail), point(tip), 255, width, cv2.LINE_AA, tipLength=0.25)


def draw_letters(canvas: np.ndarray, place: np.ndarray, width: int, random: np.random.Generator) -> None:
    """One to three letters or digits; ``place``: their lower left corner."""
    letters = "".join(random.choice(list(LETTERS), random.integers(1, 4)))
    size = random.uniform(0.5, 2.0) * unit((canvas.shape[0], canvas.shape[1]))
    cv2.putText(canvas, letters, point(place), cv2.FONT_HERSHEY_SIMPLEX, size, 255, width, cv2.LINE_AA)


def felt_tip(strokes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Density of ink along strokes drawn by a hand with a felt tip: wavering, soft and worn; about 1 where it is even.

    Args:
        strokes: shape (height, width), uint8, 255 where the line was drawn.
    """
    height, width = strokes.shape
    shape = (height, width)
    wobble = 2.0 * unit(shape) * np.stack([clouds(shape, 40.0, random), clouds(shape, 40.0, random)])
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = cv2.remap(strokes, (x + wobble[0]).astype(np.float32), (y + wobble[1]).astype(np.float32), cv2.INTER_LINEAR)
    worn = np.clip(0.75 + random.uniform(0, 0.6) * clouds(shape, 1.5, random), 0, 1.3)
    soft = cv2.GaussianBlur(moved.astype(np.float32) / 255, (0, 0), 0.6 * unit(shape))
    return np.asarray(soft * worn, np.float32)


def transmitted(dose: np.ndarray, absorbed: np.ndarray) -> np.ndarray:
    """What is left of encoded red, green and blue under a dye, 0..1 (Beer and Lambert's law).

    Light falls to exp(-dose * absorbed), and its code to the 1 / GAMMA-th power of that: no pixel need be decoded.

    Returns:
        Shape (height, width, 3), float32.
    """
    return np.asarray(np.exp(-dose[..., None] * (absorbed / GAMMA).astype(np.float32)))


def grow_hairs(shape: tuple[int, int], random: np.random.Generator, count: tuple[int, int] = (2, 90)) -> Hairs:
    """Curved hairs of one colour, fewest to most of ``count``, growing in about the same direction."""
    size = np.array(shape[::-1], np.float64)
    scale = unit(shape)
    colour = (np.array(HAIR_COLOURS[random.integers(len(HAIR_COLOURS))]) * random.uniform(0.7, 1.15)).astype(np.float32)
    direction, spread = random.uniform(0, 2 * np.pi), random.uniform(0.1, 0.8)
    length = random.uniform(0.15, 0.7) * max(shape)
    middle = random.uniform(0.2, 0.8, 2) * size
    reach = random.uniform(0.15, 0.5) * size
    cover = np.zeros(shape, np.float32)
    steps = np.linspace(0, 1, 12)[:, None]
    for _ in range(int(np.exp(random.uniform(*np.log(count))))):
        angle = direction + random.normal(0, spread)
        start = middle + random.uniform(-1, 1, 2) * reach
        heading = np.array([np.cos(angle), np.sin(angle)]) * length * random.uniform(0.4, 1.2)
        bend = np.array([-heading[1], heading[0]]) * random.normal(0, 0.15)
        curve = start + steps * heading + 4 * steps * (1 - steps) * bend
        draw_polyline(cover, curve, max(1, round(scale)), random.uniform(0.5, 1.0))
    thick = random.uniform(0.35, 1.1)
    cover = np.clip(cv2.GaussianBlur(cover, (0, 0), thick * scale) * (1.2 + thick), 0, 1)
    shadow = np.roll(cv2.GaussianBlur(cover, (0, 0), 1.5 * scale), random.integers(-2, 3, 2), (0, 1))
    return Hairs(cover, np.asarray(shadow * random.uniform(0, 0.3), np.float32), colour)


def draw_polyline(canvas: np.ndarray, points: np.ndarray, width: int, value: float = 255) -> None:
    """An antialiased line through the points (x, y), a sixteenth of a pixel exact."""
    cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], False, value, width, cv2.LINE_AA, 4)
