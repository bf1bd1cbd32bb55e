"""A release takes over, or an earlier one comes back: the champion's name changes at once, and the history says why.

A release takes over only after the model server has loaded it beside the one in use and answered its golden photos as
torch did. A rollback is the emergency brake, so it waits for nobody: the name changes first, then the server is asked.
Nights that are open keep the release of their plan; docs/decisions/0021.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from screening.edges.release import Release, load_release
from screening.edges.release_history import (
    ReleaseEvent,
    append_event,
    changing,
    current_shadow,
    previous_champion,
    read_champion,
    read_events,
    switch_champion,
)
from screening.errors import ContractError, MissingError, ScreeningError
from screening.reports.change_record import change_record
from screening.settings import Settings
from screening.tasks.check_release import check_release
from screening.tasks.context import code_revision, connect_model_server, grade_cutoffs, servable_release

log = logging.getLogger(__name__)

CHANGE_RECORD = "change-record.md"
ROLLBACK_LOAD_S, ROLLBACK_REQUEST_S = 5.0, 2.0
"""Deadlines of a rollback, to load the release and of each request: the server is asked after the name has changed, and
nobody should wait longer than ten seconds."""


@dataclass(frozen=True)
class Rollback:
    """What came of one; ``problem`` says why nights may fail with the release, None when the server confirmed it."""

    event: ReleaseEvent
    switched_s: float
    total_s: float
    problem: str | None


def promote(name: str, *, by: str, why: str, evidence: str | None = None, settings: Settings) -> ReleaseEvent:
    """Make a release the champion; on any failure the old one stays. Asked for the same once more, it changes nothing.

    Args:
        name: of a release in the model repository, as r0002.
        by: the person who decides.
        why: in words.
        evidence: place of the comparison; where that is a JSON file, its content goes into the change record.
        settings: name the repository and the server.

    Raises:
        ContractError: it is the champion already, another became champion meanwhile, the evidence says that it failed or
            compares with another champion, its weights are others, the site's own cut-offs are another release's, or the
            server answers otherwise than torch.
        MissingError: the release or a part of it does not exist, or the server cannot load it.
        ModelServerUnavailableError: the server does not answer.
    """
    repository = settings.model_repository
    before = read_champion(repository)
    try:
        if before == name:
            with changing(repository):  # a task that was killed after the switch is run again, and ends what it began
                if done := _last_like(settings, "promoted", name, by=by, why=why, evidence=evidence):
                    _end_shadow_of(name, by, repository)
                    return done
            raise ContractError("it is the champion already")
        compared = _read_evidence(evidence, name, before)
        release = servable_release(settings, name)
        grade_cutoffs(settings, release)
        load_and_check(settings, release)
        with changing(repository):
            now = read_champion(repository)
            if now != before:
                raise ContractError(f"{now} became champion meanwhile; compare it with that one first")
            event = release_event(
                "promoted", name, before, by=by, why=why, evidence=evidence, weights_sha256=release.weights_sha256
            )
            record = change_record(event, release, _release_or_none(repository, before), compared)
            event = switch_champion(repository, event, {CHANGE_RECORD: record})
            _end_shadow_of(name, by, repository)
    except ScreeningError as error:
        raise type(error)(f"{name} was not promoted, {before or 'nothing'} stays in use: {error}") from error
    log.info("promote release=%s before=%s event=%d", name, before, event.event_id)
    return event


def rollback(*, by: str, why: str, settings: Settings) -> Rollback:
    """Bring the champion before back.

    The name changes at once. Then the server loads the release if it has dropped it, and is asked for the golden photos; if
    it does not confirm, the rollback stands and says so: whoever asks for one has reason to distrust the release in use.

    Raises:
        MissingError: there is none to go back to, or it is not there any more.
        ContractError: this code cannot serve it.
    """
    started = time.monotonic()
    repository = settings.model_repository
    with changing(repository):
        now, before = read_champion(repository), previous_champion(repository)
        if before is None:
            raise MissingError(f"{now or 'no release'} is the first champion; there is none to go back to")
        release = servable_release(settings, before)
        event = release_event("rolled_back", before, now, by=by, why=why, weights_sha256=release.weights_sha256)
        record = change_record(event, release, _release_or_none(repository, now), None)
        event = switch_champion(repository, event, {CHANGE_RECORD: record})
    switched_s = time.monotonic() - started
    problem = None
    hasty = {"triton_attempts": 1, "triton_timeout_s": min(settings.triton_timeout_s, ROLLBACK_REQUEST_S)}
    try:
        load_and_check(settings.model_copy(update=hasty), release, load_within_s=ROLLBACK_LOAD_S)
        grade_cutoffs(settings, release)
    except ScreeningError as error:
        problem = str(error)
        log.warning("rollback release=%s is not confirmed: %s", before, problem)
    log.info("rollback release=%s before=%s event=%d", before, now, event.event_id)
    return Rollback(event, switched_s, time.monotonic() - started, problem)


def reject(
    name: str,
    *,
    by: str,
    why: str,
    evidence: str | None = None,
    weights_sha256: str | None = None,
    settings: Settings,
) -> ReleaseEvent:
    """Record that a challenger was refused: by the gate, by a person or by silence; it need not have been installed.

    Asked for the same once more, it records nothing.
    """
    with changing(settings.model_repository):
        if done := _last_like(settings, "rejected", name, by=by, why=why, evidence=evidence):
            return done
        champion = read_champion(settings.model_repository)
        event = release_event(
            "rejected", name, champion, by=by, why=why, evidence=evidence, weights_sha256=weights_sha256
        )
        return append_event(settings.model_repository, event)


def load_and_check(settings: Settings, release: Release, load_within_s: float | None = None) -> dict[str, float]:
    """Load a release beside what the server serves, and see that it answers canary and golden photos.

    Returns:
        The largest difference of a probability from torch's, by member.

    Raises:
        As ``ModelServer.load``, ``ModelServer.canary`` and ``check_release``.
    """
    with connect_model_server(settings, release) as server:
        server.load(load_within_s)
        server.canary()
        return check_release(settings, release, server)


def release_event(event: str, release: str, champion: str | None, **fields: Any) -> ReleaseEvent:
    """An event of now, by this code."""
    for name in ("by", "why"):
        if not str(fields[name]).strip():
            raise ContractError(f"release {release}: {name!r} is empty; the history needs to say who and why")
    return ReleaseEvent(
        event=event,
        release=release,
        champion_before=champion,
        at_utc=datetime.now(UTC),
        code_revision=code_revision(),
        **fields,
    )


def _last_like(
    settings: Settings, event: str, release: str, *, by: str, why: str, evidence: str | None
) -> ReleaseEvent | None:
    """The last event of its kind of a release, if somebody asked for it in the same words."""
    happened = [e for e in read_events(settings.model_repository) if (e.event, e.release) == (event, release)]
    return next((e for e in happened[-1:] if (e.by, e.why, e.evidence) == (by, why, evidence)), None)


def _read_evidence(evidence: str | None, name: str, champion: str | None) -> Mapping[str, Any] | None:
    """The gate's own words, where they lie in a JSON file here.

    Raises:
        MissingError: the file does not exist.
        ContractError: it is no JSON object, is of another release, compares with another champion, or says that the release
            failed.
    """
    if evidence is None or not evidence.endswith(".json") or "://" in evidence:
        return None
    try:
        found = json.loads(Path(evidence).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingError(f"evidence {evidence} does not exist") from error
    except ValueError as error:
        raise ContractError(f"evidence {evidence} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ContractError(f"evidence {evidence}: expected a JSON object")
    if found.get("challenger", name) != name:
        raise ContractError(f"evidence {evidence} is of {found['challenger']!r}, expected {name!r}")
    if found.get("champion", champion) != champion:
        raise ContractError(f"evidence {evidence} compares with {found['champion']!r}, but {champion} is in use by now")
    if found.get("passed") is False:
        raise ContractError(f"evidence {evidence} says that it did not pass: {found.get('reason', 'without a reason')}")
    return found


def _end_shadow_of(name: str, by: str, repository: str) -> None:
    shadow = current_shadow(read_events(repository))
    if shadow and shadow.release == name:
        append_event(repository, release_event("shadow_ended", name, name, by=by, why="it was promoted"))


def _release_or_none(repository: str, name: str | None) -> Release | None:
    """The release that goes; None where there was none, or it was cleared away."""
    try:
        return load_release(repository, name) if name else None
    except ScreeningError:
        return None
