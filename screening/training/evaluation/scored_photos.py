"""The table that is evaluated: photos whose disease is known, and what was answered to each.

It comes from a release that answers anew, or ready-made from a file, so that any model's answers can be measured. All that
the evaluation knows of the taxonomy and of the corpus stands in this module.

The file is Parquet or CSV with one row per photo: ``photo`` (any id), ``disease`` (id or label of the taxonomy) and one
``p_<class>`` per class, 0..1, summing to 1. May be there: ``patient`` (whose photos are drawn together; else every photo is
its own), ``source``, ``kind``, ``age_years``, ``sex``, ``fitzpatrick`` (1..6), ``body_site``, ``quality_verdict``, and ``grade``,
the one given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from screening.contracts import GRADES
from screening.cutoffs import GradeCutoffs
from screening.errors import ContractError, MissingError
from screening.stages.grading import grade_risk
from screening.taxonomy import Taxonomy

NO_CLASS = -1
"""Label of a photo whose disease the model has no class for."""
FACTS = ("patient", "source", "kind", "age_years", "sex", "fitzpatrick", "body_site", "quality_verdict")
"""What may be known of a photo beside its disease; null where it is not."""
DEADLY = ("melanoma", "squamous_cell_carcinoma")
"""Taxonomy ids of the cancers whose sensitivity is a figure of its own (docs/decisions/0014)."""


@dataclass(frozen=True)
class ScoredPhotos:
    """Photos with the truth and the answers.

    ``facts``: the columns ``photo``, ``disease`` and ``FACTS``. ``probabilities``: shape (photos, classes). ``labels``: shape
    (photos,), place of the disease among ``classes``, or ``NO_CLASS``. ``true_grades`` and ``given_grades``: shape (photos,),
    places in ``GRADES``. ``members``: the answers of each network, where known. ``cutoffs``: of the release, where known.
    """

    facts: pd.DataFrame
    probabilities: np.ndarray
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    class_grades: np.ndarray
    labels: np.ndarray
    true_grades: np.ndarray
    given_grades: np.ndarray
    disease_names: Mapping[str, str]
    cutoffs: GradeCutoffs | None = None
    members: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.facts)

    @property
    def patients(self) -> np.ndarray:
        return self.facts["patient"].to_numpy().astype(str)

    @property
    def grade_scores(self) -> np.ndarray:
        """Probability of each grade: shape (photos, 3), in the order of ``GRADES``."""
        return grade_scores(self.probabilities, self.class_grades)

    def only(self, photos: np.ndarray) -> Self:
        """Some of the photos, by mask or row numbers."""
        return replace(
            self,
            facts=self.facts[photos] if photos.dtype == bool else self.facts.iloc[photos],
            probabilities=self.probabilities[photos],
            labels=self.labels[photos],
            true_grades=self.true_grades[photos],
            given_grades=self.given_grades[photos],
            members={name: answers[photos] for name, answers in self.members.items()},
        )

    def answered_by(self, member: str) -> Self:
        """The same photos, as one network alone answers."""
        return replace(self, probabilities=self.members[member])


def grade_scores(probabilities: np.ndarray, class_grades: np.ndarray) -> np.ndarray:
    """Sum classes to grades: shape (photos, classes) to (photos, 3)."""
    return np.asarray(probabilities @ np.eye(len(GRADES))[class_grades])


def score_table(  # noqa: PLR0913  # a table is made of its columns
    facts: pd.DataFrame,
    probabilities: np.ndarray,
    classes: tuple[str, ...],
    taxonomy: Taxonomy,
    *,
    cutoffs: GradeCutoffs | None = None,
    given: np.ndarray | None = None,
    members: Mapping[str, np.ndarray] | None = None,
    name: str = "scored photos",
) -> ScoredPhotos:
    """Put the truth beside the answers.

    Args:
        facts: ``photo`` and ``disease`` (taxonomy id), and any of ``FACTS``.
        probabilities: shape (photos, classes).
        classes: taxonomy ids of the columns of ``probabilities``.
        taxonomy: gives names and grades.
        cutoffs: give the grades, unless ``given`` does; without either the likeliest grade is given.
        given: shape (photos,), grade words.
        members: probabilities of each network.
        name: for messages.

    Raises:
        ContractError: there is no photo, one stands twice, has no known grade, or its probabilities are none.
    """
    if not len(facts):
        raise ContractError(f"{name}: there is no photo")
    if facts["photo"].duplicated().any():
        raise ContractError(f"{name}: {int(facts['photo'].duplicated().sum())} photos stand twice")
    if not (np.isfinite(probabilities).all() and np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)):
        off = int((~np.isclose(probabilities.sum(axis=1), 1, atol=1e-3)).sum())
        raise ContractError(f"{name}: the probabilities of {off} photos do not sum to 1")
    grades = {disease: taxonomy.grade_of(disease) for disease in {*facts["disease"], *classes}}
    if unknown := sorted(disease for disease, grade in grades.items() if grade is None):
        raise ContractError(f"{name}: the taxonomy gives no grade to {', '.join(unknown)}")
    grade_of = {disease: list(GRADES).index(grade) for disease, grade in grades.items() if grade}
    class_grades = np.array([grade_of[c] for c in classes])
    label_of = {disease: class_of(disease, classes, taxonomy) for disease in set(facts["disease"])}
    whole = facts.reset_index(drop=True).reindex(columns=["photo", "disease", *FACTS])
    whole["patient"] = whole["patient"].where(whole["patient"].notna(), whole["photo"]).astype(str)
    return ScoredPhotos(
        facts=whole,
        probabilities=probabilities,
        classes=classes,
        class_names=tuple(taxonomy[c].name for c in classes),
        class_grades=class_grades,
        labels=np.array([label_of[d] for d in facts["disease"]]),
        true_grades=np.array([grade_of[d] for d in facts["disease"]]),
        given_grades=_given_grades(grade_scores(probabilities, class_grades), cutoffs, given),
        disease_names={disease: taxonomy[disease].name for disease in grades},
        cutoffs=cutoffs,
        members=members or {},
    )


def class_of(disease: str, classes: tuple[str, ...], taxonomy: Taxonomy) -> int:
    """Place of the class that holds a disease: itself or the nearest node above it; ``NO_CLASS`` where none does."""
    return next((classes.index(node.id) for node in taxonomy.lineage(disease) if node.id in classes), NO_CLASS)


def _given_grades(scores: np.ndarray, cutoffs: GradeCutoffs | None, given: np.ndarray | None) -> np.ndarray:
    if given is not None:
        return np.array([list(GRADES).index(word) for word in given])
    if cutoffs is not None:
        return np.array([list(GRADES).index(grade_risk(high, dangerous, cutoffs)) for _, high, dangerous in scores])
    return np.asarray(scores.argmax(axis=1))


def read_scored_photos(file: Path, taxonomy: Taxonomy, cutoffs: GradeCutoffs | None = None) -> ScoredPhotos:
    """Read a ready table.

    Raises:
        MissingError: the file does not exist.
        ContractError: a column is missing, or a disease, class or grade is not known.
    """
    if not file.is_file():
        raise MissingError(f"{file} does not exist; expected a table of scored photos")
    try:
        rows = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except (ValueError, OSError) as error:
        raise ContractError(f"{file.name} is no table: {error}") from error
    columns = [c for c in rows.columns if c.startswith("p_")]
    if missing := [c for c in ("photo", "disease") if c not in rows] + (["p_<class>"] if not columns else []):
        raise ContractError(f"{file.name}: no column {', '.join(missing)}")
    if "grade" in rows and (wrong := sorted(set(rows["grade"].astype(str)) - set(GRADES))):
        raise ContractError(f"{file.name}: grade is {wrong[0]!r}, expected {', '.join(GRADES)}")
    rows["photo"] = rows["photo"].astype(str)
    rows["disease"] = [taxonomy.of_label(str(label)).id for label in rows["disease"]]
    return score_table(
        rows.drop(columns=columns),
        rows[columns].to_numpy(float),
        tuple(c.removeprefix("p_") for c in columns),
        taxonomy,
        cutoffs=cutoffs,
        given=rows["grade"].to_numpy() if "grade" in rows else None,
        name=file.name,
    )


def write_scored_photos(scored: ScoredPhotos, file: Path) -> None:
    """Write the table as ``read_scored_photos`` reads it."""
    answers = pd.DataFrame(scored.probabilities, columns=[f"p_{c}" for c in scored.classes])
    grades = pd.Series([str(GRADES[g]) for g in scored.given_grades], name="grade")
    pd.concat([scored.facts.reset_index(drop=True), grades, answers], axis=1).to_parquet(file, index=False)
