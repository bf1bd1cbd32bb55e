"""Items of threads that meet share one write."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from screening.edges.group_commit import GroupCommit

LONG_S = 10.0


class Slow:
    """A store whose first write goes on until it is let go."""

    def __init__(self, first_error: Exception | None = None) -> None:
        self.groups: list[list[int]] = []
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.errors = {2: first_error}

    def write(self, items: list[int]) -> None:
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.has_begun.set()
            assert self.may_end.wait(LONG_S)
        if error := self.errors.get(len(self.groups)):
            raise error


def add_while_the_first_is_written(slow: Slow, others: int):
    """The outcome of each item: the first, then those that came while it was on its way."""
    group = GroupCommit(slow.write)
    with ThreadPoolExecutor(others + 1) as threads:
        first = threads.submit(group.add, 0)
        assert slow.has_begun.wait(LONG_S)
        rest = [threads.submit(group.add, n) for n in range(1, others + 1)]
        while group._waiting is None or len(group._waiting.items) < others:
            assert not first.done()
        assert not any(outcome.done() for outcome in rest)
        slow.may_end.set()
        return [outcome.exception(LONG_S) for outcome in (first, *rest)]


def test_what_comes_while_a_write_is_on_its_way_shares_the_next_one():
    slow = Slow()
    assert add_while_the_first_is_written(slow, 19) == [None] * 20
    assert [len(group) for group in slow.groups] == [1, 19]
    assert sorted(slow.groups[1]) == list(range(1, 20))


@pytest.mark.parametrize("error", [OSError("full"), RuntimeError("a fault of ours")])
def test_all_of_a_group_are_told_that_it_was_not_written(error):
    told = add_while_the_first_is_written(Slow(first_error=error), 5)
    assert told == [None, *[error] * 5]


def test_after_a_failure_the_next_item_is_written():
    slow = Slow(first_error=OSError("full"))
    slow.may_end.set()
    group = GroupCommit(slow.write)
    group.add(1)
    with pytest.raises(OSError, match="full"):
        group.add(2)
    group.add(3)
    assert slow.groups == [[1], [2], [3]]
