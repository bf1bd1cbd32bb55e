"""Folders of photos to measure with: large as a phone makes them, or small and many.

The pictures are real clinical photos where a folder of them is at hand (``REAL_PHOTOS``), else drawn ones. Few pictures
are encoded; each copy gets a JPEG comment of its own, so that no two files share their bytes.
"""

from __future__ import annotations

import io
import itertools
import os
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from infra.local.rendered_photos import render_night

REAL_PHOTOS = Path(os.environ.get("REAL_PHOTOS", "../shared/data/pad_ufes/images"))
PHONE = (4000, 3000)
PICTURES = 24


def phone_photos(folder: Path, count: int) -> Path:
    """12 MP JPEGs of about 3 MB."""
    return _photos(folder, count, PHONE)


def long_side_512_photos(folder: Path, count: int) -> Path:
    """JPEGs of 512 x 384 px."""
    return _photos(folder, count, (512, 384))


def small_photos(folder: Path, count: int) -> Path:
    """JPEGs of 400 x 300 px."""
    return _photos(folder, count, (400, 300))


def _photos(folder: Path, count: int, size: tuple[int, int]) -> Path:
    if folder.is_dir() and sum(1 for _ in folder.iterdir()) == count:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [_as_phone(Image.open(path), size, seed) for seed, path in enumerate(_sources(folder.parent))]
    for number, picture in track(zip(range(count), itertools.cycle(pictures)), f"writing {folder.name}", total=count):
        (folder / f"photo-{number:06d}.jpg").write_bytes(_with_comment(picture, f"copy {number}"))
    return folder


def _sources(scratch: Path) -> list[Path]:
    if REAL_PHOTOS.is_dir():
        return sorted(REAL_PHOTOS.iterdir())[:PICTURES]
    render_night(scratch / "rendered", PICTURES)
    return sorted((scratch / "rendered").glob("photo-*.jpg"))


def _as_phone(image: Image.Image, size: tuple[int, int], seed: int) -> bytes:
    """Enlarged to ``size``, with the noise of a phone's sensor, so that it compresses like a phone's photo."""
    pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
    noise = np.random.default_rng(seed).normal(0, 4, pixels.shape).astype(np.int16)
    stream = io.BytesIO()
    Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _with_comment(jpeg: bytes, comment: str) -> bytes:
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]
