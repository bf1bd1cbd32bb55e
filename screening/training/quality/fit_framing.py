"""Fit the regression that tells lesions that the frame cuts from lesions with skin all around."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from screening.stages.quality.framing import framing_features
from screening.stages.quality.regions import find_regions
from screening.training.quality.fit_regression import Example, fit_regression, write_regression
from screening.training.quality.framed_photos import DrawnLesion, framed_views

_REGULARISATION = 0.01
"""Inverse strength (scikit-learn's C): 0.003 to 0.1 did equally well on people left out of the fit."""


def fit_framing(photos: Sequence[DrawnLesion], file: Path, seed: int = 0) -> Path:
    """Fit on parts of the photos and write the weights as JSON."""
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(partial(_features_of, seed=seed), range(len(photos)), photos, chunksize=4))
    return write_regression(fit_regression([view for part in parts for view in part], _REGULARISATION), file)


def _features_of(number: int, photo: DrawnLesion, seed: int) -> list[Example]:
    cv2.setNumThreads(1)
    views = framed_views(photo, np.random.default_rng((seed, number)))
    return [(is_cut, framing_features(find_regions(view).encoding)) for is_cut, view in views]
