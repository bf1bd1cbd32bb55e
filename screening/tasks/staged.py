"""The tables that `grade` leaves for audit, publish and report."""

from __future__ import annotations

import pyarrow as pa

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
    return {name: read_table(context.results, paths.staged_table(run_id, name), c) for name, c in published_contracts().items()}
