"""Probabilities to a grade, a disease, a differential and the doubts about them, photo by photo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from screening.contracts import EVERYBODY, GRADES, SKIN_TYPES, RiskGrade
from screening.cutoffs import AnswerLimits, GradeCutoffs
from screening.taxonomy import TrainingClasses

OTHERS = "other_lesion"
"""Training class of all diseases that a release does not tell apart: the others of Han et al. 2018."""
UNLIKE_TRAINING, UNKNOWN_DISEASE = "unlike_training_photos", "unknown_disease"
WARNINGS: Mapping[str, str] = MappingProxyType(
    {
        UNLIKE_TRAINING: "This photo is unlike the photos that this release was trained with: do not rely on the grade, let a "
        "person look.",
        UNKNOWN_DISEASE: "This is most like a disease that this release does not know: let a person look.",
    }
)
"""What a warning of the table ``grades`` says in plain words, by code."""


@dataclass(frozen=True)
class GradedPhoto:
    """The answer for one photo; probabilities are 0..1. What the release does not tell is None."""

    p_low_risk: float
    p_high_risk: float
    p_dangerous: float
    grade: RiskGrade
    disease: str
    differential: tuple[str, ...]
    member_spread: float
    prediction_set: tuple[str, ...] | None
    outlier_distance: float | None
    is_outlier: bool | None
    warnings: tuple[str, ...]


def grade_risk(p_high_risk: float, p_dangerous: float, cutoffs: GradeCutoffs) -> RiskGrade:
    """Give the most severe grade whose cut-off is reached.

    ``high_risk`` is judged on p_high_risk + p_dangerous: doubt between the two must not add up to low risk.
    """
    if p_dangerous >= cutoffs.dangerous:
        return RiskGrade.DANGEROUS
    return RiskGrade.HIGH_RISK if p_high_risk + p_dangerous >= cutoffs.high_risk else RiskGrade.LOW_RISK


def grade_photo(
    ensemble: np.ndarray,
    members: np.ndarray,
    classes: TrainingClasses,
    cutoffs: GradeCutoffs,
    *,
    limits: AnswerLimits | None = None,
    outlier_distance: float | None = None,
    fitzpatrick: int | None = None,
) -> GradedPhoto:
    """Grade one photo.

    Args:
        ensemble: shape (classes,), the members' mean.
        members: shape (members, classes).
        classes: of the release.
        cutoffs: of the grades and diseases.
        limits: what the release knows of the limits of its answers; None: nothing.
        outlier_distance: how far the photo is from the training photos, mean of the members; None: unknown.
        fitzpatrick: skin type, 1..6, where the uploader said it.
    """
    limits = limits or AnswerLimits()
    p_low, p_high, p_dangerous = (float(p) for p in classes.grade_probabilities(ensemble[None])[0])
    grade = grade_risk(p_high, p_dangerous, cutoffs)
    is_unknown = classes.class_ids[int(ensemble.argmax())] == OTHERS
    if is_unknown and grade == RiskGrade.LOW_RISK:
        # What a disease that nobody named is, the networks cannot know: it is never low risk by default.
        grade = RiskGrade.HIGH_RISK
    of_grade = classes.grade_of_class[:, GRADES.index(grade)] > 0
    likeliest = int(np.where(of_grade, ensemble, -1.0).argmax())
    order = np.argsort(-ensemble, kind="stable")
    differential = tuple(
        classes.class_ids[i] for i in order if ensemble[i] >= cutoffs.diseases.get(classes.class_ids[i], 1.0)
    )
    at_risk = classes.grade_probabilities(members)[:, 1:].sum(axis=1)
    is_outlier = None
    if limits.outlier_cutoff is not None and outlier_distance is not None:
        is_outlier = bool(outlier_distance >= limits.outlier_cutoff)
    return GradedPhoto(
        p_low_risk=p_low,
        p_high_risk=p_high,
        p_dangerous=p_dangerous,
        grade=grade,
        disease=classes.class_ids[likeliest],
        differential=differential,
        member_spread=float(at_risk.max() - at_risk.min()),
        prediction_set=_prediction_set(ensemble, classes, limits, fitzpatrick),
        outlier_distance=outlier_distance,
        is_outlier=is_outlier,
        warnings=tuple(_warnings(is_outlier is True, is_unknown)),
    )


def _warnings(is_outlier: bool, is_unknown: bool) -> Iterator[str]:
    if is_outlier:
        yield UNLIKE_TRAINING
    if is_unknown:
        yield UNKNOWN_DISEASE


def _prediction_set(
    ensemble: np.ndarray, classes: TrainingClasses, limits: AnswerLimits, fitzpatrick: int | None
) -> tuple[str, ...] | None:
    """Every disease that reaches the limit of its grade, likeliest first; the likeliest of all is always in it."""
    if limits.prediction_sets is None:
        return None
    by_group = limits.prediction_sets.lowest
    lowest = by_group.get(skin_group(fitzpatrick), by_group[EVERYBODY])
    order = np.argsort(-ensemble, kind="stable")
    return tuple(classes.class_ids[i] for i in order if i == order[0] or ensemble[i] >= lowest[str(classes.grades[i])])


def skin_group(fitzpatrick: int | None) -> str:
    """The group of a skin type; everybody's where it is unknown."""
    return SKIN_TYPES.get(fitzpatrick or 0, EVERYBODY)
