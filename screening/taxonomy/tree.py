"""The tree of diseases: what each is called, what it is a kind of, and how soon a clinician should look at it.

The tree knows no network. What a network answers is a choice of its nodes: `training_classes.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from screening.contracts import GRADES, RiskGrade
from screening.errors import ContractError, MissingError

TAXONOMY_FILE = Path(__file__).parent / "diseases.yaml"

_TEXTS = ("id", "name", "parent", "grade", "icd10")
# Trees that were frozen before the classes had files of their own also held the place of each class.
_FROZEN = ("class",)


@dataclass(frozen=True)
class Disease:
    """A node of the tree. ``labels`` are its other names: those of data sets and of clinicians."""

    id: str
    name: str
    parent: str | None
    grade: RiskGrade | None = None
    icd10: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taxonomy:
    """The whole tree, checked; ``text`` is the file that it was read from, which a release keeps.

    Raises:
        ContractError: a parent is missing or comes after its child, an id or a label stands twice, there is not exactly
            one root, or a node has a milder grade than something below it.
    """

    diseases: tuple[Disease, ...]
    text: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for disease in self.diseases:
            if disease.id in seen:
                raise ContractError(f"taxonomy: disease {disease.id!r} stands twice")
            if disease.parent is not None and disease.parent not in seen:
                raise ContractError(
                    f"taxonomy: {disease.id!r} comes before its parent {disease.parent!r}, or that is missing"
                )
            seen.add(disease.id)
        roots = [d.id for d in self.diseases if d.parent is None]
        if len(roots) != 1:
            raise ContractError(f"taxonomy: nodes without a parent are {roots}, expected exactly one")
        _ = self._by_spelling  # no spelling stands twice
        for disease in self.diseases:
            self._check_grade(disease)

    def _check_grade(self, disease: Disease) -> None:
        """A class may be an inner node, whose grade then hides those below: it must not be milder than any."""
        for above in self.lineage(disease.id):
            if above.grade and disease.grade and GRADES.index(above.grade) < GRADES.index(disease.grade):
                raise ContractError(
                    f"taxonomy: {above.id!r} is {above.grade}, but {disease.id!r} below it is {disease.grade}; "
                    "a node must be at least as severe as all below it, or have no grade of its own"
                )

    @cached_property
    def version(self) -> str:
        """A digest of the text, so that a changed tree is another version."""
        return "t-" + hashlib.sha256(self.text).hexdigest()[:12]

    @property
    def root(self) -> Disease:
        return self.diseases[0]

    def __getitem__(self, disease_id: str) -> Disease:
        try:
            return self._by_id[disease_id]
        except KeyError:
            raise ContractError(f"taxonomy {self.version}: no disease {disease_id!r}") from None

    def of_label(self, label: str) -> Disease:
        """The disease that goes by this id, name or label, whatever its case, hyphens and apostrophes.

        Raises:
            ContractError: none does.
        """
        try:
            return self._by_spelling[_plain(label)]
        except KeyError:
            raise ContractError(
                f"taxonomy {self.version}: no disease has the label {label!r}; "
                "add it to the labels of its disease in diseases.yaml, or leave these photos out"
            ) from None

    def children(self, disease_id: str) -> tuple[Disease, ...]:
        return self._children.get(self[disease_id].id, ())

    def descendants(self, disease_id: str) -> tuple[Disease, ...]:
        """The node and everything below it, parents before children."""
        found = [self[disease_id]]
        for disease in found:  # grows while it is read
            found.extend(self._children.get(disease.id, ()))
        return tuple(found)

    def lineage(self, disease_id: str) -> Iterator[Disease]:
        """The node, its parent and so on, up to the root."""
        disease: Disease | None = self[disease_id]
        while disease:
            yield disease
            disease = self._by_id[disease.parent] if disease.parent else None

    def grade_of(self, disease_id: str) -> RiskGrade | None:
        """The grade of a photo of which no more is known than this node.

        It is the node's own grade; without one, the grade that all leaves below it share; None where they differ or
        one has none.
        """
        return self._grades[self[disease_id].id]

    @cached_property
    def _by_id(self) -> dict[str, Disease]:
        return {d.id: d for d in self.diseases}

    @cached_property
    def _children(self) -> Mapping[str, tuple[Disease, ...]]:
        below: dict[str, tuple[Disease, ...]] = {}
        for disease in self.diseases:
            if disease.parent is not None:
                below[disease.parent] = (*below.get(disease.parent, ()), disease)
        return below

    @cached_property
    def _grades(self) -> dict[str, RiskGrade | None]:
        grades: dict[str, RiskGrade | None] = {}
        for disease in reversed(self.diseases):  # children before parents
            below = {grades[child.id] for child in self._children.get(disease.id, ())}
            grades[disease.id] = disease.grade or (below.pop() if len(below) == 1 else None)
        return grades

    @cached_property
    def _by_spelling(self) -> dict[str, Disease]:
        found: dict[str, Disease] = {}
        for disease in self.diseases:
            for spelling in (disease.id, disease.name, *disease.labels):
                other = found.setdefault(_plain(spelling), disease)
                if other is not disease:
                    raise ContractError(f"taxonomy: {spelling!r} is a label of both {other.id!r} and {disease.id!r}")
        return found


@cache
def load_taxonomy(path: Path = TAXONOMY_FILE) -> Taxonomy:
    """Read and check a taxonomy file.

    Raises:
        MissingError: there is no such file.
        ContractError: it is no list of diseases, or no tree (see ``Taxonomy``).
    """
    try:
        text = path.read_bytes()
        nodes = yaml.load(text, yaml.CSafeLoader)  # in C, since every command reads this file
    except FileNotFoundError as error:
        raise MissingError(f"taxonomy: {path} does not exist") from error
    except yaml.YAMLError as error:
        raise ContractError(f"{path.name}: is no YAML: {error}") from error
    if not isinstance(nodes, list):
        raise ContractError(f"{path.name}: expected a list of diseases")
    try:
        return Taxonomy(tuple(_diseases(nodes)), text)
    except ContractError as error:
        raise ContractError(f"{path.name}: {error}") from error


def taxonomy_of(diseases: Iterable[Disease]) -> Taxonomy:
    """A tree that was made, not read, with the text that gives it back.

    Raises:
        ContractError: it is no tree (see ``Taxonomy``).
    """
    nodes = tuple(diseases)
    rows = [
        {key: value for key in _TEXTS if (value := getattr(d, key)) is not None or key == "parent"}
        | ({"grade": str(d.grade)} if d.grade else {})
        | ({"labels": list(d.labels)} if d.labels else {})
        for d in nodes
    ]
    return Taxonomy(nodes, yaml.safe_dump(rows, allow_unicode=True, sort_keys=False).encode())


def _diseases(nodes: Iterable[Any]) -> Iterator[Disease]:
    for node in nodes:
        if not isinstance(node, dict) or not {"id", "name", "parent"} <= set(node):
            raise ContractError(f"{node!r} is no disease, expected at least id, name and parent")
        if unknown := sorted(set(node) - {*_TEXTS, "labels", *_FROZEN}):
            raise ContractError(f"{node['id']!r} has unknown keys {unknown}")
        texts = {key: node[key] for key in _TEXTS if node.get(key) is not None}
        labels = node.get("labels", [])
        # YAML reads an unquoted `no` as false and `1` as a number.
        if not isinstance(labels, list) or not all(isinstance(text, str) for text in (*texts.values(), *labels)):
            raise ContractError(f"{node['id']!r}: a value is no text; put it into quotes")
        if (grade := texts.get("grade")) and grade not in list(GRADES):
            raise ContractError(f"{node['id']!r}: grade is {grade!r}, expected one of {', '.join(GRADES)}")
        yield Disease(
            id=texts["id"],
            name=texts["name"],
            parent=texts.get("parent"),
            grade=RiskGrade(grade) if grade else None,
            icd10=texts.get("icd10"),
            labels=tuple(labels),
        )


def _plain(spelling: str) -> str:
    """One spelling for ``Bowen's disease``, ``bowens_disease`` and ``BOWENS-DISEASE``."""
    return re.sub(r"[\W_]+", " ", re.sub("['\u2019]", "", spelling)).strip().lower()
