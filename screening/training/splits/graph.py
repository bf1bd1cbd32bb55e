"""Which photos must stay on one side: the connected components of a graph of similar photos (Esteva et al. 2017).

Esteva and colleagues joined photos by EXIF, by what the repositories say, and by nearest neighbours of CNN features. Here
each join carries its evidence, so that a person can ask why two photos count as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from screening.errors import ContractError
from screening.stages.quality.duplicates import find_same_pairs, read_hashes

NEAR_DUPLICATE_COSINE = 0.95
"""Cosine of ImageNet features above which two photos count as one; docs/decisions/0004."""
COUNTERPARTS = 3
"""Nearest photos of the same disease that are taken for possible other views of one lesion; docs/decisions/0004."""
SERIES_SECONDS = 120
"""Photos of one source and device that follow each other so closely are of one sitting; docs/decisions/0012."""

_ROWS_AT_ONCE = 512
# The ISIC archive's number of a photo, under which other data sets publish it again.
_ISIC_NUMBER = re.compile(r"ISIC_\d{7}", re.IGNORECASE)


class Evidence(StrEnum):
    """Why two photos must stay together."""

    PATIENT = "same patient"
    LESION = "same lesion"
    FEATURES = "nearest neighbours of CNN features"
    PUBLISHED_NUMBER = "same number in the ISIC archive"
    SITTING = "same device within two minutes (EXIF)"
    PERCEPTUAL_HASH = "same picture (perceptual hash)"


@dataclass(frozen=True)
class Join:
    """Two photos, as rows of the corpus, and why they must stay together."""

    first: int
    second: int
    evidence: Evidence


@dataclass(frozen=True)
class SimilarityGraph:
    """``joins``: for each evidence the rows of the pairs that it joins, shape (pairs, 2); ``photos``: rows in all."""

    photos: int
    joins: dict[Evidence, np.ndarray]

    @cached_property
    def groups(self) -> np.ndarray:
        """The number of each photo's component: shape (photos,), int64, the row of one of its photos.

        Which one follows from the order of the joins, and later draws follow from that: earlier releases rest on it.
        """
        parent = np.arange(self.photos)

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = int(parent[i])
            return i

        for pairs in self.joins.values():
            for first, second in pairs.tolist():
                parent[root(first)] = root(second)
        return np.array([root(i) for i in range(self.photos)], dtype=np.int64)

    def counts(self) -> dict[Evidence, int]:
        """Pairs that each evidence joins."""
        return {evidence: len(pairs) for evidence, pairs in self.joins.items()}

    def why(self, first: int, second: int) -> list[Join]:
        """The shortest chain of joins from one photo to another, empty where none leads there."""
        order, before = breadth_first_order(self._links, first, directed=False)
        if second not in order:
            return []
        chain = []
        while second != first:
            step = int(before[second])
            chain.append(Join(step, second, self._evidence_of(step, second)))
            second = step
        return chain[::-1]

    @cached_property
    def _links(self) -> coo_array:
        pairs = np.concatenate([np.empty((0, 2), np.int64), *self.joins.values()])
        return coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (self.photos, self.photos)).tocsr()

    def _evidence_of(self, first: int, second: int) -> Evidence:
        wanted = np.sort([first, second])
        return next(e for e, pairs in self.joins.items() if (np.sort(pairs, axis=1) == wanted).all(axis=1).any())


def similarity_graph(corpus: pd.DataFrame, features: np.ndarray | None = None) -> SimilarityGraph:
    """Join photos by every evidence at hand.

    Args:
        corpus: columns ``patient`` and ``lesion``; and, where they are known, ``source``, ``photo``, ``device`` with
            ``captured_at_utc``, and ``perceptual_hash``.
        features: shape (photos, n), any scale, rows in the order of ``corpus``; None: looks are not compared.

    Raises:
        ContractError: features are not one row per photo, or not finite.
    """
    joins = {
        Evidence.PATIENT: _share(corpus["patient"]),
        Evidence.LESION: _share(corpus["lesion"]),
    }
    if features is not None:
        joins[Evidence.FEATURES] = _look_alike(corpus, features)
    if "photo" in corpus:
        numbers = corpus["photo"].map(lambda photo: _isic_number(Path(photo).stem))
        joins[Evidence.PUBLISHED_NUMBER] = _share(numbers)
    if "device" in corpus:
        joins[Evidence.SITTING] = _same_sitting(corpus)
    if "perceptual_hash" in corpus:
        joins[Evidence.PERCEPTUAL_HASH] = _same_picture(corpus["perceptual_hash"])
    return SimilarityGraph(len(corpus), joins)


def connect_groups(corpus: pd.DataFrame, features: np.ndarray | None) -> np.ndarray:
    """Give every photo the number of its group: same patient, same lesion, or alike (what release r0001 was split by).

    Args:
        corpus: as ``read_corpus`` returns it.
        features: shape (photos, n), any scale; rows in the order of ``corpus``; None: looks are not compared.

    Returns:
        Shape (photos,), int64.
    """
    return similarity_graph(corpus[["patient", "lesion"]], features).groups


def nearest_counterparts(corpus: pd.DataFrame, features: np.ndarray | None) -> Iterator[tuple[int, np.ndarray]]:
    """For each photo that another source may show too: its row, and those of its likeliest counterparts there.

    Raises:
        ContractError: there are such photos, and no features to find their counterparts by.
    """
    doubtful = np.flatnonzero((corpus["has_other_view_in"] != "").to_numpy())
    if not len(doubtful):
        return
    if features is None:
        raise ContractError(
            f"{len(doubtful)} photos may show lesions of another source under unknown ids; CNN features are needed to "
            "find their counterparts: give the folder of ImageNet's weights"
        )
    unit = unit_features(features)
    disease = class_or_disease(corpus)
    for i in doubtful:
        same = (corpus["source"] == corpus["has_other_view_in"].iloc[i]) & (disease == disease.iloc[i])
        candidates = np.flatnonzero(same.to_numpy())
        yield int(i), candidates[np.argsort(-(unit[candidates] @ unit[i]))[:COUNTERPARTS]]


def class_or_disease(corpus: pd.DataFrame) -> pd.Series:
    """The training class of each photo where the corpus has one for training, else its disease."""
    return corpus["label"] if "label" in corpus else corpus["disease"]


def unit_features(features: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True))


def _share(names: pd.Series) -> np.ndarray:
    """Each photo that shares a name with the first photo of that name, and that one; the nameless share nothing."""
    members = names.reset_index(drop=True).groupby(names.to_numpy()).indices.values()
    return _pairs([(int(other), int(rows[0])) for rows in members for other in rows[1:]])


def _look_alike(corpus: pd.DataFrame, features: np.ndarray) -> np.ndarray:
    if len(features) != len(corpus) or not np.isfinite(features).all():
        raise ContractError(
            f"features: shape {features.shape} for {len(corpus)} photos, or not finite; expected a row per photo"
        )
    unit = unit_features(features)
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(unit), _ROWS_AT_ONCE):
        close = np.argwhere(unit[start : start + _ROWS_AT_ONCE] @ unit.T > NEAR_DUPLICATE_COSINE)
        close[:, 0] += start
        found.append(close[close[:, 0] < close[:, 1]])
    return np.concatenate(found)


def _isic_number(stem: str) -> str | None:
    found = _ISIC_NUMBER.match(stem)
    return found.group().upper() if found else None


def _same_sitting(corpus: pd.DataFrame) -> np.ndarray:
    """Each photo and the next one by the same device of the same source, where little time lies between."""
    known = corpus.reset_index(drop=True).dropna(subset=["device", "captured_at_utc"])
    pairs = []
    for _, taken in known.sort_values("captured_at_utc", kind="stable").groupby(["source", "device"]):
        seconds = taken["captured_at_utc"].diff().dt.total_seconds().to_numpy()
        rows = taken.index.to_numpy()
        pairs += [(int(rows[i - 1]), int(rows[i])) for i in range(1, len(rows)) if seconds[i] <= SERIES_SECONDS]
    return _pairs(pairs)


def _same_picture(hashes: pd.Series) -> np.ndarray:
    known = np.flatnonzero(hashes.notna().to_numpy())
    return known[find_same_pairs(read_hashes(hashes.iloc[known].tolist()))] if len(known) else _pairs([])


def _pairs(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
