"""The tables that `grade` leaves for audit, publish and report, and what they borrow from earlier nights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import MANIFEST_ISSUES, PHOTOS, PREDICTIONS, QUALITY, REFERRALS, Contract, grades_contract
from screening.edges import paths
from screening.edges.tables import read_table
from screening.tasks.context import NightContext
from screening.taxonomy import load_taxonomy


def published_contracts() -> dict[str, Contract]:
    """The tables that a night publishes, by name."""
    grades = grades_contract(load_taxonomy().class_ids)
    return {c.name: c for c in (PHOTOS, QUALITY, PREDICTIONS, grades, REFERRALS, MANIFEST_ISSUES)}


def read_staged(run_id: str, context: NightContext) -> dict[str, pa.Table]:
    """All tables of a graded run, checked."""
    return {
        name: read_table(context.results, paths.staged_table(run_id, name), c)
        for name, c in published_contracts().items()
    }


def earlier_grades(photos: Iterable[Mapping[str, object]], context: NightContext) -> pa.Table:
    """Published rows of ``grades`` of the earlier photos whose bytes some of these photos repeat."""
    borrowed = [photo for photo in photos if photo["duplicate_of_night"]]
    places = {
        (upload.programme, night)
        for photo in borrowed
        if (upload := paths.parse_upload_key(str(photo["duplicate_of"])))
        and isinstance(night := photo["duplicate_of_night"], date)
    }
    contract = grades_contract(load_taxonomy().class_ids)
    wanted = pa.array({str(photo["photo_id"]) for photo in borrowed}, pa.string())
    found = [contract.table([])]
    for programme, night in sorted(places):
        table = read_table(context.results, paths.published("grades", programme, night), contract)
        found.append(table.filter(pc.is_in(table["photo_id"], wanted)))
    return pa.concat_tables(found)
