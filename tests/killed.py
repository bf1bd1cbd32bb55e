"""Processes that really end by SIGKILL, just before a chosen step on the file system.

The interpreter tells of a step before it takes it (``sys.addaudithook``), so that a process can die between any two.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from typing import Any

KILLED = -signal.SIGKILL
TOO_LONG_S = 240.0
_WRITING = os.O_WRONLY | os.O_RDWR
# By the name of the interpreter's event: our word, and which of its arguments is the path that appears or goes.
_STEPS = {"os.rename": ("rename", 1), "os.link": ("link", 1), "os.remove": ("remove", 0)}


def run_until_killed(
    work: Callable[..., object],
    *arguments: object,
    before: str | None,
    time: int = 1,
    environment: Mapping[str, str] | None = None,
    preload: Sequence[str] = (),
) -> int | None:
    """Do some work in a process of its own, which is killed before the n-th step that matches.

    Args:
        work: of a module's top level, so that another process finds it.
        arguments: of it.
        before: is searched in ``write PATH``, ``rename PATH`` (to that path), ``link PATH`` and ``remove PATH``;
            None: it comes to its end.
        time: which of the steps that match.
        environment: variables that the work finds beside those of the tests.
        preload: as in ``in_a_process``.

    Returns:
        The exit code: ``KILLED``, or 0 where the work came to its end.
    """
    return in_a_process(_die_before, before, time, dict(environment or {}), work, arguments, preload=preload)


def in_a_process(
    work: Callable[..., object],
    *arguments: object,
    preload: Sequence[str] = (),
    on_start: Callable[[int], object] | None = None,
) -> int | None:
    """Do some work in a process of its own, which inherits nothing that is open here.

    Args:
        work: of a module's top level, so that another process finds it.
        arguments: of it.
        preload: modules that are loaded once for all such processes; the first call's count.
        on_start: is told the number of the process.

    Returns:
        The exit code.
    """
    processes = get_context("forkserver")
    processes.set_forkserver_preload([*preload])
    process = processes.Process(target=work, args=arguments)
    process.start()
    if on_start:
        on_start(int(process.pid or 0))
    process.join(TOO_LONG_S)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"not at its end after {TOO_LONG_S:.0f} s")
    return process.exitcode


def _die_before(
    pattern: str | None,
    time: int,
    environment: dict[str, str],
    work: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    os.environ |= environment
    left = time

    def look(event: str, details: tuple[Any, ...]) -> None:
        nonlocal left
        step = _step(event, details)
        if step and re.search(str(pattern), step):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if pattern:
        sys.addaudithook(look)
    work(*arguments)


def _step(event: str, details: tuple[Any, ...]) -> str | None:
    if event == "open":
        path, mode, flags = details
        is_writing = set("wax+") & set(mode) if mode else flags & _WRITING
        return f"write {_text(path)}" if is_writing else None
    if event not in _STEPS:
        return None
    word, place = _STEPS[event]
    return f"{word} {_text(details[place])}"


def _text(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
