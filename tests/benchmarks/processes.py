"""Run a command and know its wall time, its CPU time with that of its children and of a server beside it, and its peak memory."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Cost:
    """Seconds, and the largest resident set of the command and its children together in bytes."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def run_measured(command: Sequence[str], environment: Mapping[str, str], server: psutil.Process | None = None) -> Cost:
    """Run a command to its end.

    Raises:
        subprocess.CalledProcessError: it failed; its output is on the terminal.
    """
    before = _cpu_of_tree(server) if server else 0.0
    own = os.times()
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    peak = _PeakMemory(process.pid)
    code = process.wait()
    wall = time.monotonic() - started
    peak.stop()
    if code:
        raise subprocess.CalledProcessError(code, command)
    after = os.times()
    cpu = (after.children_user - own.children_user) + (after.children_system - own.children_system)
    return Cost(wall, cpu + (_cpu_of_tree(server) - before if server else 0.0), peak.bytes)


def _cpu_of_tree(root: psutil.Process) -> float:
    tree = [root, *root.children(recursive=True)]
    return sum(t.user + t.system for t in (process.cpu_times() for process in tree))


class _PeakMemory(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._root = psutil.Process(pid)
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            try:
                tree = [self._root, *self._root.children(recursive=True)]
                self.bytes = max(self.bytes, sum(p.memory_info().rss for p in tree))
            except psutil.NoSuchProcess:
                continue

    def stop(self) -> None:
        self._ended.set()
        self.join()
