"""Fit the regression that tells sharp, out of focus and moved lesions apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from screening.stages.quality.blur import CLASSES, blur_features
from screening.stages.quality.regions import find_regions
from screening.training.quality.blurred_photos import SharpPhoto, blurred_views

_REGULARISATION = 0.3
"""Inverse strength (scikit-learn's C): 0.1 to 3 did equally well on kept-out patients."""
_DIGITS = 5


def fit_blur(photos: Sequence[SharpPhoto], file: Path, seed: int = 0) -> Path:
    """Fit on blurred views of the photos and write the weights as JSON."""
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(partial(_features_of, seed=seed), range(len(photos)), photos, chunksize=4))
    labels = np.concatenate([part[0] for part in parts])
    features = np.concatenate([part[1] for part in parts])
    mean, scale = features.mean(axis=0), features.std(axis=0)
    fitted = LogisticRegression(C=_REGULARISATION, max_iter=5000, class_weight="balanced")
    fitted.fit((features - mean) / scale, labels)
    numbers = {"mean": mean, "scale": scale, "weights": fitted.coef_, "intercepts": fitted.intercept_}
    text = json.dumps(
        {"classes": CLASSES, **{name: np.round(values, _DIGITS).tolist() for name, values in numbers.items()}}, indent=1
    )
    file.write_text(text + "\n")
    return file


def _features_of(number: int, photo: SharpPhoto, seed: int) -> tuple[np.ndarray, np.ndarray]:
    cv2.setNumThreads(1)
    views = list(blurred_views(photo, np.random.default_rng((seed, number))))
    features = [
        blur_features(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), find_regions(view).lesion_mask) for _, view in views
    ]
    return np.array([kind for kind, _ in views]), np.array(features)
