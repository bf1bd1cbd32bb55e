import numpy as np
import pytest

from screening.contracts import EVERYBODY
from screening.cutoffs import AnswerLimits, GradeCutoffs, PredictionSets
from screening.errors import ContractError
from screening.stages.grading import grade_photo
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.prediction_sets import FEWEST_PHOTOS, choose_prediction_sets

CLASSES = load_training_classes("isic8", load_taxonomy())
N = len(CLASSES)


def scored(photos: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a network that sees melanoma worse than the rest, and the true classes."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, N, photos)
    logits = random.normal(size=(photos, N))
    logits[np.arange(photos), labels] += np.where(labels == N - 1, 0.8, 3.0)
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), labels


def covered(sets: PredictionSets, probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    cutoffs, limits = GradeCutoffs("t", 0.5, 0.5), AnswerLimits(None, sets)
    graded = [grade_photo(p, p[None], CLASSES, cutoffs, limits=limits) for p in probabilities]
    return np.array([CLASSES.class_ids[y] in (g.prediction_set or ()) for g, y in zip(graded, labels, strict=True)])


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_true_disease_of_photos_never_seen_is_in_the_set_as_often_as_promised_in_every_grade(
    coverage: float,
) -> None:
    sets = choose_prediction_sets(*scored(3000, seed=0), np.zeros(3000), CLASSES, coverage)
    probabilities, labels = scored(1500, seed=1)

    hits, grades = covered(sets, probabilities, labels), CLASSES.grade_of_class[labels].argmax(axis=1)

    for grade in range(3):
        # The set holds the likeliest in any case, so it may hold more than promised.
        assert hits[grades == grade].mean() > coverage - 0.03


def test_a_larger_coverage_asks_for_less_probability() -> None:
    scores, labels = scored(2000, seed=0)

    wide, narrow = (choose_prediction_sets(scores, labels, np.zeros(2000), CLASSES, c) for c in (0.95, 0.8))

    assert all(wide.lowest[EVERYBODY][g] < narrow.lowest[EVERYBODY][g] for g in narrow.lowest[EVERYBODY])


def test_only_skin_types_with_photos_enough_of_every_grade_have_limits_of_their_own() -> None:
    scores, labels = scored(1200, seed=0)
    fitzpatrick = np.where(np.arange(1200) < 1100, 2, 6)
    assert min(np.bincount(CLASSES.grade_of_class[labels[1100:]].argmax(axis=1))) < FEWEST_PHOTOS

    sets = choose_prediction_sets(scores, labels, fitzpatrick, CLASSES)

    assert set(sets.lowest) == {EVERYBODY, "I-II"}


def test_too_few_photos_for_a_promise_are_told() -> None:
    scores, labels = scored(12, seed=0)

    with pytest.raises(ContractError, match=r"too few for sets of coverage 0\.9"):
        choose_prediction_sets(scores, labels, np.zeros(12), CLASSES)
