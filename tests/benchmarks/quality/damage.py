"""What can spoil a photo: blur, dye, ink, hair, wrong light. Every function returns a new picture.

Pictures are RGB, float32, 0..255, shape (height, width, 3); masks are bool, densities float32, of shape (height, width).
Lengths named ``_px`` are meant at a long side of 512 and grow with the photo. Light is added and absorbed in linear light.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import cv2
import numpy as np

_GAMMA = 2.2

DYES: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "gentian violet": (1.9, 2.9, 0.6),  # peak at 590 nm
        "methylene blue": (3.4, 1.5, 0.35),  # 664 nm
        "brilliant green": (3.2, 0.6, 1.3),  # 625 nm and 428 nm
        "iodine": (0.35, 1.2, 3.0),  # below 480 nm
        "eosin": (0.1, 2.4, 1.1),  # 517 nm
    }
)
"""Natural absorbance of red, green and blue light by a well-covering coat, judged from the dyes' spectra by their peaks."""
PEN_INKS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"violet": (2.4, 2.8, 0.8), "blue": (3.2, 2.2, 0.7), "black": (2.6, 2.6, 2.5)}
)
DARK_HAIR, LIGHT_HAIR = (52.0, 38.0, 32.0), (226.0, 214.0, 196.0)


def to_linear(photo: np.ndarray) -> np.ndarray:
    """Light, 0..1."""
    return np.asarray(cv2.pow(np.clip(photo, 0, 255).astype(np.float32) / 255, _GAMMA))


def from_linear(light: np.ndarray) -> np.ndarray:
    """Back to 0..255; more light than the camera can take is white."""
    return np.asarray(255 * cv2.pow(np.clip(light, 0, 1).astype(np.float32), 1 / _GAMMA))


def unit(photo: np.ndarray) -> float:
    """One pixel of a photo of 512, in pixels of this one."""
    return float(max(photo.shape[:2])) / 512


def with_sensor_noise(photo: np.ndarray, noise: np.random.Generator, grey_levels: float = 1.5) -> np.ndarray:
    """Noise that comes after the lens, as strong as in a phone's photo after it was shrunk."""
    return np.asarray(photo + grey_levels * noise.standard_normal(photo.shape, np.float32), np.float32)


def feathered(mask: np.ndarray, width_px: float) -> np.ndarray:
    """1 on the mask, falling to exactly 0 at ``width_px`` beyond it."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.clip(1 - distance / max(width_px * unit(mask), 1e-6), 0, 1), np.float32)


def blend(below: np.ndarray, above: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """``above`` laid over ``below`` where ``cover`` is 1."""
    return np.asarray(np.where(cover[..., None] > 0, below + (above - below) * cover[..., None], below), np.float32)


# --- blur ---------------------------------------------------------------------------------------------------------------


def defocused(photo: np.ndarray, radius_px: float) -> np.ndarray:
    """Every point becomes a disc."""
    radius = radius_px * unit(photo)
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _filtered(photo, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def shaken(photo: np.ndarray, length_px: float, angle_degrees: float) -> np.ndarray:
    """Every point becomes a line."""
    length = length_px * unit(photo)
    reach = int(np.ceil(length / 2)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle = np.deg2rad(angle_degrees)
    along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    return _filtered(photo, np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1))


def _filtered(photo: np.ndarray, spread: np.ndarray) -> np.ndarray:
    weights = (spread / spread.sum()).astype(np.float32)
    return from_linear(cv2.filter2D(to_linear(photo), -1, weights, borderType=cv2.BORDER_REFLECT))


def on_lesion_only(photo: np.ndarray, changed: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """The change within the lesion, fading out over 12 px; beyond that no pixel differs."""
    return blend(photo, changed, feathered(lesion, 12))


# --- dye and ink --------------------------------------------------------------------------------------------------------


def dyed(photo: np.ndarray, density: np.ndarray, absorbance: tuple[float, float, float]) -> np.ndarray:
    """With a dye of so much density laid on: light falls exponentially (Beer and Lambert), so a dye only darkens."""
    light = to_linear(photo) * np.exp(-density[..., None] * np.array(absorbance, np.float32))
    return np.asarray(np.where(density[..., None] > 0, from_linear(light), photo), np.float32)


def stain(photo: np.ndarray, shape: str, lesion: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Density of a dye that was dabbed on: about 1 where it covers well, more in furrows and along its drying edge.

    Args:
        photo: whose relief takes up the dye.
        shape: one of ``STAIN_SHAPES``.
        lesion: its mask.
        noise: for everything that a hand does not do twice alike.
    """
    covered = STAIN_SHAPES[shape](lesion, noise)
    scale = unit(photo)
    # A liquid runs along the relief: its edge frays, and is sharper in one photo than in another.
    frayed = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), 4 * scale)
    frayed += 0.1 * clouds(covered.shape, 3 * scale, noise) * (frayed > 0.02)
    soft = np.clip(0.5 + (frayed - 0.5) * noise.uniform(1.5, 4), 0, 1)
    drying_edge = soft - cv2.GaussianBlur(soft, (0, 0), 7 * scale)
    uneven = clouds(covered.shape, 30 * scale, noise)
    grey = cv2.cvtColor(np.clip(photo, 0, 255).astype(np.float32), cv2.COLOR_RGB2GRAY)
    furrows = np.clip((cv2.GaussianBlur(grey, (0, 0), 4 * scale) - grey) / 25, -0.6, 1.0)
    density = soft * np.clip(0.85 + 0.2 * uneven + 0.4 * furrows, 0.15, None) + 0.4 * np.maximum(drying_edge, 0) * soft
    return np.asarray(np.where(soft > 0.02, density, 0), np.float32)


def clouds(size: tuple[int, ...], sigma: float, noise: np.random.Generator) -> np.ndarray:
    """Slow random waves, mean 0, deviation 1, made small and enlarged, because they have no detail."""
    step = max(1, int(sigma / 3))
    height, width = size[0] // step + 2, size[1] // step + 2
    small = cv2.GaussianBlur(noise.standard_normal((height, width)).astype(np.float32), (0, 0), sigma / step)
    waves = cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray((waves - waves.mean()) / max(float(waves.std()), 1e-6))


def centre_and_radius(lesion: np.ndarray) -> tuple[float, float, float]:
    """Centre (x, y) of a lesion and the radius of the disc of its area, pixels."""
    rows, columns = np.nonzero(lesion)
    return float(columns.mean()), float(rows.mean()), float(np.sqrt(rows.size / np.pi))


def blob(size: tuple[int, ...], x: float, y: float, radius: float, noise: np.random.Generator) -> np.ndarray:
    """A disc with a wavering edge."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    angle = np.arctan2(rows - y, columns - x)
    edge = np.full(angle.shape, radius, np.float32)
    for waves in (2, 3, 5, 8):
        edge += radius * noise.uniform(0.02, 0.2 / waves) * np.sin(waves * angle + noise.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(columns - x, rows - y) < edge)


def _over(lesion: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    x, y, radius = centre_and_radius(lesion)
    return blob(lesion.shape, x, y, 1.4 * radius, noise)


def _around(lesion: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    x, y, radius = centre_and_radius(lesion)
    outer = blob(lesion.shape, x, y, 1.9 * radius, noise)
    return np.asarray(outer & ~blob(lesion.shape, x, y, 1.25 * radius, noise))


def _beside(lesion: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A patch as large as half the lesion's width, on the side where there is most room."""
    x, y, radius = centre_and_radius(lesion)
    height, width = lesion.shape
    across = (width - x if x < width / 2 else -x) / 2
    down = (height - y if y < height / 2 else -y) / 2
    reach = noise.uniform(0.8, 1.2)
    return blob(lesion.shape, x + across * reach, y + down * reach, max(0.6 * radius, 0.08 * width), noise)


def _strokes(lesion: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A brush drawn to and fro."""
    x, y, radius = centre_and_radius(lesion)
    canvas = np.zeros(lesion.shape, np.uint8)
    angle = noise.uniform(0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    turns = int(noise.integers(3, 6))
    t = np.linspace(0, turns * np.pi, 80)
    to_and_fro = np.sin(t) * (1.3 + 0.2 * np.sin(0.7 * t + noise.uniform(0, 6)))
    aside = np.linspace(-1.1, 1.1, t.size) + 0.1 * np.sin(1.7 * t + noise.uniform(0, 6))
    points = np.array([x, y]) + radius * (to_and_fro[:, None] * along + aside[:, None] * across)
    _draw(canvas, points, max(2, round(0.3 * radius)))
    return np.asarray(canvas > 127)


STAIN_SHAPES = MappingProxyType({"over": _over, "ring": _around, "beside": _beside, "strokes": _strokes})


def pen_marks(lesion: np.ndarray, mark: str, noise: np.random.Generator) -> np.ndarray:
    """Density of a skin marker's line: a ``line`` around most of the lesion, an ``arrow`` to it or ``letters`` beside it."""
    x, y, radius = centre_and_radius(lesion)
    scale = unit(lesion)
    width = round(noise.uniform(4, 8) * scale)
    canvas = np.zeros(lesion.shape, np.uint8)
    turn = noise.uniform(0, 2 * np.pi)
    # Towards the corner with most room, or the mark would lie outside the frame.
    away = np.arctan2(lesion.shape[0] / 2 - y + 0.1 * np.sin(turn), lesion.shape[1] / 2 - x + 0.1 * np.cos(turn))
    pointing = np.array([np.cos(away), np.sin(away)])
    if mark == "line":
        angles = turn + np.linspace(0, noise.uniform(4.5, 6.6), 60)
        wavering = 1.5 + 0.1 * np.sin(3 * angles + turn) + 0.05 * np.sin(5 * angles)
        points = np.array([x, y]) + (radius * wavering)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        _draw(canvas, points, width)
    elif mark == "arrow":
        tip = np.array([x, y]) + 1.2 * radius * pointing
        tail = tip + noise.uniform(50, 90) * scale * pointing
        _draw(canvas, np.stack([tail, tip]), width)
        for side in (-0.6, 0.6):
            barb = np.array([np.cos(away + side), np.sin(away + side)]) * 26 * scale
            _draw(canvas, np.stack([tip, tip + barb]), width)
    else:
        place = np.array([x, y]) + (1.3 * radius + 35 * scale) * pointing
        text = "".join(noise.choice(list("ABCDEX1234"), 2))
        at = np.clip(place + np.array([-30, 15]) * scale, 5, [lesion.shape[1] - 70 * scale, lesion.shape[0] - 8])
        corner = (int(at[0]), int(at[1]))
        cv2.putText(canvas, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 1.5 * scale, 255, width, cv2.LINE_AA)
    soft = cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), 0.9 * scale)
    # A felt tip skips the furrows: its line is broken up in a grain of a few pixels.
    return np.asarray(soft * np.clip(0.75 + 0.3 * clouds(lesion.shape, 2.5 * scale, noise), 0.1, 1.3), np.float32)


def _draw(canvas: np.ndarray, points: np.ndarray, width: int) -> None:
    """An antialiased line through the points (x, y), a sixteenth of a pixel exact."""
    cv2.polylines(canvas, [(points * 16).round().astype(np.int32)], False, 255, width, cv2.LINE_AA, shift=4)


# --- hair ---------------------------------------------------------------------------------------------------------------

_FINER = 3  # hair is drawn three times as large, so that its width may taper by less than a pixel


def hairy(
    photo: np.ndarray,
    region: np.ndarray,
    count: int,
    colour: tuple[float, float, float],
    noise: np.random.Generator,
) -> np.ndarray:
    """With curved, tapering hairs that grow from the region, mostly one way, and end where they would leave it."""
    height, width = region.shape
    canvas = np.zeros((height * _FINER, width * _FINER), np.uint8)
    rows, columns = np.nonzero(region)
    combed = noise.uniform(0, 2 * np.pi)
    for root in noise.integers(rows.size, size=count):
        angle = combed + noise.normal(0, 0.5)
        length = noise.uniform(0.2, 0.55) * max(height, width)
        start = np.array([columns[root], rows[root]], np.float64)
        step = np.array([np.cos(angle), np.sin(angle)]) * length
        bend = np.array([-step[1], step[0]]) * noise.normal(0, 0.25)
        t = np.linspace(0, 1, 24)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * (start + step / 2 + bend) + t**2 * (start + step)
        x, y = curve.round().astype(int).T
        is_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        is_inside[is_inside] = region[y[is_inside], x[is_inside]]
        inside = curve[: int(np.argmin(is_inside))] if not is_inside.all() else curve
        widest = noise.uniform(1.1, 2.2) * unit(photo) * _FINER
        strength = int(noise.uniform(170, 255))
        for place, (a, b) in enumerate(pairwise(inside)):
            ends = [tuple(int(v) for v in (end + 0.5) * _FINER * 16) for end in (a, b)]
            thickness = max(1, round(widest * (1 - 0.7 * place / len(t))))
            cv2.line(canvas, ends[0], ends[1], strength, thickness, cv2.LINE_AA, shift=4)
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    cover = np.where(region, cover, 0)
    shadow = np.where(region, np.roll(cv2.GaussianBlur(cover, (0, 0), 1.5 * unit(photo)), 2, axis=(0, 1)), 0)
    shaded = photo * (1 - 0.25 * shadow[..., None])
    # Hair is lit like the skin that it lies on.
    lit = np.array(colour, np.float32) * min(1.0, float(np.percentile(photo, 90)) / 200)
    return blend(shaded, np.broadcast_to(lit, photo.shape), cover)


# --- light --------------------------------------------------------------------------------------------------------------


def exposed(photo: np.ndarray, stops: float) -> np.ndarray:
    """With so many stops more light."""
    return from_linear(to_linear(photo) * 2**stops)


def lit_by(photo: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    """Under light with so much red, green and blue, which the camera did not balance."""
    return from_linear(to_linear(photo) * np.array(gains, np.float32))
