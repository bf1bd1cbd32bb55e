"""Fit the regression that tells rows of print from other marks that stand in a row."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from screening.stages.quality.lettering import find_rows
from screening.training.quality.fit_regression import Example, fit_regression, write_regression
from screening.training.quality.lettered_photos import lettered_views

_REGULARISATION = 1.0
"""Inverse strength (scikit-learn's C): there are hundreds of rows for each weight."""


def fit_lettering(photos: Sequence[np.ndarray], file: Path, seed: int = 0) -> Path:
    """Fit on the rows of marks in the photos and in what is drawn into them, and write the weights as JSON."""
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(partial(_rows_of, seed=seed), range(len(photos)), photos, chunksize=16))
    return write_regression(fit_regression([row for part in parts for row in part], _REGULARISATION), file)


def _rows_of(number: int, photo: np.ndarray, seed: int) -> list[Example]:
    """Every row with whether it is print; what else is marked in a photo with print is not learnt."""
    cv2.setNumThreads(1)
    learnt = []
    for view in lettered_views(photo, np.random.default_rng((seed, number))):
        for row in find_rows(view.pixels):
            if view.print_box is None:
                learnt.append((False, row.features))
                continue
            left, top, right, bottom = view.print_box
            x, y = (row.left + row.right) / 2, (row.top + row.bottom) / 2
            if left <= x <= right and top <= y <= bottom:
                learnt.append((True, row.features))
    return learnt
