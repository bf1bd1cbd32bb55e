"""What a release knows of the limits of its answers: distances, their cut-off and prediction sets.

The distances are fitted to training photos and the numbers chosen on validation photos; no test photo is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from screening.cutoffs import AnswerLimits
from screening.edges.release import MemberOfRelease
from screening.training.calibrate import kind_weights
from screening.training.ensemble import TrainingSet
from screening.training.export import finish_member, member_file
from screening.training.onnx_outputs import DISTANCE, read_features, read_output
from screening.training.outliers import choose_outlier_cutoff, fit_outlier_model
from screening.training.prediction_sets import choose_prediction_sets
from screening.training.splits import TRAIN, VALIDATION


def finish_members(
    names: Sequence[str], version: int, training_set: TrainingSet, repository: Path
) -> tuple[MemberOfRelease, ...]:
    """Give every exported member its distance and heat maps, and pin it."""
    rows = np.flatnonzero(training_set.side == TRAIN)
    weights = kind_weights(training_set.corpus["kind"].to_numpy()[rows])
    pinned = []
    for name in names:
        features = read_features(member_file(name, version, repository), training_set.pixels, rows)
        pinned.append(finish_member(name, version, repository, fit_outlier_model(features, weights)))
    return tuple(pinned)


def choose_answer_limits(
    members: Sequence[MemberOfRelease], probabilities: np.ndarray, training_set: TrainingSet, repository: Path
) -> AnswerLimits:
    """Choose both on the validation photos.

    Args:
        members: finished.
        probabilities: shape (validation photos, classes), of the ensemble.
        training_set: its corpus may have a column ``fitzpatrick``.
        repository: where the members are.
    """
    rows = np.flatnonzero(training_set.side == VALIDATION)
    corpus = training_set.corpus.iloc[rows]
    distances = member_distances(members, training_set.pixels, rows, repository)
    cutoff = choose_outlier_cutoff(distances, kind_weights(corpus["kind"].to_numpy()))
    labels = corpus["label"].to_numpy()
    sets = choose_prediction_sets(probabilities, labels, skin_types(training_set)[rows], training_set.classes)
    return AnswerLimits(cutoff, sets)


def member_distances(
    members: Sequence[MemberOfRelease], pixels: np.ndarray, rows: np.ndarray, repository: Path
) -> np.ndarray:
    """How far photos are from the training photos: shape (members, photos)."""
    files = [member_file(member.name, int(member.version), repository) for member in members]
    return np.stack([read_output(file, DISTANCE, pixels, rows)[:, 0] for file in files])


def skin_types(training_set: TrainingSet) -> np.ndarray:
    """Fitzpatrick's skin type of every photo, shape (photos,), 0 where unknown."""
    corpus = training_set.corpus
    if "fitzpatrick" not in corpus:
        return np.zeros(len(corpus), np.int64)
    return np.asarray(corpus["fitzpatrick"].fillna(0).astype(int))
