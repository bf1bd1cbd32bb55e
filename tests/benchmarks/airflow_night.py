"""A night in Airflow on the local stack, and the share of its wall time in which no task of ours works."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from infra.local.demo import NIGHTLY, open_stack, upload_night
from screening.tasks.context import run_id_of
from screening.tasks.report import read_timings


def run_airflow_night(folder: Path) -> dict[str, str]:
    """Upload the folder as a free night, run the NIGHTLY and say what it cost."""
    stack = open_stack()
    night = upload_night(folder, stack)
    stack.airflow.unpause(NIGHTLY)
    started = time.time()
    run = stack.airflow.trigger(NIGHTLY, {"night": night.isoformat()})
    state = stack.airflow.wait(NIGHTLY, run, seconds=3600)
    wall = time.time() - started
    if state != "success":
        raise SystemExit(f"the night {night} ended as {state}")
    timings = read_timings(run_id_of(night), stack.context)
    spans = [
        (begin := datetime.fromisoformat(str(t["started_at_utc"])).timestamp(), begin + float(str(t["seconds"])))
        for t in timings
    ]
    photos = sum(int(str(t["photos"])) for t in timings if t["task"] == "prepare")
    instances = stack.airflow.task_instances(NIGHTLY, run)
    return {
        "photos per second": f"{photos / wall:.1f}",
        "wall": f"{wall:.0f} s",
        "a task works": f"{covered(spans):.0f} s",
        "Airflow's share of the wall (at most 20 %)": f"{1 - covered(spans) / wall:.1%}",
        "task instances": str(len(instances)),
        "CPU of the tasks, per photo": f"{sum(float(str(t['cpu_seconds'])) for t in timings) / photos * 1000:.1f} ms",
    }


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of time spans, in seconds."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
