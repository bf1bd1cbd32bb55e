"""Model pixels of a whole corpus, decoded once and kept on disk, through the path that serving uses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import track

from screening.errors import ContractError, PhotoError
from screening.stages.pixels import (
    MODEL_INPUT_VERSION,
    MODEL_SIDE,
    PhotoLimits,
    decode_photo,
    encode_working_copy,
    model_pixels,
)


def pixels_of_upload(photo: bytes) -> np.ndarray:
    """What the model would see of an upload: shape (256, 256, 3), uint8."""
    return model_pixels(encode_working_copy(decode_photo(photo, PhotoLimits()).pixels))


def _pixels_of_file(photo: str) -> np.ndarray:
    try:
        return pixels_of_upload(Path(photo).read_bytes())
    except PhotoError as error:
        raise ContractError(f"{photo} cannot be decoded: {error}; mend it, or take it from the labels") from error


def load_pixels(photos: Sequence[str], cache: Path) -> np.ndarray:
    """Model pixels of the photos, shape (photos, 256, 256, 3), uint8, memory-mapped from ``cache``.

    The file's name holds a digest of the paths, their sizes and times and of the version of the model input, so that
    another corpus or another way to make pixels never meets an old cache.

    Raises:
        ContractError: a photo cannot be decoded.
    """
    digest = hashlib.sha256(MODEL_INPUT_VERSION.encode())
    for photo in photos:
        stat = Path(photo).stat()
        digest.update(f"{photo}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    file = cache / f"pixels-{digest.hexdigest()[:16]}.npy"
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        pixels = np.lib.format.open_memmap(part, "w+", np.uint8, (len(photos), MODEL_SIDE, MODEL_SIDE, 3))
        with ThreadPoolExecutor(2) as pool:
            made = pool.map(_pixels_of_file, photos)
            for index, one in enumerate(track(made, "decoding photos", total=len(photos))):
                pixels[index] = one
        pixels.flush()
        part.rename(file)
    return np.asarray(np.load(file, mmap_mode="r"))
