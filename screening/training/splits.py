"""Split a corpus so that no person, lesion or near-duplicate stands on two sides.

Groups are the connected components of: same patient, same lesion, or nearest neighbours of CNN features (Esteva et al.
2017 build the same graph). Photos that another source may show under an unknown lesion id are kept in training, and so
are their likeliest counterparts there: the kept-out sets lose photos rather than leak.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from screening.errors import ContractError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
NEAR_DUPLICATE_COSINE = 0.95
"""Cosine of ImageNet features above which two photos count as one; docs/decisions/0004."""
COUNTERPARTS = 3
"""Nearest photos of the same disease that are taken for possible other views of one lesion; docs/decisions/0004."""


def connect_groups(corpus: pd.DataFrame, features: np.ndarray) -> np.ndarray:
    """Give every photo the number of its group.

    Args:
        corpus: as ``read_corpus`` returns it.
        features: shape (photos, n), any scale; rows in the order of ``corpus``.

    Returns:
        Shape (photos,), int64.
    """
    parent = np.arange(len(corpus))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for column in ("patient", "lesion"):
        for members in corpus.groupby(column).indices.values():
            for other in members[1:]:
                parent[root(int(other))] = root(int(members[0]))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for start in range(0, len(unit), 512):
        close = np.argwhere(unit[start : start + 512] @ unit.T > NEAR_DUPLICATE_COSINE)
        for i, j in close:
            parent[root(int(i) + start)] = root(int(j))
    return np.array([root(i) for i in range(len(corpus))])


def kept_in_training(corpus: pd.DataFrame, features: np.ndarray) -> np.ndarray:
    """Photos whose lesion another source may show too, and their nearest counterparts there: shape (photos,), bool."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    kept = (corpus["has_other_view_in"] != "").to_numpy().copy()
    for i in np.flatnonzero(kept):
        same = (corpus["source"] == corpus["has_other_view_in"].iloc[i]) & (corpus["label"] == corpus["label"].iloc[i])
        candidates = np.flatnonzero(same.to_numpy())
        kept[candidates[np.argsort(-(unit[candidates] @ unit[i]))[:COUNTERPARTS]]] = True
    return kept


def split_corpus(corpus: pd.DataFrame, features: np.ndarray, seed: int = 0) -> pd.Series:
    """Name a side for every photo: 15 % test and 15 % validation of those that may leave training, grouped and stratified.

    The strata are disease and source, so each side has each of them in proportion.
    """
    groups = connect_groups(corpus, features)
    fixed = np.isin(groups, groups[kept_in_training(corpus, features)])
    side = pd.Series(TRAIN, index=corpus.index)
    free = np.flatnonzero(~fixed)
    strata = (corpus["source"] + "/" + corpus["label"].astype(str)).to_numpy()
    # 20 folds of 5 %: three make the test, three more the validation (each is 15 % of the photos that may move).
    folds = StratifiedGroupKFold(n_splits=20, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(folds.split(free, strata[free], groups[free])):
        if number < 6:
            side.iloc[free[held]] = TEST if number < 3 else VALIDATION
    check_no_leak(corpus, groups, side)
    return side


def check_no_leak(corpus: pd.DataFrame, groups: np.ndarray, side: pd.Series) -> None:
    """Raise unless every group, patient and lesion lies on one side.

    Raises:
        ContractError: with the first group, patient or lesion that straddles.
    """
    for name, key in (
        ("group", pd.Series(groups, index=corpus.index)),
        ("patient", corpus["patient"]),
        ("lesion", corpus["lesion"]),
    ):
        sides = side.groupby(key).nunique()
        if (sides > 1).any():
            straddling = sides.index[sides > 1]
            raise ContractError(f"split: {len(straddling)} {name}s stand on two sides, the first is {straddling[0]}")
