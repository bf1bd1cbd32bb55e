"""`screening train`: from labelled folders to trained members, step by step, each step resumable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes
from screening.training.corpus import read_corpus
from screening.training.features import imagenet_features
from screening.training.fit import MemberRecipe, fit_member
from screening.training.networks import Member
from screening.training.photo_cache import load_pixels
from screening.training.splits import check_every_class_is_trained, side_drawn_once, split_corpus

RECIPES = Path(__file__).parent / "recipes"


class EnsembleRecipe(BaseModel):
    """Sources, split and members of an ensemble."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    classes: str = Field(description="what the networks answer: a list in screening/taxonomy/classes/, or a path")
    sources: list[str]
    split_seed: int
    members: list[MemberRecipe]


@dataclass(frozen=True)
class TrainingSet:
    """A corpus with its pixels and its split; ``side`` is train, validation or test per row."""

    corpus: pd.DataFrame
    side: pd.Series
    pixels: np.ndarray
    classes: TrainingClasses


def load_recipe(name: str) -> EnsembleRecipe:
    """Read a recipe by name (of ``recipes/``) or by path."""
    path = Path(name) if name.endswith(".yaml") else RECIPES / f"{name}.yaml"
    return EnsembleRecipe.model_validate(yaml.safe_load(path.read_text()))


def prepare_training_set(recipe: EnsembleRecipe, photos: Path, weights_dir: Path, work: Path) -> TrainingSet:
    """Read the sources, cache the pixels and freeze the split in ``work/split.parquet``."""
    classes = load_training_classes(recipe.classes, load_taxonomy())
    corpus = read_corpus(photos, recipe.sources, classes)
    pixels = load_pixels(corpus["photo"].tolist(), work)
    side = side_drawn_once(
        work / "split.parquet",
        corpus,
        lambda: split_corpus(corpus, imagenet_features(pixels, weights_dir), recipe.split_seed),
    )
    check_every_class_is_trained(corpus, side, classes.class_ids)
    return TrainingSet(corpus, side, pixels, classes)


def fit_ensemble(recipe: EnsembleRecipe, training_set: TrainingSet, weights_dir: Path, work: Path) -> list[Member]:
    """Train the members one after the other; a member that is finished in ``work`` is loaded instead."""
    members = []
    for member_recipe in recipe.members:
        print(f"member {member_recipe.name}", flush=True)
        members.append(
            fit_member(
                member_recipe,
                training_set.corpus,
                training_set.side,
                training_set.pixels,
                training_set.classes,
                weights_dir,
                work / member_recipe.name,
            )
        )
    return members
