"""The pages and files that people open in the morning."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import Any

import pyarrow as pa

from screening.edges import paths
from screening.edges.release import Release, load_release
from screening.errors import MissingError, MissingObjectError
from screening.reports.nightly import nightly_report
from screening.reports.programme_results import programme_results
from screening.reports.shadow import shadow_night
from screening.stages.accounting import Accounting, count
from screening.tasks.context import NightContext
from screening.tasks.review_queue import publish_review_queue
from screening.tasks.shadow import read_shadow_grades, shadow_differences
from screening.tasks.staged import earlier_grades, read_staged

log = logging.getLogger(__name__)

REPORT_NAME = "report.html"


def report(run_id: str, context: NightContext) -> Accounting:
    """Write the nightly report, each programme's results.csv and its review queue; returns the night's accounting."""
    plan = context.plan(run_id)
    release = context.release(plan.release)
    tables = read_staged(run_id, context)
    accounting = count(tables["photos"], tables["grades"])
    earlier = earlier_grades(tables["photos"].to_pylist(), context)
    classes = context.classes(release)
    disease_names = _disease_names(release, earlier, context)
    with context.timed(run_id, "report", photos=plan.photos):
        page = nightly_report(
            plan.night,
            tables,
            accounting,
            audit=json.loads(context.results.get(paths.audit_result(run_id))),
            release=release,
            classes=classes,
            cutoffs=plan.grade_cutoffs,
            quality_cutoffs=plan.quality_cutoffs,
            code_revision=plan.code_revision,
            timings=read_timings(run_id, context),
            shadow=shadow_night(plan.shadow, read_shadow_grades(run_id, context)),
            missed=_missed_lesions(context),
            earlier_code_revision=plan.earlier_code_revision,
        )
        context.results.put(paths.report(plan.night, REPORT_NAME), page.encode())
        for programme in sorted(set(tables["photos"]["programme"].to_pylist())):
            results = programme_results(
                programme, tables, plan.night, disease_names=disease_names, earlier_grades=earlier
            )
            context.results.put(paths.programme_report(plan.night, programme, "results.csv"), results)
        publish_review_queue(plan, tables, context, shadow_differences=shadow_differences(run_id, context))
    log.info("report run=%s at=%s", run_id, context.results.url(paths.report(plan.night, REPORT_NAME)))
    return accounting


def _missed_lesions(context: NightContext) -> dict[str, Any] | None:
    """As the last intake of decisions estimated them; None before the first."""
    try:
        estimates: dict[str, Any] = json.loads(context.results.get(paths.MISSED_LESIONS))
    except MissingObjectError:
        return None
    return estimates


def _disease_names(release: Release, earlier: pa.Table, context: NightContext) -> dict[str, str]:
    """Names of the diseases that the night's rows hold, and those that it borrows: a later tree may have dropped some."""
    names: dict[str, str] = {}
    for other in sorted(set(earlier["release"].to_pylist()) - {release.name}):
        with suppress(MissingError):  # a release that was cleared away: its diseases go by their ids
            names |= {
                d.id: d.name for d in context.classes(load_release(context.settings.model_repository, other)).classes
            }
    return names | {d.id: d.name for d in context.classes(release).classes}


def read_timings(run_id: str, context: NightContext) -> list[dict[str, object]]:
    """How long each task of the run took, in the order in which they started."""
    lines = [
        json.loads(context.results.get(found.key))
        for page in context.results.pages(paths.timings_prefix(run_id))
        for found in page
    ]
    return sorted(lines, key=lambda line: str(line["started_at_utc"]))
