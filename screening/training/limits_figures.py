"""How well a release knows the limits of its answers, on photos kept out: coverage and warnings, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from screening.contracts import EVERYBODY, GRADES, SKIN_TYPES
from screening.cutoffs import AnswerLimits, GradeCutoffs
from screening.stages.grading import grade_photo
from screening.taxonomy import TrainingClasses
from screening.training.evaluation.resampling import draw_patients


def limits_figures(  # what is judged, and by what
    corpus: pd.DataFrame,
    probabilities: np.ndarray,
    distances: np.ndarray,
    fitzpatrick: np.ndarray,
    classes: TrainingClasses,
    limits: AnswerLimits,
) -> pd.DataFrame:
    """Figures by kind of photo, grade and skin type.

    Args:
        corpus: the kept-out rows, with ``label``, ``kind`` and ``patient``.
        probabilities: shape (photos, classes), of the ensemble.
        distances: shape (photos,), mean of the members.
        fitzpatrick: shape (photos,), 0 where unknown.
        classes: of the release.
        limits: of the release.

    Returns:
        Columns group, photos, coverage, diseases (mean size of a set) and unlike (share with the warning); coverage and
        unlike with ``_low`` and ``_high``: 95 % interval, bootstrap over people.
    """
    no_cutoffs = GradeCutoffs("none", 1.0, 1.0)
    graded = [
        grade_photo(p, p[None], classes, no_cutoffs, limits=limits, outlier_distance=float(d), fitzpatrick=int(f))
        for p, d, f in zip(probabilities, distances, fitzpatrick, strict=True)
    ]
    labels, people = corpus["label"].to_numpy(), corpus["patient"].to_numpy()
    sets = [g.prediction_set or () for g in graded]
    is_in = np.array([classes.class_ids[label] in found for label, found in zip(labels, sets, strict=True)])
    is_far = np.array([bool(g.is_outlier) for g in graded])
    sizes = np.array([len(found) for found in sets], float)
    rows = []
    for group, inside in _groups(corpus, labels, fitzpatrick, classes).items():
        here = np.flatnonzero(inside)
        row: dict[str, object] = {"group": group, "photos": len(here)}
        drawn = draw_patients(people[here])
        for name, values in (("coverage", is_in), ("unlike", is_far)):
            found = drawn.measure_share(values[here], np.full(len(here), True))
            row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row | {"diseases": sizes[here].mean() if len(here) else np.nan})
    return pd.DataFrame(rows)


def _groups(
    corpus: pd.DataFrame, labels: np.ndarray, fitzpatrick: np.ndarray, classes: TrainingClasses
) -> Mapping[str, np.ndarray]:
    grades = classes.grade_of_class[labels].argmax(axis=1)
    skin = np.array([SKIN_TYPES.get(int(f), EVERYBODY) for f in fitzpatrick])
    kinds = corpus["kind"].to_numpy()
    groups = {"all": np.full(len(corpus), True)}
    groups |= {str(kind): kinds == kind for kind in sorted(set(kinds))}
    groups |= {str(grade).replace("_", " "): grades == i for i, grade in enumerate(GRADES)}
    return groups | {f"skin type {group}": skin == group for group in dict.fromkeys(SKIN_TYPES.values())}
