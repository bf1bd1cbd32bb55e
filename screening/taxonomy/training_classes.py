"""What a network answers: nodes of the taxonomy, in the order of its output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml

from screening.contracts import GRADES, RiskGrade
from screening.errors import ContractError, MissingError
from screening.taxonomy.tree import Disease, Taxonomy

CLASSES_FOLDER = Path(__file__).parent / "classes"


@dataclass(frozen=True)
class TrainingClasses:
    """Nodes of a taxonomy, in the order of the tensor ``probabilities``.

    A class stands for its node and all below it that is in no finer class. ``rest`` is the class for diseases that no
    other class knows, such as `others` of Han et al. 2018; without it such a label is an error.

    Raises:
        ContractError: there are no classes, one is unknown, stands twice or has no grade, or ``rest`` is none of them.
    """

    taxonomy: Taxonomy
    class_ids: tuple[str, ...]
    rest: str | None = None

    def __post_init__(self) -> None:
        if not self.class_ids:
            raise ContractError("training classes: expected at least one")
        if len(set(self.class_ids)) != len(self.class_ids):
            raise ContractError(f"training classes: one stands twice in {list(self.class_ids)}")
        if self.rest is not None and self.rest not in self.class_ids:
            raise ContractError(f"training classes: rest is {self.rest!r}, expected one of {list(self.class_ids)}")
        for class_id in self.class_ids:
            if self.taxonomy.grade_of(class_id) is None:
                below = {d.grade for d in self.taxonomy.descendants(class_id)} - {None}
                found = " and ".join(grade for grade in GRADES if grade in below) or "not graded"
                raise ContractError(
                    f"training class {class_id!r}: its diseases are {found}; "
                    "take finer classes, or give the node a grade at least as severe as all below it"
                )

    def __len__(self) -> int:
        return len(self.class_ids)

    @cached_property
    def classes(self) -> tuple[Disease, ...]:
        """The nodes themselves, in tensor order."""
        return tuple(self.taxonomy[class_id] for class_id in self.class_ids)

    @cached_property
    def grades(self) -> tuple[RiskGrade, ...]:
        """The grade of each class, in tensor order."""
        return tuple(grade for class_id in self.class_ids if (grade := self.taxonomy.grade_of(class_id)))

    @cached_property
    def grade_of_class(self) -> np.ndarray:
        """Shape (classes, 3): 1.0 where the class has the grade, columns in the order of ``GRADES``."""
        return np.array([[float(found == grade) for grade in GRADES] for found in self.grades], dtype=np.float64)

    def grade_probabilities(self, probabilities: np.ndarray) -> np.ndarray:
        """Sum classes to grades: shape (photos, classes) to (photos, 3), columns in the order of ``GRADES``."""
        return np.asarray(probabilities @ self.grade_of_class)

    def class_of_label(self, label: str) -> int:
        """The place of the class that photos with this label belong to: the disease's own, or the nearest above it.

        Raises:
            ContractError: no disease has the label; it is too coarse, with classes below it; or no class is above it.
        """
        disease = self.taxonomy.of_label(label)
        if disease.id in self._place:
            return self._place[disease.id]
        if finer := self.places_under(disease.id):
            raise ContractError(
                f"label {label!r} ({disease.id}) is coarser than the training classes "
                f"{', '.join(self.class_ids[i] for i in finer)}; relabel these photos, leave them out, "
                "or train coarser classes"
            )
        for above in self.taxonomy.lineage(disease.id):
            if above.id in self._place:
                return self._place[above.id]
        if self.rest is not None:
            return self._place[self.rest]
        raise ContractError(
            f"label {label!r} ({disease.id}) belongs to no training class; leave these photos out, or add a class "
            f"for them: {', '.join(d.id for d in self.taxonomy.lineage(disease.id) if d.parent)}"
        )

    def places_under(self, node: str) -> list[int]:
        """Places of the classes at or under a node, in tensor order."""
        return sorted(self._place[d.id] for d in self.taxonomy.descendants(node) if d.id in self._place)

    def probability(self, node: str, probabilities: np.ndarray) -> np.ndarray:
        """Probability of a node: the sum over the classes at or under it (Esteva et al. 2017).

        Args:
            node: id of a disease.
            probabilities: shape (photos, classes), 0..1.

        Returns:
            Shape (photos,).

        Raises:
            ContractError: the network cannot tell the node: no class is at or under it.
        """
        return np.asarray(probabilities[:, self._known_places(node)].sum(axis=1))

    def inferred(self, nodes: Iterable[str], probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of coarser classes: shape (photos, classes) to (photos, nodes)."""
        return np.stack([self.probability(node, probabilities) for node in nodes], axis=1)

    def restricted(self, node: str, probabilities: np.ndarray) -> np.ndarray:
        """The answer of a network that is told that the photo shows some kind of this node, e.g. a melanocytic lesion.

        Args:
            node: id of a disease.
            probabilities: shape (photos, classes), 0..1.

        Returns:
            Shape (photos, classes): 0 outside the node, a sum of 1 inside; evenly shared where the network gave the
            node no probability at all.

        Raises:
            ContractError: no class is at or under the node.
        """
        places = self._known_places(node)
        inside = np.zeros_like(probabilities, dtype=np.float64)
        inside[:, places] = probabilities[:, places]
        inside[np.ix_(inside.sum(axis=1) <= 0, places)] = 1.0
        return np.asarray(inside / inside.sum(axis=1, keepdims=True))

    def _known_places(self, node: str) -> list[int]:
        if places := self.places_under(node):
            return places
        above = next((d.id for d in self.taxonomy.lineage(node) if d.id in self._place), None)
        raise ContractError(
            f"{node!r} is a part of the training class {above!r}, which cannot be told apart"
            if above
            else f"no training class is at or under {node!r}"
        )

    @cached_property
    def _place(self) -> dict[str, int]:
        return {class_id: place for place, class_id in enumerate(self.class_ids)}


def load_training_classes(name: str, taxonomy: Taxonomy) -> TrainingClasses:
    """Read a list of classes by its name in ``classes/``, e.g. `isic8`, or by the path of a YAML file.

    Raises:
        MissingError: there is no such list.
        ContractError: it is no list of classes of this taxonomy.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else CLASSES_FOLDER / f"{name}.yaml"
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(file.stem for file in CLASSES_FOLDER.glob("*.yaml")))
        raise MissingError(
            f"training classes: {path} does not exist; expected a YAML file or one of {known}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"{path.name}: is no YAML: {error}") from error
    if not isinstance(fields, dict) or not set(fields) <= {"classes", "rest"}:
        raise ContractError(f"{path.name}: expected the keys classes and, where wanted, rest")
    listed, rest = fields.get("classes"), fields.get("rest")
    if not isinstance(listed, list) or not all(isinstance(c, str) for c in listed):
        raise ContractError(f"{path.name}: classes is {listed!r}, expected a list of ids of diseases")
    try:
        return TrainingClasses(taxonomy, tuple(listed), rest)
    except ContractError as error:
        raise ContractError(f"{path.name}: {error}") from error
