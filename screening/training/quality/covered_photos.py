"""Photos with a ruler, a sticker or a gauze laid over a part of the lesion, or close beside it."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from screening.training.quality.framed_photos import DrawnLesion

_THINGS = ("sticker", "sticker", "ruler", "gauze")
"""What is laid on each photo once over the lesion and once beside it."""
_LEAST_HIDDEN = 0.2
"""Share of the lesion from which it counts as covered; what hides less is not learnt."""
_LESION_SHARES = (0.01, 0.45)
"""Of the frame: of a smaller lesion little is seen, and beside a larger one nothing has room."""
_STICKERS = (
    (235, 235, 230), (245, 225, 60), (70, 180, 80), (215, 50, 50), (50, 90, 190), (250, 140, 30), (205, 180, 150),
)  # fmt: skip
_PAPER, _STEEL, _GAUZE, _TICKS = (228, 226, 220), (150, 152, 156), (225, 222, 214), (30, 30, 32)


def covered_views(photo: DrawnLesion, random: np.random.Generator) -> Iterator[tuple[bool, np.ndarray]]:
    """Views of one photo, RGB, uint8, each with whether something lies on the lesion; the first is the photo as it is."""
    if not _LESION_SHARES[0] <= photo.lesion.mean() <= _LESION_SHARES[1]:
        return
    yield False, photo.pixels
    for thing in _THINGS:
        for is_over in (True, False):
            picture, hidden = lay_on(photo, thing, is_over, random)
            if hidden >= _LEAST_HIDDEN or not is_over:
                yield is_over, picture


def lay_on(photo: DrawnLesion, thing: str, is_over: bool, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Lay a thing on a photo; also the share of the lesion that it hides."""
    height, width = photo.lesion.shape
    scale = max(height, width) / 512
    rows, columns = np.nonzero(photo.lesion)
    radius = float(np.sqrt(rows.size / np.pi))
    turn = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x - columns.mean(), y - rows.mean()
    outwards, sideways = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    reach = outwards[photo.lesion]
    # Its edge lies within the lesion, or beyond it.
    if is_over:
        edge = float(np.quantile(reach, random.uniform(0.4, 0.75)))
    else:
        edge = float(reach.max()) + random.uniform(0.25, 0.6) * radius + 6 * scale
    if thing == "ruler":
        depth = random.uniform(50, 110) * scale
        there = (outwards > edge) & (outwards < edge + depth)
        surface = _ruler(sideways / (random.uniform(6, 13) * scale), (outwards - edge) / depth, random)
    else:
        half = random.uniform(0.9, 1.6) * radius + 15 * scale
        from_middle = outwards - edge - half
        is_round = random.random() < 0.5
        there = (
            from_middle**2 + sideways**2 < half**2
            if is_round
            else (np.abs(from_middle) < half) & (np.abs(sideways) < half * random.uniform(0.6, 1.3))
        )
        surface = np.broadcast_to(np.array(_STICKERS[random.integers(len(_STICKERS))], np.float32), (height, width, 3))
        if thing == "gauze":
            thread = 2 * np.pi / (random.uniform(5, 9) * scale)
            holes = (np.sin(thread * sideways) > 0.3) | (np.sin(thread * outwards) > 0.3)
            surface = np.array(_GAUZE, np.float32) * (1 - 0.18 * holes)[..., None]
    return _lit(photo.pixels, surface, there, outwards, scale, random), float((there & photo.lesion).sum() / rows.size)


def _ruler(along: np.ndarray, across: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A scale with ticks; ``along`` counts them, ``across`` is 0 at their edge and 1 at the other."""
    number = np.floor(along)
    length = np.where(number % 10 == 0, 0.42, np.where(number % 5 == 0, 0.3, 0.18))
    is_tick = (np.abs(along - number - 0.5) < 0.09) & (across < length)
    ground = _STEEL if random.random() < 1 / 3 else _PAPER
    return np.where(is_tick[..., None], np.array(_TICKS, np.float32), np.array(ground, np.float32))


def _lit(
    photo: np.ndarray,
    surface: np.ndarray,
    there: np.ndarray,
    outwards: np.ndarray,
    scale: float,
    random: np.random.Generator,
) -> np.ndarray:
    """The surface in the photo's light, soft as the photo, with its shadow on the skin and the camera's noise."""
    light = min(1.0, float(np.percentile(photo, 90)) / 225) * random.uniform(0.85, 1.05)
    falling = 1 + 0.08 * outwards / (512 * scale) * random.choice([-1, 1])
    soft = cv2.GaussianBlur(np.clip(surface * light * falling[..., None], 0, 255), (0, 0), 0.6 * scale)
    cover = cv2.GaussianBlur(there.astype(np.float32), (0, 0), 0.8 * scale)[..., None]
    shadow = cv2.GaussianBlur(there.astype(np.float32), (0, 0), 3 * scale)
    shadow = np.roll(shadow, (round(3 * scale), round(2 * scale)), (0, 1))[..., None] * (1 - cover)
    picture = photo * (1 - 0.3 * shadow) * (1 - cover) + soft * cover
    return np.asarray(np.clip(picture + random.normal(0, 1.5, picture.shape), 0, 255), np.uint8)
