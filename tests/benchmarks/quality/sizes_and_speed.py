"""What a photo costs, and whether its verdict depends on its size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
import simplejpeg

from screening.stages.pixels import WORKING_LONG_SIDE, PhotoLimits, decode_photo
from screening.stages.quality import measure_quality
from tests.benchmarks.quality.figures import Estimate, Figure, at_least, share
from tests.benchmarks.quality.filters import Said, ask_filters
from tests.benchmarks.quality.real_photos import RealPhoto

PHONE_LONG_SIDE = 4000
"""Pixels; square photos of it have 16 MP, 4 : 3 ones 12 MP."""
_ROUNDS = 3
T = TypeVar("T")


def says_at_both_sizes(photo: RealPhoto) -> tuple[Said, Said]:
    """The verdicts on one photo, enlarged to a phone's size and to the working size, each as an uploaded JPEG."""
    large, small = (
        ask_filters(decode_photo(_as_jpeg(photo.pixels, side), PhotoLimits()))
        for side in (PHONE_LONG_SIDE, WORKING_LONG_SIDE)
    )
    return large, small


def _as_jpeg(pixels: np.ndarray, long_side: int) -> bytes:
    scale = long_side / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    enlarged = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(enlarged), quality=92))


def size_figures(photos: list[RealPhoto], said: list[tuple[Said, Said]]) -> list[Figure]:
    """Whether the verdict, and all issues, are the same at both sizes."""
    names = [p.name for p in photos]
    same_verdict = share([large.verdict == small.verdict for large, small in said], names)
    same_issues = share([large.issues == small.issues for large, small in said], names)
    return [
        at_least("same verdict at 4,000 and 1,024 px", same_verdict, "share", 0.99),
        Figure("same issues at 4,000 and 1,024 px", same_issues, "share"),
    ]


def speed_figures(photos: list[RealPhoto]) -> list[Figure]:
    """CPU time of this thread, the best of three rounds; the interval holds the middle 95 % of the photos."""
    phones = [_as_jpeg(p.pixels, PHONE_LONG_SIDE) for p in photos]
    decoded = [decode_photo(jpeg, PhotoLimits()) for jpeg in phones]
    return [
        Figure("measure, long side 1,000 px after decoding", _cost(measure_quality, decoded), "ms"),
        Figure(
            "decode and measure, JPEG of 4,000 px",
            _cost(lambda jpeg: measure_quality(decode_photo(jpeg, PhotoLimits())), phones),
            "ms",
        ),
    ]


def _cost(work: Callable[[T], object], things: list[T]) -> Estimate:
    rounds = [[_milliseconds(work, thing) for thing in things] for _ in range(_ROUNDS)]
    best = np.min(rounds, axis=0)
    low, high = np.percentile(best, [2.5, 97.5])
    return Estimate(float(best.mean()), float(low), float(high), f"{len(things)} photos")


def _milliseconds(work: Callable[[T], object], thing: T) -> float:
    start = time.thread_time()
    work(thing)
    return 1000 * (time.thread_time() - start)
