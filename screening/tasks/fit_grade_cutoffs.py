"""A site's own grade cut-offs: ask the release about labelled photos, and write the file of what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import yaml

from screening.edges.model_server import ModelServer
from screening.edges.release import Release
from screening.errors import ContractError
from screening.settings import Settings
from screening.stages.grade_cutoffs import site_grade_cutoffs
from screening.stages.grade_cutoffs_fit import GradeFit, LabelledPhoto, ScoredPhoto, read_grade_labels
from screening.tasks.context import code_revision, grade_cutoffs
from screening.tasks.grade_files import grade_files
from screening.tasks.labels_file import read_labels_text


def read_labels_file(photos: Path, labels: Path) -> list[LabelledPhoto]:
    """The labelled photos of a folder.

    Raises:
        MissingError: the folder or the file does not exist.
        ContractError: the labels are not in order.
    """
    text = read_labels_text(photos, labels)
    return read_grade_labels(text, str(labels), lambda file: (photos / file).is_file())


def score_labelled(
    photos: Path,
    labels: list[LabelledPhoto],
    settings: Settings,
    release: Release,
    server: ModelServer,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[list[ScoredPhoto], dict[str, str]]:
    """Returns the scored photos, and by file name why others have no score: a photo that a night refuses counts for none."""
    scored: list[ScoredPhoto] = []
    without: dict[str, str] = {}
    answers = grade_files((photos / label.file for label in labels), settings, release, server)
    for label, answer in zip(labels, answers, strict=True):
        if answer["grade"] is None:
            without[label.file] = f"{answer['verdict']}: {answer['reason']}"
        else:
            scored.append(ScoredPhoto(label, float(str(answer["p_high_risk"])), float(str(answer["p_dangerous"]))))
        on_progress(len(scored) + len(without), len(labels))
    return scored, without


def write_grade_cutoffs(fit: GradeFit, name: str, release: Release, out: Path, on: date) -> str:
    """Write the file that ``SCREENING_GRADE_CUTOFFS`` names; returns the version of its cut-offs.

    Raises:
        ContractError: nothing was chosen, or the name is none; nothing was written.
    """
    if not fit.cutoffs:
        raise ContractError(f"{out} was not written: no cut-off could be chosen")
    fields = {"name": name, "release": release.name, "cutoffs": dict(fit.cutoffs)}
    of_release = grade_cutoffs(Settings(grade_cutoffs=None), release)
    version = site_grade_cutoffs(fields, str(out), release.name, of_release).version  # what is written can be read
    wanted = "Youden's index" if fit.sensitivity is None else f"sensitivity {fit.sensitivity:g}"
    lines = [
        f"Chosen by `screening cutoffs fit` on {on.isoformat()}, code {code_revision()}: {fit.photos} photos, {wanted}.",
        f"On photos kept out of the choice ({fit.folds} folds):",
    ]
    for line, found in fit.kept_out.items():
        caught, passed = found.sensitivity, found.specificity
        lines.append(f"  {line} catches {caught.count} of {caught.n}, and passes {passed.count} of {passed.n}")
    lines.append(f"What is not named here is as in {of_release.version} of {release.name}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"# {line}\n" for line in lines) + yaml.safe_dump(fields, sort_keys=False)
    out.write_text(text, encoding="utf-8")
    return version
