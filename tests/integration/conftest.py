"""The local stack for tests: on ports and in a folder of its own, so that a developer's own stack is left alone.

`make test` runs each folder and each test file of this folder in a process of its own, all at the same time.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.local.credentials import load_airflow_passwords
from infra.local.environment import PIPELINE_FILE, UPLOADS_FILE, read_environment_file
from infra.local.settings import REPOSITORY, StackSettings
from screening.stages.audit import load_great_expectations
from tests.integration.free_ports import find_ports
from tests.integration.nights import Photos, Site, draw_photos

OSD_PORTS = 16
PORTS = (
    "s3_port",
    "ceph_mon_port",
    "triton_http_port",
    "triton_grpc_port",
    "triton_metrics_port",
    "postgres_port",
    "airflow_port",
)


@dataclass(frozen=True)
class RunningStack:
    """A stack and the ways to use it; ``environment`` has the pipeline's rights, ``uploads_environment`` more."""

    settings: StackSettings
    variables: Mapping[str, str] = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What the nightly run gets."""
        return read_environment_file(self.settings.state_dir / PIPELINE_FILE)

    @property
    def uploads_environment(self) -> dict[str, str]:
        """What whoever brings photos gets."""
        return read_environment_file(self.settings.state_dir / UPLOADS_FILE)

    @property
    def airflow_password(self) -> str:
        """The password of Airflow's user ``admin``."""
        return self.password_of("admin")

    def password_of(self, user: str) -> str:
        """The password of one of Airflow's users."""
        return load_airflow_passwords(self.settings)[user]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m infra.local WORDS`` for this stack."""
        return subprocess.run(
            [sys.executable, "-m", "infra.local", *words],
            env=self.variables,
            cwd=REPOSITORY,
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def succeed(self, *words: str) -> str:
        """As ``run``, for a command that must succeed; returns what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}\n{self._ends_of_logs()}"
        return done.stdout

    def _ends_of_logs(self) -> str:
        logs = sorted((self.settings.state_dir / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-15:]) for log in logs)


def make_stack(state_dir: Path, **variables: str) -> RunningStack:
    """A stack that is not started yet, with free ports."""
    ports = {name: str(port) for name, port in zip(PORTS, find_ports(len(PORTS), range(20_000, 30_000)), strict=True)}
    ports["ceph_osd_port"] = str(find_ports(OSD_PORTS, range(6820, 7280))[0])
    names = ("SCREENING_", "STACK_", "AIRFLOW", "AWS_ACCESS", "AWS_SECRET")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    stack = {f"STACK_{name.upper()}": port for name, port in ports.items()} | {"STACK_STATE_DIR": str(state_dir)}
    variables = clean | stack | variables
    given = ("SCREENING_S3_ENDPOINT", "SCREENING_TRITON_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
    users = {"airflow_users": variables["STACK_AIRFLOW_USERS"]} if "STACK_AIRFLOW_USERS" in variables else {}
    fields = {"state_dir": state_dir, **ports, **users, **{name: variables.get(name) for name in given}}
    return RunningStack(StackSettings.model_validate(fields), variables)


@contextlib.contextmanager
def running_stack(tmp_path_factory: pytest.TempPathFactory, **variables: str) -> Iterator[RunningStack]:
    """A stack that has started, and is stopped at the end."""
    # Small batches: a night of a few photos has several.
    stack = make_stack(tmp_path_factory.mktemp("stack") / "state", SCREENING_PHOTOS_PER_BATCH="8", **variables)
    stack.succeed("up")
    yield stack
    stack.succeed("down")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """What a night needs, Ceph and Triton, started once for all tests of a process."""
    with running_stack(tmp_path_factory, STACK_AIRFLOW="false") as stack:
        yield stack


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """Drawn photos, the same in every session."""
    return draw_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def new_site(stack: RunningStack) -> Iterator[Callable[..., Site]]:
    """Makes sites by name in the stack's buckets; a second one may share the uploads of the first."""
    load_great_expectations()  # here once; else the auditor of each night, a fork of this process, would for itself
    with pytest.MonkeyPatch.context() as environment:
        for name, value in stack.environment.items():
            if name.startswith("AWS_"):
                environment.setenv(name, value)

        def make(name: str, uploads_of: Site | None = None) -> Site:
            return Site(stack, uploads_of.uploads if uploads_of else name, name)

        yield make
