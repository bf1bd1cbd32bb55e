"""All tasks of a night in order, without a scheduler: what `screening screen` and `screening night` run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial

from screening.errors import ScreeningError
from screening.stages.accounting import Accounting
from screening.stages.audit import load_great_expectations
from screening.tasks.audit import audit
from screening.tasks.context import NightContext
from screening.tasks.grade import grade
from screening.tasks.infer import infer
from screening.tasks.monitor import monitor
from screening.tasks.open_night import open_night
from screening.tasks.parallel import map_windowed
from screening.tasks.prepare import prepare
from screening.tasks.processes import cores, forked, run_with_context
from screening.tasks.publish import publish
from screening.tasks.report import report
from screening.tasks.shadow import shadow
from screening.tasks.unload_releases import unload_releases

log = logging.getLogger(__name__)


def run_night(
    night: date,
    context: NightContext,
    *,
    release: str | None = None,
    on_progress: Callable[[str, int, int], None] = lambda _task, _done, _total: None,
) -> tuple[str, Accounting]:
    """Run a night; returns its run id and accounting.

    Args:
        night: its date.
        context: settings and stores.
        release: to grade with; None: as ``open_night``.
        on_progress: called with the task's name, photos done and photos in all.
    """
    with forked(1, context) as auditor, forked(cores(), context) as preparers:
        # The audit's imports take seconds, in which the photos would wait.
        auditor.submit(load_great_expectations)
        on_progress("open_night", 0, 0)
        plan = open_night(night, context, release)
        done = 0
        # Batch 7 is inferred while batch 8 is prepared, as in the DAG: one lane for each.
        with ThreadPoolExecutor(1, thread_name_prefix="infer") as lane:
            inferred = []
            prepare_batch = partial(run_with_context, prepare, plan.run_id)
            for number in map_windowed(preparers, prepare_batch, range(len(plan.batch_sizes)), 2 * cores()):
                inferred.append(lane.submit(infer, plan.run_id, number, context))
                done += plan.batch_sizes[number]
                on_progress("prepare and infer", done, plan.photos)
            for future in inferred:
                future.result()
        on_progress("grade", plan.photos, plan.photos)
        grade(plan.run_id, context)
        on_progress("audit", plan.photos, plan.photos)
        auditor.submit(run_with_context, audit, plan.run_id).result()
    on_progress("publish", plan.photos, plan.photos)
    publish(plan.run_id, context)
    shadow(plan.run_id, context)
    on_progress("report", plan.photos, plan.photos)
    accounting = report(plan.run_id, context)
    on_progress("monitor", plan.photos, plan.photos)
    monitor_if_possible(plan.run_id, context)
    unload_releases(plan.run_id, context)
    return plan.run_id, accounting


def monitor_if_possible(run_id: str, context: NightContext) -> None:
    """Monitor a night that is out already: what fails here takes nothing of it back, and is said in the log."""
    try:
        monitor(run_id, context)
    except ScreeningError as error:
        log.error("monitor run=%s failed, the night is published all the same: %s", run_id, error)
