"""Finding and ending the processes of a stack, also those whose parent is gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

# In the environment of every process of a stack; its value is the state folder.
MARK = "SKIN_SCREENING_STACK"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Session:
    """A supervisor and the session that it leads, told apart from a later one whose number is the same."""

    pid: int
    created: float
    boot: str

    @classmethod
    def of_this_process(cls) -> Session:
        """The session that this process leads."""
        return cls(os.getpid(), psutil.Process().create_time(), _BOOT_ID.read_text().strip())

    def has(self, process: psutil.Process) -> bool:
        """Whether the process is in this session."""
        try:
            if os.getsid(process.pid) != self.pid or self.boot != _BOOT_ID.read_text().strip():
                return False
            # While one member lives, no other process gets the leader's number: if one has it, the session is another.
            return not psutil.pid_exists(self.pid) or psutil.Process(self.pid).create_time() == self.created
        except (psutil.Error, OSError):
            return False


def find_processes(state_dir: Path, session: Session | None) -> list[psutil.Process]:
    """Every process of the stack: of its session, marked, or descended from one that is.

    No single sign is enough: PostgreSQL's and Airflow's processes overwrite their environment with a title, and
    PostgreSQL's leave the session.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid in spared or not (_is_marked(process, state_dir) or (session and session.has(process))):
            continue
        found[process.pid] = process
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    return [process for process in found.values() if process.pid not in spared and _is_alive(process)]


def end_processes(processes: Iterable[psutil.Process], within_s: float = 10.0) -> None:
    """Ask the processes to end, then make them."""
    asked = list(processes)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(asked, timeout=within_s)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=within_s)


def _is_marked(process: psutil.Process, state_dir: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(state_dir)
    except (psutil.Error, OSError):
        return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
