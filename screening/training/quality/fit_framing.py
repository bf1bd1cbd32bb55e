"""Fit the regression that tells lesions that the frame cuts from lesions with skin all around."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from screening.stages.quality.framing import framing_features
from screening.stages.quality.regions import find_regions
from screening.training.quality.framed_photos import DrawnLesion, framed_views

_REGULARISATION = 0.01
"""Inverse strength (scikit-learn's C): 0.003 to 0.1 did equally well on people left out of the fit."""
_DIGITS = 5


def fit_framing(photos: Sequence[DrawnLesion], file: Path, seed: int = 0) -> Path:
    """Fit on parts of the photos and write the weights as JSON."""
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(partial(_features_of, seed=seed), range(len(photos)), photos, chunksize=4))
    is_cut = np.array([cut for part in parts for cut, _ in part])
    features = np.array([numbers for part in parts for _, numbers in part])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 10.0**-_DIGITS
    fitted = LogisticRegression(C=_REGULARISATION, max_iter=3000, class_weight="balanced")
    fitted.fit((features - mean) / scale, is_cut)
    numbers = {"mean": mean, "scale": scale, "weights": fitted.coef_[0], "intercept": fitted.intercept_[0]}
    text = json.dumps({name: np.round(values, _DIGITS).tolist() for name, values in numbers.items()}, indent=1)
    file.write_text(text + "\n")
    return file


def _features_of(number: int, photo: DrawnLesion, seed: int) -> list[tuple[bool, np.ndarray]]:
    cv2.setNumThreads(1)
    views = framed_views(photo, np.random.default_rng((seed, number)))
    return [(is_cut, framing_features(find_regions(view).encoding)) for is_cut, view in views]
