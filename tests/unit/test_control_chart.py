"""Control charts: few false alarms over all charts, and a doubled share is seen."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from screening.cutoffs import MONITORING
from screening.stages.monitoring.charts import CHARTS, chart_row
from screening.stages.monitoring.control_chart import chart_point, level_of

FIRST = date(2026, 9, 1)
SHARES = dict(zip(CHARTS, (0.03, 0.12, 0.18, 0.08, 0.15), strict=True))


def charted(events, of, regime="r", first=FIRST):
    """Rows of the nights of one chart, each knowing those before it."""
    rows: list[dict[str, Any]] = []
    for number, (k, n) in enumerate(zip(events, of, strict=True)):
        night = first + timedelta(days=number)
        row = chart_row("refused", int(k), int(n), regime, night, rows)
        rows.append({"score": None, "mean_score": None, "since": None} | row | {"night": night})
    return rows


def drawn(noise, share, of, correlation):
    if correlation:
        scale = (1 - correlation) / correlation
        share = noise.beta(share * scale, (1 - share) * scale)
    return noise.binomial(of, share)


@pytest.mark.parametrize("correlation", [0.0, 0.005, 0.03])
@pytest.mark.parametrize("most_photos", [60, 400])
def test_a_programme_has_fewer_than_one_false_alarm_a_month_over_all_charts(correlation, most_photos):
    noise = np.random.default_rng(5)
    mornings = begun = months = 0.0
    for _ in range(16):
        of = noise.integers(most_photos // 10, most_photos, 104)
        alarms = np.zeros((len(SHARES), len(of)), bool)
        for chart, share in enumerate(SHARES.values()):
            rows = charted([drawn(noise, share, n, correlation) for n in of], of)
            alarms[chart] = [row["state"] in ("above", "below") for row in rows]
        begins = alarms & ~np.pad(alarms, ((0, 0), (1, 0)))[:, :-1]
        begun += begins.any(axis=0).sum()
        mornings += alarms.any(axis=0).sum()
        months += (len(of) - MONITORING.chart_learning_nights) / 30
    assert begun / months < 0.6
    assert mornings / months < 1


def test_a_doubled_refusal_rate_is_seen_within_days():
    delays = []
    for seed in range(12):
        noise = np.random.default_rng(seed)
        share = [0.08] * 40 + [0.16] * 20
        rows = charted([drawn(noise, p, 150, 0.005) for p in share], [150] * 60)
        delays.append(next((i for i, row in enumerate(rows[40:], 1) if row["state"] == "above"), 99))
    assert np.median(delays) <= 4
    assert max(delays) <= 14


def test_there_are_no_limits_before_two_weeks_of_nights():
    rows = charted([3] * 15, [40] * 15)
    assert [row["state"] for row in rows] == ["learning"] * 14 + ["in_control"]
    assert rows[13]["baseline_nights"] == 13
    assert "level" not in rows[13]


def test_a_night_without_photos_is_no_point_and_no_part_of_the_level():
    rows = charted([3] * 14 + [0, 3], [40] * 14 + [0, 40])
    assert rows[14]["state"] == "no_photos"
    assert (rows[15]["state"], rows[15]["baseline_nights"]) == ("in_control", 14)


def test_another_release_or_other_cutoffs_begin_to_learn_anew():
    rows = charted([3] * 20, [40] * 20)
    later = chart_row("refused", 30, 40, "another", FIRST + timedelta(days=30), rows)
    assert (later["state"], later["baseline_nights"]) == ("learning", 0)


def test_an_alarm_names_its_first_night_for_as_long_as_it_lasts():
    rows = charted([3] * 30 + [25, 25, 25], [40] * 33)
    assert [row["state"] for row in rows[29:]] == ["in_control", "above", "above", "above"]
    assert {row["since"] for row in rows[30:]} == {FIRST + timedelta(days=30)}


def test_nights_with_an_alarm_are_no_part_of_the_level():
    rows = charted([3] * 30 + [35, 35, 3], [40] * 33)
    assert rows[32]["baseline_nights"] == 30
    assert rows[32]["level"] == pytest.approx(3 / 40, abs=0.005)


def test_one_odd_night_does_not_go_on_alarming():
    rows = charted([3, 4, 2, 3, 5] * 6 + [40, 3, 3], [40] * 33)
    assert [row["state"] for row in rows[30:]] == ["above", "in_control", "in_control"]


def test_fewer_than_usual_is_an_alarm_too():
    rows = charted([80] * 30 + [10], [200] * 31)
    assert rows[30]["state"] == "below"


def test_nights_that_differ_more_than_chance_widen_the_limits():
    steady, restless = level_of([10] * 30, [100] * 30), level_of([2, 18] * 15, [100] * 30)
    assert chart_point(22, 100, steady, 0.0).state == "above"
    assert chart_point(22, 100, restless, 0.0).state == "in_control"
    assert chart_point(22, 100, restless, 0.0).high > chart_point(22, 100, steady, 0.0).high


def test_the_limits_are_where_the_alarm_begins():
    level = level_of([10, 14, 8, 12, 9] * 6, [100] * 30)
    point = chart_point(10, 100, level, 0.0)
    at = [round(point.low * 100), round(point.high * 100)]
    assert [chart_point(k, 100, level, 0.0).state for k in at] == ["in_control", "in_control"]
    assert [chart_point(k, 100, level, 0.0).state for k in (at[0] - 1, at[1] + 1)] == ["below", "above"]


def test_what_was_never_seen_is_not_impossible():
    level = level_of([0] * 20, [50] * 20)
    assert chart_point(0, 50, level, 0.0).state == "in_control"
    assert chart_point(1, 50, level, 0.0).state == "in_control"
    assert chart_point(5, 50, level, 0.0).state == "above"


def test_a_level_that_was_learnt_from_odd_nights_does_not_alarm_for_good():
    rows = charted([1] * 14 + [5] * 70, [60] * 84)
    assert "above" in {row["state"] for row in rows[:30]}
    assert rows[-1]["state"] == "in_control"
