"""The ports of the integration tests, which run in several processes at once."""

from __future__ import annotations

import socket
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event

from infra.local.settings import LOOPBACK
from tests.integration.free_ports import BLOCK, find_ports

CANDIDATES = range(31_000, 31_200)
"""Below those from which outgoing connections take theirs, and no other test looks here."""


def find_and_stay(count: int, found: Queue[list[int]], is_over: Event) -> None:
    found.put(find_ports(count, CANDIDATES))
    is_over.wait(60)


def test_processes_that_look_at_the_same_time_find_different_ports():
    processes = get_context("spawn")
    found, is_over = processes.Queue(), processes.Event()
    started = [processes.Process(target=find_and_stay, args=(count, found, is_over)) for count in (2, 7, 16)]
    for process in started:
        process.start()
    ports = [port for _ in started for port in found.get(timeout=60)]
    is_over.set()
    for process in started:
        process.join()
    assert len(ports) == len(set(ports)) == 2 + 7 + 16


def test_a_block_in_which_somebody_listens_is_passed_by():
    with socket.create_server((LOOPBACK, CANDIDATES[0] + 2)):
        assert find_ports(2, CANDIDATES)[0] > CANDIDATES[0] + BLOCK
