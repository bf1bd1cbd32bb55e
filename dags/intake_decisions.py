"""### Intake of decisions

Takes in what clinicians decided, works out which photos are settled, and makes the corpus of those that may be learnt from.

Every quarter of an hour `anything_new` looks for files in the inbox, decisions and withdrawals that came since the last
intake; without any, and when the day's first intake is done, nothing else runs. `apply_withdrawals` comes first, so that
nothing that fails later keeps a withdrawn person's photos. `read_inbox` takes in CSV and Label Studio files line by line,
`adjudicate` publishes `decisions` and `vetted_photos`, `build_corpus` writes the corpus, `announce` tells the asset
`screening_corpus` of a corpus that changed (`photos`, `strong_labels`), and `report` writes what stands where.

**May run twice.** Everything follows from objects that are written once; no decision counts twice.

**By hand:** trigger it, with `everything` also where nothing is new.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, CronTriggerTimetable, Metadata, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from retries import RETRY_BY_CLASS

CORPUS = Asset("screening_corpus")


@dag(
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    params={"everything": Param(default=False, type="boolean", title="Also where nothing is new")},
    default_args={"retries": 4, "retry_delay": timedelta(seconds=10), "retry_policy": RETRY_BY_CLASS},
    tags=["screening"],
    doc_md=__doc__,
)
def intake_decisions() -> None:
    @task.short_circuit
    def anything_new() -> bool:
        from screening import tasks  # numpy and pyarrow load in the task, not when the DAG is parsed

        return get_current_context()["params"]["everything"] or tasks.anything_new(tasks.open_context())

    @task
    def apply_withdrawals() -> None:
        from screening import tasks

        tasks.apply_withdrawals(tasks.open_context())

    @task
    def read_inbox() -> None:
        from screening import tasks

        tasks.read_inbox(tasks.open_context())

    @task
    def adjudicate() -> None:
        from screening import tasks

        tasks.adjudicate(tasks.open_context())

    @task
    def build_corpus() -> None:
        from screening import tasks

        tasks.build_corpus(tasks.open_context())

    @task(outlets=[CORPUS])
    def announce() -> Any:
        from screening import tasks

        news = tasks.corpus_news(tasks.open_context())
        if news is None:
            raise AirflowSkipException("the corpus is as it was")
        yield Metadata(CORPUS, extra={**news})

    # What was announced is remembered after it was: a killed task announces twice rather than never.
    @task(trigger_rule="none_failed")
    def report() -> None:
        from screening import tasks

        tasks.report_intake(tasks.open_context())

    anything_new() >> apply_withdrawals() >> read_inbox() >> adjudicate() >> build_corpus() >> announce() >> report()


intake_decisions()
