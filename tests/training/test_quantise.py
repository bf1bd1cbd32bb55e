import numpy as np
import pytest

from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.quantise import MOST_AUC_LOSS, AccuracyLoss, accuracy_loss

CLASSES = load_training_classes("isic8", load_taxonomy())
N = len(CLASSES)


def answers(noise: float) -> np.ndarray:
    """Probabilities of 240 photos, shape (240, classes): right but for noise."""
    random = np.random.default_rng(0)
    logits = 2 * np.eye(N)[LABELS] + random.normal(size=(240, N))
    logits += noise * random.normal(size=(240, N))
    return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


LABELS = np.random.default_rng(5).integers(0, N, 240)
PEOPLE = np.arange(240) // 2


def test_the_same_answers_lose_nothing_and_pass() -> None:
    found = accuracy_loss(answers(0), answers(0), LABELS, PEOPLE, CLASSES, resamples=40)

    assert (found.loss, found.low, found.high) == (0, 0, 0)
    assert found.passes


def test_answers_that_are_worse_do_not_pass() -> None:
    found = accuracy_loss(answers(0), answers(2), LABELS, PEOPLE, CLASSES, resamples=40)

    assert found.low <= found.loss <= found.high
    assert found.loss > 0.05
    assert not found.passes


@pytest.mark.parametrize(("high", "passes"), [(np.nextafter(MOST_AUC_LOSS, 0), True), (MOST_AUC_LOSS, False)])
def test_the_upper_end_of_the_interval_decides(high: float, passes: bool) -> None:
    assert AccuracyLoss(0.0, -0.01, high).passes is passes
