"""The same photo taken from too far and from too near. Pictures as in ``damage``."""

from __future__ import annotations

import cv2
import numpy as np

from tests.benchmarks.quality.damage import blend, centre_and_radius, clouds, feathered


def skin_around(photo: np.ndarray, lesion: np.ndarray, size: tuple[int, int], noise: np.random.Generator) -> np.ndarray:
    """Skin without a lesion, grown from the photo's own: patches from outside the lesion, overlapping.

    What the patches differ by is summed so that its strength stays; plain averages would smooth the skin away.
    """
    height, width = photo.shape[:2]
    side = max(8, min(48, min(height, width) // 3))
    is_near_lesion = cv2.dilate(lesion.astype(np.uint8), np.ones((5, 5), np.uint8))
    covered = cv2.boxFilter(is_near_lesion.astype(np.float32), -1, (side, side), anchor=(0, 0))
    free = covered[: height - side + 1, : width - side + 1]
    places = np.argwhere(free <= np.quantile(free, 0.25))  # where the lesion leaves no room, the least of it
    # A photo is shaded; each patch keeps its relief and gets the colour of the skin at large.
    plain = photo[is_near_lesion == 0]
    colour = np.median(plain if plain.size else photo.reshape(-1, 3), axis=0)
    hann = np.hanning(side + 2)[1:-1].astype(np.float32)
    weight = np.outer(hann, hann)[..., None]
    step = side // 2
    total = np.zeros((size[0] + 2 * side, size[1] + 2 * side, 3), np.float32)
    squares = np.zeros((*total.shape[:2], 1), np.float32)
    for top in range(0, total.shape[0] - side + 1, step):
        for left in range(0, total.shape[1] - side + 1, step):
            y, x = places[noise.integers(len(places))]
            patch = photo[y : y + side, x : x + side]
            total[top : top + side, left : left + side] += weight * (patch - patch.mean(axis=(0, 1)))
            squares[top : top + side, left : left + side] += weight**2
    relief = total / np.sqrt(np.maximum(squares, 1e-6))
    skin = colour + relief[side // 2 :, side // 2 :][: size[0], : size[1]]
    # From far away the body's shape shades the skin, and its colour varies from place to place.
    shade = 1 + 0.07 * clouds(size, max(size) / 5, noise)
    blush = np.array([0.0, 1.0, 0.8], np.float32) * 0.03 * clouds(size, max(size) / 16, noise)[..., None]
    return np.asarray(np.clip(skin * shade[..., None] * (1 + blush), 0, 255), np.float32)


def from_far(
    photo: np.ndarray, lesion: np.ndarray, lesion_width: float, noise: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The photo shrunk into more skin of its own, so that the lesion is ``lesion_width`` of the frame's long side wide.

    Returns:
        The picture and where the lesion is in it.
    """
    height, width = photo.shape[:2]
    _, _, radius = centre_and_radius(lesion)
    scale = lesion_width * max(height, width) / (2 * radius)
    size = (max(12, round(width * scale)), max(12, round(height * scale)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    small_lesion = cv2.resize(lesion.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
    far = skin_around(small, small_lesion, (height, width), noise)
    top = int(noise.uniform(0.35, 0.65) * height - size[1] / 2)
    left = int(noise.uniform(0.35, 0.65) * width - size[0] / 2)
    top, left = (
        int(np.clip(top, 0, max(0, height - size[1]))),
        int(np.clip(left, 0, max(0, width - size[0]))),
    )
    pasted, place = far.copy(), np.zeros((height, width), bool)
    rows, columns = slice(top, top + size[1]), slice(left, left + size[0])
    pasted[rows, columns] = small[: height - top, : width - left]
    place[rows, columns] = small_lesion[: height - top, : width - left]
    # Only the lesion and its close surroundings are taken from the photo: its shaded rim would be seen as a square.
    near = cv2.dilate(place.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return blend(far, pasted, feathered(near, min(20.0, 0.25 * min(size)))), place


def from_near(photo: np.ndarray, lesion: np.ndarray, shown: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo cut so that ``shown`` of the lesion's width and height is in it, brought back to its size; and its control.

    Returns:
        The near picture, and the whole photo made as soft by the same shrinking and enlarging: softness tells nothing.
    """
    height, width = photo.shape[:2]
    x, y, across, down = cv2.boundingRect(lesion.astype(np.uint8))
    scale = min(1.0, shown * max(across / width, down / height))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    left = int(np.clip(x + across / 2 - size[0] / 2, 0, width - size[0]))
    top = int(np.clip(y + down / 2 - size[1] / 2, 0, height - size[1]))
    cut = photo[top : top + size[1], left : left + size[0]]
    shrunk = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    near, control = (cv2.resize(p, (width, height), interpolation=cv2.INTER_CUBIC) for p in (cut, shrunk))
    return np.clip(near, 0, 255), np.clip(control, 0, 255)


def margin(lesion: np.ndarray) -> float:
    """Least distance of a lesion from the frame's rim, in parts of the short side."""
    x, y, across, down = cv2.boundingRect(lesion.astype(np.uint8))
    height, width = lesion.shape
    return float(min(x, y, width - x - across, height - y - down) / min(height, width))
