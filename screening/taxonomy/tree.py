"""Load the tree of diseases and sum probabilities over it (Esteva et al. 2017: a node is the sum of its descendants)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import yaml

from screening.contracts import GRADES, RiskGrade
from screening.errors import ContractError

TAXONOMY_FILE = Path(__file__).parent / "diseases.yaml"


@dataclass(frozen=True)
class Disease:
    """A node of the taxonomy; ``class_index`` is its place in the tensor ``probabilities``, None for inner nodes."""

    id: str
    name: str
    parent: str | None
    grade: RiskGrade | None
    icd10: str | None
    class_index: int | None
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Taxonomy:
    """The whole tree, checked; ``version`` is a digest of its text, so a changed tree is a new version."""

    diseases: tuple[Disease, ...]
    version: str

    @cached_property
    def classes(self) -> tuple[Disease, ...]:
        """The training classes, in tensor order."""
        leaves = [d for d in self.diseases if d.class_index is not None]
        return tuple(sorted(leaves, key=lambda d: d.class_index or 0))

    @cached_property
    def class_ids(self) -> tuple[str, ...]:
        return tuple(d.id for d in self.classes)

    @cached_property
    def grade_of_class(self) -> np.ndarray:
        """Shape (classes, 3): 1.0 where the class has the grade, columns in the order of ``GRADES``."""
        return np.array([[float(d.grade == grade) for grade in GRADES] for d in self.classes], dtype=np.float64)

    def __getitem__(self, disease_id: str) -> Disease:
        for disease in self.diseases:
            if disease.id == disease_id:
                return disease
        raise ContractError(f"taxonomy {self.version}: no disease {disease_id!r}")

    def class_of_label(self, label: str) -> int:
        """The class index of a data set's label, whatever its case.

        Raises:
            ContractError: no training class knows the label.
        """
        wanted = label.strip().lower()
        for disease in self.classes:
            if wanted == disease.id or wanted in disease.labels:
                return disease.class_index or 0
        raise ContractError(f"taxonomy {self.version}: no training class for label {label!r}")

    def descendants(self, disease_id: str) -> tuple[Disease, ...]:
        """The node and everything below it."""
        found = {self[disease_id].id}
        # The file lists parents before children, which `_check` holds, so one pass is enough.
        for disease in self.diseases:
            if disease.parent in found:
                found.add(disease.id)
        return tuple(d for d in self.diseases if d.id in found)

    def probability(self, disease_id: str, probabilities: np.ndarray) -> np.ndarray:
        """Probability of any node: the sum over the training classes under it.

        Args:
            probabilities: shape (photos, classes), 0..1.

        Returns:
            Shape (photos,).
        """
        columns = [d.class_index for d in self.descendants(disease_id) if d.class_index is not None]
        return np.asarray(probabilities[:, columns].sum(axis=1))

    def grade_probabilities(self, probabilities: np.ndarray) -> np.ndarray:
        """Sum classes to grades: shape (photos, classes) to (photos, 3), columns in the order of ``GRADES``."""
        return np.asarray(probabilities @ self.grade_of_class)


def _check(diseases: Iterable[Disease], source: Path) -> None:
    seen: set[str] = set()
    for disease in diseases:
        if disease.id in seen:
            raise ContractError(f"{source.name}: disease {disease.id!r} stands twice")
        if disease.parent is not None and disease.parent not in seen:
            raise ContractError(
                f"{source.name}: {disease.id!r} comes before its parent {disease.parent!r}, or that is missing"
            )
        if disease.class_index is not None and disease.grade is None:
            raise ContractError(f"{source.name}: training class {disease.id!r} has no grade")
        seen.add(disease.id)
    indices = sorted(d.class_index for d in diseases if d.class_index is not None)
    if indices != list(range(len(indices))):
        raise ContractError(f"{source.name}: class indices are {indices}, expected 0..{len(indices) - 1} once each")


@cache
def load_taxonomy(path: Path = TAXONOMY_FILE) -> Taxonomy:
    """Read and check a taxonomy file.

    Raises:
        ContractError: a parent is missing, an id stands twice, a class has no grade or the indices have gaps.
    """
    text = path.read_bytes()
    diseases = tuple(
        Disease(
            id=node["id"],
            name=node["name"],
            parent=node["parent"],
            grade=RiskGrade(node["grade"]) if node.get("grade") else None,
            icd10=node.get("icd10"),
            class_index=node.get("class"),
            labels=tuple(node.get("labels", ())),
        )
        for node in yaml.safe_load(text)
    )
    _check(diseases, path)
    return Taxonomy(diseases=diseases, version="t-" + hashlib.sha256(text).hexdigest()[:12])
