"""Drift: nights that are alike raise none, others do within days, and a difference without size does not count."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from screening.cutoffs import MONITORING
from screening.stages.monitoring.drift import (
    LOOKS_A_YEAR,
    PROPERTIES,
    DriftResult,
    Sketches,
    chance_of_a_look,
    find_drift,
)
from screening.stages.monitoring.photo_drift import drift_row, new_reference
from screening.stages.monitoring.properties import ANSWERS, EDGES, answers_of, measures_of

FIRST = date(2026, 9, 1)


def brightness_of(noise, photos, mean=0.6):
    values = pa.chunked_array([pa.array(np.clip(noise.normal(mean, 0.08, photos), 0, 1), pa.float32())])
    return measures_of(values, "skin_brightness")


def nights(noise, count, *, photos=40, mean=0.6, between=0.02):
    found = [brightness_of(noise, photos, mean + noise.normal(0, between)) for _ in range(count)]
    return Sketches(np.array([n for n, _ in found]), np.array([v for _, v in found]))


def drift_of(name: str, before: Sketches, recent: Sketches) -> DriftResult:
    found = find_drift(name, before, recent)
    assert found is not None
    return found


def test_all_looks_of_a_year_together_may_be_wrong_less_than_once():
    assert chance_of_a_look() * LOOKS_A_YEAR * len(PROPERTIES) <= 1


@pytest.mark.parametrize("between", [0.0, 0.05])
def test_a_small_chance_is_as_small_as_it_says_even_where_nights_differ(between):
    # One in a hundred, because a simulation of one in ten thousand takes hours.
    noise = np.random.default_rng(1)
    found = [
        drift_of("skin_brightness", nights(noise, 28, between=between), nights(noise, 7, between=between)).p_value
        for _ in range(400)
    ]
    assert np.mean(np.array(found) <= 0.01) <= 0.025
    assert 0.4 < np.mean(found) < 0.6


def test_darker_photos_are_drift_after_a_week_and_the_page_can_say_how():
    noise = np.random.default_rng(2)
    found = drift_of("skin_brightness", nights(noise, 28), nights(noise, 7, mean=0.5))
    assert found.is_drift
    assert found.share_now > found.share_before + 0.3
    assert found.at in EDGES["skin_brightness"]


def test_one_odd_night_of_the_week_is_no_drift():
    noise = np.random.default_rng(3)
    week, odd = nights(noise, 6), nights(noise, 1, photos=5000, mean=0.3)
    recent = Sketches(np.append(week.photos, odd.photos), np.vstack([week.values, odd.values]))
    assert not drift_of("skin_brightness", nights(noise, 28), recent).is_drift


def test_a_difference_that_is_sure_but_small_is_no_drift():
    noise = np.random.default_rng(4)
    before = nights(noise, 28, photos=4000, between=0.0)
    found = drift_of("skin_brightness", before, nights(noise, 7, photos=4000, mean=0.61, between=0.0))
    assert found.p_value <= chance_of_a_look()
    assert found.effect < MONITORING.drift_least_gap
    assert not found.is_drift


def test_photos_that_are_all_alike_are_no_drift():
    same = Sketches(np.full(28, 50), np.ones((28, 5)))
    found = drift_of("clipped_bright_fraction", same, Sketches(np.full(7, 50), np.ones((7, 5))))
    assert (found.p_value, found.effect) == (1.0, 0.0)


@pytest.mark.parametrize(("count", "photos"), [(4, 100), (5, 9)])
def test_too_few_nights_or_photos_are_not_compared(count, photos):
    noise = np.random.default_rng(5)
    assert find_drift("skin_brightness", nights(noise, 28), nights(noise, count, photos=photos)) is None


def predictions(noise, photos, *, certain=0.5):
    rows = []
    for photo in range(photos):
        for member in ("a", "b", "ensemble"):
            answer = noise.dirichlet([0.5] * 8) * (1 - certain)
            answer[0] += certain
            rows.append({"photo_id": f"{photo:05d}", "member": member, "probabilities": answer.tolist()})
    return pa.Table.from_pylist(rows)


def test_other_answers_of_the_networks_are_drift_and_like_ones_are_not():
    noise = np.random.default_rng(6)

    def of_nights(count, certain):
        found = [answers_of(predictions(noise, 30, certain=certain)) for _ in range(count)]
        return Sketches(np.array([n for n, _ in found]), np.array([v for _, v in found]))

    before = of_nights(28, 0.5)
    assert drift_of(ANSWERS, before, of_nights(7, 0.1)).is_drift
    assert not drift_of(ANSWERS, before, of_nights(7, 0.5)).is_drift


def test_the_order_of_the_rows_of_predictions_is_of_no_matter():
    table = predictions(np.random.default_rng(7), 5)
    turned = table.take(list(reversed(range(table.num_rows))))
    assert answers_of(turned) == answers_of(table)


def test_a_photo_at_an_edge_counts_as_up_to_it():
    values = pa.chunked_array([pa.array([EDGES["skin_brightness"][0], None, 1.0], pa.float32())])
    photos, shares = measures_of(values, "skin_brightness")
    assert photos == 2
    assert shares[0] == 0.5
    assert measures_of(values.slice(1, 1), "skin_brightness") == (0, [])


def rows_of(count, *, photos=40, seed=8, mean=0.6, start=0, earlier=(), reference=()):
    noise, rows = np.random.default_rng(seed), list(earlier)
    for number in range(start, start + count):
        night = FIRST + timedelta(days=number)
        made = drift_row("skin_brightness", night, brightness_of(noise, photos, mean), "f", reference, rows)
        rows.append({"since": None} | made | {"night": night, "claimed_at_utc": night})
    return rows


def test_the_first_four_weeks_become_the_reference_and_stay_it():
    assert new_reference(rows_of(27)) is None
    assert {r["night"] for r in new_reference(rows_of(40)) or ()} == {FIRST + timedelta(days=n) for n in range(28)}


def test_a_reference_of_few_photos_waits_for_nothing_else():
    assert new_reference(rows_of(28, photos=5)) is None


def test_drift_names_its_first_night_for_as_long_as_it_lasts():
    learnt = rows_of(28)
    reference = new_reference(learnt)
    rows = rows_of(7, start=28, seed=9, earlier=learnt, reference=reference)
    rows = rows_of(10, start=35, seed=10, mean=0.45, earlier=rows, reference=reference)
    drifting = [row for row in rows if row["state"] == "drift"]
    assert [row["state"] for row in rows[:32]] == ["learning"] * 28 + ["too_few"] * 4
    assert len(drifting) >= 3
    assert {row["since"] for row in drifting} == {drifting[0]["night"]}
    assert drifting[0]["night"] <= FIRST + timedelta(days=42)
