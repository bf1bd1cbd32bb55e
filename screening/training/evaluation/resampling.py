"""95 % intervals by drawing patients: whoever is drawn brings all photos (percentile bootstrap)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from screening.training.evaluation.measures import Statistic, delong, share

RESAMPLES = 1000
"""Bootstrap resamples; the interval's ends move by about 0.002 between seeds at this number."""
_ENDS = (2.5, 97.5)


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """First − second on the same photos, with its 95 % interval and the two-sided p of no difference."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Resamples:
    """How often each photo stands in each resample: ``weights``, shape (resamples, photos); ``patients``, shape (photos,).

    All figures of an evaluation come from one such object, so any two of them are paired.
    """

    weights: np.ndarray
    patients: np.ndarray

    def of(self, photos: np.ndarray) -> Resamples:
        """The same resamples, seen on some photos only (a mask or row numbers)."""
        return Resamples(self.weights[:, photos], self.patients[photos])

    def measure(self, statistic: Statistic) -> Measured:
        """A figure and its interval. Resamples that cannot be measured are left out; if all are, or agree, there is none."""
        values = statistic(self.weights)
        values = values[np.isfinite(values)]
        value = float(statistic(np.ones((1, self.weights.shape[1])))[0])
        if not len(values) or values.min() == values.max():
            return Measured(value, float("nan"), float("nan"))
        low, high = np.percentile(values, _ENDS)
        return Measured(value, float(low), float(high))

    def measure_share(self, hit: np.ndarray, among: np.ndarray) -> Measured:
        """A share and its interval; of 0 or 1, where every resample agrees, the exact one of as many patients.

        All of 19 cancers found does not mean that none is ever missed: Clopper and Pearson 1934 give the lower end.
        """
        found = self.measure(share(hit, among))
        if found.value not in (0.0, 1.0):
            return found
        least = 0.025 ** (1 / len(np.unique(self.patients[among])))
        return Measured(found.value, least, 1.0) if found.value else Measured(found.value, 0.0, 1 - least)

    def compare(self, first: Statistic, second: Statistic) -> Difference:
        """The difference of two figures of the same photos."""
        values = first(self.weights) - second(self.weights)
        values = values[np.isfinite(values)]
        ones = np.ones((1, self.weights.shape[1]))
        value = float((first(ones) - second(ones))[0])
        if not len(values):
            return Difference(value, float("nan"), float("nan"), float("nan"))
        low, high = np.percentile(values, _ENDS)
        # One is added so that no number of resamples gives a p of 0 (Davison and Hinkley 1997).
        tail = (min((values <= 0).sum(), (values >= 0).sum()) + 1) / (len(values) + 1)
        return Difference(value, float(low), float(high), float(min(1.0, 2 * tail)))


def draw_patients(patients: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> Resamples:
    """Draw as many patients as there are, with replacement, ``resamples`` times."""
    names, place = np.unique(patients, return_inverse=True)
    if not len(names):
        return Resamples(np.zeros((resamples, 0)), patients)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
    return Resamples(drawn[:, place].astype(float), patients)


def p_of_delong(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p that two scores order the photos equally well; 1 where they do exactly, NaN where it cannot be told."""
    difference, error = delong(truth, first, second)
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * norm.sf(abs(difference) / error))
