"""PostgreSQL, from Debian's packages, as Airflow's database: one cluster in the state folder, TCP on loopback only."""

from __future__ import annotations

import functools
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2
from psycopg2 import sql

from infra.local.credentials import Credentials
from infra.local.errors import NotReadyError, StackError
from infra.local.files import write_private
from infra.local.packages import find_postgres
from infra.local.parts import Command, Part, run_tool
from infra.local.settings import LOOPBACK, StackSettings

SUPERUSER = "postgres"
AIRFLOW = "airflow"


class Postgres:
    """The cluster: made at the first start, then only started."""

    def __init__(self, settings: StackSettings, credentials: Credentials) -> None:
        self.settings = settings
        self.credentials = credentials

    def part(self) -> Part:
        """The server."""
        return Part(
            name="postgres",
            title="PostgreSQL",
            prepare=self.prepare,
            command=self.command,
            check=self.check,
            finish=self.make_airflow_database,
            ports={"STACK_POSTGRES_PORT": self.settings.postgres_port},
            # "fast": open sessions are ended, nothing committed is lost
            stop_signal=signal.SIGINT,
        )

    def prepare(self) -> None:
        """Make the cluster if there is none; a first start that was cut short begins anew."""
        if (self.cluster / "PG_VERSION").exists() and self._complete.exists():
            return
        shutil.rmtree(self.cluster, ignore_errors=True)
        # Beside the data, because whoever runs the server may not enter the state folder.
        password_file = self.cluster.parent / "password"
        write_private(password_file, self.credentials.postgres_password)
        _, runs_as = self._identity
        if runs_as:
            shutil.chown(password_file, runs_as)
        try:
            self._initdb(password_file)
        finally:
            password_file.unlink()
        self._complete.touch()

    def command(self) -> Command:
        """The server, in the foreground."""
        words = [
            *self._as_ordinary_user,
            str(_programs() / "postgres"),
            "-D",
            str(self.cluster),
            f"--listen_addresses={LOOPBACK}",
            f"--port={self.settings.postgres_port}",
            # a socket's path may have 107 bytes at most, and nobody needs one
            "--unix_socket_directories=",
            # seven processes with pools, and the tasks
            "--max_connections=200",
            "--log_min_duration_statement=2000",
        ]
        return Command(words)

    def check(self, _started: float) -> None:
        """The superuser logs in and asks something."""
        try:
            with self._connect(SUPERUSER) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error as error:
            raise NotReadyError(f"PostgreSQL at {LOOPBACK}:{self.settings.postgres_port}: {error}".strip()) from error
        connection.close()

    def make_airflow_database(self) -> None:
        """Airflow's own role, which owns Airflow's database and nothing else."""
        connection = self._connect(SUPERUSER)
        connection.autocommit = True  # CREATE DATABASE runs in no transaction
        name, password = sql.Identifier(AIRFLOW), sql.Literal(self.credentials.airflow_database_password)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (AIRFLOW,))
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, password))
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (AIRFLOW,))
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(name))
        except psycopg2.Error as error:
            raise StackError(f"making Airflow's database: {error}") from error
        finally:
            connection.close()

    @functools.cached_property
    def cluster(self) -> Path:
        """The data folder: in the state folder where the server can reach it there."""
        return self._identity[0]

    @functools.cached_property
    def _identity(self) -> tuple[Path, str | None]:
        """The data folder, and the user that the server must become because root may not run it."""
        inside = self.settings.folder("postgres") / "cluster"
        if os.geteuid() != 0 or _can_unshare():
            return inside, None
        try:
            pwd.getpwnam(SUPERUSER)
        except KeyError as error:
            raise StackError(
                "PostgreSQL refuses root: neither `unshare --user` works nor is there a user postgres"
            ) from error
        name = hashlib.sha256(str(self.settings.state_dir).encode()).hexdigest()[:12]
        outside = Path("/var/lib/postgresql") / f"skin-screening-{name}"
        outside.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.chown(outside, SUPERUSER, SUPERUSER)
        return outside / "cluster", SUPERUSER

    @property
    def _as_ordinary_user(self) -> list[str]:
        """Words before a PostgreSQL program.

        In a user namespace without a mapping root's files seem to belong to nobody, and so does the process: PostgreSQL
        is content, while the kernel still lets it into folders that only root may enter.
        """
        _, runs_as = self._identity
        if os.geteuid() != 0:
            return []
        if runs_as is None:
            return ["unshare", "--user"]
        return ["setpriv", f"--reuid={runs_as}", f"--regid={runs_as}", "--init-groups"]

    @property
    def _complete(self) -> Path:
        return self.settings.folder("postgres") / "complete"

    def _initdb(self, password_file: Path) -> None:
        run_tool(
            [
                *self._as_ordinary_user,
                str(_programs() / "initdb"),
                f"--pgdata={self.cluster}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ]
        )

    def _connect(self, user: str) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host=LOOPBACK,
            port=self.settings.postgres_port,
            user=user,
            password=self.credentials.postgres_password,
            dbname="postgres",
            connect_timeout=5,
        )


def database_url(settings: StackSettings, credentials: Credentials) -> str:
    """How Airflow reaches its database."""
    if settings.external_database:
        return settings.external_database
    password = credentials.airflow_database_password
    return f"postgresql+psycopg2://{AIRFLOW}:{password}@{LOOPBACK}:{settings.postgres_port}/{AIRFLOW}"


def _programs() -> Path:
    folder = find_postgres()
    if folder is None:
        raise StackError("no PostgreSQL server found; Debian's package is postgresql")
    return folder


def _can_unshare() -> bool:
    return subprocess.run(["unshare", "--user", "true"], check=False, capture_output=True).returncode == 0
