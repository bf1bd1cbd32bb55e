"""Probabilities to a grade, a disease and a differential, photo by photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from screening.contracts import GRADES, RiskGrade
from screening.cutoffs import GradeCutoffs
from screening.taxonomy import TrainingClasses


@dataclass(frozen=True)
class GradedPhoto:
    """The answer for one photo; probabilities are 0..1."""

    p_low_risk: float
    p_high_risk: float
    p_dangerous: float
    grade: RiskGrade
    disease: str
    differential: tuple[str, ...]
    member_spread: float


def grade_risk(p_high_risk: float, p_dangerous: float, cutoffs: GradeCutoffs) -> RiskGrade:
    """Give the most severe grade whose cut-off is reached.

    ``high_risk`` is judged on p_high_risk + p_dangerous: doubt between the two must not add up to low risk.
    """
    if p_dangerous >= cutoffs.dangerous:
        return RiskGrade.DANGEROUS
    return RiskGrade.HIGH_RISK if p_high_risk + p_dangerous >= cutoffs.high_risk else RiskGrade.LOW_RISK


def grade_photo(
    ensemble: np.ndarray, members: np.ndarray, classes: TrainingClasses, cutoffs: GradeCutoffs
) -> GradedPhoto:
    """Grade one photo.

    Args:
        ensemble: shape (classes,), the members' mean.
        members: shape (members, classes).
    """
    p_low, p_high, p_dangerous = (float(p) for p in classes.grade_probabilities(ensemble[None])[0])
    grade = grade_risk(p_high, p_dangerous, cutoffs)
    of_grade = classes.grade_of_class[:, GRADES.index(grade)] > 0
    likeliest = int(np.where(of_grade, ensemble, -1.0).argmax())
    order = np.argsort(-ensemble, kind="stable")
    differential = tuple(
        classes.class_ids[i] for i in order if ensemble[i] >= cutoffs.diseases.get(classes.class_ids[i], 1.0)
    )
    at_risk = classes.grade_probabilities(members)[:, 1:].sum(axis=1)
    return GradedPhoto(
        p_low_risk=p_low,
        p_high_risk=p_high,
        p_dangerous=p_dangerous,
        grade=grade,
        disease=classes.class_ids[likeliest],
        differential=differential,
        member_spread=float(at_risk.max() - at_risk.min()),
    )
