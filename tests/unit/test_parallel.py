import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from screening.tasks.parallel import map_windowed


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


class Source:
    """Numbers, and how many of them were taken."""

    def __init__(self, count: int) -> None:
        self.taken = 0
        self._count = count

    def __iter__(self) -> Iterator[int]:
        for number in range(self._count):
            self.taken += 1
            yield number


@pytest.mark.parametrize("window", [1, 2, 3, 100])
def test_the_results_come_in_the_order_of_the_items_whoever_is_ready_first(
    pool: ThreadPoolExecutor, window: int
) -> None:
    second_is_done = threading.Event()

    def slow_first(number: int) -> int:
        if number == 0 and window > 1:
            assert second_is_done.wait(10)
        if number == 1:
            second_is_done.set()
        return number * number

    assert list(map_windowed(pool, slow_first, range(6), window)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_at_most_a_window_of_items_is_taken_ahead_of_the_reader(pool: ThreadPoolExecutor, window: int) -> None:
    items = Source(20)
    results = map_windowed(pool, str, items, window)

    assert items.taken == 0, "nothing starts before somebody reads"
    for read in range(1, 21):
        next(results)
        assert items.taken <= read + window - 1


def test_the_whole_window_is_worked_on_at_once(pool: ThreadPoolExecutor) -> None:
    together = threading.Barrier(3, timeout=10)

    # Fails by the barrier's timeout, were the items worked on one after the other.
    assert len(list(map_windowed(pool, lambda _: together.wait(), range(6), 3))) == 6


def test_no_items_give_no_results(pool: ThreadPoolExecutor) -> None:
    assert list(map_windowed(pool, str, [], 3)) == []


def test_fewer_items_than_the_window_are_all_done(pool: ThreadPoolExecutor) -> None:
    assert list(map_windowed(pool, str, [1, 2], 10)) == ["1", "2"]


def test_an_error_comes_in_the_place_of_its_result(pool: ThreadPoolExecutor) -> None:
    results = map_windowed(pool, lambda n: 10 // n, [2, 1, 0, 5], 2)

    assert next(results) == 5
    assert next(results) == 10
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == [], "nothing comes after an error"


def test_an_error_of_the_source_reaches_the_reader(pool: ThreadPoolExecutor) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("the listing broke off")

    with pytest.raises(OSError, match="the listing broke off"):
        list(map_windowed(pool, str, source(), 1))


def test_what_has_not_started_is_cancelled_when_the_reader_stops() -> None:
    started: list[int] = []
    may_go_on = threading.Event()

    def work(number: int) -> int:
        started.append(number)
        if number:
            may_go_on.wait(10)
        return number

    with ThreadPoolExecutor(1) as one_thread:
        results = map_windowed(one_thread, work, range(10), 5)
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]  # it is a generator
        may_go_on.set()

    # One may have been at work already; the other three never start.
    assert started in ([0], [0, 1])
