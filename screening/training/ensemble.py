"""`screening train`: from labelled folders to trained members, step by step, each step resumable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from screening.errors import SettingsError
from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes
from screening.training.corpus import read_corpus
from screening.training.features import imagenet_features
from screening.training.fit import PhotosOfMember, StartWeights, fit_member
from screening.training.folds import rows_of_member
from screening.training.networks import Member
from screening.training.photo_cache import load_pixels
from screening.training.recipe import EnsembleRecipe, Split
from screening.training.splits import (
    check_every_class_is_trained,
    connect_groups,
    side_drawn_once,
    split_by_time,
    split_corpus,
)
from screening.training.tracking import track_member


@dataclass(frozen=True)
class TrainingSet:
    """A corpus with its pixels and its split; ``side`` is train, validation or test per row, ``group`` who belongs together."""

    corpus: pd.DataFrame
    side: pd.Series
    pixels: np.ndarray
    classes: TrainingClasses
    group: pd.Series

    @property
    def split_version(self) -> str:
        """Changes with every photo that stands on another side."""
        rows = pd.util.hash_pandas_object(pd.DataFrame({"lesion": self.corpus["lesion"], "side": self.side}))
        return "s-" + hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()[:12]


def prepare_training_set(recipe: EnsembleRecipe, photos: Path, weights_dir: Path, work: Path) -> TrainingSet:
    """Read the sources, cache the pixels and freeze the split in ``work/split.parquet``."""
    classes = load_training_classes(recipe.classes, load_taxonomy())
    corpus = read_corpus(photos, list(recipe.sources), classes)
    pixels = load_pixels(corpus["photo"].tolist(), work, recipe.input_side)
    side = side_drawn_once(
        work / "split.parquet",
        corpus,
        partial(_draw_sides, recipe.split, corpus, pixels, weights_dir),
    )
    check_every_class_is_trained(corpus, side, classes.class_ids)
    group = pd.Series(connect_groups(corpus, None), index=corpus.index)
    return TrainingSet(corpus, side, pixels, classes, group)


def _draw_sides(split: Split, corpus: pd.DataFrame, pixels: np.ndarray, weights_dir: Path) -> pd.Series:
    features = imagenet_features(pixels, weights_dir)
    if split.method == "time":
        return split_by_time(corpus, connect_groups(corpus, features), 1 - split.test_share)
    return split_corpus(corpus, features, split.seed, test_share=split.test_share)


def fit_ensemble(
    recipe: EnsembleRecipe, training_set: TrainingSet, weights_dir: Path, work: Path, code_revision: str = ""
) -> list[Member]:
    """Train the members one after the other; what is finished in ``work`` is not done again."""
    return [
        fit_one(recipe, number, training_set, weights_dir, work, code_revision) for number in range(len(recipe.members))
    ]


def fit_one(  # what, on what, from where, to where
    recipe: EnsembleRecipe,
    number: int,
    training_set: TrainingSet,
    weights_dir: Path,
    work: Path,
    code_revision: str = "",
    start: StartWeights | None = None,
) -> Member:
    """Train the member of this number (from 0), or go on where its folder in ``work`` ends.

    Raises:
        SettingsError: the recipe starts from a release's members, and no weights are given.
    """
    if recipe.start_from and start is None:
        raise SettingsError(
            f"recipe {recipe.name} starts from the members of {recipe.start_from}; run it by `screening retrain`"
        )
    member = recipe.members[number]
    print(f"member {member.name}", flush=True)
    tags = {"code_revision": code_revision, "split_version": training_set.split_version, "recipe": recipe.name}
    train, judged = rows_of_member(training_set.corpus, training_set.side, training_set.group, member.fold)
    photos = PhotosOfMember(training_set.corpus, training_set.pixels, train, judged)
    folder = work / member.name
    logger = track_member(recipe.name, member, folder, tags)
    return fit_member(member, photos, training_set.classes, weights_dir, folder, logger, start=start)
