"""The figures of the quality benchmark: shares, areas under the curve, limits and their intervals."""

import numpy as np
import pytest

from tests.benchmarks.quality.figures import auc, limit_for_false_alarms, limit_for_sensitivity, share, wilson


def names(count: int) -> list[str]:
    return [f"photo-{number:03d}" for number in range(count)]


def test_wilson_agrees_with_the_published_example():
    """Newcombe 1998, table I: 81 of 263."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)


def test_pictures_of_one_photo_that_always_agree_count_once():
    hits = np.array([True] * 3 + [False] * 7)

    once, four_times = share(hits, names(10)), share(np.repeat(hits, 4), np.repeat(names(10), 4))

    assert four_times.value == once.value
    assert four_times.high - four_times.low == pytest.approx(once.high - once.low, abs=0.02)


def test_pictures_of_one_photo_that_do_not_agree_count_for_more_than_one():
    hits = np.tile([True, False], 20)

    of_ten_photos, of_forty = share(hits, np.repeat(names(10), 4)), share(hits, names(40))

    assert of_ten_photos.high - of_ten_photos.low <= of_forty.high - of_forty.low + 1e-9


def test_no_hit_among_few_photos_does_not_rule_out_some():
    assert share([False] * 20, names(20)).high == pytest.approx(0.161, abs=0.001)


def test_nothing_counted_is_no_figure():
    nothing = share([], [])

    assert np.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0.0, 1.0)


def test_a_tie_is_half_a_point():
    estimate = auc(np.array([1.0, 2.0]), names(2), np.array([1.0, 0.0]), names(2))

    assert estimate.value == pytest.approx((0.5 + 1 + 1 + 1) / 4)


def test_perfectly_told_apart_is_not_certain():
    estimate = auc(np.arange(10.0) + 100, names(10), np.arange(10.0), names(10))

    assert estimate.value == 1.0
    assert estimate.low < 0.8


def test_at_most_the_named_share_of_good_photos_passes_the_limit():
    scores = np.arange(40.0)

    assert (scores > limit_for_false_alarms(scores, 0.05)).sum() == 2


def test_many_good_photos_of_one_score_are_no_false_alarms():
    scores = np.zeros(40)

    assert not (scores > limit_for_false_alarms(scores, 0.05)).any()


def test_at_least_the_named_share_of_spoilt_photos_reaches_the_limit():
    scores = np.arange(20.0)

    assert (scores >= limit_for_sensitivity(scores, 0.9)).sum() == 18
