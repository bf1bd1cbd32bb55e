"""Control charts of shares: is a night's share another than that of the nights before it?

Every night is scored by its tail probability under a beta-binomial of the earlier nights, as a normal score. So nights of
any size stand on one scale (Quesenberry 1991, Q charts), nights that differ more than chance raise no alarm (the purpose of
Laney's p' chart, 2002, whose normal limits do not hold for small counts), and no limits must be known beforehand. A score
beyond ``MonitoringLimits.chart_night`` alarms at once, an exponentially weighted mean of the scores (Roberts 1959) finds the
lasting small change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from screening.cutoffs import MONITORING, MonitoringLimits

_NORMAL = NormalDist()
_LEAST_SPREAD = 1e-7  # a binomial, as far as a float64 can tell
_MOST_SPREAD = 0.5
_FARTHEST_SCORE = 8.0  # where the tail of a float64 ends


@dataclass(frozen=True)
class Level:
    """What earlier nights say of a share: its mean, and the variance of a night's true share as a part of p(1 - p)."""

    share: float
    spread: float
    nights: int


@dataclass(frozen=True)
class ChartPoint:
    """A night on a chart: ``score`` in standard deviations of the normal; ``low`` and ``high`` are shares, 0..1."""

    score: float
    mean_score: float
    low: float
    high: float
    state: str
    """``in_control``, ``above`` or ``below``."""


def level_of(events: Sequence[int], of: Sequence[int], limits: MonitoringLimits = MONITORING) -> Level | None:
    """Mean and over-dispersion of the earlier nights; None when they are too few.

    The over-dispersion is the moment estimate of the intra-night correlation (Kleinman 1973) at the upper end of its
    one-sided interval, plus the uncertainty of the mean: with few nights the limits are wide, not wrong.

    Args:
        events: of each night.
        of: photos or people of each night, at least 1.
        limits: how many nights it takes, and how sure the over-dispersion must be.
    """
    nights = len(of)
    if nights < limits.chart_learning_nights:
        return None
    k, n = np.asarray(events, np.float64), np.asarray(of, np.float64)
    total = n.sum()
    share = float((k.sum() + 0.5) / (total + 1.0))  # Jeffreys: a share that was never seen is not impossible
    unit = share * (1.0 - share)
    freedom = nights - 1
    chi_square = float(np.sum(n * (k / n - share) ** 2)) / unit
    chi_square *= freedom / _chi_square_quantile(freedom, limits.chart_spread_doubt)
    size = total - float(np.sum(n**2)) / total
    correlation = float(np.clip((chi_square - freedom) / max(size - freedom, 1.0), 0.0, _MOST_SPREAD))
    of_mean = ((1.0 - correlation) * total + correlation * float(np.sum(n**2))) / total**2
    return Level(share, float(np.clip(correlation + of_mean, _LEAST_SPREAD, _MOST_SPREAD)), nights)


def chart_point(
    events: int, of: int, level: Level, earlier_mean_score: float, limits: MonitoringLimits = MONITORING
) -> ChartPoint:
    """Hold a night against the level of the nights before it.

    Args:
        events: of the night, 0..of.
        of: photos or people of the night, at least 1.
        level: of the earlier nights.
        earlier_mean_score: ``mean_score`` of the night before on this chart; 0 when there is none.
        limits: from where on a score alarms.
    """
    below, above = _tails(of, level)
    score = _score(float(below[events]), float(above[events]))
    # One odd night must not go on alarming through the mean of its followers.
    bounded = float(np.clip(score, -limits.chart_night, limits.chart_night))
    mean_score = limits.chart_weight * bounded + (1.0 - limits.chart_weight) * earlier_mean_score
    lasting = limits.chart_lasting * (limits.chart_weight / (2.0 - limits.chart_weight)) ** 0.5
    state = "in_control"
    if abs(score) >= limits.chart_night:
        state = "above" if score > 0 else "below"
    elif abs(mean_score) >= lasting:
        state = "above" if mean_score > 0 else "below"
    tail = _NORMAL.cdf(-limits.chart_night)
    low = int(np.searchsorted(below, tail, side="right"))
    high = of - int(np.searchsorted(above[::-1], tail, side="right"))
    return ChartPoint(score, mean_score, max(low, 0) / of, max(high, 0) / of, state)


def _tails(of: int, level: Level) -> tuple[np.ndarray, np.ndarray]:
    """Mid-p probabilities of so few and of so many events, for 0..of events, of a beta-binomial."""
    scale = (1.0 - level.spread) / level.spread
    a, b = level.share * scale, (1.0 - level.share) * scale
    k = np.arange(of, dtype=np.float64)
    steps = np.log(of - k) - np.log(k + 1.0) + np.log(k + a) - np.log(of - k - 1.0 + b)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    p = np.exp(logs - logs.max())
    p /= p.sum()
    return np.cumsum(p) - p / 2, np.cumsum(p[::-1])[::-1] - p / 2


def _score(below: float, above: float) -> float:
    tail = max(min(below, above), _NORMAL.cdf(-_FARTHEST_SCORE))
    score = -_NORMAL.inv_cdf(min(tail, 0.5))
    return score if above < below else -score


@lru_cache
def _chi_square_quantile(freedom: int, probability: float) -> float:
    """Wilson and Hilferty 1931: within 1 % from 10 degrees of freedom on."""
    part = 2.0 / (9.0 * freedom)
    return float(freedom * (1.0 - part + _NORMAL.inv_cdf(probability) * part**0.5) ** 3)
