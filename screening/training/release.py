"""Freeze trained members into a release: calibrate, choose cut-offs, export, evaluate once, write the card."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import torch

from screening.edges.release import MemberOfRelease, Release, digest_of_members
from screening.stages.pixels import model_input_version
from screening.training.calibrate import choose_cutoffs, ensemble_probabilities, fit_temperature, kind_weights
from screening.training.ensemble import TrainingSet
from screening.training.evaluation.scored_photos import score_table
from screening.training.evaluation.table import evaluation_table
from screening.training.export import export_member, export_release_model
from screening.training.golden import write_golden_photos
from screening.training.model_card import write_model_card
from screening.training.networks import Member
from screening.training.recipe import EnsembleRecipe
from screening.training.splits import TEST, VALIDATION


def build_release(
    name: str, recipe: EnsembleRecipe, training_set: TrainingSet, members: list[Member], repository: Path, made_on: date
) -> Path:
    """Write the release ``name`` (as r0001) into a Triton repository and return its folder.

    The test photos are scored here, once, with everything already frozen.
    """
    classes, corpus = training_set.classes, training_set.corpus
    labels, kinds = corpus["label"].to_numpy(), corpus["kind"].to_numpy()
    validation, test = (np.flatnonzero(training_set.side == side) for side in (VALIDATION, TEST))
    weights = kind_weights(kinds[validation])
    print(f"release {name}: calibrate on {len(validation)} validation photos", flush=True)
    logits = member_logits(members, training_set.pixels, validation)
    temperature = fit_temperature(logits, labels[validation], weights)
    cutoffs = choose_cutoffs(ensemble_probabilities(logits, temperature), labels[validation], weights, classes)

    print(f"release {name}: export {len(members)} members", flush=True)
    digests = [
        export_member(member, temperature, spec.name, 1, repository, recipe.input_side)
        for member, spec in zip(members, recipe.members, strict=True)
    ]
    model = f"lesion_ensemble_{name}"
    pinned_versions = [(spec.name, 1) for spec in recipe.members]
    export_release_model(model, pinned_versions, len(classes), repository, recipe.input_side)
    folder = repository / model

    by_name = {spec.name: member for spec, member in zip(recipe.members, members, strict=True)}
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

    pinned = tuple(
        MemberOfRelease(spec.name, "1", digest, f"probabilities_{spec.name}")
        for spec, digest in zip(recipe.members, digests, strict=True)
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
    )
    history = {"made_on": made_on.isoformat(), "temperature": temperature}
    (folder / "taxonomy.yaml").write_bytes(classes.taxonomy.text)
    (folder / "release.json").write_text(json.dumps(asdict(release) | history, indent=1) + "\n")
    tables["ensemble"].to_csv(folder / "test_figures.csv", index=False, float_format="%.4f")
    write_model_card(folder / "model_card.md", release, recipe, training_set, tables, made_on, temperature)
    return folder


def member_logits(members: list[Member], pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Logits of every member, float32: shape (members, photos, classes)."""
    with torch.inference_mode():
        return np.stack(
            [
                np.concatenate([m(torch.from_numpy(pixels[rows[i : i + 64]])).numpy() for i in range(0, len(rows), 64)])
                for m in members
            ]
        )
