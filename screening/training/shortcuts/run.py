"""`screening shortcuts`, step by step: drawings, tables, report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from screening.cutoffs import GradeCutoffs
from screening.edges.release import Release
from screening.errors import ContractError
from screening.training.ensemble import TrainingSet
from screening.training.shortcuts.answers import answer_of_release
from screening.training.shortcuts.measure import (
    ask_about_drawings,
    auc_table,
    confounder_table,
    drawing_table,
    find_ink,
)
from screening.training.shortcuts.report import Shortcuts, write_report


def measure_shortcuts(
    release: Release, model_repository: Path, training_set: TrainingSet, side: str, out: Path
) -> list[Path]:
    """Measure a release on one side of the split and write the report; about four minutes of two cores for 700 photos.

    Raises:
        ContractError: the split has no photo on this side, or the release does not fit the corpus.
    """
    corpus, classes = training_set.corpus, training_set.classes
    rows = np.flatnonzero(training_set.side == side)
    if not len(rows):
        raise ContractError(f"the split has no {side} photos; expected some to measure on")
    answer = answer_of_release(model_repository, release)
    answers = ask_about_drawings(corpus, rows, training_set.pixels, answer, classes)
    truth = classes.grade_of_class[corpus["label"].to_numpy()].argmax(axis=1)
    ink = find_ink(training_set.pixels, np.arange(len(corpus)))
    shortcuts = Shortcuts(
        release.name,
        side,
        drawing_table(answers, GradeCutoffs(**release.cutoffs)),
        auc_table(answers),
        confounder_table(corpus, truth, ink),
    )
    return write_report(shortcuts, answers, training_set.pixels, out)
