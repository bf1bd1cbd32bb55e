"""The measures of an evaluation, as functions of how often each photo counts.

A `Statistic` takes weights of shape (resamples, photos), how often each photo stands in each resample, and gives one
value per resample, NaN where it cannot be measured. So a whole bootstrap is one array operation, and the figure itself is
the statistic of ones. Ties count half, cut-offs are reached from (a photo at the cut-off is above it), nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

Statistic = Callable[[np.ndarray], np.ndarray]

CALIBRATION_BINS = 10
"""Equal parts of 0..1; Guo et al. 2017 use 15 on tens of thousands of photos, too many for some hundred."""


def share(hit: np.ndarray, among: np.ndarray) -> Statistic:
    """Share of the photos ``among`` that are ``hit``: sensitivity, specificity, accuracy; both shape (photos,), bool."""
    counted, among_too = (hit & among).astype(float), among.astype(float)

    def statistic(weights: np.ndarray) -> np.ndarray:
        return _ratio(weights @ counted, weights @ among_too)

    return statistic


def mean(values: np.ndarray) -> Statistic:
    """Mean over the photos."""

    def statistic(weights: np.ndarray) -> np.ndarray:
        return _ratio(weights @ values, weights.sum(axis=1))

    return statistic


def auc(truth: np.ndarray, score: np.ndarray) -> Statistic:
    """Area under the ROC curve: the share of pairs in the right order."""
    counted = _by_score(truth, score)

    def statistic(weights: np.ndarray) -> np.ndarray:
        yes, no = counted(weights)
        below = np.cumsum(no, axis=1) - no
        return _ratio((yes * (below + no / 2)).sum(axis=1), yes.sum(axis=1) * no.sum(axis=1))

    return statistic


def average_precision(truth: np.ndarray, score: np.ndarray) -> Statistic:
    """Mean precision over the recalls, the area under the precision-recall curve in steps."""
    counted = _by_score(truth, score)

    def statistic(weights: np.ndarray) -> np.ndarray:
        yes, no = (part[:, ::-1] for part in counted(weights))
        caught = np.cumsum(yes, axis=1)
        called = caught + np.cumsum(no, axis=1)
        precision = np.divide(caught, called, out=np.zeros_like(caught), where=called > 0)
        return _ratio((yes * precision).sum(axis=1), yes.sum(axis=1))

    return statistic


def sensitivity_at_specificity(truth: np.ndarray, score: np.ndarray, specificity: float) -> Statistic:
    """Highest sensitivity of a cut-off that keeps the specificity; each resample chooses its own cut-off."""
    counted = _by_score(truth, score)

    def statistic(weights: np.ndarray) -> np.ndarray:
        yes, no = counted(weights)
        total = no.sum(axis=1, keepdims=True)
        # A cut-off at score i leaves all lower scores below it; the last one, above every score, calls nothing.
        nothing = np.zeros((len(weights), 1))
        passed = np.concatenate([nothing, np.cumsum(no, axis=1)], axis=1)
        missed = np.concatenate([nothing, np.cumsum(yes, axis=1)], axis=1)
        first = np.argmax(passed >= specificity * total - 1e-9, axis=1)
        found = 1 - _ratio(np.take_along_axis(missed, first[:, None], axis=1)[:, 0], yes.sum(axis=1))
        return np.where(total[:, 0] > 0, found, np.nan)

    return statistic


def calibration_error(right: np.ndarray, certainty: np.ndarray, bins: int = CALIBRATION_BINS) -> Statistic:
    """Expected calibration error (Guo et al. 2017), 0 best: gap of certainty and share right, weighed by bin.

    Args:
        right: shape (photos,), bool; with ``certainty`` the probability that was said of it.
        certainty: shape (photos,), 0..1.
        bins: equal parts of 0..1.
    """
    is_in = np.eye(bins)[bin_of(certainty, bins)]
    gap = (right.astype(float) - certainty)[:, None] * is_in

    def statistic(weights: np.ndarray) -> np.ndarray:
        return _ratio(np.abs(weights @ gap).sum(axis=1), weights.sum(axis=1))

    return statistic


def calibration_error_by_chance(certainty: np.ndarray, bins: int = CALIBRATION_BINS, draws: int = 1000) -> float:
    """Mean calibration error that as many photos would show, were every probability exactly true.

    Few photos in a bin are never right in just the share that was said: below this figure, an error tells nothing.
    """
    right = np.random.default_rng(0).random((draws, len(certainty))) < certainty
    gaps = (right - certainty) @ np.eye(bins)[bin_of(certainty, bins)]
    return float(np.abs(gaps).sum(axis=1).mean() / len(certainty))


def bin_of(certainty: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Number of the bin of each probability, shape (photos,); 1.0 stands in the last."""
    return np.asarray(np.clip((certainty * bins).astype(int), 0, bins - 1))


def is_in_top(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """Whether the label is among the k likeliest classes: shape (photos,), bool; of equals, the first class counts."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return np.asarray((order == labels[:, None]).any(axis=1))


def confusion(truth: np.ndarray, given: np.ndarray, size: int) -> np.ndarray:
    """Photos by true (rows) and given (columns) class: shape (size, size), int."""
    return np.bincount(truth * size + given, minlength=size * size).reshape(size, size)


def roc_points(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut-offs (rising, the last above every score), and sensitivity and specificity from each of them on.

    Raises:
        ValueError: only one answer occurs.
    """
    if truth.all() or not truth.any():
        raise ValueError("a ROC curve needs photos of both answers")
    cutoffs, counted = np.unique(score), _by_score(truth, score)
    yes, no = (part[0] for part in counted(np.ones((1, len(score)))))
    missed, passed = (np.concatenate([[0.0], np.cumsum(part)]) / part.sum() for part in (yes, no))
    return np.append(cutoffs, np.inf), 1 - missed, passed


def youden_cutoff(truth: np.ndarray, score: np.ndarray) -> float:
    """Cut-off with the highest sensitivity + specificity (Youden 1950), the lowest of equals; NaN for one answer only."""
    if truth.all() or not truth.any():
        return float("nan")
    cutoffs, sensitivity, specificity = roc_points(truth, score)
    best = sensitivity + specificity
    return float(cutoffs[np.flatnonzero(best >= best.max() - 1e-9)[0]])


def delong(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Difference of two AUCs on the same photos, first − second, and its standard error (DeLong et al. 1988).

    Computed by mid-ranks (Sun and Xu 2014). Every photo counts as independent; NaN where fewer than two photos have an answer.
    """
    if min(truth.sum(), (~truth).sum()) < 2:
        return float("nan"), float("nan")
    of_yes, of_no = zip(*(_placements(truth, score) for score in (first, second)), strict=True)
    contrast = np.array([1.0, -1.0])
    variance = contrast @ (np.cov(of_yes) / truth.sum() + np.cov(of_no) / (~truth).sum()) @ contrast
    return float(np.mean(of_yes[0]) - np.mean(of_yes[1])), float(np.sqrt(max(variance, 0.0)))


def _placements(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each photo the share of the photos with the other answer that it is rightly ordered to."""
    everywhere = rankdata(score)
    below = everywhere[truth] - rankdata(score[truth])
    above = everywhere[~truth] - rankdata(score[~truth])
    return below / (~truth).sum(), 1 - above / truth.sum()


def _by_score(truth: np.ndarray, score: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Sort once; then weights to (yes, no), each shape (resamples, different scores), the lowest score first."""
    order = np.argsort(score, kind="stable")
    _, starts = np.unique(score[order], return_index=True)
    sorted_truth = truth[order].astype(float)

    def count(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(order):
            return np.zeros((len(weights), 0)), np.zeros((len(weights), 0))
        in_order = weights[:, order]
        everyone = np.add.reduceat(in_order, starts, axis=1)
        yes = np.add.reduceat(in_order * sorted_truth, starts, axis=1)
        return yes, everyone - yes

    return count


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))
