"""Draw the sides of a split so that no person, lesion or near-duplicate stands on two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from screening.contracts import Side
from screening.errors import ContractError
from screening.training.splits.blurred import is_blurred_with_its_group
from screening.training.splits.graph import class_or_disease, connect_groups, nearest_counterparts
from screening.training.splits.leaks import check_no_leak

TRAIN, VALIDATION, TEST, LEFT_OUT = map(str, Side)
_TWENTIETHS, _VALIDATED = 20, 3


def strata_of(corpus: pd.DataFrame) -> np.ndarray:
    """Source and disease of each photo, which a split keeps in proportion."""
    return (corpus["source"] + "/" + class_or_disease(corpus).astype(str)).to_numpy()


def kept_in_training(corpus: pd.DataFrame, features: np.ndarray | None) -> np.ndarray:
    """Photos whose lesion another source may show too, and their nearest counterparts there: shape (photos,), bool."""
    kept = (corpus["has_other_view_in"] != "").to_numpy().copy()
    for _, counterparts in nearest_counterparts(corpus, features):
        kept[counterparts] = True
    return kept


def split_corpus(
    corpus: pd.DataFrame,
    features: np.ndarray | None,
    seed: int = 0,
    groups: np.ndarray | None = None,
    test_share: float = 0.15,
) -> pd.Series:
    """Name a side for every photo: test and 15 % validation of those that may leave training, grouped and stratified.

    The strata are disease and source, so each side has each of them in proportion. Photos that another source may show
    under an unknown lesion id are kept in training, and so are their likeliest counterparts there: the kept-out sets lose
    photos rather than leak. A group of blurred and distant photos only stays there, too. A photo whose
    bytes stand in an earlier row is left out; of bytes with contradictory labels every row is.

    Args:
        corpus: as ``read_corpus`` returns it.
        features: shape (photos, n), rows in the order of ``corpus``; None: looks are not compared.
        seed: of the draw.
        groups: photos that must stay together, from other evidence than that of ``connect_groups``.
        test_share: of the photos that may leave training, in steps of 0.05.

    Raises:
        ContractError: no disease of a source has the 20 photos that shares of 5 % need.
    """
    if groups is None:
        groups = connect_groups(corpus, features)
    fixed = np.isin(groups, groups[kept_in_training(corpus, features)]) | is_blurred_with_its_group(corpus, groups)
    side = pd.Series(TRAIN, index=corpus.index)
    free = np.flatnonzero(~fixed)
    strata = strata_of(corpus)
    if (most := pd.Series(strata[free]).value_counts().max() if len(free) else 0) < _TWENTIETHS:
        raise ContractError(
            f"split: at most {most} photos of a disease and source may leave training, expected {_TWENTIETHS} or more; "
            "take a larger corpus, or folds"
        )
    # 20 folds of 5 %: the first make the test, three more the validation (15 % of the photos that may move).
    tested = round(test_share * _TWENTIETHS)
    folds = StratifiedGroupKFold(n_splits=_TWENTIETHS, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(folds.split(free, strata[free], groups[free])):
        if number < tested + _VALIDATED:
            side.iloc[free[held]] = TEST if number < tested else VALIDATION
    check_no_leak(corpus, groups, side)
    if "photo_id" in corpus:
        side[_is_repeated(corpus)] = LEFT_OUT
    return side


def _is_repeated(corpus: pd.DataFrame) -> np.ndarray:
    """Photos whose bytes stand in an earlier row; of bytes with contradictory labels, every one: shape (photos,), bool."""
    contradicts = corpus.groupby("photo_id")["disease"].transform("nunique") > 1
    return np.asarray(corpus["photo_id"].duplicated() | contradicts)


def split_by_time(
    corpus: pd.DataFrame, groups: np.ndarray, train_share: float = 0.9, validation_share: float = 0.1
) -> pd.Series:
    """The oldest photos train, the newest test (Han et al. 2018: 90 and 10 %); the newest that train are for validation.

    A photo taken after a border whose group began before it is left out: it would tell of a person already learnt from,
    and may not be learnt from either, being newer than what is tested.

    Args:
        corpus: ``captured_at_utc`` is known for every photo.
        groups: shape (photos,), photos that must stay together.
        train_share: of all photos, validation included.
        validation_share: of these.

    Raises:
        ContractError: a capture time is missing, or too few moments differ for a border.
    """
    taken = corpus["captured_at_utc"]
    if taken.isna().any():
        nameless = corpus.loc[taken.isna(), "photo"].tolist()
        raise ContractError(
            f"split by time: {len(nameless)} of {len(corpus)} photos have no capture time, the first is {nameless[0]}; "
            "give captured_at_utc in the source, or split by groups"
        )
    ticks = taken.astype(np.int64).to_numpy()
    oldest_first = np.sort(ticks)
    borders = [
        oldest_first[round(len(ticks) * share) - 1] for share in (train_share * (1 - validation_share), train_share)
    ]
    own = np.searchsorted(borders, ticks)  # a photo at the border is before it
    begun = pd.Series(own).groupby(groups).transform("min").to_numpy()
    side = pd.Series(np.array([TRAIN, VALIDATION, TEST], dtype=object)[own], index=corpus.index)
    side[own != begun] = LEFT_OUT
    if empty := [name for name in (TRAIN, VALIDATION, TEST) if not (side == name).any()]:
        raise ContractError(
            f"split by time: no photo for {empty[0]}; too few moments or groups differ for these shares"
        )
    check_no_leak(corpus, groups, side)
    return side


def check_every_class_is_trained(corpus: pd.DataFrame, side: pd.Series, class_ids: Sequence[str]) -> None:
    """Raise unless each training class has a photo to learn from.

    Args:
        corpus: column ``label``.
        side: of each photo, in the order of ``corpus``.
        class_ids: the training classes, in tensor order.

    Raises:
        ContractError: with the classes that have none.
    """
    trained = set(corpus["label"][(side == TRAIN).to_numpy()])
    if empty := [name for place, name in enumerate(class_ids) if place not in trained]:
        raise ContractError(
            f"no training photo of {', '.join(empty)}; add a source that has some, or train without this class"
        )
