"""The night's shadow answers the photos that the champion graded; whatever becomes of it, the night goes on.

It runs once the night is published, so that it delays no grade. Its answers are the table ``shadow_grades``; a photo that
it could not answer has a row that says why.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import SHADOW_GRADES
from screening.edges import paths
from screening.edges.release import Release
from screening.edges.release_history import (
    append_event,
    changing,
    current_shadow,
    read_champion,
    read_events,
    shadow_nights,
)
from screening.edges.tables import read_table, write_table
from screening.errors import MissingObjectError, PhotoError
from screening.stages.ensemble import average_members
from screening.stages.grade_cutoffs import release_grade_cutoffs
from screening.stages.grading import GradedPhoto, grade_photo
from screening.stages.shadow import shadow_rows
from screening.tasks.context import NightContext, Plan, answer_limits
from screening.tasks.infer import model_inputs
from screening.tasks.promotion import release_event
from screening.tasks.staged import read_staged

log = logging.getLogger(__name__)

TRIES = 2
"""A process that is killed cannot say so: a shadow that was begun so often without an end is not begun again."""

Row = dict[str, Any]


def shadow(run_id: str, context: NightContext) -> None:
    """Write and publish ``shadow_grades`` of a published night, if it has a shadow; may run again."""
    plan = context.plan(run_id)
    if plan.shadow is None:
        return
    with context.timed(run_id, "shadow", photos=plan.photos):
        tables = read_staged(run_id, context)
        grades = tables["grades"].to_pylist()
        fitzpatrick = {
            p["photo_id"]: p["fitzpatrick"] for p in tables["photos"].to_pylist() if p["outcome"] == "graded"
        }
        traced = {"release": plan.shadow, "code_revision": plan.code_revision}
        answers: dict[str, GradedPhoto | str]
        try:
            _count_try(run_id, context)
            release = context.release(plan.shadow)
            answers = _ask(run_id, grades, fitzpatrick, release, context)
            cutoffs = release_grade_cutoffs(release.cutoffs, release.name)
            traced |= {"weights_sha256": release.weights_sha256, "cutoffs_version": cutoffs.version}
        except Exception as error:  # a challenger's fault, whatever it is, must not reach the night
            log.exception("shadow run=%s release=%s failed", run_id, plan.shadow)
            answers = dict.fromkeys((g["photo_id"] for g in grades), f"the shadow failed: {error}")
        rows = shadow_rows(grades, answers, traced)
        _write(run_id, rows, plan, context)
        answered = sum(row["problem"] is None for row in SHADOW_GRADES.table(rows).select(["problem"]).to_pylist())
        different = sum(row["is_different"] for row in rows)
        try:
            _count_night(plan.night, plan.shadow, f"{answered} of {len(rows)} photos answered, {different} other grades",
                         answered > 0, context)  # fmt: skip
        except Exception:  # as above; the night is then not counted, and the shadow stays for one more
            log.exception("shadow run=%s release=%s: the night could not be counted", run_id, plan.shadow)
        context.results.delete(paths.shadow_tries(run_id))
    log.info(
        "shadow run=%s release=%s given=%d answered=%d different=%d",
        run_id, plan.shadow, len(rows), answered, different,
    )  # fmt: skip


def read_shadow_grades(run_id: str, context: NightContext) -> pa.Table | None:
    """What the shadow of a run answered; None where it has none. Empty where it left nothing."""
    if context.plan(run_id).shadow is None:
        return None
    with suppress(MissingObjectError):
        return read_table(context.results, paths.staged_table(run_id, SHADOW_GRADES.name), SHADOW_GRADES)
    return SHADOW_GRADES.table([])


def shadow_differences(run_id: str, context: NightContext) -> frozenset[str]:
    """The photos of a run that its shadow would grade otherwise, for the review queue."""
    table = read_shadow_grades(run_id, context)
    return frozenset() if table is None else frozenset(table.filter(table["is_different"])["photo_id"].to_pylist())


def _ask(
    run_id: str,
    grades: list[Row],
    fitzpatrick: Mapping[str, int | None],
    release: Release,
    context: NightContext,
) -> dict[str, GradedPhoto | str]:
    """The shadow's grades, by its own cut-offs and with its own limits; a site's own cut-offs are the champion's."""
    classes, limits = context.classes(release), answer_limits(release)
    cutoffs = release_grade_cutoffs(release.cutoffs, release.name)
    answers: dict[str, GradedPhoto | str] = {}

    def leave_out(photo_id: str, error: PhotoError) -> None:
        answers[photo_id] = str(error)

    with (
        ThreadPoolExecutor(context.settings.prepare_threads, thread_name_prefix="fetch") as pool,
        context.model_server(release) as server,
    ):
        photo_ids = [grade["photo_id"] for grade in grades]
        for answer in server.infer(model_inputs(run_id, photo_ids, release, context, pool, leave_out)):
            if answer.probabilities is None:
                answers[answer.photo_id] = answer.error or "no answer"
                continue
            members = np.asarray(answer.probabilities, dtype=np.float64)
            members = members / members.sum(axis=1, keepdims=True)
            answers[answer.photo_id] = grade_photo(
                average_members(members[:, None, :])[0],
                members,
                classes,
                cutoffs,
                limits=limits,
                outlier_distance=None if answer.distances is None else float(answer.distances.mean()),
                fitzpatrick=fitzpatrick[answer.photo_id],
            )
    return answers


def _count_try(run_id: str, context: NightContext) -> None:
    key, begun = paths.shadow_tries(run_id), 0
    with suppress(MissingObjectError):
        begun = int(json.loads(context.results.get(key)))
    if begun >= TRIES:
        raise RuntimeError(f"it was begun {begun} times and its process was killed each time")
    context.results.put(key, json.dumps(begun + 1).encode())


def _write(run_id: str, rows: list[Row], plan: Plan, context: NightContext) -> None:
    table = SHADOW_GRADES.table(rows)
    write_table(context.results, paths.staged_table(run_id, SHADOW_GRADES.name), table, SHADOW_GRADES)
    for programme in sorted(set(table["programme"].to_pylist())):
        of_programme = table.filter(pc.equal(table["programme"], programme))
        write_table(
            context.results, paths.published(SHADOW_GRADES.name, programme, plan.night), of_programme, SHADOW_GRADES
        )


def _count_night(night: date, release: str, said: str, has_answers: bool, context: NightContext) -> None:
    """Record a night in which the shadow answered, once; after the last of its nights the shadow ends."""
    repository = context.settings.model_repository
    if not has_answers:
        return
    with changing(repository):
        events = read_events(repository)
        running, champion = current_shadow(events), read_champion(repository)
        if running is None or running.release != release:  # it was ended, and the night finished with it all the same
            return
        counted = shadow_nights(events, running)
        if night in counted:
            return
        append_event(
            repository, release_event("shadow_night", release, champion, by="nightly_screening", why=said, night=night)
        )
        wanted = running.nights or 1
        if len(counted) + 1 >= wanted:
            why = f"it answered beside the champion in {len(counted) + 1} of {wanted} nights"
            append_event(repository, release_event("shadow_ended", release, champion, by="nightly_screening", why=why))
