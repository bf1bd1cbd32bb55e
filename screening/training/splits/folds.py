"""k-fold cross-validation: each photo is kept out exactly once, with all that must stay with it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from screening.contracts import Side
from screening.errors import ContractError
from screening.training.splits.blurred import QUALITY
from screening.training.splits.sides import strata_of


def assign_folds(corpus: pd.DataFrame, groups: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """The fold that keeps each photo out, stratified by source and disease: shape (photos,), 0 to ``folds`` - 1.

    Args:
        corpus: columns ``source`` and ``label`` or ``disease``.
        groups: shape (photos,), photos that must stay together.
        folds: at least 2.
        seed: of the draw.

    Raises:
        ContractError: there are fewer groups than folds, or so few that a fold stays empty.
    """
    if folds < 2 or folds > len(np.unique(groups)):
        raise ContractError(
            f"{folds} folds of {len(np.unique(groups))} groups; expected 2 folds or more, and a group each"
        )
    strata = strata_of(corpus)
    if pd.Series(strata).value_counts().max() < folds:  # nothing can be kept in proportion
        strata = np.zeros(len(corpus), dtype=np.int64)
    fold = np.full(len(corpus), -1)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "The least populated class", UserWarning
        )  # a rare disease is kept out somewhere
        for number, (_, held) in enumerate(splitter.split(strata, strata, groups)):
            fold[held] = number
    if empty := sorted(set(range(folds)) - set(fold.tolist())):
        raise ContractError(
            f"fold {empty[0]} of {folds} is empty: a few groups hold most of the photos; take fewer folds"
        )
    return fold


def side_in_fold(split: pd.DataFrame, fold: int) -> pd.Series:
    """Sides while one fold is kept out: it validates, the other folds train, what is in no fold stays.

    Photos of the fold that were refused for blur or distance are left out meanwhile.

    Args:
        split: columns ``side``, ``fold`` and ``reason``, as ``sides_of`` gives them.
        fold: the one that is kept out.

    Raises:
        ContractError: the split has no such fold.
    """
    if not (split["fold"] == fold).any():
        raise ContractError(
            f"the split has no fold {fold}; it has {sorted({int(number) for number in split['fold'].dropna()})}"
        )
    kept_out = (split["fold"] == fold) & (split["side"] == str(Side.TRAIN))
    side = split["side"].mask(kept_out, str(Side.VALIDATION))
    return side.mask(kept_out & (split["reason"] == QUALITY), str(Side.LEFT_OUT))
