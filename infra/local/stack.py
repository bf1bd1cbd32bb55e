"""Starting, asking and stopping the whole stack."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.airflow import Airflow
from infra.local.ceph import Ceph
from infra.local.credentials import load_airflow_passwords, load_credentials
from infra.local.environment import PIPELINE_FILE, read_environment_file, write_environment_files
from infra.local.errors import NotReadyError, StackError
from infra.local.model_repository import bring_shipped_models
from infra.local.object_store import connect
from infra.local.packages import install_missing_packages
from infra.local.parts import Part
from infra.local.postgres import Postgres
from infra.local.processes import end_processes, find_processes
from infra.local.settings import REPOSITORY, StackSettings
from infra.local.state import PartState, StateFiles
from infra.local.triton import triton_is_ready, triton_part

POLL_S = 0.1
Say = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """What ``status`` found of one part; ``problem`` is empty when it does its work."""

    name: str
    state: str
    pid: int | None
    restarts: int
    problem: str


def build_parts(settings: StackSettings) -> list[Part]:
    """The parts that this stack starts itself, in an order in which each stands after what it needs."""
    credentials = load_credentials(settings)
    parts: list[Part] = []
    if settings.external_s3 is None:
        parts += Ceph(settings, credentials).parts()
    if settings.external_triton is None:
        parts.append(triton_part(settings))
    if not settings.airflow:
        return parts
    database: tuple[str, ...] = ()
    if settings.external_database is None:
        parts.append(Postgres(settings, credentials).part())
        database = ("postgres",)
    environment = {**os.environ, **read_environment_file(settings.state_dir / PIPELINE_FILE)}
    return parts + Airflow(settings, environment).parts(needs=database)


def start(settings: StackSettings, say: Say) -> bool:
    """Start what does not run yet and wait until everything is ready; False when it was already.

    Raises:
        StackError: a part did not become ready; the stack is stopped then, its logs stay.
    """
    files = StateFiles(settings)
    with files.exclusive():
        if files.is_supervised():
            _wait_until_ready(settings, files, None, say)
            return False
        install_missing_packages(settings)
        credentials = load_credentials(settings)
        load_airflow_passwords(settings)
        write_environment_files(settings, credentials)
        bring_shipped_models(settings.model_repository, say)
        _check_external_parts(settings)
        _end_leftovers(settings, say)
        supervisor = _spawn_supervisor(settings, files)
        try:
            _wait_until_ready(settings, files, supervisor, say)
        except (StackError, KeyboardInterrupt):
            _stop_supervisor(files, supervisor.pid)
            _end_leftovers(settings, say)
            raise
        return True


def stop(settings: StackSettings, say: Say) -> bool:
    """Stop everything in order and make sure that nothing is left; False when nothing ran."""
    files = StateFiles(settings)
    with files.exclusive():
        session = files.read_status().supervisor
        ran = files.is_supervised() and session is not None
        if ran and session is not None:
            _stop_supervisor(files, session.pid)
        return _end_leftovers(settings, say) or ran


def restart(settings: StackSettings, name: str) -> None:
    """End one part; the supervisor starts it again, and this waits until it is ready.

    Raises:
        StackError: no such part, the stack does not run, or the part does not become ready.
    """
    files = StateFiles(settings)
    with files.exclusive():
        settings = files.saved_settings()
        parts = {part.name: part for part in build_parts(settings)}
        if name not in parts:
            raise StackError(f"no part {name} in this stack; its parts are {', '.join(parts)}")
        before = files.read_status().parts.get(name)
        if not files.is_supervised() or before is None:
            raise StackError("the stack does not run; `up` starts it")
        if before.pid is not None:
            os.kill(before.pid, parts[name].stop_signal)
        deadline = time.monotonic() + parts[name].stop_within_s
        while (now := files.read_status().parts[name]).started == before.started or now.state is not PartState.READY:
            if now.pid is not None and now.pid == before.pid and time.monotonic() > deadline:
                os.kill(now.pid, signal.SIGKILL)
            if time.monotonic() > deadline + settings.ready_within_s:
                raise StackError(f"{name} is not ready again: {now.message}; its log is {files.log(name)}")
            time.sleep(POLL_S)


def inspect(settings: StackSettings) -> list[Finding]:
    """Ask every part now whether it does its work; what the supervisor noted would miss a part that hangs."""
    files = StateFiles(settings)
    settings = files.saved_settings()
    is_supervised = files.is_supervised()
    noted = files.read_status().parts
    findings = []
    for part in build_parts(settings) if noted else []:
        status = noted[part.name]
        state, problem = str(status.state), status.message
        if not is_supervised:
            state, problem = "stopped", "the stack does not run"
        elif status.state is PartState.READY:
            try:
                part.check(status.started)
            except NotReadyError as error:
                state, problem = "unhealthy", str(error)
        findings.append(Finding(part.name, state, status.pid if is_supervised else None, status.restarts, problem))
    return findings


def _spawn_supervisor(settings: StackSettings, files: StateFiles) -> subprocess.Popen[bytes]:
    with files.open_log("supervisor") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "infra.local.supervisor"],
            cwd=REPOSITORY,
            env={**os.environ, "STACK_STATE_DIR": str(settings.state_dir)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(
    settings: StackSettings, files: StateFiles, supervisor: subprocess.Popen[bytes] | None, say: Say
) -> None:
    """Follow the supervisor until every part is ready; ``supervisor`` is the process if this command started it."""
    told: set[str] = set()
    deadline = time.monotonic() + 2 * settings.ready_within_s
    while True:
        status = files.read_status()
        if supervisor is not None and supervisor.poll() is not None:
            raise StackError(f"the supervisor ended with {supervisor.returncode}; its log is {files.log('supervisor')}")
        if supervisor is None or (status.supervisor and status.supervisor.pid == supervisor.pid):
            for name, part in status.parts.items():
                if part.state is PartState.FAILED:
                    raise StackError(f"{name}: {part.message}")
                if part.state is PartState.READY and name not in told:
                    told.add(name)
                    say(f"{name} ready after {part.seconds_to_ready:.1f} s")
            if status.parts and len(told) == len(status.parts):
                return
        if supervisor is None and not files.is_supervised():
            raise StackError(f"the supervisor ended; its log is {files.log('supervisor')}")
        if time.monotonic() > deadline:
            late = "; ".join(f"{name}: {part.message}" for name, part in status.parts.items() if name not in told)
            raise StackError(f"not everything is ready: {late}; the logs are in {files.log('supervisor').parent}")
        time.sleep(POLL_S)


def _stop_supervisor(files: StateFiles, pid: int) -> None:
    """Tell the supervisor to stop the parts and wait for it; it has time for the longest chain of parts."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 120
    while files.is_supervised() and time.monotonic() < deadline:
        time.sleep(POLL_S)
    with contextlib.suppress(psutil.Error):  # it is gone, or ended as a leftover
        psutil.Process(pid).wait(10)


def _end_leftovers(settings: StackSettings, say: Say) -> bool:
    """End what a killed supervisor left behind; it would hold ports and data."""
    session = StateFiles(settings).read_status().supervisor
    leftovers = find_processes(settings.state_dir, session)
    if leftovers:
        say(f"ending {len(leftovers)} processes that were left over")
        end_processes(leftovers)
    return bool(leftovers)


def _check_external_parts(settings: StackSettings) -> None:
    """Ask the given parts before anything is started: their faults are not ours to wait for."""
    environment = read_environment_file(settings.state_dir / PIPELINE_FILE)
    if settings.external_s3:
        store = connect(settings.external_s3, environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        for name in ("SCREENING_UPLOADS", "SCREENING_RESULTS"):
            bucket = environment[name].removeprefix("s3://").split("/")[0]
            try:
                store.head_bucket(Bucket=bucket)
            except (BotoCoreError, ClientError) as error:
                raise StackError(f"bucket {bucket} ({name}) at {settings.external_s3}: {error}") from error
    if settings.external_triton:
        try:
            triton_is_ready(settings.external_triton, settings.model_repository, settings.champion)
        except NotReadyError as error:
            raise StackError(f"SCREENING_TRITON_URL: {error}") from error
