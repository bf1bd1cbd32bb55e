"""Photos of skin with one lesion, drawn so that the right answer is known, and what can go wrong with them."""

from functools import lru_cache

import cv2
import numpy as np

from screening.stages.pixels import DecodedPhoto, PhotoHeader

LIGHT_SKIN = (205, 160, 135)
DARK_SKIN = (84, 56, 42)
"""About ITA -50 degrees, Fitzpatrick VI."""
WIDTH, HEIGHT = 1000, 750


def decoded(pixels: np.ndarray, *, short_side_px: int | None = None, is_greyscale: bool = False) -> DecodedPhoto:
    """What ``decode_photo`` makes of a JPEG with these pixels; ``short_side_px``: as uploaded, before shrinking."""
    height, width = pixels.shape[:2]
    scale = (short_side_px or min(height, width)) / min(height, width)
    header = PhotoHeader("jpeg", round(width * scale), round(height * scale), "RGB")
    rounded = np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return DecodedPhoto(rounded, header, None, None, is_greyscale)


@lru_cache
def _texture(height: int, width: int, seed: int) -> np.ndarray:
    """Skin's relief: as much detail in every octave, mean 0, deviation 1."""
    noise = np.random.default_rng(seed)
    octaves = [
        cv2.GaussianBlur(noise.standard_normal((height, width)).astype(np.float32), (0, 0), sigma) * sigma
        for sigma in (0.7, 1.5, 3.0, 6.0)
    ]
    relief = np.sum(octaves, axis=0)
    return np.asarray(relief / relief.std())


def lesion_mask(
    radius: float, centre: tuple[float, float] = (0.5, 0.5), size: tuple[int, int] = (HEIGHT, WIDTH)
) -> np.ndarray:
    """A round lesion with a notched edge; ``radius`` and ``centre`` (x, y) in parts of the width and height."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dy, dx = y - centre[1] * height, x - centre[0] * width
    notched = radius * width * (1 + 0.08 * np.sin(7 * np.arctan2(dy, dx)))
    return np.asarray(np.hypot(dx, dy) < notched)


def skin_photo(
    *,
    skin: tuple[int, int, int] = LIGHT_SKIN,
    radius: float = 0.15,
    centre: tuple[float, float] = (0.5, 0.5),
    size: tuple[int, int] = (HEIGHT, WIDTH),
    pigment: tuple[float, float, float] = (0.82, 0.74, 0.6),
    seed: int = 1,
) -> np.ndarray:
    """A sharp photo, shape (height, width, 3), float32 0..255. ``radius`` 0: no lesion."""
    relief = 1 + 0.05 * _texture(*size, seed)[..., None]
    photo = np.array(skin, np.float32) * relief
    if radius:
        # Pigment is mottled and fades out; what is even and ends sharply is paint.
        is_lesion = cv2.GaussianBlur(lesion_mask(radius, centre, size).astype(np.float32), (0, 0), 0.0015 * size[1])
        mottled = 1 + 0.25 * np.clip(cv2.GaussianBlur(_texture(*size, seed + 50), (0, 0), 0.003 * size[1]) * 2, -2, 2)
        photo = photo * np.array(pigment, np.float32) ** (is_lesion * mottled)[..., None]
    return noisy(photo)


def noisy(photo: np.ndarray, grey_levels: float = 1.5) -> np.ndarray:
    """With the noise of a camera's sensor."""
    return np.asarray(photo + np.random.default_rng(2).normal(0, grey_levels, photo.shape), np.float32)


def defocused(photo: np.ndarray, radius_px: float) -> np.ndarray:
    """Every point becomes a disc; the noise comes after the lens. ``radius_px`` at a long side of 512."""
    radius = radius_px * max(photo.shape) / 512
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return noisy(cv2.filter2D(photo.astype(np.float32), -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT), 2.0)


def shaken(photo: np.ndarray, length_px: float, angle_degrees: float) -> np.ndarray:
    """Every point becomes a line. ``length_px`` at a long side of 512."""
    length = length_px * max(photo.shape) / 512
    reach = int(np.ceil(length / 2)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle = np.deg2rad(angle_degrees)
    along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    line = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return noisy(cv2.filter2D(photo.astype(np.float32), -1, line / line.sum(), borderType=cv2.BORDER_REFLECT), 2.0)


def dyed(photo: np.ndarray, mask: np.ndarray, absorbed: tuple[float, float, float]) -> np.ndarray:
    """With a dye that absorbs so much of red, green and blue (Beer-Lambert)."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0)[..., None]
    return np.asarray(photo * np.exp(-soft * np.array(absorbed, np.float32)))


VIOLET, GREEN, BLUE_PEN = (0.85, 1.3, 0.3), (1.4, 0.5, 0.7), (1.3, 1.1, 0.45)


def ring(radius: float, width_px: int = 8, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """The mask of a pen line around the centre; ``radius`` in parts of the width."""
    canvas = np.zeros(size, np.uint8)
    centre = (size[1] // 2, size[0] // 2)
    return np.asarray(cv2.circle(canvas, centre, round(radius * size[1]), 255, width_px) > 0)


def hairy(
    photo: np.ndarray, hairs: int, colour: tuple[int, int, int] = (60, 45, 40), length: float = 0.5
) -> np.ndarray:
    """With straight hairs across the middle; ``length`` in parts of the width."""
    canvas = np.ascontiguousarray(photo, np.float32)
    height, width = canvas.shape[:2]
    places = np.random.default_rng(3)
    for _ in range(hairs):
        x, y = places.uniform(0.3, 0.7) * width, places.uniform(0.3, 0.7) * height
        angle = places.uniform(0, np.pi)
        dx, dy = np.cos(angle) * length * width / 2, np.sin(angle) * length * width / 2
        cv2.line(canvas, (round(x - dx), round(y - dy)), (round(x + dx), round(y + dy)), colour, 4, cv2.LINE_AA)
    return canvas


def combed(photo: np.ndarray, every_px: int) -> np.ndarray:
    """With hairs side by side over all of it."""
    canvas = np.ascontiguousarray(photo, np.float32)
    height, width = canvas.shape[:2]
    for x in range(-height // 4, width, every_px):
        cv2.line(canvas, (x, 0), (x + height // 4, height), (60, 45, 40), 4, cv2.LINE_AA)
    return canvas
