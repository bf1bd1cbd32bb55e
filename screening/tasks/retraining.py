"""The tasks of a retraining: is it due, one step after the other in the training's environment, and what the gate said."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from screening.contracts import CORPUS
from screening.edges import paths
from screening.edges.store import Store
from screening.edges.tables import read_table
from screening.errors import ContractError, MissingObjectError
from screening.settings import Settings, load_settings
from screening.stages.retraining_reason import Decided, decide_retraining, strong_labels
from screening.tasks.context import NightContext
from screening.tasks.training_process import run_training

log = logging.getLogger(__name__)

GATE_FILE = "gate.json"
DRIFT_ASSET = "screening_drift"


def retraining_due(cause: str, fewest_labels: int, context: NightContext) -> Decided:
    """Weigh what started the run against the strong labels that came since the last snapshot.

    Args:
        cause: ``hand``, ``drift``, ``schedule`` or ``labels``.
        fewest_labels: from which on new labels alone are reason enough.
        context: whose results store holds corpus and snapshots.
    """
    decided = decide_retraining(cause, _new_strong_labels(context.results), fewest_labels)
    log.info("retraining due=%s cause=%s: %s", decided.is_due, cause, decided.line)
    return decided


def cause_of_run(run_type: str, assets: Collection[str]) -> str:
    """What started an Airflow run, in a word of ``retraining_due``; ``assets``: those whose events it answers."""
    if assets:
        return "drift" if DRIFT_ASSET in assets else "labels"
    return "schedule" if run_type == "scheduled" else "hand"


def begin_retraining(  # what the trigger form asks
    run_id: str, recipe: str, members: list[str], reason: str, is_dry_run: bool, settings: Settings
) -> int:
    """Freeze the corpus and begin the run's folder; returns the number of members."""
    options = [word for member in members for word in ("--member", member)]
    options += ["--dry-run"] if is_dry_run else []
    run_training(["retrain", "snapshot", run_id, "--recipe", recipe, "--reason", reason, *options], settings)
    order = json.loads((run_folder(run_id, settings) / "order.json").read_text())
    return len(order["recipe"]["members"])


def retrain_step(step: str, run_id: str, settings: Settings | None = None, *, member: int | None = None) -> None:
    """Run one of the steps ``check``, ``split``, ``fit``, ``assemble``, ``evaluate`` and ``gate``."""
    options = [] if member is None else ["--member", str(member)]
    run_training(["retrain", step, run_id, *options], settings or load_settings())


def gate_said(run_id: str, settings: Settings) -> dict[str, Any]:
    """What the gate wrote: ``passed``, ``reason``, ``challenger``, ``champion``, ``release_folder``, and where it stands.

    ``evidence`` is the gate's own file, ``page`` the key of the comparison page in the results store.

    Raises:
        ContractError: its file is not there, or is of another kind.
    """
    file = run_folder(run_id, settings) / GATE_FILE
    try:
        said = json.loads(file.read_text())
        names = ("passed", "reason", "challenger", "champion", "release_folder")
        told = {name: said[name] for name in names}
    except (OSError, ValueError, KeyError) as error:
        raise ContractError(f"{file} is no word of the gate: {error}") from error
    return told | {"evidence": str(file), "page": paths.training(run_id, paths.COMPARISON_PAGE)}


def run_folder(run_id: str, settings: Settings) -> Path:
    """Where the steps of a run leave their results."""
    return Path(settings.training_folder) / run_id


def _new_strong_labels(store: Store) -> int:
    """Strong labels of the corpus that no snapshot of the newest day has."""
    try:
        now = strong_labels(read_table(store, paths.CORPUS_TABLE, CORPUS))
    except MissingObjectError:
        return 0
    keys = [o.key for page in store.pages(paths.CORPUS_SNAPSHOTS_PREFIX) for o in page]
    day = max((_day_of(key) for key in keys), default="")
    known: set[tuple[str, str]] = set()
    for key in keys:
        if _day_of(key) == day:
            known |= strong_labels(read_table(store, key, CORPUS))
    return len(now - known)


def _day_of(key: str) -> str:
    return key.removeprefix(paths.CORPUS_SNAPSHOTS_PREFIX)[:10]
