"""What becomes of a challenger: it takes over, runs beside the champion first, or is refused; each leaves its line."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from screening.settings import Settings
from screening.tasks.install_release import install_release
from screening.tasks.promotion import promote, reject
from screening.tasks.retraining import GATE_FILE, gate_said, run_folder
from screening.tasks.shadow_release import start_shadow

log = logging.getLogger(__name__)

NOBODY = "nobody answered in time"


def take_over(said: Mapping[str, Any], *, by: str, why: str, shadow_nights: int, settings: Settings) -> None:
    """Install an approved challenger, and make it the champion or let it run beside the champion for some nights.

    Args:
        said: as ``gate_said``.
        by: who approved.
        why: why it was trained.
        shadow_nights: 0 makes it the champion at once.
        settings: name the model repository and the server.
    """
    name = install_release(Path(said["release_folder"]), settings, by=by, why=why)
    if shadow_nights:
        start_shadow(name, shadow_nights, by=by, why=why, evidence=said["evidence"], settings=settings)
    else:
        promote(name, by=by, why=why, evidence=said["evidence"], settings=settings)


def record_refusal(run_id: str, answered_by: str | None, settings: Settings, *, is_dry_run: bool) -> str | None:
    """Put into the history of releases that a challenger was refused; None where there is none, or nobody was asked.

    Args:
        run_id: of the retraining, which may have ended before there was a challenger.
        answered_by: the person who rejected it; None: the gate did, or nobody answered.
        settings: name the model repository.
        is_dry_run: then only the gate can have refused it.
    """
    if not (run_folder(run_id, settings) / GATE_FILE).is_file():
        return None
    said = gate_said(run_id, settings)
    if said["passed"] and is_dry_run:
        return None
    by, why = ("gate", said["reason"]) if not said["passed"] else (answered_by or NOBODY, "not approved")
    reject(said["challenger"], by=by, why=why, evidence=said["evidence"], settings=settings)
    log.info("retraining refused release=%s by=%s: %s", said["challenger"], by, why)
    return f"{said['challenger']} was refused by {by}: {why}"
