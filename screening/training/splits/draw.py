"""Draw a split of a corpus table by one of the methods, keep blurred and distant photos out of validation and test, and freeze it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa

from screening.errors import SettingsError
from screening.training.splits.blurred import (
    QUALITY,
    is_blurred_or_distant,
    is_blurred_with_its_group,
    leave_out_blurred,
)
from screening.training.splits.folds import assign_folds
from screening.training.splits.frozen import freeze_split
from screening.training.splits.graph import SimilarityGraph
from screening.training.splits.sides import LEFT_OUT, TRAIN, kept_in_training, split_by_time, split_corpus


def draw_split(
    corpus: pd.DataFrame,
    features: np.ndarray | None,
    graph: SimilarityGraph,
    method: str,
    seed: int = 0,
) -> pa.Table:
    """The table ``split`` of a corpus.

    Args:
        corpus: as the table ``corpus``.
        features: shape (photos, n), or None; only photos that another source may show too need them.
        graph: of the same photos.
        method: ``groups``: 15 % test, 15 % validation; ``time``: oldest 90 % train; or a number of folds, as ``5-fold``.
        seed: of the draw; ``time`` needs none.

    Raises:
        SettingsError: there is no such method.
        ContractError: the corpus does not allow it, e.g. a capture time is missing.
    """
    groups = graph.groups
    fold = None
    reason = pd.Series("drawn", index=corpus.index)
    rule: dict[str, object] = {"method": method, "seed": seed}
    if method == "groups":
        drawn = split_corpus(corpus, features, seed, groups)
        reason[is_blurred_with_its_group(corpus, groups)] = QUALITY
        reason[np.isin(groups, groups[kept_in_training(corpus, features)])] = "may_be_seen_elsewhere"
    elif method == "time":
        drawn = split_by_time(corpus, groups)
        reason[:] = "by_time"
        reason[drawn == LEFT_OUT] = "older_photos_in_training"
    elif folds := re.fullmatch(r"(\d+)-fold", method):
        fold = assign_folds(corpus, groups, int(folds[1]), seed)
        drawn = pd.Series(TRAIN, index=corpus.index)
        reason[is_blurred_or_distant(corpus)] = QUALITY
    else:
        raise SettingsError(f"split by {method!r}; expected groups, time, or a number of folds as 5-fold")
    side = leave_out_blurred(corpus, drawn)
    reason[side != drawn] = QUALITY
    joins = {str(evidence): count for evidence, count in graph.counts().items()}
    rule |= {"joins": joins, "blurred_or_distant": int(is_blurred_or_distant(corpus).sum())}
    return freeze_split(corpus, side, groups, rule, reason=reason, fold=fold)
