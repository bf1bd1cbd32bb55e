"""The parts behind the review pages that have a rule of their own."""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from screening.contracts import GRADES
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.review import standing
from screening.review.answers import find_disease
from screening.review.filters import STATES, Filters
from screening.review.pages import STATIC_FILES
from screening.review.reading_now import ReadingNow
from screening.review.standing import Standing
from screening.taxonomy import load_taxonomy

ROOT = Path(__file__).parents[2]


def said(reader: str, disease: str | None = "nevus", **changed: object) -> dict[str, object]:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return {
        "decision_id": reader, "reader": reader, "disease": disease, "answer": "disease", "evidence": "reading",
        "decided_at_utc": now, "recorded_at_utc": now, "corrects": None, "photo_quality": None,
    } | changed  # fmt: skip


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], Standing.OPEN),
        ([said("lee")], Standing.NEEDS_SECOND_READER),
        ([said("lee"), said("ray")], Standing.SETTLED),
        ([said("lee"), said("ray", "melanoma")], Standing.NEEDS_ADJUDICATION),
        ([said("lee"), said("ray", "melanoma"), said("mora", evidence="adjudication")], Standing.SETTLED),
        ([said("lee", evidence="histopathology")], Standing.SETTLED),
        ([said("lee", evidence="histopathology"), said("ray", "melanoma", evidence="histopathology")], Standing.HELD),
        ([said("lee", None), said("ray", None)], Standing.CANNOT_TELL),
    ],
)
def test_a_photo_waits_for_what_its_decisions_leave_open(decisions, expected):
    assert standing.standing_of(decisions, load_taxonomy(), readers_wanted=2) is expected


@pytest.mark.parametrize("state", Standing)
def test_nobody_is_asked_twice(state):
    assert not standing.waits_for(state, [said("lee")], "lee")


@pytest.mark.parametrize(
    ("state", "asks"),
    [(state, state not in (Standing.SETTLED, Standing.CANNOT_TELL)) for state in Standing],
)
def test_somebody_else_is_asked_until_the_photo_is_settled(state, asks):
    assert standing.waits_for(state, [said("lee"), said("ray")], "mora") is asks


def test_who_reported_a_result_does_not_adjudicate_it_but_may_read():
    result = [said("lee", evidence="histopathology")]
    assert not standing.waits_for(Standing.HELD, result, "lee")
    assert standing.waits_for(Standing.OPEN, result, "lee")


def test_a_photo_that_was_left_open_counts_no_longer():
    reading = ReadingNow(lasts_s=0.0)
    reading.open("a", "lee")
    assert reading.others("a", "ray") == 0


def test_a_reader_does_not_stand_in_their_own_way():
    reading = ReadingNow()
    reading.open("a", "lee")
    assert (reading.others("a", "lee"), reading.others("a", "ray")) == (0, 1)
    reading.close("a", "lee")
    assert reading.others("a", "ray") == 0


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(programme="north & south", since=date(2026, 1, 1), until=date(2026, 2, 1)),
        Filters(grade=GRADES[2], reason="near_cutoff", state="all"),
    ],
)
def test_an_address_gives_the_filters_back(filters):
    assert Filters.of(dict(parse_qsl(filters.address(page=3)))) == filters


def test_every_standing_can_be_filtered_by():
    assert set(Standing) <= set(STATES)


@pytest.mark.parametrize(
    ("text", "found"), [("BCC", "basal_cell_carcinoma"), ("", None), ("lesion", None), ("x", None)]
)
def test_a_disease_is_found_by_any_of_its_names(text, found):
    disease = find_disease(load_taxonomy(), text)
    assert (disease and disease.id) == found


def test_keys_of_the_access_log_sort_by_time():
    at = datetime(2026, 11, 21, 23, 59, 59, 999, tzinfo=UTC)
    keys = [paths.audit_entries(at + timedelta(microseconds=n * 700), "f" * 32) for n in (0, 1, 2000)]
    assert keys == sorted(keys)
    assert keys[-1].startswith("review/audit/2026-11-22/")


def test_a_readers_name_cannot_leave_the_place_of_drafts(tmp_path):
    store = FolderStore(tmp_path)
    for name in ("../../etc", "a/b", "..", "dr lee"):
        store.put(paths.draft(name, "a" * 32), b"{}")
    keys = [found.key for page in store.pages("") for found in page]
    assert len(keys) == 4
    assert all(key.startswith("review/drafts/reader=") and key.count("/") == 3 for key in keys)


def test_the_script_and_the_style_name_no_other_host():
    for body, _ in STATIC_FILES.values():
        assert "http" not in body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_no_route_waits_for_the_store_on_the_event_loop():
    """An `async def` route that reads the store would hold up every other reader."""
    tree = ast.parse((ROOT / "screening/review/app.py").read_text())
    routes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("router." in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    assert len(routes) >= 16
    assert not [route.name for route in routes if isinstance(route, ast.AsyncFunctionDef)]
