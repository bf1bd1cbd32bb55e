"""Start a run of a DAG and follow it to its end, for people who watch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from infra.local.airflow_api import AirflowApi

POLL_S = 1.0
_ENDED = ("success", "failed", "upstream_failed", "skipped")


def run_dag(airflow: AirflowApi, dag: str, params: dict[str, object], tasks: Sequence[str], console: Console) -> bool:
    """Trigger a DAG and follow it; whether it succeeded."""
    airflow.unpause(dag)
    return follow_run(airflow, dag, airflow.trigger(dag, params), tasks, console)


def follow_run(
    airflow: AirflowApi,
    dag: str,
    run: str,
    tasks: Sequence[str],
    console: Console,
    *,
    meanwhile: Callable[[dict[str, str]], None] = lambda _states: None,
) -> bool:
    """Follow a run to its end, one bar for each task; whether it succeeded.

    Args:
        airflow: logged in.
        dag: its id.
        run: id of the run.
        tasks: names of the tasks to show, in their order; groups' names are left out.
        console: where the bars are drawn.
        meanwhile: called each second with the state of every task that is not mapped.
    """
    width = max(len(task) for task in tasks)
    columns = (
        TextColumn(f"{{task.description:<{width}}}"),
        BarColumn(),
        TextColumn("{task.fields[states]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars = {task: progress.add_task(task, total=None, states="") for task in tasks}
        while True:
            state = airflow.run_state(dag, run)
            instances = airflow.task_instances(dag, run)
            for task, bar in bars.items():
                states = [i["state"] for i in instances if i["task_id"].rsplit(".", 1)[-1] == task]
                words = ", ".join(f"{n} {s or 'waiting'}" for s, n in Counter(states).items())
                progress.update(
                    bar, completed=sum(s in _ENDED for s in states), total=len(states) or None, states=words
                )
            if state in ("success", "failed"):
                return state == "success"
            meanwhile({i["task_id"]: str(i["state"]) for i in instances if i["map_index"] < 0})
            time.sleep(POLL_S)
