"""The published review queues, held in memory: a page of 50,000 entries is filtered without asking the store."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from itertools import repeat
from typing import Any, NamedTuple

import pyarrow as pa

from screening.contracts import REVIEW_QUEUE
from screening.edges import paths
from screening.edges.store import Store
from screening.edges.tables import read_table
from screening.errors import MissingObjectError
from screening.review.looking_again import LookingAgain

LISTED_EVERY_S = 10.0
"""A night publishes once a day; a night that is published again is seen after this long, or twice as long."""
READ_AT_ONCE = 8


class QueueEntry(NamedTuple):
    """One photo to look at, with what a list shows and filters by; ``row`` gives the rest.

    A named tuple, since tens of thousands are made when a server starts. ``table`` and ``place`` lead to its row.
    """

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
    table: pa.Table
    place: int

    @property
    def row(self) -> dict[str, Any]:
        """All columns of ``REVIEW_QUEUE``."""
        return dict(self.table.slice(self.place, 1).to_pylist()[0])


@dataclass(frozen=True)
class Queue:
    """A state of the queue; ``entries`` by priority, then the night that waits longest."""

    entries: tuple[QueueEntry, ...] = ()
    by_photo: Mapping[str, QueueEntry] = field(default_factory=dict)


class QueueIndex:
    """Reads each published queue once per version (etag). Safe to use from several threads."""

    def __init__(self, store: Store, listed_every_s: float = LISTED_EVERY_S) -> None:
        self._store = store
        self._look = LookingAgain(self._look_again, listed_every_s)
        self._parts: dict[str, tuple[str, list[QueueEntry]]] = {}
        self._queue = Queue()

    def queue(self) -> Queue:
        """The queue, at most twice ``LISTED_EVERY_S`` old."""
        self._look.if_it_is_time()
        return self._queue

    def _look_again(self) -> None:
        listed = {
            found.key: found.etag
            for page in self._store.pages(paths.published_prefix(REVIEW_QUEUE.name))
            for found in page
            if paths.parse_published_key(found.key)
        }
        new = [key for key, etag in listed.items() if self._parts.get(key, ("",))[0] != etag]
        if new or len(listed) != len(self._parts):
            with ThreadPoolExecutor(READ_AT_ONCE) as threads:
                read = dict(zip(new, threads.map(self._read, new), strict=True))
            self._parts = {key: (etag, read[key]) if key in read else self._parts[key] for key, etag in listed.items()}
            self._queue = _merged([entries for _, entries in self._parts.values()])

    def _read(self, key: str) -> list[QueueEntry]:
        try:
            table = read_table(self._store, key, REVIEW_QUEUE).combine_chunks()
        except MissingObjectError:  # taken away since it was listed
            return []
        every: dict[tuple[str, ...], tuple[str, ...]] = {}
        reasons = [every.setdefault(found, found) for found in map(tuple, table["reasons"].to_pylist())]
        return [
            QueueEntry(*row)
            for row in zip(
                table["photo_id"].to_pylist(),
                *(_shared(table[name]) for name in ("programme", "night", "run_id")),
                reasons,
                *(_shared(table[name]) for name in ("priority", "readers_wanted", "grade", "patient", "body_site")),
                repeat(table),
                range(table.num_rows),
                strict=False,  # the table repeats without end
            )
        ]


def _shared(column: pa.ChunkedArray) -> list[Any]:
    """The values, the same object for the same value: a word stands in thousands of entries."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    return [None if place is None else values[place] for place in encoded.indices.to_pylist()]


def _merged(parts: list[list[QueueEntry]]) -> Queue:
    """A photo that stands in several queues has its latest night's entry."""
    by_photo: dict[str, QueueEntry] = {}
    for entry in (entry for part in parts for entry in part):
        other = by_photo.get(entry.photo_id)
        if other is None or (entry.night, entry.programme) > (other.night, other.programme):
            by_photo[entry.photo_id] = entry
    ordered = sorted(by_photo.values(), key=lambda e: (e.priority, e.night, e.photo_id))
    return Queue(tuple(ordered), by_photo)
