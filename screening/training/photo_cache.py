"""Model pixels of a whole corpus, decoded once and kept on disk, through the path that serving uses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import track

from screening.errors import ContractError, PhotoError
from screening.stages.pixels import (
    MODEL_SIDE,
    PhotoLimits,
    decode_photo,
    encode_working_copy,
    model_input_version,
    model_pixels,
)
from screening.training.disk import new_array


def pixels_of_upload(photo: bytes, side: int = MODEL_SIDE) -> np.ndarray:
    """What the model would see of an upload: shape (side, side, 3), uint8."""
    return model_pixels(encode_working_copy(decode_photo(photo, PhotoLimits()).pixels), side)


def load_pixels(
    photos: Sequence[str], cache: Path, side: int = MODEL_SIDE, working_copies: frozenset[str] = frozenset()
) -> np.ndarray:
    """Model pixels of the photos, shape (photos, side, side, 3), uint8, memory-mapped from ``cache``.

    The file's name holds a digest of the paths, their sizes and times and of the version of the model input, so that
    another corpus or another way to make pixels never meets an old cache. ``working_copies`` are those of the photos that
    a night kept: they are what serving reads, so nothing is encoded again.

    Raises:
        ContractError: a photo cannot be decoded; the message names it.
        TrainingError: the disk is full.
    """
    digest = hashlib.sha256(model_input_version(side).encode())
    for photo in photos:
        stat = Path(photo).stat()
        digest.update(f"{photo}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    file = cache / f"pixels-{digest.hexdigest()[:16]}.npy"
    if not file.is_file():
        _write_pixels(photos, file, side, working_copies)
    return np.asarray(np.load(file, mmap_mode="r"))


def _write_pixels(photos: Sequence[str], file: Path, side: int, working_copies: frozenset[str]) -> None:
    def decoded(path: str) -> np.ndarray:
        try:
            if path in working_copies:
                return model_pixels(Path(path).read_bytes(), side)
            return pixels_of_upload(Path(path).read_bytes(), side)
        except PhotoError as error:
            raise ContractError(f"{path} cannot be decoded: {error}; mend it, or take it from the labels") from error

    with new_array(file, np.uint8, (len(photos), side, side, 3)) as pixels, ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, one in enumerate(track(pool.map(decoded, photos), "decoding photos", total=len(photos))):
            pixels[index] = one
