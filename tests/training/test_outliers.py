import numpy as np
import pytest

from screening.errors import ContractError
from screening.training.outliers import (
    FALSE_ALARMS,
    choose_outlier_cutoff,
    fit_outlier_model,
    weighted_quantile,
)


def flat_photos(photos: int, seed: int = 0) -> np.ndarray:
    """Features, shape (photos, 40), that differ in three directions and hardly in any other."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(99).normal(size=(40, 3)))[0]
    spread = random.normal(size=(photos, 3)) * 5 @ directions.T
    return np.asarray(spread + random.normal(scale=0.1, size=(photos, 40)) + 7)


def test_the_median_training_photo_has_the_distance_one() -> None:
    features = flat_photos(200)

    distances = fit_outlier_model(features, np.ones(200), 3).distance(features)

    assert np.median(distances) == pytest.approx(1, rel=0.02)


def test_what_training_photos_differ_in_is_near_and_what_they_never_do_is_far() -> None:
    model = fit_outlier_model(flat_photos(200), np.ones(200), 3)
    one = flat_photos(1, seed=4)
    beside = np.linalg.svd(model.directions.T)[2][-1]

    assert model.distance(model.mean + 3 * (one - model.mean))[0] < 20
    assert model.distance(one + 3 * beside)[0] > 20


def test_a_kind_with_few_photos_counts_as_much_as_one_with_many() -> None:
    random = np.random.default_rng(1)
    many, few = flat_photos(400), flat_photos(20, seed=2) + 4 * random.normal(size=(20, 1)) * np.eye(40)[0]
    features = np.concatenate([many, few])
    alike = fit_outlier_model(features, np.ones(420), 4)
    weighed = fit_outlier_model(features, np.r_[np.full(400, 1 / 400), np.full(20, 1 / 20)], 4)

    def ratio(model: object) -> float:
        return float(np.median(model.distance(few)) / np.median(model.distance(many)))  # type: ignore[attr-defined]

    assert ratio(weighed) <= ratio(alike)


def test_the_cutoff_calls_the_wanted_share_of_validation_photos_unlike() -> None:
    distances = np.random.default_rng(0).gamma(2, size=(3, 5000))

    cutoff = choose_outlier_cutoff(distances, np.ones(5000))

    assert (distances.mean(axis=0) >= cutoff).mean() == pytest.approx(FALSE_ALARMS, abs=0.002)


def test_photos_that_are_all_alike_are_no_ground_to_call_one_unlike_them() -> None:
    with pytest.raises(ContractError, match="30 training photos have the same features"):
        fit_outlier_model(np.ones((30, 8)), np.ones(30))


@pytest.mark.parametrize(("weights", "median"), [([1, 1, 1], 2.0), ([5, 1, 1], 1.0), ([1, 1, 5], 3.0)])
def test_a_quantile_counts_weights(weights: list[float], median: float) -> None:
    assert weighted_quantile(np.array([1.0, 2.0, 3.0]), np.array(weights), 0.5) == median
