"""The published review queues, held in memory: a page of 50,000 entries is filtered without asking the store."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from screening.contracts import REVIEW_QUEUE
from screening.edges import paths
from screening.edges.store import Store
from screening.edges.tables import read_table
from screening.errors import MissingObjectError

LISTED_EVERY_S = 10.0
"""A night publishes once a day; a night that is published again is seen after this long."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One photo to look at, with what a list shows and filters by; ``row`` gives the rest."""

    photo_id: str
    programme: str
    night: date
    run_id: str
    reasons: tuple[str, ...]
    priority: int
    readers_wanted: int
    grade: str
    patient: str | None
    body_site: str | None
    _table: pa.Table = field(repr=False, compare=False)
    _index: int = field(repr=False, compare=False)

    @property
    def row(self) -> dict[str, Any]:
        """All columns of ``REVIEW_QUEUE``."""
        return dict(self._table.slice(self._index, 1).to_pylist()[0])


@dataclass(frozen=True)
class Queue:
    """A state of the queue; ``entries`` by priority, then the night that waits longest."""

    entries: tuple[QueueEntry, ...] = ()
    by_photo: Mapping[str, QueueEntry] = field(default_factory=dict)


class QueueIndex:
    """Reads each published queue once per version (etag). Safe to use from several threads."""

    def __init__(self, store: Store, listed_every_s: float = LISTED_EVERY_S) -> None:
        self._store = store
        self._listed_every_s = listed_every_s
        self._reading = threading.Lock()
        self._parts: dict[str, tuple[str, list[QueueEntry]]] = {}
        self._queue = Queue()
        self._listed_at: float | None = None

    def queue(self) -> Queue:
        """The queue, at most ``LISTED_EVERY_S`` old; while one thread looks again, the others have the last one."""
        if self._listed_at is not None and time.monotonic() - self._listed_at < self._listed_every_s:
            return self._queue
        if self._reading.acquire(blocking=self._listed_at is None):
            try:
                if self._listed_at is None or time.monotonic() - self._listed_at >= self._listed_every_s:
                    self._look_again()
            finally:
                self._reading.release()
        return self._queue

    def _look_again(self) -> None:
        parts: dict[str, tuple[str, list[QueueEntry]]] = {}
        for page in self._store.pages(paths.published_prefix(REVIEW_QUEUE.name)):
            for found in page:
                if paths.parse_published_key(found.key):
                    known = self._parts.get(found.key)
                    parts[found.key] = (
                        known if known and known[0] == found.etag else (found.etag, self._read(found.key))
                    )
        if self._listed_at is None or parts != self._parts:
            self._parts, self._queue = parts, _merged([entries for _, entries in parts.values()])
        self._listed_at = time.monotonic()

    def _read(self, key: str) -> list[QueueEntry]:
        try:
            table = read_table(self._store, key, REVIEW_QUEUE).combine_chunks()
        except MissingObjectError:  # taken away since it was listed
            return []
        listed = (
            table[name].to_pylist()
            for name in (
                "photo_id", "programme", "night", "run_id", "reasons", "priority", "readers_wanted", "grade", "patient",
                "body_site",
            )
        )  # fmt: skip
        return [
            QueueEntry(photo, _one(programme), night, _one(run), tuple(map(_one, reasons)), priority, wanted, _one(grade),
                       patient, _one(site) if site else None, table, index)
            for index, (photo, programme, night, run, reasons, priority, wanted, grade, patient, site) in enumerate(
                zip(*listed, strict=True)
            )
        ]  # fmt: skip


def _one(text: str) -> str:
    """The same string object for the same word, which stands in thousands of entries."""
    return sys.intern(text)


def _merged(parts: list[list[QueueEntry]]) -> Queue:
    """A photo that stands in several queues has its latest night's entry."""
    by_photo: dict[str, QueueEntry] = {}
    for entry in (entry for part in parts for entry in part):
        other = by_photo.get(entry.photo_id)
        if other is None or (entry.night, entry.programme) > (other.night, other.programme):
            by_photo[entry.photo_id] = entry
    ordered = sorted(by_photo.values(), key=lambda e: (e.priority, e.night, e.photo_id))
    return Queue(tuple(ordered), by_photo)
