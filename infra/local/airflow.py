"""Airflow as four processes: api-server, scheduler (with LocalExecutor), dag-processor and triggerer."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from infra.local.errors import NotReadyError
from infra.local.parts import Command, Part, run_tool
from infra.local.settings import LOOPBACK, StackSettings

COMPONENTS = {
    # The logs lie on this machine, where the api-server reads them: no process needs to serve them.
    "airflow-scheduler": ("scheduler", ["scheduler", "--skip-serve-logs"]),
    "airflow-dag-processor": ("dag_processor", ["dag-processor"]),
    "airflow-triggerer": ("triggerer", ["triggerer", "--skip-serve-logs"]),
}


class Airflow:
    """The four parts; they share one migration of the database for each start of the stack."""

    def __init__(self, settings: StackSettings, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self.environment = environment
        self._migration = threading.Lock()
        self._is_migrated = False

    def parts(self, needs: tuple[str, ...]) -> list[Part]:
        """The processes; ``needs`` names the database's part if it is the stack's own."""
        api_server = ["api-server", "--host", LOOPBACK, "--port", str(self.settings.airflow_port)]
        return [
            Part(
                name="airflow-api-server",
                title="Airflow api-server",
                needs=needs,
                prepare=self.migrate,
                command=lambda: self._command(api_server),
                check=lambda _: self._check("metadatabase", 0),
                ports={"STACK_AIRFLOW_PORT": self.settings.airflow_port},
            ),
            *(self._component(name, health, words, needs) for name, (health, words) in COMPONENTS.items()),
        ]

    def migrate(self) -> None:
        """Bring the database to this Airflow's version."""
        with self._migration:
            if not self._is_migrated:
                run_tool([_airflow(), "db", "migrate"], env=self.environment, timeout_s=300)
                self._is_migrated = True

    def _component(self, name: str, health: str, words: list[str], needs: tuple[str, ...]) -> Part:
        return Part(
            name=name,
            title=name.replace("airflow-", "Airflow "),
            needs=needs,
            prepare=self.migrate,
            command=lambda: self._command(words),
            check=lambda started: self._check(health, started),
            # a stopping scheduler lets the tasks that run come to their end
            stop_within_s=30.0,
        )

    def _command(self, words: list[str]) -> Command:
        return Command([_airflow(), *words], self.environment)

    def _check(self, component: str, started: float) -> None:
        """The api-server calls the component healthy, by a heartbeat that is not one of an earlier process."""
        health = read_health(self.settings)[component]
        if health["status"] != "healthy":
            raise NotReadyError(f"Airflow calls its {component} {health['status']}")
        heartbeat = health.get(f"latest_{component}_heartbeat")
        if heartbeat and datetime.fromisoformat(heartbeat) < datetime.fromtimestamp(started, UTC):
            raise NotReadyError(f"Airflow's {component} has not reported since its start")


def read_health(settings: StackSettings) -> dict[str, dict[str, str | None]]:
    """What Airflow says of its components.

    Raises:
        NotReadyError: the api-server does not answer.
    """
    url = f"{settings.airflow_url}/api/v2/monitor/health"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # our own address, http
            health: dict[str, dict[str, str | None]] = json.load(answer)
    except (OSError, ValueError) as error:
        raise NotReadyError(f"{url}: {error}") from error
    return health


def _airflow() -> str:
    return str(Path(sys.executable).with_name("airflow"))
