"""Does the model server answer the golden photos of a release as torch did when it was made?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from screening.edges.model_server import ModelServer
from screening.edges.release import Release, verify_weights
from screening.errors import ContractError, MissingError
from screening.settings import Settings
from screening.stages.pixels import PhotoLimits, decode_photo, encode_working_copy, model_pixels

TOLERANCE = 1e-3
"""Largest difference of a probability, float32 on both sides: other kernels add up in another order."""


def check_release(settings: Settings, release: Release, server: ModelServer) -> dict[str, float]:
    """The largest difference of a probability, by member.

    Raises:
        MissingError: the release has no golden photos.
        ContractError: a file of weights is another than the release was made with, a photo has no answer, or an answer
            differs by more than ``TOLERANCE``.
    """
    verify_weights(settings.model_repository, release)
    of_torch = golden_answers(settings, release)
    golden = _golden_folder(settings, release)
    photos = [(name, _golden_pixels(golden / name, release)) for name in sorted(of_torch)]
    gaps = dict.fromkeys((member.name for member in release.members), 0.0)
    for answer in server.infer(photos):
        if answer.probabilities is None:
            raise ContractError(f"release {release.name}: {answer.photo_id} has no answer: {answer.error}")
        for member, found in zip(release.members, answer.probabilities, strict=True):
            gap = float(np.abs(found - np.array(of_torch[answer.photo_id][member.name])).max())
            gaps[member.name] = max(gaps[member.name], gap)
    if wrong := {name: gap for name, gap in gaps.items() if gap > TOLERANCE}:
        worst = ", ".join(f"{name} by {gap:.2g}" for name, gap in wrong.items())
        raise ContractError(
            f"release {release.name}: the server differs from torch: {worst}, expected at most {TOLERANCE}"
        )
    return gaps


def golden_answers(settings: Settings, release: Release) -> dict[str, dict[str, list[float]]]:
    """What torch said of the golden photos: photo to member to probabilities.

    Raises:
        MissingError: the release has no golden photos.
        ContractError: they are not of every member.
    """
    folder = _golden_folder(settings, release)
    try:
        answers: dict[str, dict[str, list[float]]] = json.loads((folder / "golden.json").read_text())
    except FileNotFoundError as error:
        raise MissingError(f"release {release.name}: {folder / 'golden.json'} does not exist") from error
    members = {member.name for member in release.members}
    photos = {path.name for path in folder.glob("*.jpg")}
    if not answers or answers.keys() - photos or any(of_photo.keys() != members for of_photo in answers.values()):
        raise ContractError(
            f"release {release.name}: golden.json has answers of {sorted(answers)}, expected one of each member for photos "
            f"that are there: {sorted(photos)}"
        )
    return answers


def _golden_pixels(photo: Path, release: Release) -> np.ndarray:
    working_copy = encode_working_copy(decode_photo(photo.read_bytes(), PhotoLimits()).pixels)
    return model_pixels(working_copy, release.input_shape[0])


def _golden_folder(settings: Settings, release: Release) -> Path:
    return Path(settings.model_repository) / release.model / "golden"
