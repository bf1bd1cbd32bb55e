"""How far a photo is from the photos of the training, as one member sees it: docs/decisions/0016.

The pooled features of training photos lie near a subspace of few dimensions; what a photo has outside it is its distance
(the residual of Wang et al. 2022, ViM). Fitted to training photos alone, every kind of them counting the same, and frozen
inside the exported graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from screening.errors import ContractError

DIMENSIONS = 128
"""Of the subspace; 32 to 512 were measured."""
FALSE_ALARMS = 0.02
"""Share of the validation photos, every kind counting the same, that are called unlike the training photos."""


@dataclass(frozen=True)
class OutlierModel:
    """``distance`` of a photo is |x|² − |x·directions|², x being its features less ``mean``, as a multiple of ``median``.

    ``mean``: shape (features,), ``directions``: shape (features, dimensions), orthonormal; float32.
    """

    mean: np.ndarray
    directions: np.ndarray
    median: float

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Shape (photos, features) to (photos,); the median training photo has 1."""
        centred = features.astype(np.float64) - self.mean
        inside = centred @ self.directions.astype(np.float64)
        outside = (centred**2).sum(axis=1) - (inside**2).sum(axis=1)
        return np.asarray(np.maximum(outside, 0.0) / self.median)


def fit_outlier_model(features: np.ndarray, weights: np.ndarray, dimensions: int = DIMENSIONS) -> OutlierModel:
    """Find the subspace of the training photos.

    Args:
        features: shape (photos, features), pooled.
        weights: shape (photos,), how much each photo counts.
        dimensions: of the subspace; at most a quarter of the features or photos, so that something stays outside it.

    Raises:
        ContractError: the photos are all alike, so that none can be called unlike them.
    """
    share = weights / weights.sum()
    mean = share @ features.astype(np.float64)
    centred = features - mean
    _, _, directions = np.linalg.svd(centred * np.sqrt(share)[:, None], full_matrices=False)
    kept = min(dimensions, min(features.shape) // 4)
    model = OutlierModel(mean.astype(np.float32), directions[:kept].T.astype(np.float32), 1.0)
    median = weighted_quantile(model.distance(features), weights, 0.5)
    if not median > 0:
        raise ContractError(
            f"outliers: {len(features)} training photos have the same features, expected different ones"
        )
    return OutlierModel(model.mean, model.directions, median)


def choose_outlier_cutoff(distances: np.ndarray, weights: np.ndarray) -> float:
    """The mean distance of the members from which on ``FALSE_ALARMS`` of the validation photos are unlike.

    Args:
        distances: shape (members, photos).
        weights: shape (photos,), how much each photo counts.
    """
    return round(weighted_quantile(distances.mean(axis=0), weights, 1 - FALSE_ALARMS), 3)


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The smallest value that at least this share of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(values) - 1)])
