"""Freeze trained members into a release: calibrate, choose cut-offs, export, evaluate once, write the card."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from screening.edges.release import SPLIT_FILE, Release, digest_of_members
from screening.stages.pixels import model_input_version
from screening.training.answer_limits import choose_answer_limits, finish_members, member_distances, skin_types
from screening.training.calibrate import choose_cutoffs, ensemble_probabilities, fit_temperature, kind_weights
from screening.training.ensemble import TrainingSet
from screening.training.evaluation.scored_photos import score_table
from screening.training.evaluation.table import evaluation_table
from screening.training.export import export_member, export_release_model
from screening.training.golden import write_golden_photos
from screening.training.limits_figures import limits_figures
from screening.training.model_card import write_model_card
from screening.training.networks import Member
from screening.training.recipe import EnsembleRecipe
from screening.training.safetensors_file import write_safetensors
from screening.training.splits import (
    LEFT_OUT,
    QUALITY,
    TEST,
    VALIDATION,
    freeze_split,
    is_blurred_or_distant,
    write_split,
)

VERSION = 1
"""Of every member's folder: a member that changes gets another name, with its release's."""


def build_release(  # noqa: PLR0913  # what a release is made of
    name: str,
    recipe: EnsembleRecipe,
    training_set: TrainingSet,
    members: list[Member],
    repository: Path,
    *,
    made_on: date,
    split: pa.Table | None = None,
    kept_sensitivity: float | None = None,
) -> Path:
    """Write the release ``name`` (as r0001) into a Triton repository and return its folder.

    Beside the network of each member lie its weights, which later members may start from, and beside the release the
    split, which later splits keep to. The test photos are scored here, once, with everything already frozen.

    Args:
        name: of the release.
        recipe: whose members these are; their names become folders of the repository.
        training_set: what they learnt from.
        members: trained, in the recipe's order.
        repository: a Triton repository.
        made_on: the day that the release tells.
        split: of the training set and of all that earlier releases knew; None: of the training set alone.
        kept_sensitivity: as in ``choose_cutoffs``.
    """
    classes, corpus = training_set.classes, training_set.corpus
    labels, kinds = corpus["label"].to_numpy(), corpus["kind"].to_numpy()
    validation, test = (np.flatnonzero(training_set.side == side) for side in (VALIDATION, TEST))
    weights = kind_weights(kinds[validation])
    print(f"release {name}: calibrate on {len(validation)} validation photos", flush=True)
    logits = member_logits(members, training_set.pixels, validation)
    temperature = fit_temperature(logits, labels[validation], weights)
    validated = ensemble_probabilities(logits, temperature)
    cutoffs = choose_cutoffs(
        validated, labels[validation], weights, classes, recipe.dangerous_sensitivity, kept_sensitivity
    )

    print(f"release {name}: export {len(members)} members", flush=True)
    for member, spec in zip(members, recipe.members, strict=True):
        export_member(member, temperature, spec.name, VERSION, repository, recipe.input_side)
    by_name = {spec.name: member for spec, member in zip(recipe.members, members, strict=True)}
    of_safetensors = write_safetensors(repository, by_name, VERSION)
    pinned = finish_members(list(by_name), VERSION, training_set, repository)
    limits = choose_answer_limits(pinned, validated, training_set, repository)
    model = f"lesion_ensemble_{name}"
    export_release_model(model, pinned, repository)
    folder = repository / model

    write_golden_photos(folder / "golden", by_name, temperature, recipe.input_side)

    print(f"release {name}: score {len(test)} test photos", flush=True)
    test_logits = member_logits(members, training_set.pixels, test)
    alone = {spec.name: test_logits[i : i + 1] for i, spec in enumerate(recipe.members)} | {"ensemble": test_logits}
    facts = corpus.iloc[test][["photo", "patient", "source", "kind"]]
    facts = facts.assign(disease=[classes.class_ids[label] for label in labels[test]])
    tables = {}
    for who, answer in alone.items():
        print(f"release {name}: intervals of {who}", flush=True)
        probabilities = ensemble_probabilities(answer, temperature)
        scored = score_table(facts, probabilities, classes.class_ids, classes.taxonomy, cutoffs=cutoffs)
        tables[who] = evaluation_table(scored)

    distances = member_distances(pinned, training_set.pixels, test, repository).mean(axis=0)
    known = limits_figures(
        corpus.iloc[test],
        ensemble_probabilities(test_logits, temperature),
        distances,
        skin_types(training_set)[test],
        classes,
        limits,
    )
    release = Release(
        name=name,
        model=model,
        members=pinned,
        classes=classes.class_ids,
        taxonomy_version=classes.taxonomy.version,
        model_input=model_input_version(recipe.input_side),
        input_shape=(recipe.input_side, recipe.input_side, 3),
        cutoffs=asdict(cutoffs),
        weights_sha256=digest_of_members(pinned),
        outlier_cutoff=limits.outlier_cutoff,
        prediction_sets=asdict(limits)["prediction_sets"],
    )
    history = {"made_on": made_on.isoformat(), "temperature": temperature, "safetensors_sha256": of_safetensors}
    write_split(split or split_of(recipe, training_set), folder / SPLIT_FILE)
    (folder / "taxonomy.yaml").write_bytes(classes.taxonomy.text)
    (folder / "release.json").write_text(json.dumps(asdict(release) | history, indent=1) + "\n")
    tables["ensemble"].to_csv(folder / "test_figures.csv", index=False, float_format="%.4f")
    write_model_card(
        folder / "model_card.md", release, recipe, training_set, tables, made_on, temperature, limits=known
    )
    return folder


def split_of(recipe: EnsembleRecipe, training_set: TrainingSet) -> pa.Table:
    """The sides of a training set as a table; of bytes that stand twice the first row, so that every photo is named once."""
    corpus = training_set.corpus
    first = ~corpus["photo_id"].duplicated().to_numpy()
    rule = {"method": recipe.split.method, "seed": recipe.split.seed}
    side, group = training_set.side[first], training_set.group.to_numpy()[first]
    corpus = corpus[first]
    reason = pd.Series("drawn", index=corpus.index).mask(is_blurred_or_distant(corpus) & (side == LEFT_OUT), QUALITY)
    return freeze_split(corpus, side, group, rule, reason=reason)


def member_logits(members: list[Member], pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Logits of every member, float32: shape (members, photos, classes)."""
    with torch.inference_mode():
        return np.stack(
            [
                np.concatenate([m(torch.from_numpy(pixels[rows[i : i + 64]])).numpy() for i in range(0, len(rows), 64)])
                for m in members
            ]
        )
