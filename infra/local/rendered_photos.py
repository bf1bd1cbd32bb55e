"""Draw photos of skin lesions, so that the demo needs no patient's photo. They look like lesions to a program, not to a doctor.

Each is a phone-like JPEG: skin of one of six tones with pores, shading and sometimes hair, a lesion of one of five
looks, and a lens that is mostly in focus. A few files are what a programme's upload also holds: cut off, empty, renamed,
sideways, the same bytes twice.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image
from rich.progress import track

WIDTH, HEIGHT = 1600, 1200
# sRGB of Fitzpatrick I..VI, after the ITA classes of Chardon et al. 1991 (very light to dark).
SKIN_TONES = ((244, 208, 186), (231, 188, 160), (214, 165, 131), (184, 132, 97), (141, 95, 66), (89, 58, 42))
Lesion = tuple[str, tuple[float, float, float], float, tuple[float, float]]
# The disease that it is drawn after, colour relative to the skin (melanin takes blue first, blood green), roughness of the
# edge, radius as a share of the height.
LESIONS: tuple[Lesion, ...] = (
    ("nevus", (0.76, 0.67, 0.50), 0.06, (0.06, 0.12)),  # a small even mole
    ("melanoma", (0.60, 0.50, 0.36), 0.30, (0.14, 0.24)),  # a dark irregular patch
    ("actinic_keratosis", (1.02, 0.72, 0.68), 0.22, (0.12, 0.24)),  # a red scaly patch
    ("basal_cell_carcinoma", (1.05, 0.86, 0.84), 0.10, (0.07, 0.14)),  # a pearly nodule
    ("seborrheic_keratosis", (0.82, 0.75, 0.60), 0.16, (0.10, 0.18)),  # a brown plaque
)
RARE_LESIONS: tuple[Lesion, ...] = (
    ("dermatofibroma", (0.88, 0.74, 0.66), 0.05, (0.05, 0.09)),  # a small firm brownish spot
    ("vascular_lesion", (0.86, 0.38, 0.44), 0.10, (0.06, 0.12)),  # a bright red spot
    ("squamous_cell_carcinoma", (0.92, 0.60, 0.50), 0.28, (0.12, 0.20)),  # a red crusted nodule
)
"""Of nights from which networks learn: they need photos of all diseases that they answer."""
BODY_SITES = ("face", "forearm", "back", "chest", "hand", "leg")


def render_night(
    folder: Path, photos: int = 160, seed: int = 20, lesions: tuple[Lesion, ...] = LESIONS
) -> dict[str, str]:
    """Write ``photos`` photos of ``lesions``, a few broken files and a manifest.csv into ``folder``.

    Returns:
        For each photo's file the disease that it is drawn after.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        drawn = pool.map(partial(_draw, folder, seed, lesions), range(photos))
        rows = list(track(drawn, "drawing photos", total=photos, transient=True))
    diseases = {str(row["file"]): str(row.pop("disease")) for row in rows}
    for name, body in _broken_files((folder / "photo-0001.jpg").read_bytes()):
        (folder / name).write_bytes(body)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return diseases


def _draw(folder: Path, seed: int, lesions: tuple[Lesion, ...], number: int) -> dict[str, object]:
    """Draw the night's photo of this number, and say what the manifest says of it, and its disease."""
    random = np.random.default_rng([seed, number])  # each photo's own, so that they can be drawn side by side
    tone = int(random.integers(0, len(SKIN_TONES)))
    lesion = lesions[int(random.integers(0, len(lesions)))]
    image = _photo(random, tone, lesion)
    if number % 17 == 0:  # out of focus
        image = cv2.GaussianBlur(image, (0, 0), 14)
    name = f"photo-{number:04d}.jpg"
    (folder / name).write_bytes(_jpeg(image, sideways=number % 11 == 0))
    return {
        "disease": lesion[0],
        "file": name,
        # Two photos a lesion; every other person has two lesions.
        "patient_id": f"patient-{number // 2 * 2 // 3:04d}",
        "lesion_id": f"lesion-{number // 2:04d}",
        "body_site": BODY_SITES[number % len(BODY_SITES)],
        "age_years": int(random.integers(18, 91)),
        "sex": ("female", "male")[number % 2],
        "fitzpatrick": tone + 1,
        "consent_training": ("yes", "no")[number % 3 == 0],
    }


def _broken_files(photo: bytes) -> Iterator[tuple[str, bytes]]:
    yield "same-bytes-again.jpg", photo
    yield "cut-off.jpg", photo[: len(photo) // 2]
    yield "empty.jpg", b""
    yield "letter.jpg", b"Dear programme, the photos follow tomorrow.\n"


def _photo(random: np.random.Generator, tone: int, lesion: Lesion) -> np.ndarray:
    """One photo, shape (1200, 1600, 3), uint8."""
    shade = 1 + 0.10 * _clouds(random, 6)  # shading
    shade *= 1 + 0.05 * _clouds(random, 60)  # mottling
    shade *= 1 + 0.05 * _clouds(random, 400)  # pores
    _, colour, roughness, radii = lesion
    mask = _blob(random, roughness, HEIGHT * random.uniform(*radii))
    inside = mask * (1 + 0.18 * _clouds(random, 40) + 0.10 * _clouds(random, 300))
    image = np.empty((HEIGHT, WIDTH, 3), np.float32)
    for channel in range(3):
        image[..., channel] = SKIN_TONES[tone][channel] * shade * (1 - mask + colour[channel] * inside)
    if random.random() < 0.25:
        image = _with_hair(random, image)
    image *= random.uniform(0.85, 1.1) * np.exp(random.uniform(-0.04, 0.04, 3)).astype(np.float32)
    image += 3.0 * random.standard_normal(image.shape, dtype=np.float32)  # sensor noise
    return np.asarray(image.clip(0, 255).astype(np.uint8))


def _clouds(random: np.random.Generator, cells: int) -> np.ndarray:
    """Smooth noise of about unit size with ``cells`` cells across, shape (1200, 1600)."""
    coarse = random.standard_normal((max(2, cells * 3 // 4), cells), dtype=np.float32)
    return np.asarray(
        cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR if cells > 200 else cv2.INTER_CUBIC)
    )


def _blob(random: np.random.Generator, roughness: float, radius: float) -> np.ndarray:
    """Soft-edged lesion mask, shape (1200, 1600), 0..1: a circle whose radius wanders."""
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    wander = sum(
        random.normal(0, roughness / k) * np.sin(k * angle + random.uniform(0, 2 * np.pi)) for k in range(1, 8)
    )
    reach = radius * np.exp(wander)
    centre = np.array([WIDTH, HEIGHT]) * (0.5 + random.uniform(-0.06, 0.06, 2))
    points = np.stack(
        [centre[0] + reach * np.cos(angle) * random.uniform(0.8, 1.2), centre[1] + reach * np.sin(angle)], axis=1
    )
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.fillPoly(mask, [points.astype(np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 2))


def _with_hair(random: np.random.Generator, image: np.ndarray) -> np.ndarray:
    image = np.ascontiguousarray(image)
    direction = random.uniform(0, np.pi)
    for _ in range(int(random.integers(4, 25))):
        start = random.uniform((0, 0), (WIDTH, HEIGHT))
        turn = direction + random.normal(0, 0.2)
        steps = np.linspace(0, random.uniform(150, 500), 20)
        bend = random.normal(0, 0.0015) * steps**2
        points = start + np.stack(
            [steps * np.cos(turn) - bend * np.sin(turn), steps * np.sin(turn) + bend * np.cos(turn)], axis=1
        )
        cv2.polylines(
            image, [points.astype(np.int32)], False, (45.0, 33.0, 28.0), int(random.integers(2, 5)), cv2.LINE_AA
        )
    return image


def _jpeg(image: np.ndarray, *, sideways: bool) -> bytes:
    """As a phone writes it; ``sideways``: stored turned, with the orientation in EXIF."""
    picture = Image.fromarray(np.rot90(image) if sideways else image)
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Rendered", "not a photo"
    exif[ExifTags.Base.Orientation] = 6 if sideways else 1
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90, exif=exif)
    return stream.getvalue()
