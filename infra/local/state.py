"""What the supervisor and the commands tell each other, as files below ``run/`` of the state folder."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from infra.local.errors import StackError
from infra.local.files import write_private
from infra.local.processes import Session
from infra.local.settings import StackSettings

LOG_BYTES = 20_000_000
"""A log that is larger at a part's start is set aside, and the one set aside before is dropped."""


class PartState(StrEnum):
    """Where a part is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class PartStatus:
    """One part as the supervisor sees it; ``message`` says why it is not ready."""

    state: PartState = PartState.WAITING
    pid: int | None = None
    started: float = 0.0
    seconds_to_ready: float = 0.0
    restarts: int = 0
    message: str = ""


@dataclass
class StackStatus:
    """The whole stack; ``supervisor`` is the session of the parts, None once they have all stopped."""

    supervisor: Session | None = None
    parts: dict[str, PartStatus] = field(default_factory=dict)


class StateFiles:
    """The files of one stack."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        run = settings.folder("run")
        self._supervisor_lock = run / "supervisor.lock"
        self._command_lock = run / "command.lock"
        self._status = run / "status.json"
        self._saved_settings = run / "settings.json"

    def log(self, part: str) -> Path:
        """Where a part writes."""
        return self._settings.folder("logs") / f"{part}.log"

    def open_log(self, part: str) -> IO[bytes]:
        """Open a part's log for appending."""
        path = self.log(part)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def write_status(self, status: StackStatus) -> None:
        """Publish the status."""
        write_private(self._status, json.dumps(asdict(status)))

    def read_status(self) -> StackStatus:
        """The status as last published; of a supervisor that may be gone."""
        if not self._status.exists():
            return StackStatus()
        saved = json.loads(self._status.read_text())
        parts = {
            name: PartStatus(**part | {"state": PartState(part["state"])}) for name, part in saved["parts"].items()
        }
        return StackStatus(saved["supervisor"] and Session(**saved["supervisor"]), parts)

    def save_settings(self) -> None:
        """Keep the settings of this start, so that later commands need only the state folder."""
        write_private(self._saved_settings, self._settings.model_dump_json(by_alias=True))

    def saved_settings(self) -> StackSettings:
        """The settings with which the stack was last started."""
        if not self._saved_settings.exists():
            return self._settings
        return StackSettings.model_validate_json(self._saved_settings.read_text())

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let one command at a time change the stack; others wait."""
        with self._command_lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def supervising(self) -> Iterator[None]:
        """Hold the lock that says that a supervisor is at work; the kernel frees it however the supervisor ends.

        Raises:
            StackError: another supervisor holds it.
        """
        with self._supervisor_lock.open("w") as lock:
            deadline = time.monotonic() + 2
            while not _try_lock(lock):
                # A command that only asks holds the lock for a moment.
                if time.monotonic() > deadline:
                    raise StackError(f"another supervisor works in {self._settings.state_dir}")
                time.sleep(0.05)
            yield

    def is_supervised(self) -> bool:
        """Whether a supervisor is at work."""
        with self._supervisor_lock.open("w") as lock:
            return not _try_lock(lock)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
