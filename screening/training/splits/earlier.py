"""The split of an earlier release: photos that it learnt from are never tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from screening.errors import ContractError
from screening.training.splits.frozen import extend_split, read_split
from screening.training.splits.graph import connect_groups
from screening.training.splits.sides import TRAIN


@dataclass(frozen=True)
class ReleaseSplit:
    """Name and split of a release; one from elsewhere may have no such file."""

    release: str
    file: Path


def keep_sides(earlier: Path, corpus: pd.DataFrame, features: np.ndarray, method: str, seed: int) -> pd.Series:
    """The side of each photo: those that the earlier split knows keep theirs, the others join them as ``extend_split`` says.

    Args:
        earlier: file of the earlier split.
        corpus: as ``read_corpus`` returns it; bytes that stand twice have one side.
        features: shape (photos, n).
        method: of both splits.
        seed: of the draw among new photos.

    Raises:
        ContractError: the earlier split is of another method.
    """
    first = ~corpus["photo_id"].duplicated().to_numpy()
    known = corpus[first]
    split, growth = extend_split(read_split(earlier), known, connect_groups(known, features[first]), method, seed)
    for line in growth.lines():
        print(line, flush=True)
    side = split.to_pandas().set_index("photo_id")["side"]
    return corpus["photo_id"].map(side).set_axis(corpus.index)


def check_unlearnt(photo_ids: pd.Series, known_by: ReleaseSplit) -> None:
    """Refuse to measure, or to choose, on photos that a release learnt from; one without a split cannot be checked.

    Raises:
        ContractError: with the number of such photos, and the first.
    """
    if not known_by.file.is_file():
        return
    split = read_split(known_by.file).to_pandas()
    learnt = photo_ids[photo_ids.isin(split["photo_id"][split["side"] == TRAIN])]
    if len(learnt):
        raise ContractError(
            f"release {known_by.release} learnt from {len(learnt)} of these {len(photo_ids)} kept-out photos, the first is "
            f"{learnt.iloc[0]}; expected a split that keeps its sides: give the --work of its training, or an empty one"
        )
