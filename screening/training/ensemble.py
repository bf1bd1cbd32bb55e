"""`screening train`: from labelled folders to trained members, step by step, each step resumable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes
from screening.training.corpus import read_corpus
from screening.training.features import imagenet_features
from screening.training.fit import PhotosOfMember, fit_member
from screening.training.folds import rows_of_member
from screening.training.networks import Member
from screening.training.photo_cache import load_pixels
from screening.training.recipe import EnsembleRecipe, Split
from screening.training.splits import (
    TRAIN,
    ReleaseSplit,
    check_every_class_is_trained,
    check_unlearnt,
    connect_groups,
    keep_sides,
    leave_out_blurred,
    side_drawn_once,
    split_by_time,
    split_corpus,
    without_verdicts,
)
from screening.training.start_weights import start_weights
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


def prepare_training_set(
    recipe: EnsembleRecipe, photos: Path, weights_dir: Path, work: Path, known_by: ReleaseSplit | None = None
) -> TrainingSet:
    """Read the sources, cache the pixels and freeze the split in ``work/split.parquet``.

    Args:
        recipe: names the sources, the classes and how the split is drawn.
        photos: folder with one folder per data set.
        weights_dir: of ImageNet's weights, by which photos that look alike are found.
        work: for the cache and the split.
        known_by: a release that is started from or measured: photos that its split knows keep their sides.

    Raises:
        ContractError: the split in ``work`` keeps out photos that the release learnt from; or a class has no training photo.
    """
    classes = load_training_classes(recipe.classes, load_taxonomy())
    corpus = read_corpus(photos, list(recipe.sources), classes)
    if recipe.split.measure_on_blurred:
        corpus = without_verdicts(corpus)
    pixels = load_pixels(corpus["photo"].tolist(), work, recipe.input_side)
    side = side_drawn_once(
        work / "split.parquet",
        corpus,
        partial(_draw_sides, recipe.split, corpus, pixels, weights_dir, known_by),
    )
    if known_by:
        check_unlearnt(corpus["photo_id"][side != TRAIN], known_by)
    check_every_class_is_trained(corpus, side, classes.class_ids)
    group = pd.Series(connect_groups(corpus, None), index=corpus.index)
    return TrainingSet(corpus, side, pixels, classes, group)


def _draw_sides(
    split: Split, corpus: pd.DataFrame, pixels: np.ndarray, weights_dir: Path, known_by: ReleaseSplit | None
) -> pd.Series:
    features = imagenet_features(pixels, weights_dir)
    if known_by and known_by.file.is_file():
        side = keep_sides(known_by.file, corpus, features, split.method, split.seed)
    elif split.method == "time":
        side = split_by_time(corpus, connect_groups(corpus, features), 1 - split.test_share)
    else:
        side = split_corpus(corpus, features, split.seed, test_share=split.test_share)
    return leave_out_blurred(corpus, side)


def fit_ensemble(
    recipe: EnsembleRecipe,
    training_set: TrainingSet,
    weights_dir: Path,
    work: Path,
    code_revision: str = "",
    model_repository: str = "",
) -> list[Member]:
    """Train the members one after the other, as ``fit_one`` does; what is finished in ``work`` is not done again."""
    return [
        fit_one(recipe, number, training_set, weights_dir, work, code_revision, model_repository)
        for number in range(len(recipe.members))
    ]


def fit_one(  # what, on what, from where, to where
    recipe: EnsembleRecipe,
    number: int,
    training_set: TrainingSet,
    weights_dir: Path,
    work: Path,
    code_revision: str = "",
    model_repository: str = "",
) -> Member:
    """Train the member of this number (from 0), or go on where its folder in ``work`` ends.

    Args:
        recipe: of the ensemble.
        number: of the member.
        training_set: what it learns from and is judged on.
        weights_dir: of ImageNet's weights, for recipes that start from them.
        work: has a folder for each member.
        code_revision: for MLflow.
        model_repository: where the release is that the recipe starts from, if it does.

    Raises:
        ContractError, MissingError: as ``start_weights``.
    """
    member = recipe.members[number]
    print(f"member {member.name}", flush=True)
    tags = {"code_revision": code_revision, "split_version": training_set.split_version, "recipe": recipe.name}
    train, judged = rows_of_member(training_set.corpus, training_set.side, training_set.group, member.fold)
    photos = PhotosOfMember(training_set.corpus, training_set.pixels, train, judged)
    folder = work / member.name
    logger = track_member(recipe.name, member, folder, tags)
    start = start_weights(recipe, training_set.classes, model_repository)[number]
    return fit_member(member, photos, training_set.classes, weights_dir, folder, logger, start=start)
