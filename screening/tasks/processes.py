"""Processes beside the main one, for tasks that would otherwise share one interpreter with the rest of the night.

Photos that are prepared in threads wait for each other's interpreter lock, and so does all else (docs/decisions/0017).
The processes are forks: what is imported already costs them nothing, and the night's context needs no copy.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from screening.tasks.context import NightContext

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_Result = TypeVar("_Result")
_context_here: NightContext | None = None


@contextmanager
def forked(count: int, context: NightContext) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes that have the context; those that wait for work end with the block, on an error at once.

    Fork them before other threads run: a fork copies locks, but not the threads that would open them.
    """
    # What was imported lives on: no collection need look through it again, and a fork need not copy it for that.
    gc.freeze()
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("fork"),
        initializer=_begin,
        initargs=(context, os.getpid()),
    )
    pool.submit(os.getpid)  # a pool forks when it is given its first work
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def run_with_context(task: Callable[..., _Result], *arguments: str | int) -> _Result:
    """Run a task of the night in a process of ``forked``: ``task(*arguments, context)``."""
    assert _context_here is not None, "only for processes of `forked`"  # noqa: S101 - a fault of ours
    return task(*arguments, _context_here)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _begin(context: NightContext, parent: int) -> None:
    global _context_here  # noqa: PLW0603 - one context for the life of the process
    _context_here = context
    # The terminal sends Ctrl-C to all; the main process is the one that tidies up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A main process that is killed can close no pool: the kernel does it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)
