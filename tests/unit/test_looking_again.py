"""What is held in memory is looked up again, and nobody waits for it while it is fresh enough."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from screening.errors import StoreUnavailableError
from screening.review.looking_again import TOO_OLD, LookingAgain

LONG_S = 10.0


class Looker:
    """Counts looks; each waits until it may end, and fails if it is told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.error: StoreUnavailableError | None = None

    def look(self) -> None:
        self.looks += 1
        assert self.may_end.wait(LONG_S)
        if self.error:
            raise self.error


@pytest.fixture
def looker():
    return Looker()


def until(condition):
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def made_old(looking: LookingAgain, intervals: float) -> None:
    looking._looked_at = time.monotonic() - intervals * looking.every_s


def test_everybody_waits_for_the_first_look_which_is_one(looker):
    looking = LookingAgain(looker.look, 60)
    looker.may_end.clear()
    with ThreadPoolExecutor(5) as threads:
        waiting = [threads.submit(looking.if_it_is_time) for _ in range(5)]
        until(lambda: looker.looks)
        assert not any(w.done() for w in waiting)
        looker.may_end.set()
        for w in waiting:
            w.result(LONG_S)
    assert looker.looks == 1


def test_nobody_waits_for_a_look_while_what_is_known_is_not_too_old(looker):
    looking = LookingAgain(looker.look, 60)
    looking.if_it_is_time()
    made_old(looking, 1.1)
    looker.may_end.clear()
    for _ in range(3):
        looking.if_it_is_time()
    until(lambda: looker.looks == 2)
    looker.may_end.set()
    until(lambda: looking._age_s() < looking.every_s)
    looking.if_it_is_time()
    assert looker.looks == 2


def test_who_comes_after_a_pause_waits(looker):
    looking = LookingAgain(looker.look, 60)
    looking.if_it_is_time()
    made_old(looking, TOO_OLD)
    looking.if_it_is_time()
    assert looker.looks == 2
    assert looking._age_s() < looking.every_s


def test_a_thread_that_cannot_be_started_is_no_lock_that_stays(looker, monkeypatch):
    def no_more_threads(thread):
        raise RuntimeError("can't start new thread")

    looking = LookingAgain(looker.look, 60)
    looking.if_it_is_time()
    made_old(looking, 1.1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        looking.if_it_is_time()
    made_old(looking, TOO_OLD)
    looking.if_it_is_time()
    assert looker.looks == 2


def test_a_look_aside_that_fails_is_tried_again_and_told_once_all_is_too_old(looker):
    looking = LookingAgain(looker.look, 60)
    looking.if_it_is_time()
    looker.error = StoreUnavailableError("list: no answer")
    for looks in (2, 3):
        made_old(looking, 1.1)
        until(lambda: not looking._looking.locked())
        looking.if_it_is_time()
        until(lambda looks=looks: looker.looks == looks)
    until(lambda: not looking._looking.locked())
    made_old(looking, TOO_OLD)
    with pytest.raises(StoreUnavailableError):
        looking.if_it_is_time()
    looker.error = None
    looking.if_it_is_time()
    assert looking._age_s() < looking.every_s
