import numpy as np
import pandas as pd
import pytest

from screening.cutoffs import AnswerLimits, PredictionSets
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.limits_figures import limits_figures

CLASSES = load_training_classes("isic8", load_taxonomy())
PHOTOS, PEOPLE = 40, 20


def figures(lowest: float, distance: float) -> pd.DataFrame:
    """Forty photos of twenty people, whose sets hold every disease that reaches ``lowest``."""
    random = np.random.default_rng(0)
    photos = pd.DataFrame(
        {
            "label": random.integers(0, len(CLASSES), PHOTOS),
            "kind": ["clinical", "dermoscopic"] * (PHOTOS // 2),
            "patient": [f"p{photo // 2}" for photo in range(PHOTOS)],
        }
    )
    sets = PredictionSets(0.9, {"everybody": dict.fromkeys(("low_risk", "high_risk", "dangerous"), lowest)})
    probabilities = random.dirichlet(np.ones(len(CLASSES)), PHOTOS)
    distances, unknown = np.full(PHOTOS, distance), np.zeros(PHOTOS, int)
    found = limits_figures(photos, probabilities, distances, unknown, CLASSES, AnswerLimits(3.0, sets))
    return found.set_index("group")


def test_sets_of_all_diseases_cover_every_photo_which_is_no_proof_that_none_is_ever_missed():
    found = figures(lowest=0.0, distance=1.0).loc["all"]

    assert (found["coverage"], found["diseases"]) == (1.0, len(CLASSES))
    # Clopper and Pearson 1934, of twenty people.
    assert (found["coverage_low"], found["coverage_high"]) == pytest.approx((0.025 ** (1 / PEOPLE), 1.0))


def test_sets_of_the_likeliest_disease_alone_cover_as_often_as_it_is_right():
    found = figures(lowest=1.1, distance=1.0).loc["all"]

    assert found["diseases"] == 1.0
    assert found["coverage_low"] < found["coverage"] < found["coverage_high"] < 0.6


@pytest.mark.parametrize(("distance", "share"), [(2.999, 0.0), (3.0, 1.0)])
def test_a_photo_counts_as_unlike_from_the_cutoff_on(distance, share):
    assert figures(lowest=0.5, distance=distance).loc["all", "unlike"] == share


def test_a_group_without_photos_has_no_figures():
    found = figures(lowest=0.5, distance=1.0).loc["skin type V-VI"]

    assert found["photos"] == 0
    assert found[["coverage", "unlike", "diseases"]].isna().all()
