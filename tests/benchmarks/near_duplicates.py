"""The figures of docs/decisions/0008: ``python -m tests.benchmarks.near_duplicates [--sheet pairs.png]``.

How many copies of real photos are known again, which pairs of different files are taken for one picture (look at them:
``--sheet``), and what it costs. The photos lie in ../shared/data.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality.duplicates import (
    HASH_BYTES,
    find_first_among,
    find_first_known,
    perceptual_hash,
    read_hashes,
)

REAL_PHOTOS = Path("../shared/data")
CLINICAL = ("pad_ufes", "pad_ufes_fullsize")
DERMOSCOPIC = ("ham10000", "isic9", "isic2017_masks")
MIXED = ("artefacts",)
SCALES = (0.25, 0.5, 0.75, 1.5, 2.0)
FILTERS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)
ENCODINGS = (("JPEG", 50), ("JPEG", 75), ("JPEG", 95), ("WEBP", 50), ("WEBP", 80), ("PNG", None))
Turn = Image.Transpose
Damage = Callable[[Image.Image, np.random.Generator], Image.Image]
console = Console()


def photos_of(*folders: str) -> list[Path]:
    """The photos of the named folders of real photos, in order."""
    return [path for folder in folders for path in sorted((REAL_PHOTOS / folder / "images").iterdir())]


def hash_of(photo: bytes) -> str | None:
    """As ``prepare`` makes it."""
    return perceptual_hash(decode_photo(photo, PhotoLimits()).pixels)


def hashes_of(photos: Iterable[Path]) -> list[str | None]:
    """One per photo."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda path: hash_of(path.read_bytes()), photos))


def encoded(image: Image.Image, name: str, quality: int | None) -> bytes:
    """The bytes of a file with this picture."""
    stream = io.BytesIO()
    image.save(stream, name, **({"quality": quality} if quality else {}))
    return stream.getvalue()


def resized(image: Image.Image, chance: np.random.Generator, scale: float) -> Image.Image:
    """The picture at another size, by a filter that is drawn by lot."""
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, FILTERS[chance.integers(len(FILTERS))])


def turned(image: Image.Image, _chance: np.random.Generator, how: Turn) -> Image.Image:
    """The picture in another of its eight orientations."""
    return image.transpose(how)


def combined(image: Image.Image, chance: np.random.Generator, least_scale: float) -> Image.Image:
    """Resized and in another orientation, both drawn by lot."""
    small = resized(image, chance, math.exp(chance.uniform(math.log(least_scale), math.log(2.0))))
    return small.transpose(list(Turn)[chance.integers(len(Turn))])


def unchanged(image: Image.Image, _chance: np.random.Generator) -> Image.Image:
    """The picture as it is."""
    return image


def copies() -> dict[str, tuple[Damage, tuple[tuple[str, int | None], ...]]]:
    """What is done to each photo, and the encodings of which one is drawn by lot."""
    lossy = ENCODINGS[:-1]
    return {
        **{f"{name} {quality or ''}": (unchanged, ((name, quality),)) for name, quality in ENCODINGS},
        **{f"x {scale:g}, any encoding": (partial(resized, scale=scale), ENCODINGS) for scale in SCALES},
        **{f"{how.name.lower()}, any encoding": (partial(turned, how=how), ENCODINGS) for how in Turn},
        "turned, x 0.5 to 2, lossy": (partial(combined, least_scale=0.5), lossy),
        "turned, x 0.25 to 2, lossy": (partial(combined, least_scale=0.25), lossy),
        "x 0.25, JPEG 50": (partial(resized, scale=0.25), (("JPEG", 50),)),
        "x 0.25, WEBP 50": (partial(resized, scale=0.25), (("WEBP", 50),)),
    }


def wilson(found: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z = 1.96
    middle, reach = found / of + z * z / (2 * of), z * math.sqrt(found * (of - found) / of**3 + (z / (2 * of)) ** 2)
    return (middle - reach) / (1 + z * z / of), (middle + reach) / (1 + z * z / of)


def measure_recall(per_folder: int) -> None:
    """Print the share of copies that are known again, clinical and dermoscopic photos apart."""
    table = Table("copy", "clinical", "dermoscopic", "all", title="Known again (95 % Wilson interval)")
    chance = np.random.default_rng(8)
    chosen = [[paths[i] for i in chance.permutation(len(paths))[:per_folder]] for paths in _groups()]
    for name, (damage, encodings) in track(copies().items(), "copies"):
        known_again = [[_is_known_again(path, damage, encodings, chance) for path in paths] for paths in chosen]
        table.add_row(name, *(_share(found) for found in (*known_again, [*known_again[0], *known_again[1]])))
    console.print(table)


def _groups() -> tuple[list[Path], list[Path]]:
    return photos_of("pad_ufes"), photos_of(*DERMOSCOPIC)


def _is_known_again(
    path: Path, damage: Damage, encodings: tuple[tuple[str, int | None], ...], chance: np.random.Generator
) -> bool:
    with Image.open(path) as image:
        copy = damage(image.convert("RGB"), chance)
    original, again = hash_of(path.read_bytes()), hash_of(encoded(copy, *encodings[chance.integers(len(encodings))]))
    return bool(original and again and find_first_known(read_hashes([again]), read_hashes([original]))[0] == 0)


def _share(found: list[bool]) -> str:
    low, high = wilson(sum(found), len(found))
    return f"{sum(found)}/{len(found)} ({low:.1%}-{high:.1%})"


def find_pairs() -> list[tuple[Path, Path]]:
    """Every photo of the folders that shows the same picture as an earlier one, and that one."""
    paths = photos_of(*CLINICAL, *DERMOSCOPIC, *MIXED)
    hashes = hashes_of(paths)
    flat = [path for path, found in zip(paths, hashes, strict=True) if found is None]
    hashed = [path for path, found in zip(paths, hashes, strict=True) if found is not None]
    first = find_first_among(read_hashes([found for found in hashes if found is not None]))
    pairs = [(hashed[place], hashed[at]) for at, place in enumerate(first.tolist()) if place >= 0]
    console.print(f"{len(paths):,} photos, {len(flat)} of them flat; {len(pairs)} show the picture of an earlier one")
    return pairs


def draw_sheet(pairs: list[tuple[Path, Path]], sheet: Path, columns: int = 10, side: int = 80) -> None:
    """Both photos of each pair side by side."""
    rows = math.ceil(len(pairs) / columns)
    page = Image.new("RGB", (columns * (2 * side + 6), rows * (side + 6)), "white")
    for place, pair in enumerate(pairs):
        for right, path in enumerate(pair):
            with Image.open(path) as image:
                small = image.convert("RGB").resize((side, side))
            page.paste(small, (place % columns * (2 * side + 6) + right * side, place // columns * (side + 6)))
    page.save(sheet)


def measure_cost() -> None:
    """Print what a hash costs, and a night of 20,000 against 60,000 earlier photos that look alike."""
    chance = np.random.default_rng(8)
    photo = chance.integers(0, 256, (768, 1024, 3), np.uint8)
    started = time.process_time()
    for _ in range(200):
        perceptual_hash(photo)
    console.print(f"a hash: {(time.process_time() - started) * 5:.2f} ms CPU for 1024 x 768 px")
    real = read_hashes([found for found in hashes_of(photos_of("ham10000")) if found])
    night, earlier = _like(real, 20_000, chance), _like(real, 60_000, chance)
    started = time.process_time()
    found = find_first_known(night, earlier)
    among = find_first_among(night)
    took = time.process_time() - started
    console.print(f"20,000 against 60,000 and each other: {took:.1f} s CPU, {sum(found >= 0) + sum(among >= 0)} found")


def _like(real: np.ndarray, count: int, chance: np.random.Generator) -> np.ndarray:
    """Made-up hashes whose colours are as crowded as those of real photos, with three of ten signs changed."""
    made = real[chance.integers(len(real), size=count)]
    signs = np.unpackbits(made[:, :-12], axis=1) ^ (chance.random((count, 8 * (HASH_BYTES - 12))) < 0.3)
    colours = np.clip(made[:, -12:] + chance.normal(0, 6, (count, 12)), 0, 255)
    return np.hstack([np.packbits(signs, axis=1), colours.astype(np.uint8)])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.near_duplicates", description=__doc__)
    parser.add_argument("--sheet", type=Path, help="PNG in which all pairs are drawn")
    parser.add_argument("--photos", type=int, default=200, help="photos of either kind that are copied in every way")
    arguments = parser.parse_args()
    pairs = find_pairs()
    if arguments.sheet:
        draw_sheet(pairs, arguments.sheet)
    measure_cost()
    measure_recall(arguments.photos)


if __name__ == "__main__":
    main()
