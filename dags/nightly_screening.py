"""### Nightly screening

Grades the photos that were uploaded for a night, and earlier ones that no night has had.

`open_night` claims the keys and cuts them into batches; each batch is `prepare`d (fetch, decode, measure, judge) and
then `infer`red by Triton, one batch while the next is prepared; `grade`, `audit`, `publish` and `report` follow once. Where
a challenger runs as a shadow, it answers the published photos in `shadow`, without touching a grade; whatever becomes of it,
the night goes on. `monitor` compares the night with those before it, and emits the asset `screening_drift` when the photos
or the answers have begun to differ. `unload_releases` frees Triton of releases that nobody needs any more.

**May run twice.** Every task writes the same objects again; a night that was opened keeps exactly its keys, its release and
its cut-offs. A failed audit stops the run before anything is published. Errors of the kind that waiting may mend are retried; wrong
credentials, a missing bucket or model, or a broken contract stop the run at once with one line that says why.

**By hand:** trigger with `night` as `2026-11-20`; empty means the day on which the run was due. `release` grades with another
release than the night was graded with before, or than was in use when it ended.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    AssetAlias,
    CronTriggerTimetable,
    Metadata,
    Param,
    dag,
    get_current_context,
    task,
    task_group,
)
from retries import RETRY_BY_CLASS

DRIFT = Asset("screening_drift")
"""Emitted when the photos or the networks' answers have changed, with the programmes and properties."""
# Through an alias, so that a night without drift emits nothing.
DRIFT_BEGAN = AssetAlias("screening_drift_began")


@dag(
    # Half past eleven in the evening: the day's uploads are in, and the grades are there in the morning.
    # Switching the DAG on runs nothing of the past: with `False`, its default, Airflow 3.3 still runs what was due within the
    # last tenth of a day, which would claim the uploads of whoever triggers a night of their own in these hours.
    schedule=CronTriggerTimetable("30 23 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    params={
        "night": Param(default=None, type=["null", "string"], format="date", title="Night", description="yyyy-mm-dd"),
        "release": Param(
            default=None,
            type=["null", "string"],
            pattern="^r[0-9]{4,}$",
            title="Release",
            description="as r0002; empty: that of the night",
        ),
    },
    default_args={"retries": 4, "retry_delay": timedelta(seconds=10), "retry_policy": RETRY_BY_CLASS},
    tags=["screening"],
    doc_md=__doc__,
)
def nightly_screening() -> None:  # noqa: C901  # each task is a function in here, and none is a branch
    @task
    def open_night() -> list[int]:
        from screening import tasks  # numpy and pyarrow load in the task, not when the DAG is parsed

        context = get_current_context()
        asked, run = context["params"]["night"], context["dag_run"]
        night = date.fromisoformat(asked) if asked else (run.logical_date or run.run_after).date()
        plan = tasks.open_night(night, tasks.open_context(), context["params"]["release"])
        context["ti"].xcom_push("run_id", plan.run_id)
        return list(range(len(plan.batch_sizes)))

    @task
    def prepare(run: str, batch: int) -> int:
        from screening import tasks

        return tasks.prepare(run, batch, tasks.open_context())

    @task
    def infer(run: str, batch: int) -> int:
        from screening import tasks

        return tasks.infer(run, batch, tasks.open_context())

    @task_group
    def screen_batch(run: str, batch: int) -> None:
        infer(run, prepare(run, batch))  # type: ignore[arg-type]  # Airflow hands over the value, not the XComArg

    # A night without photos maps to nothing, and is graded, audited and published like any other.
    @task(trigger_rule="none_failed")
    def grade(run: str) -> None:
        from screening import tasks

        tasks.grade(run, tasks.open_context())

    @task
    def audit(run: str) -> None:
        from screening import tasks

        tasks.audit(run, tasks.open_context())

    @task
    def publish(run: str) -> None:
        from screening import tasks

        tasks.publish(run, tasks.open_context())

    @task
    def shadow(run: str) -> None:
        from screening import tasks

        tasks.shadow(run, tasks.open_context())

    @task
    def report(run: str) -> None:
        from screening import tasks

        tasks.report(run, tasks.open_context())

    # The night is published by now: what fails here takes nothing of it back.
    @task(outlets=[DRIFT_BEGAN])
    def monitor(run: str) -> Any:
        from screening import tasks

        found = tasks.monitor(run, tasks.open_context()).to_dict()
        if found["drift"]:
            yield Metadata(DRIFT, extra=found, alias=DRIFT_BEGAN)

    @task
    def unload_releases(run: str) -> None:
        from screening import tasks

        tasks.unload_releases(run, tasks.open_context())

    opened = open_night()
    # Called `run` below: `run_id` is a name that Airflow keeps for its own.
    run_id = opened["run_id"]  # type: ignore[index]  # an XComArg is indexed by the key of the XCom
    batches = screen_batch.partial(run=run_id).expand(batch=opened)
    published = batches >> grade(run_id) >> audit(run_id) >> publish(run_id)
    published >> shadow(run_id) >> report(run_id) >> [monitor(run_id), unload_releases(run_id)]


nightly_screening()
