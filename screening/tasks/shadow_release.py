"""A challenger answers beside the champion for some nights, without touching a grade: who starts and ends that."""

from __future__ import annotations

import logging

from screening.edges.release_history import (
    ReleaseEvent,
    append_event,
    changing,
    current_shadow,
    read_champion,
    read_events,
)
from screening.errors import ContractError, ScreeningError
from screening.settings import Settings
from screening.tasks.context import servable_release
from screening.tasks.promotion import load_and_check, release_event

log = logging.getLogger(__name__)


def start_shadow(
    name: str, nights: int, *, by: str, why: str, evidence: str | None = None, settings: Settings
) -> ReleaseEvent:
    """Let a release answer the photos of so many nights beside the champion; nights that open from now on.

    Asked for the same once more, it changes nothing.

    Raises:
        ContractError: it is the champion, another shadow runs, or the server answers otherwise than torch.
        MissingError: the release does not exist, or the server cannot load it.
        ModelServerUnavailableError: the server does not answer.
    """
    repository = settings.model_repository
    try:
        if nights < 1:
            raise ContractError(f"{nights} nights, expected one at least")
        release = servable_release(settings, name)
        load_and_check(settings, release)
        with changing(repository):
            champion = read_champion(repository)
            if champion == name:
                raise ContractError("it is the champion")
            if running := current_shadow(read_events(repository)):
                # A task that was killed at its end is run again.
                if (running.release, running.by, running.why, running.evidence) == (name, by, why, evidence):
                    return running
                raise ContractError(f"{running.release} is the shadow since {running.at_utc:%Y-%m-%d}; end that first")
            event = release_event(
                "shadow_started",
                name,
                champion,
                by=by,
                why=why,
                evidence=evidence,
                weights_sha256=release.weights_sha256,
                nights=nights,
            )
            event = append_event(repository, event)
    except ScreeningError as error:
        raise type(error)(f"{name} was not made the shadow: {error}") from error
    log.info("start_shadow release=%s nights=%d", name, nights)
    return event


def end_shadow(*, by: str, why: str, settings: Settings) -> ReleaseEvent:
    """End the shadow before its nights are over; nights that are open finish with it.

    Raises:
        ContractError: none runs.
    """
    repository = settings.model_repository
    with changing(repository):
        running = current_shadow(read_events(repository))
        if running is None:
            raise ContractError("no shadow runs")
        champion = read_champion(repository)
        return append_event(repository, release_event("shadow_ended", running.release, champion, by=by, why=why))
