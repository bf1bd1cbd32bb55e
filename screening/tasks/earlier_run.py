"""What an earlier run of the same night knew of photos that are gone by now.

An uploader may replace or remove a photo once its night is published. Run again, the night must not take back the grade
that it gave: the photo's working copy and its published rows still tell what it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from screening.contracts import PHOTOS, QUALITY, Contract, Outcome, quality_contract_of
from screening.edges import paths
from screening.edges.tables import read_table
from screening.errors import MissingObjectError
from screening.tasks.context import NightContext

Row = dict[str, Any]

_OF_THE_BYTES = ("photo_id", "format", "width_px", "height_px", "captured_at_utc", "device")
_OF_THE_OUTCOME = ("outcome", "reason", "reason_text", "advice", "duplicate_of", "duplicate_of_night")


class EarlierRun:
    """The published tables ``photos`` and ``quality`` of the night that a run belongs to; safe to share between threads.

    Nothing is read before the first photo is asked for: hardly any night needs it.
    """

    def __init__(self, run_id: str, context: NightContext) -> None:
        self._run_id = run_id
        self._context = context
        self._reading = threading.Lock()
        self._published: dict[str, tuple[dict[tuple[str, str], Row], dict[str, Row]]] = {}

    def rows_of(self, photo: Row) -> tuple[Row, Row | None] | None:
        """The rows of ``prepared`` and ``quality`` that ``prepare`` made of a photo then; None when it made none."""
        with self._reading:
            photos, quality = self._of_programme(photo["programme"])
        found = photos.get((photo["key"], photo["etag"]))
        if found is None or found["photo_id"] is None:
            return None
        prepared = photo | {name: found[name] for name in _OF_THE_BYTES + _OF_THE_OUTCOME}
        if found["outcome"] in (Outcome.GRADED, Outcome.FAILED):
            if not self._context.results.exists(paths.working_copy(self._run_id, found["photo_id"])):
                return None
            prepared |= {"outcome": None, "reason": None, "reason_text": None}
        return prepared, quality.get(found["photo_id"])

    def _of_programme(self, programme: str) -> tuple[dict[tuple[str, str], Row], dict[str, Row]]:
        if programme not in self._published:
            photos = {(row["key"], row["etag"]): row for row in self._rows(PHOTOS.name, PHOTOS, programme)}
            quality = {row["photo_id"]: row for row in self._rows(QUALITY.name, quality_contract_of, programme)}
            self._published[programme] = photos, quality
        return self._published[programme]

    def _rows(self, name: str, contract: Contract | Callable[[Sequence[str]], Contract], programme: str) -> list[Row]:
        night = self._context.plan(self._run_id).night
        with suppress(MissingObjectError):
            key = paths.published(name, programme, night)
            return list(read_table(self._context.results, key, contract).to_pylist())
        return []
