"""Measure an ensemble on photos kept out of training, with 95 % intervals, per kind of photo and data set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from screening.contracts import GRADES
from screening.taxonomy import TrainingClasses

RESAMPLES = 1000
"""Bootstrap resamples; the interval's ends move by about 0.002 between seeds at this number."""


def auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve; NaN where only one answer occurs."""
    if truth.all() or not truth.any():
        return float("nan")
    return float(roc_auc_score(truth, score))


def grade_aucs(labels: np.ndarray, probabilities: np.ndarray, classes: TrainingClasses) -> dict[str, float]:
    """One-against-rest AUC of each grade.

    Args:
        labels: shape (photos,), class indices.
        probabilities: shape (photos, classes), 0..1.
    """
    truth = classes.grade_of_class[labels]
    scores = classes.grade_probabilities(probabilities)
    return {str(grade): auc(truth[:, i] > 0, scores[:, i]) for i, grade in enumerate(GRADES)}


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float], groups: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile 95 % interval of a statistic of row numbers, resampling whole groups (patients), not photos."""
    random = np.random.default_rng(seed)
    rows_of = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    values = []
    for _ in range(resamples):
        rows = np.concatenate([rows_of[i] for i in random.integers(0, len(rows_of), len(rows_of))])
        values.append(statistic(rows))
    finite = [v for v in values if np.isfinite(v)]
    if not finite:
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def evaluation_table(
    corpus: pd.DataFrame,
    probabilities: np.ndarray,
    grades: np.ndarray,
    classes: TrainingClasses,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Figures per data set and per kind of photo.

    Args:
        corpus: the kept-out rows.
        probabilities: shape (photos, classes), calibrated.
        grades: shape (photos,), index into ``GRADES`` that the cut-offs gave.

    Returns:
        Columns group, photos, measure, value, low, high (95 % interval, bootstrap over patients).
    """
    labels = corpus["label"].to_numpy()
    truth = classes.grade_of_class[labels].argmax(axis=1)
    scores = classes.grade_probabilities(probabilities)
    patients = corpus["patient"].to_numpy()
    groups = {"all": np.full(len(corpus), True)}
    groups |= {f"kind={kind}": (corpus["kind"] == kind).to_numpy() for kind in sorted(corpus["kind"].unique())}
    groups |= {
        f"source={source}": (corpus["source"] == source).to_numpy() for source in sorted(corpus["source"].unique())
    }
    rows = []
    for name, inside in groups.items():
        here = np.flatnonzero(inside)
        measures: dict[str, Callable[[np.ndarray], float]] = {}
        for i, grade in enumerate(GRADES):
            measures[f"auc {grade}"] = partial(_auc_of_rows, truth == i, scores[:, i])
        measures["accuracy of disease"] = lambda r: float((probabilities[r].argmax(1) == labels[r]).mean())
        measures["sensitivity: dangerous graded dangerous"] = lambda r: _share(grades[r] == 2, truth[r] == 2)
        measures["sensitivity: dangerous graded high_risk or dangerous"] = lambda r: _share(
            grades[r] >= 1, truth[r] == 2
        )
        measures["sensitivity: high_risk graded high_risk or dangerous"] = lambda r: _share(
            grades[r] >= 1, truth[r] == 1
        )
        measures["specificity: low_risk graded low_risk"] = lambda r: _share(grades[r] == 0, truth[r] == 0)
        measures["calibration error"] = lambda r: calibration_error(labels[r], probabilities[r])
        for measure, statistic in measures.items():
            low, high = bootstrap_interval(partial(_within, statistic, here), patients[here], resamples=resamples)
            rows.append((name, len(here), measure, statistic(here), low, high))
    return pd.DataFrame(rows, columns=["group", "photos", "measure", "value", "low", "high"])


def _auc_of_rows(truth: np.ndarray, score: np.ndarray, rows: np.ndarray) -> float:
    return auc(truth[rows], score[rows])


def _within(statistic: Callable[[np.ndarray], float], here: np.ndarray, rows: np.ndarray) -> float:
    return statistic(here[rows])


def _share(hit: np.ndarray, among: np.ndarray) -> float:
    return float(hit[among].mean()) if among.any() else float("nan")


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error of the top class (Guo et al. 2017), 0 best."""
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.clip((top * bins).astype(int), 0, bins - 1)
    return float(
        sum(abs(right[edges == b].mean() - top[edges == b].mean()) * (edges == b).mean() for b in np.unique(edges))
    )
