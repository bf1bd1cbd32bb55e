"""Fit a logistic regression, as ``screening.stages.quality.regression`` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

_DIGITS = 5

Example = tuple[bool, np.ndarray]
"""Whether what is asked holds, and the features."""


def fit_regression(examples: Sequence[Example], regularisation: float) -> dict[str, object]:
    """Mean, scale, weights and intercept, rounded; both answers weigh the same.

    Args:
        examples: of both answers.
        regularisation: inverse strength, scikit-learn's C.
    """
    features = np.array([numbers for _, numbers in examples])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 10.0**-_DIGITS
    fitted = LogisticRegression(C=regularisation, max_iter=3000, class_weight="balanced")
    fitted.fit((features - mean) / scale, [holds for holds, _ in examples])
    numbers = {"mean": mean, "scale": scale, "weights": fitted.coef_[0], "intercept": fitted.intercept_[0]}
    return {name: np.round(values, _DIGITS).tolist() for name, values in numbers.items()}


def write_regression(numbers: Mapping[str, object], file: Path) -> Path:
    """Write what was fitted, or several by the questions that they answer."""
    file.write_text(json.dumps(numbers, indent=1) + "\n")
    return file
