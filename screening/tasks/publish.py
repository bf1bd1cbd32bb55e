"""One PUT per table, programme and night: a reader sees the old night or the new one, never half a table."""

from __future__ import annotations

import json
import logging

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import LEDGER
from screening.edges import paths
from screening.edges.tables import read_table, write_table
from screening.errors import AuditError, MissingObjectError
from screening.tasks.context import NightContext
from screening.tasks.staged import published_contracts, read_staged

log = logging.getLogger(__name__)


def publish(run_id: str, context: NightContext) -> None:
    """Publish an audited run; may run again, and writes the same objects again.

    Raises:
        AuditError: the run was not audited, or failed its audit.
    """
    plan = context.plan(run_id)
    try:
        audited = json.loads(context.results.get(paths.audit_result(run_id)))["success"]
    except MissingObjectError:
        audited = False
    if not audited:
        raise AuditError(f"run {run_id} has not passed its audit; nothing was published")
    with context.timed(run_id, "publish", photos=plan.photos):
        tables = read_staged(run_id, context)
        contracts = published_contracts(context.classes(context.release(plan.release)))
        programmes = sorted(
            set(tables["photos"]["programme"].to_pylist()) | set(tables["manifest_issues"]["programme"].to_pylist())
        )
        for name, contract in contracts.items():
            for programme in programmes:
                rows = tables[name].filter(pc.equal(tables[name]["programme"], programme))
                write_table(context.results, paths.published(name, programme, plan.night), rows, contract)
        _complete_ledger(context, paths.ledger(plan.night), tables["photos"])
    log.info("publish run=%s night=%s programmes=%d photos=%d", run_id, plan.night, len(programmes), plan.photos)


def _complete_ledger(context: NightContext, key: str, photos: pa.Table) -> None:
    """Write the photo ids and outcomes into the night's ledger: later nights recognise the bytes by them."""
    ledger = read_table(context.results, key, LEDGER)
    known = {(p["key"], p["etag"]): p for p in photos.select(["key", "etag", "photo_id", "outcome"]).to_pylist()}
    claimed = list(zip(ledger["key"].to_pylist(), ledger["etag"].to_pylist(), strict=True))
    for name in ("photo_id", "outcome"):
        values = pa.array([known[upload][name] for upload in claimed], pa.string())
        ledger = ledger.set_column(ledger.column_names.index(name), LEDGER.schema.field(name), values)
    write_table(context.results, key, ledger, LEDGER)
