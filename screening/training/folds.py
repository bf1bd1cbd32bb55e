"""Which photos a member learns from, and which it is judged on after each epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from screening.training.recipe import Fold
from screening.training.splits import TRAIN, VALIDATION, is_blurred_or_distant
from screening.training.splits.folds import assign_folds

SEED = 0
"""Of the folds: the same for every member, else the folds of two members would overlap."""


def rows_of_member(
    corpus: pd.DataFrame, side: pd.Series, group: pd.Series, fold: Fold | None
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers that the member learns from, and those that it is judged on.

    Without a fold these are the sides of the split. With one, the training side is cut by group, each fold with every
    source and disease in proportion; the member is judged on the fold that it does not see, but for photos refused for blur
    or distance, and the validation side stays unseen by all members, for calibration.
    """
    train = np.flatnonzero(side == TRAIN)
    if fold is None:
        return train, np.flatnonzero(side == VALIDATION)
    folds = assign_folds(corpus.iloc[train], group.to_numpy()[train], fold.of, SEED)
    return train[folds != fold.number], train[(folds == fold.number) & ~is_blurred_or_distant(corpus)[train]]
