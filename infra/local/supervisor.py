"""The process that starts the parts, starts them again when they die, and stops them in order.

Each part has a thread that follows it through its life. A general process manager ends all its processes at once; here
a gateway must be gone before its OSD, and the OSD before its monitor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from infra.local.errors import NotReadyError, StackError
from infra.local.parts import Part
from infra.local.processes import MARK, Session
from infra.local.settings import LOOPBACK, StackSettings, load_settings
from infra.local.stack import build_parts
from infra.local.state import PartState, PartStatus, StackStatus, StateFiles

FIRST_TRIES = 3
"""So often may a part fail before it is given up; once it was ready, it is started again for ever."""
BACK_OFF_S = (0.2, 1.0, 3.0, 10.0)
STEADY_S = 60.0
"""A part that ran this long begins the back-off anew."""
FAILED_CHECKS = 3
"""So often in a row may a running part fail its check before it is started again."""
POLL_S = 0.1


class Supervisor:
    """Runs the parts until it is told to stop."""

    def __init__(self, settings: StackSettings, parts: Sequence[Part]) -> None:
        self.settings = settings
        self.files = StateFiles(settings)
        self.stopping = threading.Event()
        self._session = Session.of_this_process()
        self._lives = {part.name: PartLife(part, self) for part in parts}
        self._changed = threading.Condition()

    def run(self) -> None:
        """Start everything and come back when everything has stopped."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: self.stopping.set())
        self.publish()
        threads = [threading.Thread(target=life.run, name=name) for name, life in self._lives.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            # A timed join lets the main thread handle signals in between.
            while thread.is_alive():
                thread.join(0.5)
        self.files.write_status(self._status(None))

    def publish(self) -> None:
        """Write the status and wake whoever waits for a change."""
        with self._changed:
            self.files.write_status(self._status(self._session))
            self._changed.notify_all()

    def needs_are_ready(self, part: Part) -> bool:
        """Whether everything that the part needs does its work."""
        return all(self._lives[name].status.state is PartState.READY for name in part.needs)

    def dependants_have_stopped(self, part: Part) -> bool:
        """Whether nothing runs any more that needs the part."""
        dependants = (life for life in self._lives.values() if part.name in life.part.needs)
        return all(life.status.state in {PartState.STOPPED, PartState.FAILED} for life in dependants)

    def wait_until(self, is_true: Callable[[], bool], *, give_up_when_stopping: bool) -> bool:
        """Wait for a change of another part; False when it was given up because the stack stops."""
        with self._changed:
            while not is_true():
                if give_up_when_stopping and self.stopping.is_set():
                    return False
                self._changed.wait(POLL_S)
        return True

    def _status(self, session: Session | None) -> StackStatus:
        return StackStatus(session, {name: life.status for name, life in self._lives.items()})


class PartLife:
    """One part, from waiting for its needs to having stopped after its dependants."""

    def __init__(self, part: Part, supervisor: Supervisor) -> None:
        self.part = part
        self.status = PartStatus()
        self._supervisor = supervisor
        self._process: subprocess.Popen[bytes] | None = None
        self._was_ready = False

    def run(self) -> None:
        """Start, watch and restart the part until the supervisor stops or the part is given up."""
        supervisor = self._supervisor
        if supervisor.wait_until(lambda: supervisor.needs_are_ready(self.part), give_up_when_stopping=True):
            self._keep_running()
        if self.status.state is not PartState.FAILED:
            supervisor.wait_until(lambda: supervisor.dependants_have_stopped(self.part), give_up_when_stopping=False)
            self._end_process()
            self._set(PartState.STOPPED)

    def _keep_running(self) -> None:
        failures = 0
        while not self._supervisor.stopping.is_set():
            began = time.monotonic()
            try:
                self._start()
                self._watch()
            except StackError as error:
                self._end_process()
                lasted = time.monotonic() - began
                failures = 1 if lasted > STEADY_S else failures + 1
                is_late = lasted > self._supervisor.settings.ready_within_s
                if not self._was_ready and (is_late or failures >= FIRST_TRIES):
                    log = self._supervisor.files.log(self.part.name)
                    self._set(PartState.FAILED, f"{error}; its log is {log}")
                    return
                self.status.restarts += 1
                self._set(PartState.RESTARTING, str(error))
                self._supervisor.stopping.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])

    def _start(self) -> None:
        """Bring the part to readiness.

        Raises:
            StackError: it ended, or was not ready in time.
        """
        supervisor = self._supervisor
        within_s = supervisor.settings.ready_within_s
        self.status.started = time.time()
        self._set(PartState.STARTING)
        began = time.monotonic()
        self._refuse_taken_ports()
        self.part.prepare()
        self._spawn()
        while not supervisor.stopping.is_set():
            self._raise_if_ended()
            try:
                self.part.check(self.status.started)
            except NotReadyError as error:
                if time.monotonic() - began > within_s:
                    raise StackError(f"not ready after {within_s:.0f} s: {error}") from error
                self.status.message = str(error)
                supervisor.stopping.wait(POLL_S)
            else:
                self.part.finish()
                self._was_ready = True
                self.status.seconds_to_ready = time.monotonic() - began
                self._set(PartState.READY)
                return

    def _watch(self) -> None:
        """Come back when the stack stops.

        Raises:
            StackError: the process ended on its own, or fails its check again and again.
        """
        checked, failed = time.monotonic(), 0
        while not self._supervisor.stopping.wait(POLL_S):
            self._raise_if_ended()
            if self.part.recheck_s is None or time.monotonic() - checked < self.part.recheck_s:
                continue
            try:
                self.part.check(self.status.started)
                failed = 0
            except NotReadyError as error:
                failed += 1
                if failed == FAILED_CHECKS:
                    raise StackError(f"its process runs but does not do its work: {error}") from error
            checked = time.monotonic()

    def _spawn(self) -> None:
        """Start the process, as the leader of a process group of its own in the supervisor's session."""
        state_dir = self._supervisor.settings.state_dir
        command = self.part.command()
        with self._supervisor.files.open_log(self.part.name) as log:
            log.write(f"--- {_now()} starting {self.part.name}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                command.words,
                env={**os.environ, **command.environment, MARK: str(state_dir)},
                cwd=state_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self.status.pid = self._process.pid
        self._supervisor.publish()

    def _raise_if_ended(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            raise StackError(f"its process {how}")

    def _refuse_taken_ports(self) -> None:
        for variable, port in self.part.ports.items():
            with socket.socket() as probe:
                # As the servers do: a port whose last connections linger is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((LOOPBACK, port))
                except OSError as error:
                    raise StackError(f"port {port} ({variable}) is taken: {error.strerror}") from error

    def _end_process(self) -> None:
        """End the process, and whatever of its group is left then."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.part.stop_signal)
            try:
                process.wait(self.part.stop_within_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self.status.pid = None

    def _set(self, state: PartState, message: str = "") -> None:
        self.status.state, self.status.message = state, message
        sys.stdout.write(f"{_now()} {self.part.name} {state}{': ' if message else ''}{message}\n")
        sys.stdout.flush()
        self._supervisor.publish()


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def main() -> None:
    """Supervise the stack of the settings in the environment; started by ``up``."""
    os.umask(0o077)
    settings = load_settings()
    files = StateFiles(settings)
    with files.supervising():
        files.save_settings()
        Supervisor(settings, build_parts(settings)).run()


if __name__ == "__main__":
    main()
