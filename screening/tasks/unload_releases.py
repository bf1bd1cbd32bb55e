"""Free the model server of releases that nobody needs any more; the last task of a night."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import date

from screening.edges import paths
from screening.edges.model_control import loaded_models, unload_models
from screening.edges.release import Release, all_releases
from screening.edges.release_history import releases_to_serve
from screening.errors import MissingObjectError, ModelServerUnavailableError
from screening.tasks.context import NightContext, run_id_of

log = logging.getLogger(__name__)

RECENT_NIGHTS = 14
"""An older night that is worked on just now loads its release anew, if it has to (``ModelServer``)."""


def unload_releases(run_id: str, context: NightContext) -> tuple[str, ...]:
    """Unload what is neither champion, nor the one before, nor shadow, nor in the plan of another open night.

    Models that belong to no release of the repository are left alone, and a server that does not let us, too.

    Returns:
        The names of the models that were unloaded.
    """
    settings = context.settings
    try:
        loaded = loaded_models(settings.triton_url, settings.triton_timeout_s)
        kept_names = {*releases_to_serve(settings.model_repository), *_of_open_nights(run_id, context)}
        releases = all_releases(settings.model_repository)
        kept = {model for release in releases if release.name in kept_names for model in _models(release)}
        known = {model: None for release in releases for model in _models(release)}
        unneeded = tuple(model for model in known if model in loaded and model not in kept)
        unload_models(settings.triton_url, unneeded, settings.triton_timeout_s)
    except ModelServerUnavailableError as error:
        log.warning("unload_releases run=%s left everything loaded: %s", run_id, error)
        return ()
    log.info("unload_releases run=%s kept=%s unloaded=%d", run_id, ",".join(sorted(kept_names)), len(unneeded))
    return unneeded


def _of_open_nights(run_id: str, context: NightContext) -> set[str]:
    """Releases of the newest nights that have no report yet, other than the run's own."""
    nights: list[date] = []
    for page in context.results.pages(paths.LEDGER_PREFIX):
        nights += [night for found in page if (night := paths.parse_ledger_key(found.key))]
    found: set[str] = set()
    for other in map(run_id_of, sorted(nights)[-RECENT_NIGHTS:]):
        if other == run_id or context.results.exists(paths.timing(other, "report", None)):
            continue
        with suppress(MissingObjectError):
            plan = json.loads(context.results.get(paths.run_plan(other)))
            found |= {name for name in (plan.get("release"), plan.get("shadow")) if name}
    return found


def _models(release: Release) -> tuple[str, ...]:
    """The ensemble before its members: no request may find one of them gone."""
    return (release.model, *(member.name for member in release.members))
