"""How many lesions graded low risk were not, estimated from the photos that were looked at though nothing spoke for it.

The photos graded low risk fall into strata: of each programme and night those that had to be looked at, and those that
were drawn by chance. A lesion found in a stratum counts as often as one photo in so many was looked at (Horvitz and
Thompson 1952). Source of the method and its limits: docs/decisions/0018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stratum:
    """Photos graded low risk that had the same chance to be looked at.

    ``photos``: all of them; ``chosen``: those in the queue; ``settled``: those of which the disease is known by now;
    ``found``: those of high risk or dangerous among the settled.
    """

    photos: int
    inclusion_probability: float
    chosen: int
    settled: int
    found: int

    @property
    def chance(self) -> float:
        """Of a photo to be chosen and settled; the settled stand for all chosen of their stratum."""
        return self.inclusion_probability * self.settled / self.chosen if self.chosen else 0.0


@dataclass(frozen=True)
class MissedLesions:
    """How many photos graded low risk show a lesion that is not: ``missed``, and its 95 % interval.

    ``photos`` that the estimate speaks for, ``looked_at`` of them, ``found`` in those; ``not_covered`` are photos of strata
    that nobody has looked at yet.
    """

    photos: int
    looked_at: int
    found: int
    not_covered: int
    missed: float
    low: float
    high: float

    @property
    def share(self) -> tuple[float, float, float] | None:
        """The estimated share, and its interval; None when there is no photo."""
        if not self.photos:
            return None
        return self.missed / self.photos, self.low / self.photos, self.high / self.photos


def missed_lesions(strata: Sequence[Stratum]) -> MissedLesions:
    """Estimate the photos graded low risk that show a lesion of high risk or worse.

    The interval is that of Fay and Feuer (1997) for a weighted sum of Poisson counts, at 95 %: it keeps its promise for
    few and for no findings, where one from the estimated variance would be of no width. Strata in which every photo is
    settled are counted, not estimated. It cannot leave what was found and what was not looked at.
    """
    covered = [stratum for stratum in strata if stratum.settled]
    drawn = [stratum for stratum in covered if stratum.chance < 1.0]
    photos = sum(stratum.photos for stratum in covered)
    looked_at = sum(stratum.settled for stratum in covered)
    found = sum(stratum.found for stratum in covered)
    counted = float(sum(stratum.found for stratum in covered if stratum.chance >= 1.0))
    low, high = weighted_poisson_interval([(1.0 / stratum.chance, stratum.found) for stratum in drawn])
    estimate = counted + sum(stratum.found / stratum.chance for stratum in drawn)
    most = float(photos - looked_at + found)
    return MissedLesions(
        photos=photos,
        looked_at=looked_at,
        found=found,
        not_covered=sum(stratum.photos for stratum in strata if not stratum.settled),
        missed=min(max(estimate, float(found)), most),
        low=min(max(counted + low, float(found)), most),
        high=min(counted + high, most),
    )


def weighted_poisson_interval(counts: Sequence[tuple[float, int]], confidence: float = 0.95) -> tuple[float, float]:
    """The gamma interval of a sum of weights times Poisson counts (Fay and Feuer 1997); (0, 0) of no counts at all.

    Args:
        counts: weight (over 0) and count of each stratum.
        confidence: 0..1; the interval is conservative, never too narrow in all that was tried.
    """
    if not counts:
        return 0.0, 0.0
    tail = (1.0 - confidence) / 2.0
    total = sum(weight * count for weight, count in counts)
    variance = sum(weight**2 * count for weight, count in counts)
    largest = max(weight for weight, _ in counts)
    low = _gamma_quantile(tail, total, variance) if total else 0.0
    return low, _gamma_quantile(1.0 - tail, total + largest, variance + largest**2)


def _gamma_quantile(p: float, mean: float, variance: float) -> float:
    from scipy.special import gammaincinv  # noqa: PLC0415 - a night imports this module, and does not estimate

    return float(gammaincinv(mean**2 / variance, p) * variance / mean)
