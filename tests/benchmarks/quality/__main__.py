"""How well the quality filters work on real photos: ``make bench-quality BENCH_ARGS="--photos 20"``.

Rated photos, held-out photos with damage made on purpose and with innocent look-alikes, skin tones, sizes and speed. Nothing
here is tuned: it only measures. Prints a table per group, and writes ``quality.md`` and ``quality.json``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from screening.stages.pixels import PhotoLimits, decode_photo
from tests.benchmarks.quality.contact_sheet import write_contact_sheets
from tests.benchmarks.quality.damage_figures import (
    Findings,
    blur_figures,
    crust_figures,
    dye_figures,
    framing_figures,
    hair_figures,
    light_figures,
    look_alike_figures,
    look_at,
    print_figures,
    published_figures,
    skin_type_figures,
    thing_figures,
    tone_figures,
)
from tests.benchmarks.quality.filters import CUTOFFS, Said, ask_filters
from tests.benchmarks.quality.real_labels import rated_photos, read_rated, real_label_figures
from tests.benchmarks.quality.real_photos import (
    DATA,
    REPOSITORY,
    RealPhoto,
    held_out_files,
    held_out_photos,
    sharpest,
)
from tests.benchmarks.quality.report import print_tables, write_tables
from tests.benchmarks.quality.sizes_and_speed import says_at_both_sizes, size_figures, speed_figures

CORES = 2
SHARP_PHOTOS = 48
"""About half of the held-out photos that are large and bear no ink: the sharper half."""
TIMED_PHOTOS = 12
Given = TypeVar("Given")
Made = TypeVar("Made")


def main() -> int:
    """Measure; the exit code is 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality", description=__doc__)
    parser.add_argument("--photos", type=int, help="at most so many photos per group, for a quick look")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "work" / "bench-quality")
    parser.add_argument(
        "--contact-sheets", action="store_true", help="only write the pictures of three photos, to look at"
    )
    arguments = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console.width = 150
    if not DATA.is_dir():
        console.print(f"skipped: the published photos are not at {DATA}")
        return 0
    held_out = held_out_photos()
    published = [p for p in held_out if not p.has_ink]
    sharp = sharpest(published, arguments.photos or SHARP_PHOTOS)
    if arguments.contact_sheets:
        for path in write_contact_sheets(sharp[len(sharp) // 4 :: max(1, len(sharp) // 4)][:3], arguments.out):
            console.print(path)
        return 0
    rated = rated_photos(DATA)
    if arguments.photos:
        published, held_out = published[: arguments.photos], held_out[: 4 * arguments.photos]
        rated = rated[:: max(1, len(rated) // (10 * arguments.photos))]  # two ratings, three answers each, two kinds
    with ProcessPoolExecutor(CORES) as pool:
        tables = {"Cost, CPU": speed_figures(sharp[:TIMED_PHOTOS])}  # first, while nothing else runs
        labelled = _each(pool, partial(read_rated, DATA / "artefacts" / "images"), rated, "rated photos")
        said = _each(pool, _as_published, published, "held-out photos as published")
        said_of_all = _each(pool, _as_published, held_out, "held-out photos, those with ink too")
        sizes = _each(pool, says_at_both_sizes, published, "two sizes")
        as_they_are = {
            source: _each(pool, _file_as_published, files[: arguments.photos], f"{source} as published")
            for source, files in held_out_files().items()
        }
        seen = _each(pool, look_at, sharp, "damage and look-alikes")
    findings = Findings(finding for of_photo in seen for finding in of_photo)
    tables |= {
        "Real labels (one or a few lay raters)": real_label_figures(labelled),
        "Blur": blur_figures(findings),
        "Dye and ink": dye_figures(findings),
        "Drawn hair": hair_figures(findings),
        "Distance": framing_figures(findings),
        "Light": light_figures(findings),
        "Print": print_figures(findings),
        "Things on the lesion": thing_figures(findings),
        "Crust, real labels (one lay rater)": crust_figures(held_out, said_of_all),
        "Published photos as they are": published_figures(as_they_are),
        "Innocent look-alikes": look_alike_figures(findings),
        "Skin tones, the same photos re-toned": tone_figures(findings),
        "Recorded skin types, photos as published": skin_type_figures(published, said),
        "Size": size_figures(published, sizes),
    }
    about = (
        f"{datetime.now(UTC):%Y-%m-%d}, cut-offs {CUTOFFS.version}: {len(sharp)} sharp and {len(published)} published photos of "
        f"held-out patients of PAD-UFES-20 without ink, {len(labelled)} rated photos. Limits at 5 % false alarms and at "
        "sensitivity 0.9 of made damage are read from the same pictures; those of rated photos from other folds."
    )
    print_tables(tables, console)
    write_tables(tables, arguments.out, about)
    console.print(about, f"Written to {arguments.out}.")
    return 0


def _as_published(photo: RealPhoto) -> Said:
    return _file_as_published(photo.path)


def _file_as_published(path: Path) -> Said:
    return ask_filters(decode_photo(path.read_bytes(), PhotoLimits()))


def _each(pool: ProcessPoolExecutor, work: Callable[[Given], Made], things: Sequence[Given], what: str) -> list[Made]:
    return list(track(pool.map(work, things), what, total=len(things)))


if __name__ == "__main__":
    sys.exit(main())
