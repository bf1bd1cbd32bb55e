"""From what the filters said to figures with 95 % intervals.

Pictures made of one photo go together, so they do not count as independent: shares are given at their effective number
(Rao and Scott 1992), areas under the curve by resampling whole photos.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Z = 1.96
RESAMPLES = 500
Unit = Literal["share", "auc", "points", "ms"]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval and what it was counted from."""

    value: float
    low: float
    high: float
    counts: str


@dataclass(frozen=True)
class Figure:
    """One line of a table."""

    what: str
    estimate: Estimate
    unit: Unit
    wanted: str = ""
    is_reached: bool | None = None
    """None: nothing is wanted of it."""


def at_least(what: str, estimate: Estimate, unit: Unit, least: float) -> Figure:
    """A figure that should be high."""
    return Figure(what, estimate, unit, f"at least {in_words(least, unit)}", estimate.value >= least)


def at_most(what: str, estimate: Estimate, unit: Unit, most: float) -> Figure:
    """A figure that should be low."""
    return Figure(what, estimate, unit, f"at most {in_words(most, unit)}", estimate.value <= most)


def in_words(value: float, unit: Unit) -> str:
    """A value as a table shows it."""
    match unit:
        case "share":
            return f"{100 * value:.1f} %"
        case "auc":
            return f"{value:.3f}"
        case "points":
            return f"{value:.1f} points"
        case "ms":
            return f"{value:.1f} ms"


def share(hits: Sequence[bool] | np.ndarray, photos: Sequence[str] | Sequence[int] | np.ndarray) -> Estimate:
    """Share of pictures that are hit, with Wilson's interval at the effective number of pictures.

    Args:
        hits: one truth per picture.
        photos: name of the photo from which each picture was made.
    """
    hit = np.asarray(hits, dtype=float)
    if not hit.size:
        return Estimate(math.nan, 0.0, 1.0, "0 of 0")
    value = float(hit.mean())
    low, high = wilson(value, _effective_number(hit, np.asarray(photos)))
    return Estimate(value, low, high, f"{int(hit.sum())} of {hit.size}")


def wilson(value: float, number: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``number`` (Wilson 1927)."""
    centre = (value + Z**2 / (2 * number)) / (1 + Z**2 / number)
    reach = Z / (1 + Z**2 / number) * math.sqrt(value * (1 - value) / number + Z**2 / (4 * number**2))
    return max(0.0, min(value, centre - reach)), min(1.0, max(value, centre + reach))


def _effective_number(hit: np.ndarray, photos: np.ndarray) -> float:
    """How many independent pictures would vary as much: between the number of photos and that of pictures."""
    _, of_photo = np.unique(photos, return_inverse=True)
    count = int(of_photo.max()) + 1
    value = hit.mean()
    if count == hit.size or count < 2 or value in (0.0, 1.0):
        return float(count)
    surplus = np.bincount(of_photo, weights=hit - value)
    variance = count / (count - 1) * float((surplus**2).sum()) / hit.size**2
    return float(np.clip(value * (1 - value) / max(variance, 1e-12), count, hit.size))


def auc(
    worse: np.ndarray, worse_photos: Sequence[str] | np.ndarray, better: np.ndarray, better_photos: Sequence[str]
) -> Estimate:
    """How often a spoilt picture scores above a good one; the interval by resampling the photos, good and spoilt together.

    Where every resample is 1 or 0, resampling says nothing: then as if of n photos none had been otherwise (0.05 ** (1 / n)).
    """
    counts = f"{worse.size} against {better.size}"
    if not worse.size or not better.size:
        return Estimate(math.nan, 0.0, 1.0, counts)
    value = _plain_auc(worse, better)
    names = np.unique([*worse_photos, *better_photos])
    rows_worse = np.searchsorted(names, np.asarray(worse_photos))
    rows_better = np.searchsorted(names, np.asarray(better_photos))
    noise = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        times = np.bincount(noise.integers(names.size, size=names.size), minlength=names.size)
        a, b = np.repeat(worse, times[rows_worse]), np.repeat(better, times[rows_better])
        if a.size and b.size:
            drawn.append(_plain_auc(a, b))
    low, high = np.percentile(drawn, [2.5, 97.5])
    never = 0.05 ** (1 / len(set(better_photos)))
    low, high = never if low == 1.0 else low, 1 - never if high == 0.0 else high
    return Estimate(value, float(low), float(high), counts)


def _plain_auc(worse: np.ndarray, better: np.ndarray) -> float:
    """Mann-Whitney: half a point for a tie."""
    ordered = np.sort(better)
    below = np.searchsorted(ordered, worse, side="left") + np.searchsorted(ordered, worse, side="right")
    return float(below.mean() / 2 / better.size)


def limit_for_false_alarms(better: np.ndarray, most: float) -> float:
    """The lowest limit that at most so many good pictures are strictly above."""
    return float(np.sort(better)[::-1][int(most * better.size)])


def limit_for_sensitivity(worse: np.ndarray, least: float) -> float:
    """The highest limit that at least so many spoilt pictures reach."""
    return float(np.sort(worse)[::-1][math.ceil(least * worse.size) - 1])
