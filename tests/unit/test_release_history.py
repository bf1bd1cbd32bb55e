"""The history of the releases, and the champion that it tells of."""

from __future__ import annotations

import json
import multiprocessing
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from screening.contracts import RELEASES
from screening.edges import release_history
from screening.edges.release_history import (
    ReleaseEvent,
    append_event,
    attachment,
    champion_at,
    champions,
    changing,
    current_shadow,
    previous_champion,
    read_champion,
    read_events,
    releases_to_serve,
    shadow_nights,
    switch_champion,
)
from screening.errors import ContractError, MissingError

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(what: str, release: str, hours: int = 0, **changed: Any) -> ReleaseEvent:
    fields = {"champion_before": "r0001", "at_utc": START + hours * HOUR, "by": "ada", "why": "a test"}
    return ReleaseEvent(event=what, release=release, **({**fields, "code_revision": "0.1.0"} | changed))


@pytest.fixture
def repository(tmp_path: Path) -> str:
    (tmp_path / "champion").write_text("r0001\n")
    return str(tmp_path)


def switch(repository: str, what: str, release: str, hours: int = 0) -> ReleaseEvent:
    with changing(repository):
        return switch_champion(repository, event(what, release, hours), {"record.md": f"{what} {release}"})


def test_a_switch_changes_the_champion_and_is_written_down(repository):
    done = switch(repository, "promoted", "r0002")
    assert read_champion(repository) == "r0002"
    assert read_events(repository) == (done,)
    assert attachment(repository, done, "record.md").read_text() == "promoted r0002"


def test_events_are_numbered_in_the_order_in_which_they_happened(repository):
    with changing(repository):
        for what in ("registered", "rejected"):
            append_event(repository, event(what, "r0002"))
    switch(repository, "promoted", "r0003")
    assert [(e.event_id, e.event) for e in read_events(repository)] == [
        (1, "registered"),
        (2, "rejected"),
        (3, "promoted"),
    ]


def test_the_history_fills_the_table_of_its_contract(repository):
    switch(repository, "promoted", "r0002")
    with changing(repository):
        append_event(repository, event("shadow_night", "r0003", night=date(2026, 11, 20)))
    assert RELEASES.table([vars(e) for e in read_events(repository)]).num_rows == 2


def test_an_event_of_an_unknown_kind_is_not_written(repository):
    with changing(repository), pytest.raises(ContractError, match="event"):
        append_event(repository, event("forgotten", "r0002"))
    assert read_events(repository) == ()


def test_a_file_that_is_no_event_is_named(repository):
    folder = Path(repository) / "history"
    folder.mkdir()
    (folder / "00001.json").write_text('{"event": "promoted"}')
    with pytest.raises(ContractError, match=r"00001\.json is no event"):
        read_events(repository)


def test_a_repository_without_a_history_has_had_no_events(tmp_path):
    assert read_events(str(tmp_path)) == ()
    assert read_champion(str(tmp_path)) is None
    assert previous_champion(str(tmp_path)) is None


def test_a_repository_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(MissingError, match="does not exist"), changing(str(tmp_path / "none")):
        pass


def _append_some(repository: str, who: str, count: int) -> None:
    for _ in range(count):
        with changing(repository):
            append_event(repository, event("rejected", "r0002", by=who))


def test_many_writers_at_once_lose_nothing(repository):
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_append_some, args=(repository, f"writer-{n}", 10)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    events = read_events(repository)
    assert [e.event_id for e in events] == list(range(1, 41))
    assert sorted(e.by for e in events) == sorted(f"writer-{n}" for n in range(4) for _ in range(10))


def test_a_number_that_somebody_took_without_the_lock_is_left_to_them(repository, monkeypatch):
    with changing(repository):
        append_event(repository, event("rejected", "r0002"))
    known = iter([1, 2])  # as if the other's file had not been listed yet
    monkeypatch.setattr(release_history, "_next_id", lambda _folder: next(known))
    with changing(repository):
        assert append_event(repository, event("rejected", "r0003")).event_id == 2
    assert [e.release for e in read_events(repository)] == ["r0002", "r0003"]


# A process that is killed in a switch, and what the next one makes of it.


def killed_in_a_switch(repository: str, step: str) -> None:
    """Let a child process switch to r0002 and die where it is about to take a step of the file system."""
    child = os.fork()
    if child == 0:
        setattr(Path if step == "replace" else os, step, lambda *_: os._exit(9))
        switch(repository, "promoted", "r0002")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_killed_before_the_name_changed_nothing_has_happened(repository):
    killed_in_a_switch(repository, "replace")
    assert read_champion(repository) == "r0001"
    with changing(repository):
        pass
    assert read_events(repository) == ()
    assert [file.name for file in (Path(repository) / "history").iterdir()] == []


def test_killed_after_the_name_changed_the_event_is_written_by_whoever_comes_next(repository):
    killed_in_a_switch(repository, "link")
    assert read_champion(repository) == "r0002"
    with changing(repository):
        pass
    [found] = read_events(repository)
    assert (found.event, found.release) == ("promoted", "r0002")
    assert attachment(repository, found, "record.md").read_text() == "promoted r0002"


def test_a_switch_that_cannot_write_leaves_the_champion_and_no_trace(repository):
    with changing(repository), pytest.raises(OSError, match="record"):
        switch_champion(repository, event("promoted", "r0002"), {"no/such/record.md": ""})
    assert read_champion(repository) == "r0001"
    assert list((Path(repository) / "history").iterdir()) == []


def test_what_a_killed_process_left_half_written_is_dropped(repository):
    folder = Path(repository) / "history"
    folder.mkdir()
    (folder / ".pending.json").write_text('{"event": "prom')
    done = switch(repository, "promoted", "r0002")
    assert read_events(repository) == (done,)


def test_what_a_killed_process_of_the_same_number_left_is_not_written_into(repository):
    with changing(repository):
        first = append_event(repository, event("registered", "r0002"))
        # Killed between the two: the event has its name, and still that of the file that it was written in.
        folder = Path(repository) / "history"
        os.link(folder / "00001.json", folder / f".event-{os.getpid()}")
        second = append_event(repository, event("rejected", "r0002"))
    assert read_events(repository) == (first, second)


# Who was champion, and what a rollback leads back to.


def story(*steps: str) -> list[ReleaseEvent]:
    """Steps as `+r0002` (promoted) or `-r0001` (rolled back to), an hour apart."""
    kinds = {"+": "promoted", "-": "rolled_back"}
    return [event(kinds[s[0]], s[1:], hours, event_id=hours + 1) for hours, s in enumerate(steps)]


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        (["+r0001"], ["r0001"]),
        (["+r0001", "+r0002", "+r0003"], ["r0001", "r0002", "r0003"]),
        (["+r0001", "+r0002", "+r0003", "-r0002"], ["r0001", "r0002"]),
        # A second rollback goes further back, never again to what was taken back.
        (["+r0001", "+r0002", "+r0003", "-r0002", "-r0001"], ["r0001"]),
        (["+r0001", "+r0002", "-r0001", "+r0003"], ["r0001", "r0003"]),
        (["-r0001"], ["r0001"]),
    ],
)
def test_a_promotion_adds_a_champion_and_a_rollback_takes_one(steps, left):
    assert list(champions(story(*steps))) == left


def test_a_rollback_leads_to_the_champion_before(repository):
    switch(repository, "promoted", "r0001")
    assert previous_champion(repository) is None
    switch(repository, "promoted", "r0002")
    assert previous_champion(repository) == "r0001"
    switch(repository, "rolled_back", "r0001")
    assert previous_champion(repository) is None


def test_a_champion_that_was_written_by_hand_is_rolled_back_to_the_last_recorded_one(repository):
    switch(repository, "promoted", "r0001")
    (Path(repository) / "champion").write_text("r0009\n")
    assert previous_champion(repository) == "r0001"


def test_the_champion_of_a_moment_is_that_of_the_last_switch_before():
    events = story("+r0001", "+r0002", "-r0001")
    assert champion_at(events, START - HOUR) is None
    assert champion_at(events, START) == "r0001"
    assert champion_at(events, START + HOUR) == "r0002"
    assert champion_at(events, START + 5 * HOUR) == "r0001"


def test_a_shadow_runs_until_it_is_ended_and_its_nights_are_counted():
    started = event("shadow_started", "r0002", nights=2, event_id=1)
    nights = [event("shadow_night", "r0002", night=date(2026, 11, day), event_id=day) for day in (20, 21)]
    assert current_shadow([started]) == started
    assert shadow_nights([started, *nights], started) == (date(2026, 11, 20), date(2026, 11, 21))
    assert current_shadow([started, *nights, event("shadow_ended", "r0002", event_id=30)]) is None


def test_the_nights_of_an_earlier_shadow_do_not_count_for_a_later_one():
    again = event("shadow_started", "r0002", nights=2, event_id=9)
    assert shadow_nights([event("shadow_night", "r0002", night=date(2026, 11, 20), event_id=2), again], again) == ()


def test_a_server_starts_with_the_champion_the_one_before_and_the_shadow(repository):
    assert releases_to_serve(repository) == ("r0001",)
    switch(repository, "promoted", "r0001")
    switch(repository, "promoted", "r0002")
    with changing(repository):
        append_event(repository, event("shadow_started", "r0003", nights=2))
    assert releases_to_serve(repository) == ("r0002", "r0001", "r0003")


def test_a_broken_history_keeps_no_server_from_starting(repository):
    folder = Path(repository) / "history"
    folder.mkdir()
    (folder / "00001.json").write_text("broken")
    assert releases_to_serve(repository) == ("r0001",)


def test_the_history_of_this_repository_names_its_champion():
    repository = str(Path(__file__).parents[2] / "model_repository")
    events = read_events(repository)
    assert champions(events)[-1] == read_champion(repository)
    promoted = next(e for e in events if e.event == "promoted")
    release = json.loads((Path(repository) / f"lesion_ensemble_{promoted.release}" / "release.json").read_text())
    assert promoted.weights_sha256 == release["weights_sha256"]
