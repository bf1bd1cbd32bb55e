"""Small real photos and the files beside them, as data sets are published."""

import csv
import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def photo_bytes(number: int, exif: Image.Exif | None = None) -> bytes:
    """A JPEG of 32 x 24 px; another number is another picture."""
    pixels = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", exif=exif or Image.Exif())
    return stream.getvalue()


def a_photo(file: Path, number: int | None = None, exif: Image.Exif | None = None) -> Path:
    """Write a photo of its own; the same number gives the same bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(photo_bytes(zlib.crc32(str(file).encode()) if number is None else number, exif))
    return file


def a_csv(file: Path, *rows: dict[str, object]) -> Path:
    """Lines of a CSV file; its columns are those of the first row."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file
