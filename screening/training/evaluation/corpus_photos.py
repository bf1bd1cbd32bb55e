"""The photos of a corpus that a release is measured on: one side of its frozen split, or another population.

All that the evaluation knows of the corpus, its split and its pixels stands in this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from screening.cutoffs import QualityCutoffs
from screening.errors import ContractError, MissingError
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality import judge_quality, measure_quality
from screening.taxonomy import TrainingClasses
from screening.training.corpus import read_corpus
from screening.training.evaluation.scored_photos import FACTS
from screening.training.photo_cache import pixels_of_upload
from screening.training.splits import TRAIN, ReleaseSplit, check_unlearnt

SPLIT = "split.parquet"
"""The sides that training froze, in its work folder."""


@dataclass(frozen=True)
class CorpusPhotos:
    """``facts``: as in ``ScoredPhotos``; ``pixels``: shape (photos, 256, 256, 3), uint8, what a network sees."""

    facts: pd.DataFrame
    pixels: np.ndarray


def read_side(
    photos: Path, sources: Sequence[str], work: Path, side: str, classes: TrainingClasses, known_by: ReleaseSplit
) -> CorpusPhotos:
    """Read the photos of one side of the split that training froze in ``work``, for the release that is asked.

    Raises:
        MissingError: there is no frozen split.
        ContractError: it is of another corpus, no photo is on this side, or the release learnt from kept-out ones.
    """
    frozen = work / SPLIT
    if not frozen.is_file():
        raise MissingError(f"{frozen} does not exist; expected the split that training froze")
    corpus = read_corpus(photos, sources, classes)
    split = pd.read_parquet(frozen)
    # Splits that were frozen before photos had ids say patient and lesion.
    same = ["photo_id"] if "photo_id" in split else ["source", "lesion", "patient"]
    if len(split) != len(corpus) or not (split[same].to_numpy() == corpus[same].to_numpy()).all():
        raise ContractError(
            f"{frozen.name} is of {len(split)} photos, not of the {len(corpus)} in {photos}: another corpus"
        )
    rows = np.flatnonzero(split["side"] == side)
    if not len(rows):
        raise ContractError(
            f"{frozen.name}: no photo is on the side {side!r}; known are {', '.join(set(split['side']))}"
        )
    side_of_corpus = corpus.iloc[rows]
    if side != TRAIN:
        check_unlearnt(side_of_corpus["photo_id"], known_by)
    return CorpusPhotos(_facts(side_of_corpus), _pixels(side_of_corpus))


def read_population(folder: Path, work: Path, classes: TrainingClasses) -> CorpusPhotos:
    """Read all photos of a data set's folder, none of which may have been learnt from.

    Raises:
        MissingError: the folder or a photo does not exist.
        ContractError: the folder has no known layout, a label is not known, or one is in the split of the training.
    """
    corpus = read_corpus(folder.parent, [folder.name], classes)
    split = pd.read_parquet(work / SPLIT)
    same = "photo_id" if "photo_id" in split else "patient"
    known = set(corpus[same]) & set(split[same])
    if known:
        raise ContractError(
            f"{folder}: {len(known)} of its {same.removesuffix('_id')}s are in the split of the training; expected another population"
        )
    return CorpusPhotos(_facts(corpus), _pixels(corpus))


def quality_verdicts(facts: pd.DataFrame) -> pd.Series:
    """What the product's quality filters say of each photo; nobody is refused for it here."""

    def judge(file: str) -> str:
        measures = measure_quality(decode_photo(Path(file).read_bytes(), PhotoLimits()))
        return str(judge_quality(measures, QualityCutoffs(), "enforce").verdict)

    with ThreadPoolExecutor(2) as pool:
        return pd.Series(list(pool.map(judge, facts["file"])), index=facts.index)


def _pixels(corpus: pd.DataFrame) -> np.ndarray:
    """Decoded anew: it takes seconds for a test set, and the cache of the training holds every photo."""
    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(lambda file: pixels_of_upload(Path(file).read_bytes()), corpus["photo"])))


def _facts(corpus: pd.DataFrame) -> pd.DataFrame:
    ids = [f"{source}/{Path(file).stem}" for source, file in zip(corpus["source"], corpus["photo"], strict=True)]
    facts = corpus.rename(columns={"photo": "file"}).assign(photo=ids)
    return facts.reindex(columns=["photo", "file", "disease", *FACTS]).reset_index(drop=True)
