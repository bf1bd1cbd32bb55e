"""Decisions as objects that are written once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from screening.edges import decision_log, paths
from screening.edges.decision_log import append_decisions, decision_objects, first_recorded, read_decisions
from screening.edges.folder_store import FolderStore
from screening.errors import ContractError

RECORDED = datetime(2026, 11, 21, 8, 0, 1, tzinfo=UTC)
ROW: dict[str, object] = {
    "decision_id": "d" * 32,
    "photo_id": "a" * 32,
    "programme": "north",
    "night": date(2026, 11, 20),
    "reader": "dr-lee",
    "decided_at_utc": datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
    "recorded_at_utc": RECORDED,
    "source": "pages",
    "evidence": "reading",
    "answer": "disease",
    "disease": "melanoma",
    "was_blind": True,
    "comment": "asymmetric,\nlarger\u2028größer geworden",
}
OTHER = ROW | {"decision_id": "e" * 32, "disease": "nevus"}


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def keys_of(store, hour=None):
    return [found.key for found in decision_objects(store, hour)]


def test_decisions_that_are_saved_together_come_back_as_they_were_written(store):
    append_decisions(store, [ROW, OTHER])
    [key] = keys_of(store)
    read, unreadable = read_decisions(store, [key])
    assert [{name: row[name] for name in ROW} for row in read] == [ROW, OTHER]
    assert {row["recorded_in"] for row in read} == {key}
    assert not unreadable


def test_what_is_written_is_told_with_where_it_is(store):
    told = append_decisions(store, [ROW, OTHER])
    assert told == read_decisions(store, keys_of(store))[0]


def test_the_same_decisions_written_again_are_the_same_object(store):
    assert append_decisions(store, [ROW, OTHER], RECORDED) == append_decisions(store, [ROW, OTHER], RECORDED)
    assert len(keys_of(store)) == 1


def test_a_decision_of_the_time_when_each_was_one_object_is_still_read(store):
    append_decisions(store, [ROW])
    [key] = keys_of(store)
    store.put(f"review/decisions/2026-11-20/{'a' * 32}-{'d' * 32}.json", store.get(key))
    store.delete(key)
    assert [row["disease"] for row in read_decisions(store, keys_of(store))[0]] == ["melanoma"]


def test_nothing_to_write_is_no_object(store):
    assert append_decisions(store, []) == []
    assert keys_of(store) == []


def test_an_hour_holds_what_was_written_in_it(store):
    append_decisions(store, [ROW], RECORDED)
    append_decisions(store, [OTHER], RECORDED + timedelta(hours=1))
    append_decisions(store, [OTHER], RECORDED + timedelta(days=1))
    in_another_zone = (RECORDED + timedelta(minutes=59)).astimezone(timezone(timedelta(hours=5)))
    assert len(keys_of(store, in_another_zone)) == 1
    assert len(keys_of(store)) == 3


def test_many_decisions_are_written_in_parts(store, monkeypatch):
    monkeypatch.setattr(decision_log, "MOST_IN_AN_OBJECT", 2)
    append_decisions(store, [ROW | {"decision_id": letter * 32} for letter in "abcde"])
    assert len(keys_of(store)) == 3
    assert {row["decision_id"][0] for row in read_decisions(store, keys_of(store), 2)[0]} == set("abcde")


@pytest.mark.parametrize("wrong", [OTHER | {"evidence": "hearsay"}, ROW])
def test_of_many_decisions_none_is_written_when_one_breaks_the_contract(store, wrong):
    with pytest.raises(ContractError, match=r"evidence|distinct decision_id"):
        append_decisions(store, [ROW, wrong])
    assert keys_of(store) == []


@pytest.mark.parametrize("copies", [(0, 5), (5, 0)])
def test_a_decision_that_stands_twice_counts_as_it_was_recorded_first(store, copies):
    for seconds in copies:
        row = ROW | {"recorded_at_utc": RECORDED + timedelta(seconds=seconds), "disease": f"d{seconds}"}
        append_decisions(store, [row])
    [read], _ = read_decisions(store, keys_of(store))
    assert read["disease"] == "d0"


def test_of_copies_of_the_same_moment_one_counts_wherever_they_are_read(store):
    copies = [*append_decisions(store, [ROW]), *append_decisions(store, [ROW | {"disease": "nevus"}])]
    assert first_recorded(copies) == first_recorded(reversed(copies))


@pytest.mark.parametrize("body", [b'{"photo_id": 3}', b"3", b"no json", b"", b"\n"])
def test_an_object_that_holds_no_decision_is_named_and_the_others_are_read(store, body):
    append_decisions(store, [ROW])
    broken = paths.decisions(RECORDED, "b" * 32)
    store.put(broken, body)
    read, unreadable = read_decisions(store, keys_of(store))
    assert len(read) == 1
    assert list(unreadable) == [broken]


def test_an_object_that_is_gone_is_named(store):
    gone = paths.decisions(RECORDED, "b" * 32)
    assert read_decisions(store, [gone])[1].keys() == {gone}
