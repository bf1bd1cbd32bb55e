"""The answer of a release, as the nightly run would have it, without Triton."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from screening.edges.release import Release, taxonomy_file, verify_weights
from screening.errors import ContractError
from screening.stages.ensemble import average_members
from screening.stages.pixels import MODEL_INPUT_VERSION
from screening.taxonomy import TrainingClasses, load_taxonomy

Answer = Callable[[np.ndarray], np.ndarray]
"""From pixels, shape (photos, 256, 256, 3), uint8, to probabilities of the grades, shape (photos, 3)."""


def answer_of_release(repository: Path, release: Release) -> Answer:
    """Load the members of a release, and return what asks them all and averages.

    Raises:
        ContractError: weights, taxonomy or model input are others than those of the release.
    """
    found = verify_weights(str(repository), release)
    if missing := [m.name for m in release.members if m.name not in found]:
        raise ContractError(f"release {release.name}: {repository} has no weights of {', '.join(missing)}")
    taxonomy = load_taxonomy(taxonomy_file(str(repository), release))
    if taxonomy.version != release.taxonomy_version:
        raise ContractError(
            f"release {release.name}: its taxonomy.yaml is {taxonomy.version}, expected {release.taxonomy_version}"
        )
    classes = TrainingClasses(taxonomy, release.classes)
    if release.model_input != MODEL_INPUT_VERSION:
        raise ContractError(
            f"release {release.name}: made for model input {release.model_input}, pixels here are {MODEL_INPUT_VERSION}"
        )
    sessions = [
        onnxruntime.InferenceSession(repository / m.name / m.version / "model.onnx", providers=["CPUExecutionProvider"])
        for m in release.members
    ]

    def answer(pixels: np.ndarray) -> np.ndarray:
        members = np.stack([s.run(None, {"pixels": pixels})[0] for s in sessions])
        return classes.grade_probabilities(average_members(members))

    return answer
