"""Temperature and cut-offs, chosen on validation photos only."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import roc_curve

from screening.contracts import GRADES
from screening.cutoffs import GradeCutoffs
from screening.errors import ContractError
from screening.taxonomy import TrainingClasses

WANTED_SENSITIVITY = 0.95
"""Share of high-risk and dangerous photos that must be referred somewhere; docs/decisions/0005."""


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The one temperature, for all members, that makes their mean probability most likely (Guo et al. 2017).

    Args:
        logits: shape (members, photos, classes).
        labels: shape (photos,), class indices.
        weights: shape (photos,), how much each photo counts.
    """

    def loss(log_temperature: float) -> float:
        members = log_softmax(logits / np.exp(log_temperature), axis=-1)
        of_label = np.log(np.exp(members[:, np.arange(len(labels)), labels]).mean(axis=0) + 1e-12)
        return float(-(of_label * weights).sum() / weights.sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def ensemble_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Mean of the calibrated members: shape (members, photos, classes) to (photos, classes)."""
    return np.asarray(softmax(logits / temperature, axis=-1).mean(axis=0))


def kind_weights(kinds: np.ndarray) -> np.ndarray:
    """Weights with which every kind of photo counts the same, whatever its number."""
    _, place, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[place])


def choose_cutoffs(
    probabilities: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    classes: TrainingClasses,
    dangerous_sensitivity: float | None = None,
    kept_sensitivity: float | None = None,
) -> GradeCutoffs:
    """Cut-offs of the grades and of every disease.

    dangerous: Youden's index on p_dangerous, or the highest cut-off at which ``dangerous_sensitivity`` of the dangerous
    photos are caught; with ``kept_sensitivity``, the share that the release before catches of these photos, no higher than
    what keeps it. high_risk: the highest cut-off on p_high_risk + p_dangerous at which ``WANTED_SENSITIVITY`` of all
    that is not low risk is caught. Each disease: Youden's index (Han et al. 2018 give every disease its own); a disease
    that no photo shows gets none, and is in the differential only when certain.

    Raises:
        ContractError: a grade has no photo. Its cut-off would be infinite: never dangerous.
    """
    grades = classes.grade_of_class[labels].argmax(axis=1)
    if missing := [str(grade) for i, grade in enumerate(GRADES) if not (grades == i).any()]:
        raise ContractError(f"validation photos: none is {' or '.join(missing)}, so its cut-off cannot be chosen")
    scores = classes.grade_probabilities(probabilities)
    numbers = {
        "dangerous": _youden(grades == 2, scores[:, 2], weights)
        if dangerous_sensitivity is None
        else _at_sensitivity(grades == 2, scores[:, 2], weights, dangerous_sensitivity),
        "high_risk": _at_sensitivity(grades >= 1, scores[:, 1:].sum(axis=1), weights, WANTED_SENSITIVITY),
    }
    if kept_sensitivity is not None:
        kept = _at_sensitivity(grades == 2, scores[:, 2], weights, kept_sensitivity)
        numbers["dangerous"] = min(numbers["dangerous"], kept)
    diseases = {
        disease: _youden(labels == i, probabilities[:, i], weights)
        for i, disease in enumerate(classes.class_ids)
        if (labels == i).any()
    }
    digest = hashlib.sha256(json.dumps([GRADES, numbers, diseases], sort_keys=True).encode()).hexdigest()[:12]
    return GradeCutoffs("g-" + digest, numbers["dangerous"], numbers["high_risk"], diseases)


def _youden(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> float:
    false_alarms, caught, cutoffs = roc_curve(truth, score, sample_weight=weights)
    return _rounded(cutoffs[np.argmax(caught - false_alarms)])


def _at_sensitivity(truth: np.ndarray, score: np.ndarray, weights: np.ndarray, wanted: float) -> float:
    _, caught, cutoffs = roc_curve(truth, score, sample_weight=weights, drop_intermediate=False)
    return _rounded(cutoffs[np.argmax(caught >= wanted)])


def _rounded(cutoff: float) -> float:
    """Down to three digits, so that the photo that set it still reaches it.

    A score that tells nothing has its best cut-off at infinity, which JSON cannot hold: 1 stands for it.
    """
    return float(np.floor(min(cutoff, 1.0) * 1000) / 1000)
