"""The task `monitor`: what it writes, that it writes the same again, and that no night looks at later ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from screening.contracts import CONTROL_CHARTS, DRIFT, NIGHT_FIGURES
from screening.edges import paths
from screening.edges.tables import read_table
from screening.errors import ContractError
from screening.tasks.monitor import accept_level
from screening.tasks.whole_night import monitor_if_possible
from tests.unit.pages import Page
from tests.unit.watched_nights import Programme, claimed, context_at, night_number, plan_of, review, stage, watch

STEADY = Programme(photos=30)
TABLES = (CONTROL_CHARTS, DRIFT, NIGHT_FIGURES)


def rows(context, contract, night, programme="north"):
    return read_table(context.results, paths.published(contract.name, programme, night), contract).to_pylist()


def page(context, night):
    return context.results.get(paths.report(night, "monitoring.html")).decode()


def all_that(context, night):
    keys = [paths.published(contract.name, "north", night) for contract in TABLES]
    return [context.results.get(key) for key in (*keys, paths.report(night, "monitoring.html"))]


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Forty nights: darker photos in the last eight, four times the refusals in the last two; labels for a week."""
    context = context_at(tmp_path_factory.mktemp("nights"))
    raised = []
    for number in range(40):
        own = replace(STEADY, brightness=0.6 if number < 32 else 0.45, refused=0.08 if number < 38 else 0.5)
        raised.append(watch(context, {"north": own}, night_number(number)))
        if 20 <= number < 27:
            labelled = [
                {
                    "photo_id": f"{number}-{i}",
                    "grade": grade,
                    "truth": grade,
                    "inclusion_probability": p,
                    "age_years": 50,
                }
                for i, (grade, p) in enumerate([("low_risk", 0.1), ("high_risk", 1.0), ("dangerous", 1.0)] * 2)
            ]
            review(context, "north", night_number(number), labelled)
    return context, raised


def test_drift_is_raised_once_and_not_every_morning(nights):
    _, raised = nights
    began = [number for number, night in enumerate(raised) if "skin_brightness" in night.drift.get("north", [])]
    assert len(began) == 1
    assert 34 <= began[0] < 40


def test_an_alarm_is_told_on_the_night_on_which_it_begins(nights):
    context, raised = nights
    assert "refused" in raised[38].alarms["north"]
    assert "refused" not in raised[39].alarms.get("north", [])
    [row] = [r for r in rows(context, CONTROL_CHARTS, night_number(39)) if r["chart"] == "refused"]
    assert (row["state"], row["since"]) == ("above", night_number(38))


def test_the_page_says_what_happened_since_when_and_what_to_do(nights):
    context, _ = nights
    sections = Page(page(context, night_number(39))).sections
    happened = sections["happened"]
    assert "north : The photos have changed: brightness of the skin" in happened
    assert "north : More photos refused than usual" in happened
    assert "Since 9 October 2026." in happened
    assert "What to do: See in the nightly report which reason for refusing grew" in happened
    assert Page(page(context, night_number(39))).loads == []


def test_the_page_of_a_quiet_night_says_so(nights):
    context, _ = nights
    text = Page(page(context, night_number(20))).sections
    assert "Nothing changed by more than chance in the programme" in text["happened"]


def test_the_page_of_the_first_night_is_learning(nights):
    context, _ = nights
    text = " ".join(Page(page(context, night_number(0))).sections.values())
    assert "learning, no limits yet: 0 of 14 nights" in text
    assert "the first 28 nights with photos, 300 photos at least, become the reference" in text


def test_estimated_and_measured_performance_stand_side_by_side(nights):
    context, _ = nights
    text = " ".join(Page(page(context, night_number(39))).sections.values())
    assert "Estimated, r0001" in text
    assert "Measured, r0001 42 labelled photos" in text
    assert "the estimate below rests on probabilities that may no longer hold" in text


def test_the_counts_of_a_night_add_up_in_every_kind_of_group(nights):
    context, _ = nights
    found = rows(context, NIGHT_FIGURES, night_number(10))
    assert found[0]["photos"] == found[0]["graded"] + found[0]["refused"] + found[0]["failed"] == 30
    for kind in ("age", "sex", "skin"):
        assert sum(r["photos"] for r in found if r["group_kind"] == kind) == 30
    assert found[0]["graded"] == found[0]["low_risk"] + found[0]["high_risk"] + found[0]["dangerous"]


def test_a_night_run_again_writes_the_same_bytes(nights):
    context, raised = nights
    night = night_number(38)
    before = all_that(context, night)
    own = replace(STEADY, brightness=0.45, refused=0.5)
    assert watch(context, {"north": own}, night) == raised[38]
    assert all_that(context, night) == before


def test_a_night_that_is_back_filled_sees_no_later_night_and_changes_none(tmp_path):
    context = context_at(tmp_path)
    for number in range(16):
        if number != 12:
            watch(context, {"north": STEADY}, night_number(number))
    after = all_that(context, night_number(15))
    late = plan_of(night_number(12), claimed_at=claimed(night_number(40)))
    watch(context, {"north": STEADY}, night_number(12), late)
    assert {r["baseline_nights"] for r in rows(context, CONTROL_CHARTS, night_number(12))} == {12}
    watch(context, {"north": STEADY}, night_number(15))
    assert all_that(context, night_number(15)) == after


def test_programmes_do_not_see_each_other(tmp_path):
    context = context_at(tmp_path)
    for number in range(15):
        watch(context, {"north": STEADY, "south": Programme(photos=20, refused=0.9)}, night_number(number))
    [row] = [r for r in rows(context, CONTROL_CHARTS, night_number(14)) if r["chart"] == "refused"]
    assert row["level"] < 0.2


def test_a_night_without_any_photo_has_a_page(tmp_path):
    context = context_at(tmp_path)
    raised = watch(context, {}, night_number(0))
    assert (raised.drift, raised.alarms) == ({}, {})
    assert "No programme sent photos" in page(context, night_number(0))


def test_a_level_that_a_person_accepted_begins_anew(tmp_path):
    context = context_at(tmp_path)
    for number in range(16):
        watch(context, {"north": STEADY}, night_number(number))
    accept_level("north", night_number(16), by="steward", why="new camera", context=context)
    later = datetime.now(UTC) + timedelta(days=1)
    watch(context, {"north": STEADY}, night_number(16), plan_of(night_number(16), claimed_at=later))
    assert {r["state"] for r in rows(context, CONTROL_CHARTS, night_number(16))} == {"learning"}
    assert "A person accepted the photos as they are from 17 September 2026" in page(context, night_number(16))


def test_a_broken_table_of_an_earlier_night_is_named(tmp_path):
    context = context_at(tmp_path)
    watch(context, {"north": STEADY}, night_number(0))
    context.results.put(paths.published(DRIFT.name, "north", night_number(0)), b"no parquet")
    with pytest.raises(ContractError, match="tables/drift/programme=north/night=2026-09-01"):
        watch(context, {"north": STEADY}, night_number(1))


def test_a_night_without_a_scheduler_is_out_even_where_it_cannot_be_monitored(tmp_path, caplog):
    context = context_at(tmp_path)
    watch(context, {"north": STEADY}, night_number(0))
    context.results.put(paths.published(DRIFT.name, "north", night_number(0)), b"no parquet")
    monitor_if_possible(stage(context, {"north": STEADY}, night_number(1)), context)
    assert "the night is published all the same: table 'tables/drift/programme=north" in caplog.text
