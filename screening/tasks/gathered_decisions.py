"""All decisions in one table, so that objects that never change are read once."""

from __future__ import annotations

from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import RECORDED_DECISIONS
from screening.edges import paths
from screening.edges.decision_log import decision_objects, first_recorded, read_decisions
from screening.edges.tables import read_table, write_table
from screening.errors import ContractError, MissingObjectError
from screening.tasks.context import NightContext


def all_decisions(context: NightContext) -> tuple[pa.Table, dict[str, str]]:
    """What was gathered, and what was recorded since.

    Returns:
        Every decision as ``RECORDED_DECISIONS``, sorted by id; and by key what is wrong with objects that cannot be read.
    """
    keys = {found.key for found in decision_objects(context.results)}
    known = RECORDED_DECISIONS.schema.empty_table()
    with suppress(MissingObjectError, ContractError):  # what is broken is made again of the objects
        known = read_table(context.results, paths.ALL_DECISIONS, RECORDED_DECISIONS)
    known = known.filter(pc.is_in(known["recorded_in"], pa.array(sorted(keys), pa.string())))
    # An object of nothing but copies stands in no row, and is read each time: there are hardly any.
    new = sorted(keys.difference(pc.unique(known["recorded_in"]).to_pylist()))
    read, unreadable = read_decisions(context.results, new, context.settings.s3_connections)
    if read:
        ids = pa.array([row["decision_id"] for row in read], pa.string())
        is_met_again = pc.is_in(known["decision_id"], ids)
        read = first_recorded([*read, *known.filter(is_met_again).to_pylist()])
        known = known.filter(pc.invert(is_met_again))
    every = pa.concat_tables([known, RECORDED_DECISIONS.table(read)]).sort_by("decision_id")
    return every, unreadable


def gather_decisions(context: NightContext) -> tuple[pa.Table, dict[str, str]]:
    """As ``all_decisions``; and keep them, so that their objects are not read again."""
    every, unreadable = all_decisions(context)
    write_table(context.results, paths.ALL_DECISIONS, every, RECORDED_DECISIONS)
    return every, unreadable


def gathered_decisions(context: NightContext) -> pa.Table:
    """What was gathered, as ``RECORDED_DECISIONS``.

    Raises:
        MissingObjectError: nothing was gathered yet.
    """
    return read_table(context.results, paths.ALL_DECISIONS, RECORDED_DECISIONS)
