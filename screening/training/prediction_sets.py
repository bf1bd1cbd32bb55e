"""Split conformal prediction: which diseases must be named so that the true one is among them as often as is said.

Least ambiguous sets (Sadinle et al. 2019) with a limit for each grade of the true disease, so that the promise holds for
the rare dangerous ones too, and for groups of skin types where there are photos enough: docs/decisions/0016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from screening.contracts import EVERYBODY, GRADES, SKIN_TYPES
from screening.cutoffs import PredictionSets
from screening.errors import ContractError
from screening.taxonomy import TrainingClasses

COVERAGE = 0.9
"""Share of photos whose set holds the true disease; at 0.95 the sets are a third larger (docs/decisions/0016)."""
FEWEST_PHOTOS = 50
"""Of a grade in a group: with 50 the coverage reached has a standard deviation of 4 points (Vovk 2012)."""


def photos_needed(coverage: float = COVERAGE) -> int:
    """Validation photos of each grade, without which no limit of the sets has the coverage."""
    return math.ceil(round(1 / (1 - coverage), 6))


def choose_prediction_sets(
    probabilities: np.ndarray,
    labels: np.ndarray,
    fitzpatrick: np.ndarray,
    classes: TrainingClasses,
    coverage: float = COVERAGE,
) -> PredictionSets:
    """Limits of the sets, from validation photos.

    Args:
        probabilities: shape (photos, classes), calibrated, of the ensemble.
        labels: shape (photos,), class indices.
        fitzpatrick: shape (photos,), skin type 1..6, 0 where unknown.
        classes: that were trained.
        coverage: wanted share, over 0 and under 1.

    Raises:
        ContractError: a grade has too few photos for any limit.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    grades = classes.grade_of_class[labels].argmax(axis=1)
    groups = np.array([SKIN_TYPES.get(int(f), EVERYBODY) for f in fitzpatrick])
    lowest: dict[str, Mapping[str, float]] = {}
    for group in (EVERYBODY, *dict.fromkeys(SKIN_TYPES.values())):
        inside = np.full(len(labels), True) if group == EVERYBODY else groups == group
        of_grades = {str(grade): of_label[inside & (grades == i)] for i, grade in enumerate(GRADES)}
        fewest = min(map(len, of_grades.values()))
        if group == EVERYBODY and fewest < photos_needed(coverage):
            raise ContractError(f"validation photos: {fewest} of a grade, too few for sets of coverage {coverage}")
        if group == EVERYBODY or fewest >= FEWEST_PHOTOS:
            lowest[group] = {grade: _limit(found, coverage) for grade, found in of_grades.items()}
    return PredictionSets(coverage, lowest)


def _limit(of_label: np.ndarray, coverage: float) -> float:
    """The k-th smallest probability of the true disease, k = ⌊(n + 1)(1 − coverage)⌋; rounded down, so that it is kept."""
    place = int(np.floor((len(of_label) + 1) * (1 - coverage)))
    found = float(np.sort(of_label)[max(place, 1) - 1])
    return float(np.floor(found * 1e4) / 1e4)
