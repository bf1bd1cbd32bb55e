"""A logistic regression kept as JSON: what those filters have learnt that are no networks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Regression:
    """Of features that are shifted by ``mean`` and divided by ``scale``; each of shape (features,)."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float

    def log_odds(self, features: np.ndarray) -> float:
        """That what was asked holds."""
        return float(self.weights @ ((features - self.mean) / self.scale) + self.intercept)


@lru_cache
def read_regression(file: Path, question: str | None = None) -> Regression:
    """The regression in a file or, where it holds several, the one that answers a question; read once in each process."""
    numbers = json.loads(file.read_text())
    numbers = numbers[question] if question else numbers
    mean, scale, weights = (np.array(numbers[name]) for name in ("mean", "scale", "weights"))
    return Regression(mean, scale, weights, float(numbers["intercept"]))
