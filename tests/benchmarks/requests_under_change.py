"""Requests of the project's own client to a Triton while something changes there, and which of them failed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from screening.edges.release import load_release
from screening.edges.release_history import read_champion
from screening.errors import ScreeningError
from screening.settings import Settings
from screening.tasks.context import connect_model_server

CLIENTS = 3


def requests_while(change: Callable[[], None], settings: Settings, at_least: int) -> tuple[int, list[str]]:
    """Send one photo after the other, in ``CLIENTS`` threads, while ``change`` runs and until enough were answered.

    Each thread asks the champion of the moment, as a night that opens then would; one that was opened before keeps asking
    the release that it began with. Nothing is tried again: a request that fails counts as failed.

    Returns:
        The number of answers, and what failed.
    """
    once = settings.model_copy(update={"triton_attempts": 1, "triton_in_flight": 1, "triton_batch_photos": 1})
    is_over, enough = threading.Event(), threading.Event()
    answered, counting = [0], threading.Lock()
    failed: list[str] = []

    def ask(keeps_release: bool) -> None:
        name = read_champion(once.model_repository)
        while not enough.is_set() and not failed:
            release = load_release(once.model_repository, name if keeps_release else None)
            with connect_model_server(once, release) as server:
                for _ in range(10):
                    try:
                        server.canary()
                    except ScreeningError as error:
                        failed.append(f"{release.name}: {error}")
                        return
                    with counting:
                        answered[0] += 1
                        if is_over.is_set() and answered[0] >= at_least:
                            enough.set()

    threads = [threading.Thread(target=ask, args=(number == 0,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        change()
    finally:
        is_over.set()
        if answered[0] >= at_least:
            enough.set()
        for thread in threads:
            thread.join()
    return answered[0], failed
