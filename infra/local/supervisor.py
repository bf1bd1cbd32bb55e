"""The process that starts the parts, starts them again when they die, and stops them in order.

Each part has a thread that follows it through its life. A general process manager ends all its processes at once; here
a gateway must be gone before its OSD, and the OSD before its monitor.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from infra.local.errors import NotReadyError, StackError
from infra.local.parts import Part
from infra.local.processes import MARK
from infra.local.settings import LOOPBACK, StackSettings, load_settings
from infra.local.state import PartState, PartStatus, StackStatus, StateFiles

FIRST_TRIES = 3
"""So often may a part fail before it is given up; once it was ready, it is started again for ever."""
BACK_OFF_S = (0.2, 1.0, 3.0, 10.0)
POLL_S = 0.1
STEADY_S = 60.0
"""A part that ran this long begins the back-off anew."""


class Supervisor:
    """Runs the parts until it is told to stop."""

    def __init__(self, settings: StackSettings, parts: Sequence[Part]) -> None:
        self._settings = settings
        self._files = StateFiles(settings)
        self._lives = {part.name: PartLife(part, self) for part in parts}
        self._changed = threading.Condition()
        self.stopping = threading.Event()

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

    def publish(self) -> None:
        """Write the status and wake whoever waits for a change."""
        with self._changed:
            self._files.write_status(StackStatus(os.getpid(), {name: life.status for name, life in self._lives.items()}))
            self._changed.notify_all()

    def needs_are_ready(self, part: Part) -> bool:
        """Whether everything that the part needs does its work."""
        return all(self._lives[name].status.state is PartState.READY for name in part.needs)

    def dependants_have_stopped(self, part: Part) -> bool:
        """Whether nothing runs any more that needs the part."""
        dependants = (life for life in self._lives.values() if part.name in life.part.needs)
        return all(life.status.state in {PartState.STOPPED, PartState.FAILED} for life in dependants)

    def wait_until(self, is_true: object, *, also_when_stopping: bool) -> bool:
        """Wait for a change of another part; False when the stack is being stopped."""
        with self._changed:
            while not is_true():  # type: ignore[operator]
                if self.stopping.is_set() and not also_when_stopping:
                    return False
                self._changed.wait(POLL_S)
        return True

    def spawn(self, part: Part) -> subprocess.Popen[bytes]:
        """Start the part's process, as the leader of a process group of its own."""
        command = part.command()
        with self._files.open_log(part.name) as log:
            log.write(f"--- {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} starting {part.name}\n".encode())
            log.flush()
            return subprocess.Popen(
                command.words,
                env={**os.environ, **command.environment, MARK: str(self._settings.state_dir)},
                cwd=self._settings.state_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def describe_log(self, part: Part) -> str:
        """Where to look when the part fails."""
        return f"its log is {self._files.log(part.name)}"

    @property
    def ready_within_s(self) -> float:
        """How long a part may take until it is ready."""
        return self._settings.ready_within_s


class PartLife:
    """One part, from waiting for its needs to having stopped after its dependants."""

    def __init__(self, part: Part, supervisor: Supervisor) -> None:
        self.part = part
        self.status = PartStatus()
        self._supervisor = supervisor
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start, watch and restart the part until the supervisor stops or the part is given up."""
        supervisor, failures, was_ready = self._supervisor, 0, False
        if supervisor.wait_until(lambda: supervisor.needs_are_ready(self.part), also_when_stopping=False):
            while not supervisor.stopping.is_set():
                began = time.monotonic()
                try:
                    self._start()
                    was_ready = True
                    self._watch()
                except StackError as error:
                    self._end_process()
                    failures = 1 if time.monotonic() - began > STEADY_S and was_ready else failures + 1
                    if not was_ready and failures >= FIRST_TRIES:
                        self._set(PartState.FAILED, f"{error}; {supervisor.describe_log(self.part)}")
                        return
                    self.status.restarts += 1
                    self._set(PartState.RESTARTING, str(error))
                    supervisor.stopping.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])
        supervisor.wait_until(lambda: supervisor.dependants_have_stopped(self.part), also_when_stopping=True)
        self._end_process()
        self._set(PartState.STOPPED)

    def _start(self) -> None:
        """Bring the part to readiness.

        Raises:
            StackError: it ended, or was not ready in time.
        """
        supervisor = self._supervisor
        self.status.started, self.status.pid = time.time(), None
        self._set(PartState.STARTING)
        began = time.monotonic()
        self._refuse_taken_ports()
        self.part.prepare()
        self._process = supervisor.spawn(self.part)
        self.status.pid = self._process.pid
        supervisor.publish()
        while not supervisor.stopping.is_set():
            self._raise_if_ended()
            try:
                self.part.check(self.status.started)
            except NotReadyError as error:
                if time.monotonic() - began > supervisor.ready_within_s:
                    raise StackError(f"not ready after {supervisor.ready_within_s:.0f} s: {error}") from error
                self.status.message = str(error)
                supervisor.stopping.wait(POLL_S)
            else:
                self.part.finish()
                self.status.seconds_to_ready = time.monotonic() - began
                self._set(PartState.READY)
                return

    def _watch(self) -> None:
        """Come back when the stack stops.

        Raises:
            StackError: the process ended on its own.
        """
        while not self._supervisor.stopping.wait(POLL_S):
            self._raise_if_ended()

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
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.status.pid = None

    def _set(self, state: PartState, message: str = "") -> None:
        self.status.state, self.status.message = state, message
        log = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {self.part.name} {state}{': ' if message else ''}{message}"
        print(log, flush=True)
        self._supervisor.publish()


def main() -> None:
    """Supervise the stack of the settings in the environment; started by ``up``."""
    from infra.local.stack import build_parts

    settings = load_settings()
    files = StateFiles(settings)
    with files.supervising():
        files.save_settings()
        Supervisor(settings, build_parts(settings)).run()


if __name__ == "__main__":
    sys.exit(main())
