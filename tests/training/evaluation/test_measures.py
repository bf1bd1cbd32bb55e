"""Each measure against an answer that is known, by hand or from scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from screening.training.evaluation import measures
from screening.training.evaluation.measures import Statistic
from screening.training.evaluation.resampling import draw_patients, p_of_delong

NO, YES = False, True


def once(statistic: Statistic, photos: int) -> float:
    """The figure of photos that each count once."""
    return float(statistic(np.ones((1, photos)))[0])


def with_ties(seed: int, photos: int = 200) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random(photos) < 0.3
    return truth, np.round(random.normal(truth.astype(float)), 1)


# Area under the ROC curve


@pytest.mark.parametrize(
    ("score", "area"),
    [([0.1, 0.2, 0.8, 0.9], 1.0), ([0.9, 0.8, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5), ([1, 3, 2, 4], 0.75)],
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(score, area):
    assert once(measures.auc(np.array([NO, NO, YES, YES]), np.array(score, float)), 4) == area


@pytest.mark.parametrize("truth", [[YES, YES], [NO, NO]])
def test_without_both_answers_there_is_no_area(truth):
    assert np.isnan(once(measures.auc(np.array(truth), np.array([0.1, 0.9])), 2))


@pytest.mark.parametrize("seed", range(3))
def test_areas_of_scores_with_ties_are_those_of_scikit_learn(seed):
    truth, score = with_ties(seed)

    assert once(measures.auc(truth, score), len(truth)) == pytest.approx(roc_auc_score(truth, score))
    assert once(measures.average_precision(truth, score), len(truth)) == pytest.approx(
        average_precision_score(truth, score)
    )


def test_a_photo_that_counts_twice_is_as_good_as_two():
    truth, score = with_ties(0, 30)
    weights = np.random.default_rng(1).integers(0, 4, (5, 30)).astype(float)
    for statistic in (
        measures.auc,
        measures.average_precision,
        lambda t, s: measures.sensitivity_at_specificity(t, s, 0.8),
    ):
        together = statistic(truth, score)(weights)
        for row, counts in enumerate(weights.astype(int)):
            copies = np.repeat(np.arange(30), counts)
            assert together[row] == pytest.approx(once(statistic(truth[copies], score[copies]), len(copies)))


# Cut-offs


def test_a_roc_curve_runs_through_the_points_of_scikit_learn():
    truth, score = with_ties(4)
    _, sensitivity, specificity = measures.roc_points(truth, score)
    false_alarms, caught, _ = roc_curve(truth, score, drop_intermediate=False)

    assert np.allclose(np.sort(1 - specificity), false_alarms)
    assert np.allclose(np.sort(sensitivity), caught)


def test_a_photo_at_the_cutoff_is_above_it():
    cutoffs, sensitivity, specificity = measures.roc_points(np.array([NO, YES]), np.array([0.2, 0.6]))

    assert list(cutoffs) == [0.2, 0.6, np.inf]
    assert list(sensitivity) == [1, 1, 0]
    assert list(specificity) == [0, 1, 1]


def test_a_curve_needs_both_answers():
    with pytest.raises(ValueError, match="both answers"):
        measures.roc_points(np.array([YES]), np.array([0.5]))


def test_youdens_cutoff_has_the_highest_sum_and_is_the_lowest_of_equals():
    truth = np.array([NO, NO, YES, NO, YES, YES])
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])

    # From 0.3: 3 of 3 and 2 of 3; from 0.5: 2 of 3 and 3 of 3. Both give 5/3.
    assert measures.youden_cutoff(truth, score) == 0.3
    assert np.isnan(measures.youden_cutoff(np.array([NO, NO]), np.array([0.1, 0.2])))


@pytest.mark.parametrize(("specificity", "sensitivity"), [(0.5, 1.0), (0.75, 2 / 3), (0.8, 1 / 3), (1.0, 1 / 3)])
def test_the_sensitivity_is_that_of_the_lowest_cutoff_that_keeps_the_specificity(specificity, sensitivity):
    truth = np.array([NO, NO, YES, NO, YES, NO, YES])
    score = np.array([1, 2, 3, 4, 5, 6, 7], float)

    assert once(measures.sensitivity_at_specificity(truth, score, specificity), 7) == pytest.approx(sensitivity)


def test_no_sensitivity_is_left_where_every_cutoff_alarms_for_a_harmless_photo():
    truth, score = np.array([YES, NO]), np.array([0.1, 0.9])

    assert once(measures.sensitivity_at_specificity(truth, score, 0.8), 2) == 0.0
    assert np.isnan(once(measures.sensitivity_at_specificity(np.array([YES]), np.array([0.5]), 0.8), 1))


# Shares and mix-ups


def test_a_share_counts_only_those_it_is_asked_of():
    hit, among = np.array([YES, YES, NO, YES]), np.array([YES, NO, YES, YES])

    assert once(measures.share(hit, among), 4) == pytest.approx(2 / 3)
    assert np.isnan(once(measures.share(hit, np.zeros(4, bool)), 4))


def test_the_right_class_is_looked_for_among_the_k_likeliest():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    labels = np.array([0, 0, 1])

    assert list(measures.is_in_top(labels, probabilities, 1)) == [YES, NO, NO]
    assert list(measures.is_in_top(labels, probabilities, 2)) == [YES, NO, YES]
    assert measures.is_in_top(labels, probabilities, 3).all()


def test_a_confusion_matrix_has_the_truth_in_its_rows():
    counts = measures.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)

    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


# Calibration


@pytest.mark.parametrize(
    ("said", "right", "error"),
    [(1.0, [YES] * 4, 0.0), (0.75, [YES, YES, YES, NO], 0.0), (0.9, [YES, NO], 0.4), (0.6, [YES] * 3, 0.4)],
)
def test_the_error_is_the_gap_between_what_was_said_and_what_was_right(said, right, error):
    found = once(measures.calibration_error(np.array(right), np.full(len(right), said)), len(right))

    assert found == pytest.approx(error)


def test_the_error_is_weighed_by_how_often_a_certainty_is_said():
    right, certainty = np.array([YES, YES, YES, NO]), np.array([1.0, 1.0, 1.0, 0.5])

    assert once(measures.calibration_error(right, certainty), 4) == pytest.approx(0.25 * 0.5)


def test_gaps_in_both_directions_of_one_bin_cancel_but_not_those_of_two():
    right = np.array([YES, NO])

    assert once(measures.calibration_error(right, np.array([0.52, 0.58])), 2) == pytest.approx(0.05)
    assert once(measures.calibration_error(right, np.array([0.42, 0.58])), 2) == pytest.approx(0.58)


def test_chance_alone_makes_an_error_that_falls_with_the_photos():
    few, many = (measures.calibration_error_by_chance(np.full(n, 0.5)) for n in (25, 2500))

    # One bin of n fair coins: the mean gap is sqrt(2 / pi) * 0.5 / sqrt(n).
    assert few == pytest.approx(np.sqrt(2 / np.pi) * 0.5 / 5, rel=0.1)
    assert many == pytest.approx(few / 10, rel=0.1)


# DeLong


def slow_delong(truth: np.ndarray, scores: list[np.ndarray]) -> tuple[float, float]:
    """DeLong, DeLong and Clarke-Pearson 1988, pair by pair as in their equations 3 to 5."""

    def pair(yes: float, no: float) -> float:
        return 1.0 if yes > no else 0.5 if yes == no else 0.0

    v10 = np.array([[np.mean([pair(y, n) for n in s[~truth]]) for y in s[truth]] for s in scores])
    v01 = np.array([[np.mean([pair(y, n) for y in s[truth]]) for n in s[~truth]] for s in scores])
    covariance = np.cov(v10) / truth.sum() + np.cov(v01) / (~truth).sum()
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return float(v10[0].mean() - v10[1].mean()), float(error)


@pytest.mark.parametrize("seed", range(3))
def test_delong_agrees_with_the_papers_equations_pair_by_pair(seed):
    truth, first = with_ties(seed, 40)
    second = np.round(first + np.random.default_rng(seed).normal(size=40), 1)

    assert measures.delong(truth, first, second) == pytest.approx(slow_delong(truth, [first, second]))


def test_delong_by_hand():
    truth = np.array([YES, YES, NO, NO])
    first, second = np.array([3.0, 4.0, 1.0, 2.0]), np.array([4.0, 1.0, 2.0, 3.0])

    # The first orders all pairs rightly; of the second, placements are (1, 0) and (0.5, 0.5): AUC 0.5, variance 0.5 / 2.
    assert measures.delong(truth, first, second) == pytest.approx((0.5, 0.5))


def test_the_same_scores_do_not_differ_and_one_photo_proves_nothing():
    truth, score = with_ties(0, 40)

    assert p_of_delong(truth, score, score) == 1.0
    assert np.isnan(p_of_delong(np.array([YES, NO, NO]), np.arange(3.0), -np.arange(3.0)))


def test_delong_finds_a_difference_where_there_is_none_one_time_in_twenty():
    random = np.random.default_rng(0)
    found = 0
    for _ in range(300):
        truth = random.random(80) < 0.4
        first, second = (random.normal(truth.astype(float)) for _ in range(2))
        found += p_of_delong(truth, first, second) < 0.05

    # 0.05 with a binomial standard error of 0.013.
    assert 0.02 <= found / 300 <= 0.09


# Intervals


def test_an_interval_of_an_area_covers_the_truth_nineteen_times_of_twenty():
    random = np.random.default_rng(0)
    truth = np.repeat([YES, NO], [25, 35])
    # Normal scores one standard deviation apart: the area is Phi(1 / sqrt 2) = 0.7602.
    covered = 0
    for _ in range(200):
        score = random.normal(truth.astype(float))
        found = draw_patients(np.arange(60), 200).measure(measures.auc(truth, score))
        covered += found.low <= 0.7602 <= found.high

    # 0.95 with a binomial standard error of 0.015; percentile intervals of 60 photos run a little short.
    assert 0.88 <= covered / 200 <= 0.99


def test_an_interval_of_a_share_covers_the_truth_although_patients_have_many_photos():
    random = np.random.default_rng(1)
    patients = np.repeat(np.arange(50), 4)
    covered = 0
    for _ in range(200):
        chance = random.beta(6, 2, 50)  # the mean is 0.75; a patient's photos are alike
        hit = random.random(200) < np.repeat(chance, 4)
        found = draw_patients(patients, 200).measure_share(hit, np.full(200, YES))
        covered += found.low <= 0.75 <= found.high

    assert 0.88 <= covered / 200 <= 0.99


def test_an_interval_of_a_difference_covers_the_truth():
    random = np.random.default_rng(2)
    truth = np.repeat([YES, NO], [30, 30])
    covered = 0
    for _ in range(200):
        first, second = (random.normal(truth * distance) for distance in (1.5, 0.5))
        found = draw_patients(np.arange(60), 200).compare(measures.auc(truth, first), measures.auc(truth, second))
        covered += found.low <= 0.8556 - 0.6382 <= found.high  # Phi(1.5 / sqrt 2) and Phi(0.5 / sqrt 2)

    assert 0.88 <= covered / 200 <= 0.99


def test_copies_of_a_patients_photo_do_not_narrow_the_interval():
    hit = np.repeat(np.random.default_rng(0).random(40) < 0.6, 10)

    def width(patients: np.ndarray) -> float:
        found = draw_patients(patients, 400).measure_share(hit, np.full(400, YES))
        return found.high - found.low

    assert width(np.repeat(np.arange(40), 10)) == pytest.approx(width(np.arange(400)) * np.sqrt(10), rel=0.2)


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    patients = np.array(["a", "b", "b", "c", "c", "c"])
    weights = draw_patients(patients, 50).weights

    assert (weights[:, 1] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(weights, axis=0)) > 5


def test_the_same_seed_gives_the_same_interval():
    hit = np.arange(30) % 3 == 0

    def interval(seed: int) -> tuple[float, float]:
        found = draw_patients(np.arange(30), 100, seed).measure(measures.share(hit, np.full(30, YES)))
        return found.low, found.high

    assert interval(1) == interval(1) != interval(2)


def test_all_of_nineteen_found_is_not_all_for_sure():
    everyone = np.full(19, YES)
    drawn = draw_patients(np.arange(19), 100)

    # The exact lower end of 19 of 19 (Clopper and Pearson 1934): 0.025 ** (1 / 19).
    found = drawn.measure_share(everyone, everyone)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.8235, abs=1e-4)
    none = drawn.measure_share(~everyone, everyone)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.8235, abs=1e-4)


def test_what_cannot_be_measured_has_no_interval():
    found = draw_patients(np.arange(4), 50).measure(measures.auc(np.full(4, YES), np.arange(4.0)))

    assert np.isnan([found.value, found.low, found.high]).all()


def test_a_difference_of_the_same_answers_is_none():
    truth, score = with_ties(0, 50)
    area = measures.auc(truth, score)

    found = draw_patients(np.arange(50), 100).compare(area, area)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_clear_difference_has_a_small_p():
    truth = np.repeat([YES, NO], 50)
    random = np.random.default_rng(0)
    good, useless = random.normal(truth * 3.0), random.normal(size=100)

    found = draw_patients(np.arange(100), 400).compare(measures.auc(truth, good), measures.auc(truth, useless))
    assert found.low > 0.2
    assert found.p <= 2 / 401
