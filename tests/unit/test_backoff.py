"""The waits between attempts."""

from __future__ import annotations

import pytest

from screening.edges.backoff import wait_s


def test_the_first_wait_is_short_and_none_is_longer_than_eighteen_seconds():
    assert all(0.8 <= wait_s(1) <= 1.2 for _ in range(200))
    assert all(12.0 <= wait_s(failures) <= 18.0 for failures in (3, 10, 1000))


@pytest.mark.parametrize(("attempts", "least_s", "most_s"), [(8, 62.0, 97.0), (6, 39.0, 61.0)])
def test_the_waits_between_all_attempts_last_as_long_as_promised(attempts, least_s, most_s):
    for _ in range(500):
        assert least_s < sum(wait_s(failures) for failures in range(1, attempts)) < most_s


def test_callers_that_failed_together_do_not_come_back_together():
    assert len({round(wait_s(4), 3) for _ in range(50)}) > 40
