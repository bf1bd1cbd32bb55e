"""Finding and ending the processes of a stack, also those whose parent is gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

# In the environment of every process of a stack; its value is the state folder.
MARK = "SKIN_SCREENING_STACK"


def find_processes(state_dir: Path, session: int | None = None) -> list[psutil.Process]:
    """Every process of the stack: of its session, marked, or descended from one that is.

    No single sign is enough: PostgreSQL's and Airflow's processes overwrite their environment with a title, PostgreSQL's
    also leave the session.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid not in spared and _belongs(process, state_dir, session):
            found[process.pid] = process
            for child in _children(process):
                found.setdefault(child.pid, child)
    return [process for process in found.values() if process.pid not in spared and _is_alive(process)]


def end_processes(processes: Iterable[psutil.Process], within_s: float = 10.0) -> list[psutil.Process]:
    """Ask the processes to end, then make them; return those that had to be made."""
    waited_for = list(processes)
    for process in waited_for:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(waited_for, timeout=within_s)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=within_s)
    return stubborn


def _belongs(process: psutil.Process, state_dir: Path, session: int | None) -> bool:
    try:
        if session is not None and os.getsid(process.pid) == session:
            return True
        return bool(process.environ().get(MARK) == str(state_dir))
    except (psutil.Error, OSError):
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False

