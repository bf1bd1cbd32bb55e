"""Are the photos of the last nights others than those of the reference nights?

The nights are permuted, not the photos: photos of a night come from few clinics and cameras, and are no independent draws.
Each look may be wrong with a chance that, over all looks of a year, adds up to ``drift_chance_a_year`` (Bonferroni: by the
linearity of expectation it holds however the looks depend on each other). A difference must also be large enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from screening.cutoffs import MONITORING, MonitoringLimits
from screening.stages.monitoring.properties import ANSWERS, EDGES

LOOKS_A_YEAR = 365
PROPERTIES = (*EDGES, ANSWERS)

_FIRST_PERMUTATIONS, _PERMUTATIONS = 500, 40_000
_HOPELESS = 0.05
"""After the first permutations: a chance so large needs no more of them."""
_SEED = 22
_SAME = 1e-12
"""Squared distances so close are the same: ties count as as large."""


@dataclass(frozen=True)
class Sketches:
    """One property of several nights: ``photos`` of each, and ``values``, shape (nights, values)."""

    photos: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class DriftResult:
    """``p_value`` is the chance among nights alike; ``at`` and the shares are of a measure, None for answers."""

    p_value: float
    effect: float
    is_drift: bool
    at: float | None = None
    share_before: float | None = None
    share_now: float | None = None


def chance_of_a_look(limits: MonitoringLimits = MONITORING) -> float:
    """The largest p-value that is called drift."""
    return limits.drift_chance_a_year / (LOOKS_A_YEAR * len(PROPERTIES))


def find_drift(
    name: str, reference: Sketches, recent: Sketches, limits: MonitoringLimits = MONITORING
) -> DriftResult | None:
    """Compare the last nights with the reference; None where there are too few nights or photos.

    Args:
        name: of the property.
        reference: its nights.
        recent: the last nights, none of the reference.
        limits: how many it takes, how rare and how large a difference must be.
    """
    nights, photos = len(recent.photos), int(recent.photos.sum())
    if nights < limits.drift_fewest_nights or photos < limits.drift_fewest_photos:
        return None
    before, now = _mean(reference, limits), _mean(recent, limits)
    if name == ANSWERS:
        # Of a Gaussian kernel k(x, x) = 1, so the variance is 1 minus the squared mean; cos and sin come in pairs.
        size = len(now) // 2
        distance = float(np.sum((before - now) ** 2)) / size
        overall = (before + now) / 2
        spread = 1.0 - float(np.sum(overall**2)) / size
        effect, found = (distance / 4) / max(spread, 1e-9), {}
        is_large = effect >= limits.drift_least_explained
    else:
        place = int(np.argmax(np.abs(before - now)))
        effect = float(abs(before - now)[place])
        found = {"at": EDGES[name][place], "share_before": float(before[place]), "share_now": float(now[place])}
        is_large = effect >= limits.drift_least_gap
    p_value = _p_value(reference, recent, limits)
    return DriftResult(p_value, effect, bool(is_large and p_value <= chance_of_a_look(limits)), **found)


def _weights(photos: np.ndarray, limits: MonitoringLimits) -> np.ndarray:
    return np.asarray(np.minimum(photos, limits.drift_most_photos), np.float64)


def _mean(nights: Sketches, limits: MonitoringLimits) -> np.ndarray:
    return np.asarray(np.average(nights.values, axis=0, weights=_weights(nights.photos, limits)))


def _p_value(reference: Sketches, recent: Sketches, limits: MonitoringLimits) -> float:
    values = np.concatenate([reference.values, recent.values])
    weights = _weights(np.concatenate([reference.photos, recent.photos]), limits)
    nights, chosen = len(weights), len(recent.photos)
    products = values @ values.T

    def distances(is_recent: np.ndarray) -> np.ndarray:
        new, old = is_recent * weights, ~is_recent * weights
        contrast = new / new.sum(axis=1, keepdims=True) - old / old.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("ij,ij->i", contrast @ products, contrast))

    observed = distances((np.arange(nights) >= nights - chosen)[None])[0] - _SAME
    noise = np.random.default_rng(_SEED)
    hits, done = 0, 0
    for number in (_FIRST_PERMUTATIONS, _PERMUTATIONS - _FIRST_PERMUTATIONS):
        keys = noise.random((number, nights))
        hits += int(
            np.sum(distances(keys <= np.partition(keys, chosen - 1, axis=1)[:, chosen - 1 : chosen]) >= observed)
        )
        done += number
        if hits > _HOPELESS * done:
            break
    return (hits + 1) / (done + 1)
