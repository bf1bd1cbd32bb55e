"""A real Ceph with an S3 gateway of its own, on free ports, gone at the end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local.ceph import Ceph
from infra.local.credentials import Credentials, load_credentials
from infra.local.errors import NotReadyError
from infra.local.parts import Part
from infra.local.settings import StackSettings
from tests.integration.conftest import OSD_PORTS
from tests.integration.free_ports import find_ports


@dataclass(frozen=True)
class RunningCeph:
    """Where it is, and the keys of its users."""

    endpoint: str
    credentials: Credentials


@contextlib.contextmanager
def running_ceph(folder: Path) -> Iterator[RunningCeph]:
    """Make a cluster in ``folder`` and run it; ten seconds until it is ready."""
    s3_port, mon_port = find_ports(2, range(20_000, 30_000))
    settings = StackSettings(
        state_dir=folder,
        s3_port=s3_port,
        ceph_mon_port=mon_port,
        ceph_osd_port=find_ports(OSD_PORTS, range(6820, 7280))[0],
        ceph_gigabytes=4,
        given_s3_endpoint=None,
    )
    credentials = load_credentials(settings)
    with contextlib.ExitStack() as running:
        for part in Ceph(settings, credentials).parts():
            running.enter_context(_running(part, folder))
        yield RunningCeph(settings.s3_endpoint, credentials)


@contextlib.contextmanager
def _running(part: Part, folder: Path) -> Iterator[None]:
    part.prepare()
    command = part.command()
    log = folder / f"{part.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command.words, env=os.environ | dict(command.environment), stdout=output, stderr=output
        )
    try:
        _wait_until_ready(part, process, log)
        part.finish()
        yield
    finally:
        process.send_signal(part.stop_signal)
        try:
            process.wait(part.stop_within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(part: Part, process: subprocess.Popen[bytes], log: Path) -> None:
    started = time.time()
    while True:
        try:
            return part.check(started)
        except NotReadyError:
            last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            assert process.poll() is None, f"{part.title} ended:\n{last_lines}"
            assert time.time() < started + 90, f"{part.title} is not ready after 90 s:\n{last_lines}"
            time.sleep(0.2)
