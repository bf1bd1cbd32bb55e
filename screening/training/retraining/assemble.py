"""Step 5: calibrate the members, choose cut-offs and limits, and freeze them into a release under the next free name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

from screening.edges.release import load_release
from screening.errors import ScreeningError
from screening.training.calibrate import kind_weights
from screening.training.ensemble import TrainingSet
from screening.training.evaluation.gate import DANGEROUS
from screening.training.evaluation.release_answers import ask_release
from screening.training.networks import Member
from screening.training.release import build_release
from screening.training.retraining.compare import photos_on_side
from screening.training.retraining.run_folder import RunFolder
from screening.training.splits import VALIDATION, read_split

_MODEL = re.compile(r"lesion_ensemble_r([0-9]{4,})")


def assemble_release(run: RunFolder, training_set: TrainingSet, members: list[Member], model_repository: Path) -> str:
    """Write the challenger into the run's folder as a model repository of its own; returns its name.

    Its cut-off for dangerous lesions keeps the champion's sensitivity on the validation photos, or betters it. The folder
    has its name only when it is whole: after a kill it is written anew, from the same members.
    """
    order = run.order()
    if order.release is None:
        order = replace(order, release=_next_name(model_repository, run))
        run.write_order(order)
    name = str(order.release)
    if run.release.is_dir():
        return name
    part = run.release.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    recipe = order.recipe.named_for(name)
    made_on = date.fromisoformat(order.made_on)
    kept = _champions_sensitivity(order.champion, training_set, model_repository)
    split = read_split(run.split)
    build_release(name, recipe, training_set, members, part, made_on=made_on, split=split, kept_sensitivity=kept)
    part.replace(run.release)
    return name


def _champions_sensitivity(champion: str, training_set: TrainingSet, model_repository: Path) -> float:
    """Share of the dangerous validation photos that the champion grades dangerous, every kind of photo counting the same."""
    photos = photos_on_side(training_set, VALIDATION)
    release = load_release(str(model_repository), champion)
    scored = ask_release(release, model_repository, photos, training_set.classes.taxonomy).scored
    is_dangerous = scored.true_grades == DANGEROUS
    weights = kind_weights(photos.facts["kind"].to_numpy()) * is_dangerous
    return float((weights * (scored.given_grades == DANGEROUS)).sum() / max(weights.sum(), 1e-12))


def _next_name(model_repository: Path, run: RunFolder) -> str:
    """After every release of the repository and of every earlier run, refused ones too: no name is used twice."""
    taken = {
        int(found[1]) for path in model_repository.glob("lesion_ensemble_r*") if (found := _MODEL.fullmatch(path.name))
    }
    taken |= {int(name.removeprefix("r")) for name in _names_of_runs(run.path.parent)}
    return f"r{max(taken, default=0) + 1:04d}"


def _names_of_runs(training_folder: Path) -> Iterable[str]:
    for folder in training_folder.iterdir():
        other = RunFolder(folder)
        try:
            release = other.order().release if other.has_order() else None
        except ScreeningError:  # a run of code that has another form of order
            continue
        if release:
            yield release
