"""Decisions as objects that are written once."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from screening.edges import paths
from screening.edges.decision_log import append_decision, append_decisions, decision_keys, read_decision
from screening.edges.folder_store import FolderStore
from screening.errors import ContractError

ROW: dict[str, object] = {
    "decision_id": "d" * 32,
    "photo_id": "a" * 32,
    "programme": "north",
    "night": date(2026, 11, 20),
    "reader": "dr-lee",
    "decided_at_utc": datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
    "recorded_at_utc": datetime(2026, 11, 21, 8, 0, 1, tzinfo=UTC),
    "source": "pages",
    "evidence": "reading",
    "answer": "disease",
    "disease": "melanoma",
    "was_blind": True,
    "comment": "asymmetric, größer geworden",
}


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_a_decision_comes_back_as_it_was_written(store):
    assert append_decision(store, ROW)
    [found] = decision_keys(store)
    read = read_decision(store, found.key)
    assert {name: read[name] for name in ROW} == ROW
    assert paths.parse_decision_key(found.key) == ("a" * 32, "d" * 32)


def test_a_decision_that_is_sent_again_stays_as_it_was_first(store):
    append_decision(store, ROW)
    assert not append_decision(store, ROW | {"disease": "nevus"})
    [found] = decision_keys(store)
    assert read_decision(store, found.key)["disease"] == "melanoma"


def test_a_day_holds_only_its_own_decisions(store):
    append_decision(store, ROW)
    append_decision(store, ROW | {"decision_id": "e" * 32, "recorded_at_utc": datetime(2026, 11, 22, tzinfo=UTC)})
    assert len(list(decision_keys(store, date(2026, 11, 21)))) == 1
    assert len(list(decision_keys(store))) == 2


def test_a_row_that_breaks_the_contract_is_not_written(store):
    with pytest.raises(ContractError, match="evidence"):
        append_decision(store, ROW | {"evidence": "hearsay"})
    assert not list(decision_keys(store))


def test_an_object_that_is_no_decision_is_named(store):
    key = paths.decision(date(2026, 11, 21), "a" * 32, "d" * 32)
    store.put(key, b'{"photo_id": 3}')
    with pytest.raises(ContractError, match="no decision can be read"):
        read_decision(store, key)


def test_many_decisions_are_written_at_once_as_each_would_be(store):
    rows = [ROW | {"decision_id": letter * 32} for letter in "abc"]
    append_decision(store, rows[0])
    assert append_decisions(store, rows, connections=2) == 2
    assert sorted(str(read_decision(store, found.key)["decision_id"])[0] for found in decision_keys(store)) == [
        "a",
        "b",
        "c",
    ]


def test_of_many_decisions_none_is_written_when_one_breaks_the_contract(store):
    with pytest.raises(ContractError, match="evidence"):
        append_decisions(store, [ROW, ROW | {"decision_id": "e" * 32, "evidence": "hearsay"}], connections=2)
    assert list(decision_keys(store)) == []
