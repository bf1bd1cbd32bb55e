"""Seconds that the quality filters take for a folder of photos, from files to verdicts; imports are not counted.

``python -m tests.benchmarks.filters_script FOLDER``
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import time
from pathlib import Path

from screening.cutoffs import QualityCutoffs
from screening.stages.pixels import PhotoLimits, decode_photo, read_header
from screening.stages.quality import judge_quality, measure_quality, perceptual_hash
from screening.stages.quality.duplicates import find_same_pairs, read_hashes


def main(folder: Path) -> None:
    """What a night asks of photos, in a forked process for each core; CleanVision looks for copies, so we do."""
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        hashes = pool.map(judge, sorted(folder.iterdir()), chunksize=4)
    find_same_pairs(read_hashes([known for known in hashes if known]))


def judge(file: Path) -> str | None:
    body, limits = file.read_bytes(), PhotoLimits()
    hashlib.sha256(body).hexdigest()  # by which the same bytes are known again
    read_header(body, limits)
    photo = decode_photo(body, limits)
    judge_quality(measure_quality(photo), QualityCutoffs(), "enforce")
    return perceptual_hash(photo.view)


if __name__ == "__main__":
    started = time.monotonic()
    main(Path(sys.argv[1]))
    print(time.monotonic() - started)
