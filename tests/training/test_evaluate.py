import numpy as np
import pandas as pd
import pytest

from screening.contracts import GRADES
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.evaluate import (
    auc,
    bootstrap_interval,
    calibration_error,
    evaluation_table,
    grade_aucs,
)

CLASSES = load_training_classes("isic8", load_taxonomy())
NUMBER = len(CLASSES)
CLASS = {disease: place for place, disease in enumerate(CLASSES.class_ids)}


def sure(labels: np.ndarray, p: float = 1.0) -> np.ndarray:
    """Probabilities that put ``p`` on each label and share the rest evenly."""
    probabilities = np.full((len(labels), NUMBER), (1 - p) / (NUMBER - 1))
    probabilities[np.arange(len(labels)), labels] = p
    return probabilities


# Area under the curve


@pytest.mark.parametrize(
    ("score", "area"),
    [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5), ([1, 3, 2, 4], 0.75)],
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(score: list[float], area: float) -> None:
    assert auc(np.array([False, False, True, True]), np.array(score)) == area


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_without_both_answers_there_is_no_area(truth: list[bool]) -> None:
    assert np.isnan(auc(np.array(truth), np.array([0.1, 0.9])))


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


# Intervals


def test_an_interval_covers_the_truth_nineteen_times_out_of_twenty() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        sample = random.normal(loc=5.0, size=60)
        low, high = bootstrap_interval(lambda rows, s=sample: float(s[rows].mean()), np.arange(60), resamples=200)  # type: ignore[misc]
        covered += low <= 5.0 <= high

    # 0.95 with a binomial standard error of 0.015; percentile intervals of 60 photos run a little short.
    assert 0.88 <= covered / 200 <= 0.99


def test_patients_are_drawn_whole_so_that_their_copies_do_not_narrow_the_interval() -> None:
    of_patient = np.random.default_rng(0).normal(size=40)
    photos = np.repeat(of_patient, 10)

    def width(groups: np.ndarray) -> float:
        low, high = bootstrap_interval(lambda rows: float(photos[rows].mean()), groups, resamples=400)
        return high - low

    by_patient, by_photo = width(np.repeat(np.arange(40), 10)), width(np.arange(400))
    assert by_patient == pytest.approx(by_photo * np.sqrt(10), rel=0.2)


def test_a_patient_is_drawn_with_all_photos_and_as_many_patients_as_there_are() -> None:
    groups = np.array(["a", "b", "b", "c", "c", "c"])
    sizes = {"a": 1, "b": 2, "c": 3}
    draws: list[np.ndarray] = []

    def remember(rows: np.ndarray) -> float:
        draws.append(rows)
        return 0.0

    bootstrap_interval(remember, groups, resamples=50)

    for rows in draws:
        drawn = {name: int((groups[rows] == name).sum()) / size for name, size in sizes.items()}
        assert sum(drawn.values()) == 3
        assert all(count.is_integer() for count in drawn.values())


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=30)

    def interval(seed: int) -> tuple[float, float]:
        return bootstrap_interval(lambda rows: float(values[rows].mean()), np.arange(30), seed=seed, resamples=100)

    assert interval(1) == interval(1) != interval(2)


def test_resamples_that_cannot_be_measured_are_left_out_and_none_at_all_gives_none() -> None:
    truth, score = np.array([True, False, False]), np.array([0.9, 0.2, 0.4])

    assert bootstrap_interval(lambda r: auc(truth[r], score[r]), np.arange(3), resamples=100) == (1.0, 1.0)
    assert np.isnan(bootstrap_interval(lambda _: float("nan"), np.arange(3), resamples=10)).all()


# Calibration


@pytest.mark.parametrize(
    ("said", "right", "error"),
    [(1.0, [True] * 4, 0.0), (0.75, [True, True, True, False], 0.0), (0.9, [True, False], 0.4), (0.6, [True] * 3, 0.4)],
)
def test_the_error_is_the_gap_between_what_was_said_and_what_was_right(
    said: float, right: list[bool], error: float
) -> None:
    answered = np.zeros(len(right), dtype=int)
    labels = np.where(right, 0, 1)

    assert calibration_error(labels, sure(answered, said)) == pytest.approx(error)


def test_the_error_is_weighed_by_how_often_a_certainty_is_said() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.concatenate([sure(np.zeros(3, dtype=int)), sure(np.zeros(1, dtype=int), 0.5)])

    assert calibration_error(labels, probabilities) == pytest.approx(0.25 * 0.5)


# The table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two dangerous, two high-risk and four low-risk photos; a dangerous one passed for high risk, another for low risk."""
    diseases = ["melanoma", "melanoma", *["basal_cell_carcinoma"] * 2, *["nevus"] * 4]
    corpus = pd.DataFrame(
        {
            "label": [CLASS[d] for d in diseases],
            "kind": ["clinical"] * 4 + ["dermoscopic"] * 4,
            "source": ["pad_ufes"] * 4 + ["ham10000"] * 4,
            "patient": [f"p{n}" for n in range(8)],
        }
    )
    given_grades = np.array([1, 0, 1, 2, 0, 0, 0, 1])
    answered = np.array([CLASS[d] for d in ["basal_cell_carcinoma", "nevus", *diseases[2:]]])
    return evaluation_table(corpus, sure(answered, 0.8), given_grades, CLASSES, resamples=60)


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
    measured = table.dropna(subset=["value"])

    assert (measured["low"] <= measured["value"] + 1e-9).all()
    assert (measured["value"] <= measured["high"] + 1e-9).all()
    assert (measured["low"] < measured["high"]).any()
