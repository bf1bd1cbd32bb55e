"""### Retraining the ensemble

Trains a challenger on what was vetted since, and lets it take the champion's place only when it is shown to be not worse
and a person approves.

`decide` skips the run unless there is reason: enough new strong labels, drift, the month's turn with something new, or
somebody who triggers it. `snapshot` freezes the corpus, `check` looks for leaks, `split` keeps earlier test photos in the
test, `fit` trains each member, `assemble` calibrates and freezes them into a release, `evaluate` asks champion and
challenger for the same test photos, and `gate` judges. A refused challenger is a normal end: the rest is skipped. Then
`approve` waits for a person; silence is a no. `take_over` installs the release and makes it the champion, or lets it run
beside the champion for some nights first; `record_refusal` puts a challenger that was refused into the history of releases.

**May run twice.** Each step keeps what it finished; a member that was killed goes on after its last whole epoch.

**By hand:** everything in the trigger form may stay as it is. A dry run ends after the gate and keeps no snapshot.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    dag,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowSkipException
from retries import RETRY_BY_CLASS

CORPUS, DRIFT = Asset("screening_corpus"), Asset("screening_drift")
RECIPE = os.environ.get("SCREENING_RETRAIN_RECIPE") or "continue_champion"
# Airflow's pool with a slot for the GPU, or the cores, that other DAGs train on too.
POOL = os.environ.get("SCREENING_TRAINING_POOL") or "default_pool"
APPROVERS = [name.strip() for name in os.environ.get("SCREENING_APPROVERS", "").split(",") if name.strip()]


@dag(
    schedule=AssetOrTimeSchedule(
        # The first of the month, after the night; switching the DAG on runs nothing of the past.
        timetable=CronTriggerTimetable("0 5 1 * *", timezone="UTC", run_immediately=timedelta(0)),
        assets=(CORPUS | DRIFT),
    ),
    catchup=False,
    max_active_runs=1,
    params={
        "recipe": Param(default=RECIPE, type="string", title="Recipe", description="name or .yaml file"),
        "members": Param(
            default=[], type="array", items={"type": "string"}, title="Members", description="of the recipe; none: all"
        ),
        "fewest_strong_labels": Param(
            default=100, type="integer", minimum=1, title="New strong labels that are reason enough"
        ),
        "dry_run": Param(default=False, type="boolean", title="Dry run", description="end after the gate"),
        "shadow_nights": Param(
            default=0, type="integer", minimum=0, maximum=60, title="Nights beside the champion before it may take over"
        ),
        "reason": Param(default="", type="string", title="Reason", description="stands on the comparison page"),
    },
    default_args={"retries": 4, "retry_delay": timedelta(seconds=10), "retry_policy": RETRY_BY_CLASS},
    tags=["screening"],
    doc_md=__doc__,
)
def retrain_ensemble() -> None:  # noqa: C901, PLR0915  # one small function for each task
    @task
    def decide() -> dict[str, str]:
        from screening import tasks  # numpy and pyarrow load in the task, not when the DAG is parsed

        context = get_current_context()
        params, run = context["params"], context["dag_run"]
        raised = [asset.name for asset, events in context["triggering_asset_events"].items() if events]
        cause = tasks.cause_of_run(str(run.run_type.value), raised)
        decided = tasks.retraining_due(cause, params["fewest_strong_labels"], tasks.open_context())
        if not decided.is_due:
            raise AirflowSkipException(decided.line)
        said = f"{params['reason']}; {decided.line}" if params["reason"] else decided.line
        return {"run": f"retrain-{run.run_after:%Y%m%dT%H%M%S}", "reason": said}

    @task
    def snapshot(run: str, reason: str) -> list[int]:
        from screening import tasks

        params = get_current_context()["params"]
        members = tasks.begin_retraining(
            run, params["recipe"], params["members"], reason, params["dry_run"], tasks.open_context().settings
        )
        return list(range(members))

    @task
    def check(run: str) -> None:
        from screening import tasks

        tasks.retrain_step("check", run)

    @task
    def split(run: str) -> None:
        from screening import tasks

        tasks.retrain_step("split", run)

    @task(pool=POOL, max_active_tis_per_dag=1)  # a member uses all cores, or all GPUs, of the machine
    def fit(run: str, member: int) -> None:
        from screening import tasks

        tasks.retrain_step("fit", run, member=member)

    @task
    def assemble(run: str) -> None:
        from screening import tasks

        tasks.retrain_step("assemble", run)

    @task
    def evaluate(run: str) -> None:
        from screening import tasks

        tasks.retrain_step("evaluate", run)

    @task
    def gate(run: str) -> dict[str, Any]:
        from screening import tasks

        tasks.retrain_step("gate", run)
        said = tasks.gate_said(run, tasks.open_context().settings)
        is_dry_run = get_current_context()["params"]["dry_run"]
        if is_dry_run or not said["passed"]:
            raise AirflowSkipException(f"dry run: {said['reason']}" if is_dry_run else said["reason"])
        return said

    @task
    def take_over(said: dict[str, Any], reason: str) -> None:
        from screening import tasks

        context = get_current_context()
        person = context["ti"].xcom_pull(task_ids="approve")["responded_by_user"]["name"]
        nights, settings = context["params"]["shadow_nights"], tasks.open_context().settings
        tasks.take_over(said, by=person, why=reason, shadow_nights=nights, settings=settings)

    # Not `all_skipped`: a run whose training failed would end with a task that was skipped, and count as a success.
    @task(trigger_rule="none_failed")
    def record_refusal() -> str | None:
        from screening import tasks

        context = get_current_context()
        decided = context["ti"].xcom_pull(task_ids="decide")
        answer = context["ti"].xcom_pull(task_ids="approve") or {}
        person = (answer.get("responded_by_user") or {}).get("name")
        if not decided or answer.get("chosen_options") == [ApprovalOperator.APPROVE]:
            raise AirflowSkipException("nothing was refused")
        settings = tasks.open_context().settings
        return tasks.record_refusal(decided["run"], person, settings, is_dry_run=context["params"]["dry_run"])

    decided = decide()
    run, reason = decided["run"], decided["reason"]  # type: ignore[index]  # an XComArg is indexed by the key of a dict
    members = snapshot(run, reason)
    trained = fit.partial(run=run).expand(member=members)
    judged = gate(run)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Shall {{ ti.xcom_pull(task_ids='gate')['challenger'] }} become the champion?",
        body=(
            "{{ ti.xcom_pull(task_ids='gate')['reason'] }}\n\n"
            "[Comparison page](/review/comparisons/{{ ti.xcom_pull(task_ids='decide')['run'] }}), kept as "
            "{{ ti.xcom_pull(task_ids='gate')['page'] }}\n\n"
            "Nights beside the champion first: {{ params.shadow_nights }}"
        ),
        defaults=ApprovalOperator.REJECT,  # what silence means
        response_timeout=timedelta(days=7),
        assigned_users=[{"id": name, "name": name} for name in APPROVERS] or None,
        retries=0,
    )
    members >> check(run) >> split(run) >> trained >> assemble(run) >> evaluate(run) >> judged
    judged >> approve >> take_over(judged, reason) >> record_refusal()  # type: ignore[arg-type]  # as above


retrain_ensemble()
