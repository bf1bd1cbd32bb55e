"""Publish which photos of a night clinicians should look at; part of `report`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import REVIEW_QUEUE
from screening.edges import paths
from screening.edges.tables import write_table
from screening.edges.withdrawals import withdrawn_people
from screening.stages.review_queue import QueuedNight, queue_rows
from screening.tasks.context import NightContext, Plan
from screening.tasks.review_rules import load_review_rules

log = logging.getLogger(__name__)


def publish_review_queue(
    plan: Plan,
    tables: Mapping[str, pa.Table],
    context: NightContext,
    *,
    shadow_differences: AbstractSet[str] = frozenset(),
) -> int:
    """Write each programme's queue of a graded night, also an empty one; returns how many photos are in them.

    People who withdrew are left out. ``shadow_differences``: photo_ids to which a challenger gave another grade.
    """
    rules = load_review_rules(context.settings)
    key = context.settings.pseudonym_key
    night = QueuedNight(plan.night, plan.run_id, plan.grade_cutoffs, key.get_secret_value().encode() if key else b"")
    withdrawn = withdrawn_people(context.results)
    queued = 0
    for programme in sorted(set(tables["photos"]["programme"].to_pylist())):
        photos, grades = (
            tables[name].filter(pc.equal(tables[name]["programme"], programme)).to_pylist()
            for name in ("photos", "grades")
        )
        gone = withdrawn.get(programme, set())
        taken_back = {photo["photo_id"] for photo in photos if photo["patient"] in gone}
        taken_back |= {name.removeprefix("photo:") for name in gone}
        rows = queue_rows(grades, photos, rules.of(programme), night, shadow_differences=shadow_differences)
        kept = [row for row in rows if row["photo_id"] not in taken_back]
        place = paths.published(REVIEW_QUEUE.name, programme, plan.night)
        write_table(context.results, place, REVIEW_QUEUE.table(kept), REVIEW_QUEUE)
        queued += len(kept)
    log.info("review_queue run=%s graded=%d queued=%d", plan.run_id, tables["grades"].num_rows, queued)
    return queued
