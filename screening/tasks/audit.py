"""Hold the staged tables against every promise; a night that breaks one goes no further."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path

from screening.contracts import LEDGER
from screening.edges import paths
from screening.edges.tables import read_table
from screening.errors import AuditError
from screening.stages.audit import audit_tables
from screening.tasks.context import NightContext
from screening.tasks.staged import read_staged

log = logging.getLogger(__name__)


def audit(run_id: str, context: NightContext) -> None:
    """Audit a graded run and keep the result and the Data Docs beside it.

    Raises:
        AuditError: with everything that failed; nothing is published.
    """
    plan = context.plan(run_id)
    release = context.release(plan.release)
    with context.timed(run_id, "audit", photos=plan.photos), tempfile.TemporaryDirectory() as folder:
        docs = Path(folder)
        result = audit_tables(
            read_staged(run_id, context),
            ledger=read_table(context.results, paths.ledger(plan.night), LEDGER),
            night=plan.night,
            members=[member.name for member in release.members],
            classes=context.classes(release),
            docs_folder=docs,
        )
        context.results.put(paths.audit_result(run_id), json.dumps(asdict(result), indent=1).encode())
        for file in sorted(path for path in docs.rglob("*") if path.is_file()):
            context.results.put_file(paths.report(plan.night, "data-docs/" + file.relative_to(docs).as_posix()), file)
    log.info(
        "audit run=%s success=%s faults=%d warnings=%d",
        run_id,
        result.success,
        len(result.faults),
        len(result.warnings),
    )
    if not result.success:
        raise AuditError(
            f"night {plan.night}: {len(result.faults)} faults, nothing was published: " + "; ".join(result.faults)
        )
