"""The few calls of Airflow's REST API that the demo and the tests need."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from screening.errors import MissingError, RetryError


@dataclass
class AirflowApi:
    """A logged-in client; ``address`` as http://127.0.0.1:8080."""

    address: str
    user: str
    password: str
    _token: str | None = None

    def unpause(self, dag: str, seconds: float = 60.0) -> None:
        """Let a DAG run; waits until the dag-processor has read it.

        Raises:
            MissingError: Airflow does not know the DAG within the time given.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                self._call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})
                return
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > end:
                    raise MissingError(f"DAG {dag}: Airflow answers {error.code} after {seconds:.0f} s") from error
                time.sleep(1)

    def trigger(self, dag: str, params: dict[str, object]) -> str:
        """Start a run; returns its id."""
        run = f"manual__{datetime.now(UTC).isoformat()}"
        self._call("POST", f"/api/v2/dags/{dag}/dagRuns", {"dag_run_id": run, "logical_date": None, "conf": params})
        return run

    def run_state(self, dag: str, run: str) -> str:
        return str(self._call("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run)}")["state"])

    def task_instances(self, dag: str, run: str) -> list[dict[str, Any]]:
        """All task instances of a run, mapped ones one by one."""
        found: list[dict[str, Any]] = []
        while True:
            path = f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances?limit=100&offset={len(found)}"
            page = self._call("GET", path)
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def wait(self, dag: str, run: str, seconds: float) -> str:
        """Wait for the end of a run; returns its state.

        Raises:
            RetryError: it has not ended in time.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            state = self.run_state(dag, run)
            if state in ("success", "failed"):
                return state
            time.sleep(1)
        raise RetryError(f"{dag} {run} has not ended after {seconds:.0f} s")

    def answer(self, dag: str, run: str, task: str, choice: str) -> dict[str, Any]:
        """Give a task that waits for a person the choice of this log-in; returns who answered what, and when."""
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task}/-1/hitlDetails"
        return self._call("PATCH", path, {"chosen_options": [choice], "params_input": {}})

    def question(self, dag: str, run: str, task: str) -> dict[str, Any] | None:
        """What a task asks a person: its subject, body and options; None before it asks."""
        found = self._call("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/hitlDetails")["hitl_details"]
        return next((dict(q) for q in found if q["task_instance"]["task_id"] == task), None)

    def wait_for_run(self, dag: str, known: set[str], seconds: float) -> str:
        """Wait until Airflow itself starts a run, e.g. for an asset; returns the id of one that is not known yet.

        Raises:
            RetryError: none was started in time.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fresh = [str(run["dag_run_id"]) for run in self.runs(dag) if run["dag_run_id"] not in known]
            if fresh:
                return fresh[-1]
            time.sleep(1)
        raise RetryError(f"{dag}: no run was started within {seconds:.0f} s")

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The latest runs of a DAG, newest first."""
        return list(self._call("GET", f"/api/v2/dags/{dag}/dagRuns?limit=20&order_by=-run_after")["dag_runs"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._token is None and path != "/auth/token":
            self._token = self._call("POST", "/auth/token", {"username": self.user, "password": self.password})[
                "access_token"
            ]
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self._token}"} if self._token else {}
        )
        request = urllib.request.Request(  # noqa: S310 - the address is the stack's own, on loopback
            self.address + path, json.dumps(body).encode() if body is not None else None, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return dict(json.loads(answer.read()))
