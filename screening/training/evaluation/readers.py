"""What human readers said, to stand beside the model: their sensitivities and specificities, or their answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from screening.contracts import GRADES
from screening.errors import ContractError, MissingError
from screening.taxonomy import Taxonomy
from screening.training.evaluation.targets import AT_RISK


@dataclass(frozen=True)
class Reading:
    """One reader's point on a ROC curve; ``kind``: of the photos read, None where it is not said."""

    reader: str
    question: str
    sensitivity: float
    specificity: float
    kind: str | None


@dataclass(frozen=True)
class Answer:
    """The grade, place in ``GRADES``, that a reader gave to a photo."""

    reader: str
    photo: str
    grade: int


def read_readings(file: Path, taxonomy: Taxonomy) -> list[Reading]:
    """Read a CSV with columns reader, target (a grade, ``at_risk`` or a disease), sensitivity, specificity, perhaps kind.

    Raises:
        MissingError: the file does not exist.
        ContractError: a column is missing, a target is not known or a number is not within 0..1.
    """
    rows = _read(file, ("reader", "target", "sensitivity", "specificity"))
    readings = []
    for line, row in enumerate(rows.to_dict("records"), start=2):
        target = row["target"].strip()
        question = target if target in (*map(str, GRADES), AT_RISK) else taxonomy.of_label(target).id
        try:
            sensitivity, specificity = float(row["sensitivity"]), float(row["specificity"])
        except ValueError:
            sensitivity = specificity = float("nan")
        if not (0 <= sensitivity <= 1 and 0 <= specificity <= 1):
            raise ContractError(f"{file.name} line {line}: sensitivity and specificity must be numbers within 0..1")
        readings.append(Reading(row["reader"], question, sensitivity, specificity, row.get("kind") or None))
    return readings


def read_answers(file: Path, taxonomy: Taxonomy) -> list[Answer]:
    """Read a CSV with columns reader, photo (as in the table of scored photos) and grade or disease.

    Raises:
        MissingError: the file does not exist.
        ContractError: a column is missing, a grade or disease is not known, or a reader answered a photo twice.
    """
    rows = _read(file, ("reader", "photo"))
    if "grade" not in rows and "disease" not in rows:
        raise ContractError(f"{file.name}: no column grade or disease")
    if rows.duplicated(["reader", "photo"]).any():
        raise ContractError(f"{file.name}: a reader answers one photo twice")
    answers = []
    for line, row in enumerate(rows.to_dict("records"), start=2):
        grade = row.get("grade") or str(taxonomy.grade_of(taxonomy.of_label(row["disease"]).id))
        if grade not in GRADES:
            raise ContractError(f"{file.name} line {line}: grade is {grade!r}, expected {', '.join(GRADES)}")
        answers.append(Answer(row["reader"], row["photo"], list(map(str, GRADES)).index(grade)))
    return answers


def _read(file: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not file.is_file():
        raise MissingError(f"{file} does not exist; expected a CSV with columns {', '.join(columns)}")
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    if missing := [c for c in columns if c not in rows]:
        raise ContractError(f"{file.name}: no column {', '.join(missing)}")
    return rows
