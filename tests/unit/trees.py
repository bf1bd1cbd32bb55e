"""Trees of diseases and lists of classes for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from hypothesis import strategies as st

from screening.contracts import GRADES, RiskGrade
from screening.taxonomy import Disease, Taxonomy, TrainingClasses


def a_node(disease_id: str, parent: str | None = "lesion", **changed: object) -> dict[str, object]:
    return {"id": disease_id, "name": disease_id.title(), "parent": parent} | changed


def a_tree_file(folder: Path, *nodes: dict[str, object]) -> Path:
    file = folder / "diseases.yaml"
    file.write_text(yaml.safe_dump([a_node("lesion", None), *nodes]))
    return file


def a_tree(*nodes: tuple[str, str] | tuple[str, str, str]) -> Taxonomy:
    """A tree below ``lesion`` of nodes (id, parent) or (id, parent, grade)."""
    diseases = [Disease("lesion", "Lesion", None)]
    for disease_id, parent, *grade in nodes:
        diseases.append(Disease(disease_id, disease_id.title(), parent, RiskGrade(grade[0]) if grade else None))
    return Taxonomy(tuple(diseases))


def some_probabilities(classes: int, photos: int = 5) -> np.ndarray:
    """Shape (photos, classes), rows sum to 1."""
    return np.random.default_rng(7).dirichlet(np.ones(classes), photos)


@st.composite
def trees(draw: st.DrawFn, most: int = 14) -> Taxonomy:
    """Any tree of up to ``most`` nodes whose leaves have grades, and some inner nodes one as severe as all below."""
    count = draw(st.integers(1, most))
    parents = [None, *(draw(st.integers(0, number - 1)) for number in range(1, count))]
    severest: list[int] = [-1] * count
    grades: list[RiskGrade | None] = [None] * count
    for number in reversed(range(count)):
        if severest[number] < 0:
            severest[number] = draw(st.integers(0, 2))
            grades[number] = GRADES[severest[number]]
        elif draw(st.booleans()):
            grades[number] = GRADES[severest[number]]
        if (parent := parents[number]) is not None:
            severest[parent] = max(severest[parent], severest[number])
    return Taxonomy(
        tuple(
            Disease(f"d{n}", f"Disease {n}", None if parent is None else f"d{parent}", grades[n])
            for n, parent in enumerate(parents)
        )
    )


@st.composite
def class_lists(draw: st.DrawFn) -> TrainingClasses:
    """Any tree with any of its graded nodes as classes: one may lie below another."""
    taxonomy = draw(trees())
    graded = [d.id for d in taxonomy.diseases if taxonomy.grade_of(d.id)]
    return TrainingClasses(taxonomy, tuple(draw(st.lists(st.sampled_from(graded), min_size=1, unique=True))))
