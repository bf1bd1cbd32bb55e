"""Parse a DAG file as Airflow's dag-processor does, and write what came of it: ``python -m … DAG_FILE OUT_JSON``.

A process of its own, because importing Airflow changes the logging of the process, and because only a fresh one shows
what the parsing itself loads.
"""

import importlib.util
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def describe(dag_file: Path) -> dict[str, Any]:
    sys.path.insert(0, str(dag_file.parent))  # as Airflow does with the folder of the DAGs
    spec = importlib.util.spec_from_file_location(dag_file.stem, dag_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded = sorted(sys.modules)

    # Only now: what follows loads more than the parsing did.
    from screening import errors  # noqa: PLC0415

    raised = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    dag = getattr(module, dag_file.stem)()
    assets = getattr(dag.schedule, "asset_condition", None)
    return {
        "loaded": loaded,
        "dag_id": dag.dag_id,
        "schedule": getattr(cron_of(dag.schedule), "expression", dag.schedule),
        "assets": sorted(asset.name for asset in getattr(assets, "objects", ())),
        "catchup": dag.catchup,
        "first_run_if_switched_on_soon_after_it_was_due": first_run(dag, datetime(2026, 11, 21, 23, 44, tzinfo=UTC)),
        "max_active_runs": dag.max_active_runs,
        "doc_md": dag.doc_md,
        "module_doc": module.__doc__,
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "defaults": dict(dag.params.dump()),
        "tasks": {
            task.task_id: {
                "upstream": sorted(task.upstream_task_ids),
                "is_per_batch": type(task.task_group).__name__ == "MappedTaskGroup",
                "trigger_rule": str(task.trigger_rule.value),
                "retries": task.retries,
                "outlets": [asset.name for asset in task.outlets],
                "most_at_once": task.max_active_tis_per_dag,
                "pool": task.pool,
                "asks": question(task),
                "after": {
                    error.__name__: decision(task.retry_policy, error("what happened"))
                    for error in (*raised, RuntimeError, KeyError)
                },
            }
            for task in dag.tasks
        },
    }


def cron_of(schedule: Any) -> Any:
    """The part of a schedule that goes by the clock."""
    return getattr(schedule, "timetable", schedule)


def question(task: Any) -> dict[str, Any] | None:
    """What a task that waits for a person asks; None for other tasks."""
    if not hasattr(task, "response_timeout"):
        return None
    return {
        "options": task.options,
        "when_silent": task.defaults,
        "waits_s": task.response_timeout.total_seconds(),
        "users": task.assigned_users,
        "body": task.body,
    }


def first_run(dag: Any, now: datetime) -> str:
    """When a DAG that never ran is first run, if it is switched on now; asked of the timetable that the scheduler uses."""
    from airflow.timetables import trigger  # noqa: PLC0415
    from airflow.timetables.base import TimeRestriction  # noqa: PLC0415

    trigger.utcnow = lambda: now  # type: ignore[attr-defined]  # this process ends after it
    schedule = cron_of(dag.schedule)
    timetable = trigger.CronTriggerTimetable(
        schedule.expression, timezone=schedule.timezone, run_immediately=schedule.run_immediately
    )
    never_ran = TimeRestriction(earliest=None, latest=None, catchup=dag.catchup)
    found = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=never_ran)
    assert found is not None
    return found.run_after.isoformat()


def decision(policy: Any, error: Exception) -> list[Any]:
    decided = policy.evaluate(error, 1, 4)
    return [decided.action.value, decided.retry_delay and decided.retry_delay.total_seconds()]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(describe(Path(sys.argv[1]))))
