"""What looks like damage and is none: cloth, jewellery, a ruler, blood, blue naevi, freckles, wrinkles, and skin of every tone.

Pictures as in ``damage``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

from tests.benchmarks.quality.damage import (
    blend,
    blob,
    centre_and_radius,
    clouds,
    dyed,
    feathered,
    from_linear,
    to_linear,
    unit,
)

CLOTHS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"blue drape": (62, 112, 168), "green drape": (58, 132, 108), "denim": (66, 84, 118)}
)
MELANIN = (1.0, 1.35, 1.45)
"""Relative absorption of red, green and blue light by more melanin: from tone 5 to tones 7 and 8 of the Monk scale (2022).

Melanin's own spectrum (Jacques 2013) would give (0.6, 0.8, 1.6); a camera sees an olive tint then that no dark skin has.
"""
BLOOD = (0.12, 2.4, 2.0)
"""Natural absorbance of a thin film of oxygenated blood."""
TONES_ITA: Mapping[str, float] = MappingProxyType(
    {"very light": 60, "light": 48, "intermediate": 35, "tan": 19, "brown": -10, "dark": -55}
)
"""Degrees within each group of Chardon et al. (1991); about Fitzpatrick I to VI."""
_SKIN_YELLOWNESS = 15.0  # CIELAB b* of skin under white light (Chardon et al. 1991)


# --- beside the lesion --------------------------------------------------------------------------------------------------


def cloth(size: tuple[int, int], colour: tuple[float, float, float], noise: np.random.Generator) -> np.ndarray:
    """Woven cloth with uneven threads and soft folds."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    thread = max(size) / noise.uniform(110, 190)  # pixels from one thread to the next
    slant = noise.uniform(-0.3, 0.3)
    u, v = (columns + slant * rows) / thread, (rows - slant * columns) / thread
    warp, weft = np.floor(u).astype(int), np.floor(v).astype(int)
    # Each thread is brighter in its middle; warp and weft take turns at lying on top (a twill's diagonal).
    over = (warp + weft) % 3 == 0
    roundness = np.where(over, np.sin(np.pi * (u % 1)), np.sin(np.pi * (v % 1)))
    uneven = noise.normal(0, 0.06, 997)
    weave = 0.82 + 0.2 * roundness + np.where(over, uneven[warp % 997] + 0.08, uneven[(weft + 500) % 997])
    folds = 1 + 0.16 * clouds(size, max(size) / 9, noise)
    return np.asarray(np.clip(np.array(colour, np.float32) * (weave * folds)[..., None], 0, 255), np.float32)


def on_cloth(
    photo: np.ndarray, lesion: np.ndarray, colour: tuple[float, float, float], noise: np.random.Generator
) -> np.ndarray:
    """The skin ends beside the lesion, as a limb or the window of a drape does, and cloth lies behind or around it."""
    height, width = lesion.shape
    x, y, radius = centre_and_radius(lesion)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    if noise.random() < 0.5:
        angle = noise.uniform(0, np.pi)
        aside = np.abs((columns - x) * np.sin(angle) - (rows - y) * np.cos(angle))
        skin = aside < max(1.8 * radius, 0.27 * min(height, width)) * (
            1 + 0.05 * clouds((height, width), 60 * unit(photo), noise)
        )
    else:
        skin = blob((height, width), x, y, max(2.0 * radius, 0.33 * min(height, width)), noise)
    skin |= lesion
    behind = cloth((height, width), colour, noise)
    shadow = cv2.GaussianBlur(skin.astype(np.float32), (0, 0), 8 * unit(photo))[..., None]
    # What the camera's white balance and exposure did to the skin, it did to the cloth: half of its median light.
    behind = behind * (1 - 0.5 * shadow) * (0.5 + 0.5 * float(np.median(photo)) / 150)
    inwards = cv2.distanceTransform(skin.astype(np.uint8), cv2.DIST_L2, 5) / (30 * unit(photo))
    rounded = photo * (1 - 0.3 * np.exp(-inwards))[..., None]  # skin turns away from the camera towards its edge
    return blend(behind, rounded, feathered(skin, 2.5))


def with_ruler(photo: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A white paper scale with millimetre ticks along one side."""
    paper = ruler_strip(photo.shape[1], unit(photo))
    depth = len(paper)
    lit = paper * min(1.0, float(np.percentile(photo, 90)) / 210)
    if noise.random() < 0.5:
        return np.vstack([np.rot90(lit, 2), photo[depth:]]).astype(np.float32)
    return np.vstack([photo[:-depth], lit]).astype(np.float32)


def ruler_strip(width: int, scale: float) -> np.ndarray:
    """A paper scale of so many pixels, uint8, its ticks along the first row; ``scale`` as ``unit``."""
    depth = round(62 * scale)
    paper = np.full((depth, width, 3), (232, 230, 224), np.uint8)
    tick = 9 * scale
    for number in range(int(width / tick)):
        at = round((number + 0.5) * tick)
        length = round((26 if number % 10 == 0 else 18 if number % 5 == 0 else 11) * scale)
        cv2.line(paper, (at, 0), (at, length), (25, 25, 28), max(1, round(1.5 * scale)), cv2.LINE_AA)
        if number % 10 == 0:
            place = (at + 4, depth - round(14 * scale))
            cv2.putText(
                paper, str(number // 10), place, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, (25, 25, 28), 2, cv2.LINE_AA
            )
    return paper


def with_chain(photo: np.ndarray, lesion: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """A necklace of gold or silver links across the skin beside the lesion."""
    height, width = lesion.shape
    scale = unit(photo)
    _, y, _ = centre_and_radius(lesion)
    metal = np.array((205, 165, 85) if noise.random() < 0.5 else (190, 192, 198), np.float32)
    across = np.arange(-10, width + 10, 7 * scale)
    level = 0.12 * height if y > height / 2 else 0.88 * height
    down = level + 18 * scale * np.sin(across / width * np.pi + noise.uniform(0, 1))
    cover, light = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    for number, centre in enumerate(np.stack([across, down], axis=1)):
        axes = (round(6 * scale), round((4.5 if number % 2 else 2) * scale))
        at = (round(centre[0]), round(centre[1]))
        cv2.ellipse(cover, at, axes, 0, 0, 360, 255, max(2, round(2 * scale)), cv2.LINE_AA)
        cv2.ellipse(light, at, axes, 0, 200, 300, 255, max(1, round(1.6 * scale)), cv2.LINE_AA)
    shadow = np.roll(cv2.GaussianBlur(cover.astype(np.float32) / 255, (0, 0), 2.5 * scale), round(4 * scale), axis=0)
    shine = light[..., None] / np.float32(255)
    link = metal * (0.75 + 0.2 * clouds((height, width), 4 * scale, noise)[..., None]) * (1 - shine) + 250 * shine
    return blend(photo * (1 - 0.4 * shadow[..., None]), np.clip(link, 0, 255), cover / np.float32(255))


# --- of the skin itself -------------------------------------------------------------------------------------------------


def _recoloured(photo: np.ndarray, lesion: np.ndarray, towards_ab: tuple[float, float], lightness: float) -> np.ndarray:
    """The lesion in another colour: its detail stays, its mean becomes CIELAB ``towards_ab`` and ``lightness``."""
    lab = cv2.cvtColor(np.clip(photo, 0, 255).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    mean = lab[lesion].mean(axis=0)
    target = np.array([lightness, *towards_ab], np.float32)
    painted = cv2.cvtColor(target + (lab - mean) * np.array([1.0, 0.5, 0.5], np.float32), cv2.COLOR_LAB2RGB)
    inwards = cv2.distanceTransform(lesion.astype(np.uint8), cv2.DIST_L2, 5)
    # Drawn masks are wider than the lesion: the colour grows from their edge to a third of the way in.
    cover = np.clip(inwards / (0.35 * inwards.max()), 0, 1) ** 1.5
    return blend(photo, 255 * np.clip(painted, 0, 1), cover)


def red_lesion(photo: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """A haemangioma's red."""
    return _recoloured(photo, lesion, (42.0, 20.0), 42.0)


def blue_naevus(photo: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """The steel blue of pigment deep in the skin; CIELAB after photos of blue naevi: dark, hardly bluer than grey."""
    return _recoloured(photo, lesion, (1.0, -7.0), 34.0)


def bleeding(photo: np.ndarray, lesion: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Fresh blood on the lesion, two drops beside it."""
    x, y, radius = centre_and_radius(lesion)
    covered = blob(lesion.shape, x + noise.normal(0, 0.3) * radius, y, 0.7 * radius, noise)
    for _ in range(2):
        turn = noise.uniform(0, 2 * np.pi)
        away = noise.uniform(1.2, 1.8) * radius
        covered |= blob(lesion.shape, x + away * np.cos(turn), y + away * np.sin(turn), 0.15 * radius + 4, noise)
    film = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), 1.5 * unit(photo))
    return dyed(photo, film * np.clip(1 + 0.35 * clouds(lesion.shape, 14 * unit(photo), noise), 0.2, None), BLOOD)


def freckled(photo: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """With some eighty freckles of 2 to 6 px radius: more melanin, soft edges."""
    height, width = photo.shape[:2]
    dose = np.zeros((height, width), np.float32)
    for _ in range(80):
        spot = np.zeros_like(dose)
        at = (int(noise.integers(width)), int(noise.integers(height)))
        axes = (round(noise.uniform(2, 6) * unit(photo)), round(noise.uniform(2, 5) * unit(photo)))
        cv2.ellipse(spot, at, axes, noise.uniform(0, 180), 0, 360, noise.uniform(0.3, 0.9), -1)
        dose = np.maximum(dose, spot)
    soft = cv2.GaussianBlur(dose, (0, 0), 1.5 * unit(photo))
    return from_linear(to_linear(photo) * np.exp(-soft[..., None] * np.array(MELANIN, np.float32)))


def wrinkled(photo: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """With seven furrows side by side, shaded on one flank and lit on the other."""
    height, width = photo.shape[:2]
    scale = unit(photo)
    relief = np.zeros((height, width), np.float32)
    way = noise.uniform(0, np.pi)
    along, across = np.array([np.cos(way), np.sin(way)]), np.array([-np.sin(way), np.cos(way)])
    t = np.linspace(-0.8, 0.8, 60)
    for number in range(7):
        aside = (number - 3) / 7 + noise.normal(0, 0.02)
        wave = aside + 0.02 * np.sin(t * noise.uniform(4, 9) + noise.uniform(0, 6))
        points = np.array([width / 2, height / 2]) + max(height, width) * (t[:, None] * along + wave[:, None] * across)
        line = np.zeros((height, width), np.uint8)
        cv2.polylines(line, [points.round().astype(np.int32)], False, 255, max(1, round(3 * scale)), cv2.LINE_AA)
        relief += noise.uniform(0.5, 1) * line.astype(np.float32) / 255
    # A furrow is deep here and shallow there.
    furrow = cv2.GaussianBlur(relief, (0, 0), 2.5 * scale) * np.clip(
        0.8 + 0.5 * clouds(relief.shape, 25 * scale, noise), 0, 1.5
    )
    lit_flank = np.roll(furrow, (round(6 * scale * across[1]), round(6 * scale * across[0])), axis=(0, 1))
    return np.asarray(np.clip(photo * (1 - 0.4 * furrow + 0.15 * lit_flank)[..., None], 0, 255), np.float32)


# --- skin tones ---------------------------------------------------------------------------------------------------------


def lightness_of(ita: float) -> float:
    """CIELAB L* of skin with this individual typology angle, degrees.

    The angle itself cannot be read from photos: their b* is that of the lamp and the white balance, too.
    """
    return 50 + _SKIN_YELLOWNESS * float(np.tan(np.radians(ita)))


def retoned(photo: np.ndarray, lesion: np.ndarray, ita: float) -> np.ndarray:
    """With more or less melanin everywhere, so that the skin around the lesion is as light as skin of this ITA, degrees."""
    light = to_linear(photo)
    skin = np.median(light[~lesion] if not lesion.all() else light.reshape(-1, 3), axis=0)
    doses = np.linspace(-1.5, 4, 221, dtype=np.float32)[:, None]
    tones = from_linear(skin * np.exp(-doses * np.array(MELANIN, np.float32))) / 255
    lightness = cv2.cvtColor(tones[None], cv2.COLOR_RGB2LAB)[0, :, 0]
    dose = doses[np.abs(lightness - lightness_of(ita)).argmin()]
    return from_linear(light * np.exp(-dose * np.array(MELANIN, np.float32)))
