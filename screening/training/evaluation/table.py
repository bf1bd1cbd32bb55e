"""The figures that go into a release's card, and those that choose the best epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from screening.contracts import GRADES
from screening.taxonomy import TrainingClasses
from screening.training.evaluation.measures import auc, calibration_error
from screening.training.evaluation.resampling import RESAMPLES, Resamples, draw_patients
from screening.training.evaluation.scored_photos import ScoredPhotos


def grade_aucs(labels: np.ndarray, probabilities: np.ndarray, classes: TrainingClasses) -> dict[str, float]:
    """One-against-rest AUC of each grade; NaN for one that no photo, or every photo, has.

    Args:
        labels: shape (photos,), class indices.
        probabilities: shape (photos, classes), 0..1.
        classes: with their grades.
    """
    truth = classes.grade_of_class[labels]
    scores = classes.grade_probabilities(probabilities)
    once = np.ones((1, len(labels)))
    return {str(grade): float(auc(truth[:, i] > 0, scores[:, i])(once)[0]) for i, grade in enumerate(GRADES)}


def evaluation_table(scored: ScoredPhotos, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Figures of all photos, and of every kind and source.

    Returns:
        Columns group, photos, measure, value, low, high (95 % interval, bootstrap over patients).
    """
    drawn = draw_patients(scored.patients, resamples)
    groups = {"all": np.full(len(scored), True)}
    for fact in ("kind", "source"):
        column = scored.facts[fact]
        groups |= {f"{fact}={value}": (column == value).to_numpy() for value in sorted(column.dropna().unique())}
    rows = [
        (name, int(inside.sum()), measure, *figures)
        for name, inside in groups.items()
        for measure, figures in _figures(scored.only(inside), drawn.of(inside)).items()
    ]
    return pd.DataFrame(rows, columns=["group", "photos", "measure", "value", "low", "high"])


def _figures(scored: ScoredPhotos, drawn: Resamples) -> dict[str, tuple[float, float, float]]:
    truth, given, scores = scored.true_grades, scored.given_grades, scored.grade_scores
    everyone = np.full(len(scored), True)
    right = scored.probabilities.argmax(axis=1) == scored.labels
    measured = {f"auc {grade}": drawn.measure(auc(truth == i, scores[:, i])) for i, grade in enumerate(GRADES)} | {
        "accuracy of disease": drawn.measure_share(right, everyone),
        "sensitivity: dangerous graded dangerous": drawn.measure_share(given == 2, truth == 2),
        "sensitivity: dangerous graded high_risk or dangerous": drawn.measure_share(given >= 1, truth == 2),
        "sensitivity: high_risk graded high_risk or dangerous": drawn.measure_share(given >= 1, truth == 1),
        "specificity: low_risk graded low_risk": drawn.measure_share(given == 0, truth == 0),
        "calibration error": drawn.measure(calibration_error(right, scored.probabilities.max(axis=1))),
    }
    return {name: (m.value, m.low, m.high) for name, m in measured.items()}
