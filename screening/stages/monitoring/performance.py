"""How well a release does: estimated from its own probabilities, and measured once labels arrive.

Estimated (confidence-based: Bialek et al. 2024, M-CBPE): of the photos graded dangerous the sum of their probabilities is
the expected number of true ones. It holds where the probabilities are calibrated on photos like these, so never for a
disease or a population that the release does not know: a drift alarm takes its word away.

Measured: clinicians read the photos of the review queue, which are no random sample. Photos are therefore told apart by
grade and by whether the queue had to take them; within such a cell the labelled ones stand for all others (Horvitz and
Thompson 1952; cells against non-response as Little 1986). The interval draws the share of each cell from Jeffreys's posterior, so that
a sample of low-risk photos without a cancer does not prove that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from screening.contracts import GRADES, RiskGrade

_DRAWS, _SEED = 4_000, 22
_95 = (0.025, 0.975)
_Z95 = 1.959964

DANGEROUS, AT_RISK = "dangerous", "at_risk"


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval, 0..1; ``of`` is what it rests on: photos, or expected photos."""

    value: float
    low: float
    high: float
    of: float


def wilson(part: float, whole: float) -> Share | None:
    """Wilson's interval of a share (Wilson 1927); None of nothing."""
    if whole <= 0:
        return None
    p, shrink = part / whole, 1.0 + _Z95**2 / whole
    middle = (p + _Z95**2 / (2 * whole)) / shrink
    half = _Z95 * (p * (1 - p) / whole + _Z95**2 / (4 * whole**2)) ** 0.5 / shrink
    return Share(p, max(middle - half, 0.0), min(middle + half, 1.0), whole)


@dataclass(frozen=True)
class Performance:
    """None where nothing can be said. ``precision``: of the photos so graded, those that truly are."""

    dangerous_found: Share | None
    """Of dangerous lesions those that were graded dangerous."""
    dangerous_sent: Share | None
    """Of dangerous lesions those that were graded dangerous or high risk, so that a person sees them."""
    at_risk_sent: Share | None
    """Of dangerous and high-risk lesions those that were graded so."""
    dangerous_precision: Share | None
    sent_precision: Share | None
    specificity: Share | None
    """Of low-risk lesions those that were graded so."""


def estimated(figures: Mapping[str, Any]) -> Performance:
    """From the sums of ``NIGHT_FIGURES``, if the probabilities are calibrated."""

    def ratio(part: str, whole: str) -> Share | None:
        a, va = figures[f"expected_{part}"], figures[f"expected_{part}_variance"]
        b, vb = figures[f"expected_{whole}"] - a, figures[f"expected_{whole}_variance"] - va
        return _of_sums(a, va, max(b, 0.0), max(vb, 0.0))

    def precision(name: str, photos: int) -> Share | None:
        a, va = figures[f"expected_{name}"], figures[f"expected_{name}_variance"]
        return _bounded(a / photos, va**0.5 / photos, photos) if photos else None

    sent = figures["dangerous"] + figures["high_risk"]
    low = figures["low_risk"] - (figures["expected_at_risk"] - figures["expected_at_risk_sent"])
    false_alarms = sent - figures["expected_at_risk_sent"]
    low_variance = figures["expected_at_risk_variance"] - figures["expected_at_risk_sent_variance"]
    return Performance(
        dangerous_found=ratio("dangerous_found", "dangerous"),
        dangerous_sent=ratio("dangerous_sent", "dangerous"),
        at_risk_sent=ratio("at_risk_sent", "at_risk"),
        dangerous_precision=precision("dangerous_found", figures["dangerous"]),
        sent_precision=precision("at_risk_sent", sent),
        specificity=_of_sums(low, low_variance, false_alarms, figures["expected_at_risk_sent_variance"]),
    )


def _of_sums(a: float, va: float, b: float, vb: float) -> Share | None:
    """A / (a + b) of two independent sums, by the delta method."""
    if a + b <= 0:
        return None
    return _bounded(a / (a + b), (b**2 * va + a**2 * vb) ** 0.5 / (a + b) ** 2, a + b)


def _bounded(value: float, deviation: float, of: float) -> Share:
    return Share(value, max(value - _Z95 * deviation, 0.0), min(value + _Z95 * deviation, 1.0), of)


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo of the review queue whose disease is settled; ``truth`` is the grade of that disease."""

    grade: RiskGrade
    truth: RiskGrade
    was_certain: bool
    """The queue had to take it: its inclusion probability is 1."""


def measured(
    photos: Sequence[LabelledPhoto], graded: Mapping[RiskGrade, int], certain: Mapping[RiskGrade, int]
) -> Performance | None:
    """Sensitivity, precision and specificity among all graded photos.

    Args:
        photos: those with a label.
        graded: photos of each grade, labelled or not.
        certain: of these, photos that the queue had to take.

    Returns:
        None where a grade has photos, but no label stands for some of them: nobody looked, so nothing is known.
    """
    noise = np.random.default_rng(_SEED)
    # True photos of each grade (first axis) by given grade (second), as shares of labelled photos and as draws.
    points, draws = np.zeros((3, 3)), np.zeros((_DRAWS, 3, 3))
    for column, grade in enumerate(GRADES):
        for is_certain, whole in ((True, certain[grade]), (False, graded[grade] - certain[grade])):
            if whole <= 0:
                continue
            cell = [p for p in photos if p.grade == grade and p.was_certain == is_certain]
            if not cell:
                return None
            counts = np.array([sum(p.truth == truth for p in cell) for truth in GRADES], np.float64)
            points[:, column] += whole * counts / len(cell)
            if len(cell) < whole:
                unseen = noise.dirichlet(counts + 0.5, _DRAWS) * (whole - len(cell))
                draws[:, :, column] += counts + unseen
            else:
                draws[:, :, column] += counts
    # Where every photo is labelled, the night itself is known; what is asked for is the release on photos alike.
    return Performance(*(_share_of(points, draws, parts, wholes, len(photos)) for parts, wholes in _SHARES))


# (true grade, given grade) of the part and of the whole, in the order of ``Performance``; grades as in ``GRADES``.
_LOW, _HIGH, _DANGEROUS = 0, 1, 2
_SENT = (_HIGH, _DANGEROUS)
_EVERY = (_LOW, _HIGH, _DANGEROUS)
_SHARES: tuple[tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]], ...] = (
    (((_DANGEROUS,), (_DANGEROUS,)), ((_DANGEROUS,), _EVERY)),
    (((_DANGEROUS,), _SENT), ((_DANGEROUS,), _EVERY)),
    ((_SENT, _SENT), (_SENT, _EVERY)),
    (((_DANGEROUS,), (_DANGEROUS,)), (_EVERY, (_DANGEROUS,))),
    ((_SENT, _SENT), (_EVERY, _SENT)),
    (((_LOW,), (_LOW,)), ((_LOW,), _EVERY)),
)


def _share_of(
    points: np.ndarray,
    draws: np.ndarray,
    parts: tuple[tuple[int, ...], tuple[int, ...]],
    wholes: tuple[tuple[int, ...], tuple[int, ...]],
    labelled: int,
) -> Share | None:
    """The share, with sampling of the unlabelled photos and of the photos themselves in its interval."""
    whole = points[np.ix_(*wholes)].sum()
    if whole <= 0 or not labelled:
        return None
    part = points[np.ix_(*parts)].sum()
    drawn_part = draws[:, parts[0]][:, :, parts[1]].sum(axis=(1, 2))
    drawn_whole = draws[:, wholes[0]][:, :, wholes[1]].sum(axis=(1, 2))
    # The photos that there were are themselves a sample of those to come: Beta on top of the drawn numbers.
    noise = np.random.default_rng(_SEED)
    shares = noise.beta(drawn_part + 0.5, np.maximum(drawn_whole - drawn_part, 0.0) + 0.5)
    low, high = np.quantile(shares, _95)
    value = float(part / whole)
    return Share(value, min(float(low), value), max(float(high), value), float(whole))
