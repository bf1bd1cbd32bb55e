"""The estimate of lesions that were graded low risk and are not, and whether its interval keeps its promise."""

import numpy as np
import pytest

from screening.stages.missed_lesions import Stratum, missed_lesions, weighted_poisson_interval
from screening.stages.vetting import low_risk_strata
from screening.taxonomy import load_taxonomy


def drawn(photos, probability, found, *, chosen=None, settled=None):
    chosen = round(photos * probability) if chosen is None else chosen
    return Stratum(photos, probability, chosen, chosen if settled is None else settled, found)


def test_a_lesion_of_the_sample_stands_for_as_many_as_were_not_looked_at():
    estimate = missed_lesions([drawn(1000, 0.05, 2), drawn(500, 0.1, 1)])
    assert estimate.missed == pytest.approx(2 / 0.05 + 1 / 0.1)
    assert (estimate.photos, estimate.looked_at, estimate.found) == (1500, 100, 3)
    assert estimate.share
    assert estimate.share[0] == pytest.approx(50 / 1500)


def test_what_was_looked_at_as_a_whole_is_counted_and_not_estimated():
    estimate = missed_lesions([drawn(30, 1.0, 4)])
    assert (estimate.missed, estimate.low, estimate.high) == (4.0, 4.0, 4.0)


def test_none_found_is_not_none_missed():
    estimate = missed_lesions([drawn(10_000, 0.02, 0)])
    assert (estimate.missed, estimate.low) == (0.0, 0.0)
    # The exact upper limit of a Poisson count of 0 at 97.5 % is 3.689.
    assert estimate.high == pytest.approx(3.689 / 0.02, rel=1e-3)


def test_of_equal_weights_the_interval_is_the_exact_one_of_a_poisson_count():
    # Garwood 1936: 10 events, 95 %: 4.795 to 18.390.
    assert weighted_poisson_interval([(1.0, 10)]) == pytest.approx((4.795, 18.390), abs=0.001)


def test_photos_whose_answer_is_not_settled_are_stood_for_by_the_others():
    assert missed_lesions([drawn(1000, 0.1, 2, chosen=100, settled=50)]).missed == pytest.approx(40)


def test_a_stratum_that_nobody_looked_at_is_named_and_not_taken_for_healthy():
    estimate = missed_lesions([drawn(1000, 0.1, 1), drawn(700, 0.1, 0, settled=0), drawn(300, 0.1, 0, chosen=0)])
    assert (estimate.photos, estimate.not_covered) == (1000, 1000)


def test_without_any_photo_there_is_no_share():
    estimate = missed_lesions([])
    assert (estimate.missed, estimate.high, estimate.share) == (0.0, 0.0, None)


def test_the_interval_cannot_leave_what_was_seen():
    estimate = missed_lesions([drawn(10, 0.5, 5, chosen=5)])
    assert estimate.low >= 5
    assert estimate.high <= 10


@pytest.mark.parametrize("lesions", [0, 1, 4, 20, 100])
def test_the_interval_covers_the_truth_at_least_as_often_as_it_says(lesions):
    """Thirty nights of different sizes; 2,000 draws of the sample from the same photos, all answers settled."""
    rng = np.random.default_rng(20261120)
    sizes = rng.integers(100, 600, 30)
    chances = np.minimum(1.0, np.maximum(0.02, 5 / sizes))
    lesions_of = rng.multinomial(lesions, sizes / sizes.sum())
    inside, estimates = 0, []
    for _ in range(2000):
        found = rng.binomial(lesions_of, chances)
        healthy = rng.binomial(sizes - lesions_of, chances)
        strata = [
            Stratum(int(n), float(p), int(f + h), int(f + h), int(f))
            for n, p, f, h in zip(sizes, chances, found, healthy, strict=True)
            if f + h
        ]
        estimate = missed_lesions(strata)
        estimates.append(estimate.missed)
        inside += estimate.low <= lesions <= estimate.high
    assert inside / 2000 >= 0.95
    assert np.mean(estimates) == pytest.approx(lesions, abs=4 * np.std(estimates) / 2000**0.5 + 1e-9)


def test_a_night_falls_into_photos_that_had_to_be_looked_at_and_photos_that_were_drawn():
    queue = [
        {"photo_id": "near", "grade": "low_risk", "inclusion_probability": 1.0},
        {"photo_id": "near too", "grade": "low_risk", "inclusion_probability": 1.0},
        {"photo_id": "bad", "grade": "dangerous", "inclusion_probability": 1.0},
        *({"photo_id": f"drawn {i}", "grade": "low_risk", "inclusion_probability": 0.1} for i in range(5)),
    ]
    vetted = [
        {"photo_id": "near", "state": "settled", "disease": "melanoma"},
        {"photo_id": "near too", "state": "needs_adjudication", "disease": None},
        {"photo_id": "bad", "state": "settled", "disease": "nevus"},
        {"photo_id": "drawn 0", "state": "settled", "disease": "basal_cell_carcinoma"},
        {"photo_id": "drawn 1", "state": "settled", "disease": "nevus"},
        # `lesion` has no grade: it tells neither that a lesion was missed nor that none was.
        {"photo_id": "drawn 2", "state": "settled", "disease": "lesion"},
    ]
    assert low_risk_strata(queue, vetted, 52, load_taxonomy()) == [
        Stratum(photos=50, inclusion_probability=0.1, chosen=5, settled=2, found=1),
        Stratum(photos=2, inclusion_probability=1.0, chosen=2, settled=1, found=1),
    ]
