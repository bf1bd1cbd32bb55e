"""The tables that `grade` leaves for audit, publish and report, and what they borrow from earlier nights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import (
    MANIFEST_ISSUES,
    PHOTOS,
    PREDICTIONS,
    QUALITY,
    REFERRALS,
    Contract,
    grades_contract,
    grades_contract_of,
)
from screening.edges import paths
from screening.edges.tables import read_table
from screening.tasks.context import NightContext
from screening.taxonomy import TrainingClasses

EARLIER_GRADES = ("photo_id", "p_high_risk", "p_dangerous", "grade", "disease", "release")
"""What a night borrows of the grades of earlier ones, whose release may have had other classes."""


def published_contracts(classes: TrainingClasses) -> dict[str, Contract]:
    """The tables that a night publishes, by name; ``classes`` are those of its release."""
    grades = grades_contract(classes.class_ids)
    return {c.name: c for c in (PHOTOS, QUALITY, PREDICTIONS, grades, REFERRALS, MANIFEST_ISSUES)}


def read_staged(run_id: str, context: NightContext) -> dict[str, pa.Table]:
    """All tables of a graded run, checked."""
    classes = context.classes(context.release(context.plan(run_id).release))
    return {
        name: read_table(context.results, paths.staged_table(run_id, name), c)
        for name, c in published_contracts(classes).items()
    }


def earlier_grades(photos: Iterable[Mapping[str, object]], context: NightContext) -> pa.Table:
    """``EARLIER_GRADES`` of the earlier photos whose bytes some of these photos repeat."""
    borrowed = [photo for photo in photos if photo["duplicate_of_night"]]
    places = {
        (upload.programme, night)
        for photo in borrowed
        if (upload := paths.parse_upload_key(str(photo["duplicate_of"])))
        and isinstance(night := photo["duplicate_of_night"], date)
    }
    wanted = pa.array({str(photo["photo_id"]) for photo in borrowed}, pa.string())
    found = [grades_contract(()).schema.empty_table().select(EARLIER_GRADES)]
    for programme, night in sorted(places):
        table = read_table(context.results, paths.published("grades", programme, night), grades_contract_of)
        found.append(table.filter(pc.is_in(table["photo_id"], wanted)).select(EARLIER_GRADES))
    return pa.concat_tables(found)
