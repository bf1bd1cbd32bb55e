import numpy as np
import pandas as pd
import pytest

from screening.contracts import GRADES
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.evaluation.scored_photos import score_table
from screening.training.evaluation.table import evaluation_table, grade_aucs

CLASSES = load_training_classes("isic8", load_taxonomy())
NUMBER = len(CLASSES)
CLASS = {disease: place for place, disease in enumerate(CLASSES.class_ids)}


def sure(labels: np.ndarray, p: float = 1.0) -> np.ndarray:
    """Probabilities that put ``p`` on each label and share the rest evenly."""
    probabilities = np.full((len(labels), NUMBER), (1 - p) / (NUMBER - 1))
    probabilities[np.arange(len(labels)), labels] = p
    return probabilities


def test_a_grade_is_judged_by_the_sum_of_its_diseases() -> None:
    # Every photo is of the likelier disease's grade, but never of that disease.
    labels = np.array([CLASS[d] for d in ("nevus", "basal_cell_carcinoma", "melanoma")])
    answered = np.array([CLASS[d] for d in ("dermatofibroma", "actinic_keratosis_bowen", "squamous_cell_carcinoma")])

    assert grade_aucs(labels, sure(answered, 0.9), CLASSES) == {"low_risk": 1.0, "high_risk": 1.0, "dangerous": 1.0}


def test_a_grade_that_no_photo_has_is_not_measured() -> None:
    labels = np.array([CLASS["nevus"], CLASS["melanoma"]])

    areas = grade_aucs(labels, sure(labels), CLASSES)

    assert np.isnan(areas["high_risk"])
    assert (areas["low_risk"], areas["dangerous"]) == (1.0, 1.0)


# The table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two dangerous, two high-risk and four low-risk photos; a dangerous one passed for high risk, another for low risk."""
    diseases = ["melanoma", "melanoma", *["basal_cell_carcinoma"] * 2, *["nevus"] * 4]
    facts = pd.DataFrame(
        {
            "photo": [f"photo {n}" for n in range(8)],
            "disease": diseases,
            "kind": ["clinical"] * 4 + ["dermoscopic"] * 4,
            "source": ["pad_ufes"] * 4 + ["ham10000"] * 4,
            "patient": [f"p{n}" for n in range(8)],
        }
    )
    given = np.array([str(GRADES[grade]) for grade in (1, 0, 1, 2, 0, 0, 0, 1)])
    answered = np.array([CLASS[d] for d in ["basal_cell_carcinoma", "nevus", *diseases[2:]]])
    scored = score_table(facts, sure(answered, 0.8), CLASSES.class_ids, CLASSES.taxonomy, given=given)
    return evaluation_table(scored, resamples=60)


def value(table: pd.DataFrame, group: str, measure: str) -> float:
    [found] = table[(table["group"] == group) & (table["measure"] == measure)]["value"]
    return float(found)


def test_the_table_measures_all_photos_and_every_kind_and_source(table: pd.DataFrame) -> None:
    counts = dict(zip(table["group"], table["photos"], strict=True))

    assert counts == {
        "all": 8,
        "kind=clinical": 4,
        "kind=dermoscopic": 4,
        "source=ham10000": 4,
        "source=pad_ufes": 4,
    }
    assert not table.duplicated(["group", "measure"]).any()


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("sensitivity: dangerous graded dangerous", 0.0),
        ("sensitivity: dangerous graded high_risk or dangerous", 0.5),
        ("sensitivity: high_risk graded high_risk or dangerous", 1.0),
        ("specificity: low_risk graded low_risk", 0.75),
        ("accuracy of disease", 0.75),
    ],
)
def test_a_share_counts_the_photos_of_one_grade(table: pd.DataFrame, measure: str, expected: float) -> None:
    assert value(table, "all", measure) == expected


def test_an_area_is_measured_for_every_grade(table: pd.DataFrame) -> None:
    assert {f"auc {grade}" for grade in GRADES} <= set(table["measure"])
    # Of the six pairs of a high-risk photo with another, the dangerous one that passed for high risk ties with both.
    assert value(table, "all", "auc high_risk") == pytest.approx((2 * 5 + 2 * 0.5) / 12)


def test_what_a_group_does_not_show_is_not_measured(table: pd.DataFrame) -> None:
    assert np.isnan(value(table, "kind=dermoscopic", "sensitivity: dangerous graded dangerous"))
    assert np.isnan(value(table, "kind=dermoscopic", "auc dangerous"))


def test_a_value_lies_in_its_interval(table: pd.DataFrame) -> None:
    measured = table.dropna(subset=["value", "low"])

    assert (measured["low"] <= measured["value"] + 1e-9).all()
    assert (measured["value"] <= measured["high"] + 1e-9).all()
    assert (measured["low"] < measured["high"]).any()
