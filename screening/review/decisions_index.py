"""What has been decided, held in memory: decisions never change, so each is read once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

from screening.contracts import DECISIONS
from screening.edges import paths
from screening.edges.decision_log import append_decision, decision_keys, read_decision
from screening.edges.store import Store
from screening.edges.tables import read_table
from screening.errors import ContractError, MissingObjectError

log = logging.getLogger(__name__)

LISTED_EVERY_S = 2.0
"""How long another server's decision may stay unseen."""
READ_AT_ONCE = 8

Decision = dict[str, Any]


class DecisionsIndex:
    """Decisions by photo. Safe to use from several threads.

    A day that is over (UTC) is listed once; the last day that was listed, the one before it and those since are listed
    again, at most every ``listed_every_s``. What this process saves is there at once.
    """

    def __init__(
        self,
        store: Store,
        listed_every_s: float = LISTED_EVERY_S,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._store = store
        self._listed_every_s = listed_every_s
        self._today = today
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._known: set[str] = set()
        self._by_photo: dict[str, tuple[Decision, ...]] = {}
        self._listed_at: float | None = None
        self._listed_on: date | None = None

    def by_photo(self) -> Mapping[str, Sequence[Decision]]:
        """All decisions of each photo, oldest first."""
        self._refresh()
        return self._by_photo

    def of(self, photo_id: str) -> Sequence[Decision]:
        """The decisions on one photo, oldest first."""
        return self.by_photo().get(photo_id, ())

    def append(self, row: Decision) -> bool:
        """Write a decision; once this returns it is in the store and in this index.

        Returns:
            False when it is there already.
        """
        is_new = append_decision(self._store, row)
        if is_new:
            self._add([{column.name: row.get(column.name) for column in DECISIONS.columns}])
        return is_new

    def is_recorded(self, photo_id: str, decision_id: str, since: date) -> bool:
        """Whether a form that was opened on this day has been saved, also through another server."""
        if any(d["decision_id"] == decision_id for d in self._by_photo.get(photo_id, ())):
            return True
        # On the same day the key itself keeps a second copy out; a form that crosses midnight would get another key.
        days = (since + timedelta(days=n) for n in range((self._today() - since).days))
        return any(self._store.exists(paths.decision(day, photo_id, decision_id)) for day in days)

    def _refresh(self) -> None:
        if self._listed_at is not None and time.monotonic() - self._listed_at < self._listed_every_s:
            return
        if self._reading.acquire(blocking=self._listed_at is None):
            try:
                if self._listed_at is None or time.monotonic() - self._listed_at >= self._listed_every_s:
                    self._look_again()
            finally:
                self._reading.release()

    def _look_again(self) -> None:
        today = self._today()
        if self._listed_on is None:
            keys = [found.key for found in decision_keys(self._store)]
            self._add(self._gathered(), {_id(key) for key in keys})
        else:
            first = self._listed_on - timedelta(days=1)
            days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
            keys = [found.key for day in days for found in decision_keys(self._store, day)]
        missing = [key for key in keys if _id(key) not in self._known]
        if missing:
            with ThreadPoolExecutor(READ_AT_ONCE) as threads:
                self._add([row for row in threads.map(self._read, missing) if row])
        self._listed_on, self._listed_at = today, time.monotonic()

    def _gathered(self) -> Iterable[Decision]:
        """Those that `intake_decisions` has gathered: one table instead of an object for each decision."""
        try:
            rows: list[Decision] = read_table(self._store, paths.ALL_DECISIONS, DECISIONS).to_pylist()
        except MissingObjectError:
            return []
        except ContractError as error:  # the objects themselves are read instead
            log.warning("review: the gathered decisions are not used: %s", error)
            return []
        return rows

    def _read(self, key: str) -> Decision | None:
        try:
            return read_decision(self._store, key)
        except (ContractError, MissingObjectError) as error:
            log.warning("review: a decision cannot be read: %s", error)
            return None

    def _add(self, rows: Iterable[Decision], only: set[str] | None = None) -> None:
        with self._writing:
            for row in rows:
                decision_id, photo_id = row["decision_id"], row["photo_id"]
                if decision_id in self._known or (only is not None and decision_id not in only):
                    continue
                self._known.add(decision_id)
                said = (*self._by_photo.get(photo_id, ()), row)
                # A new tuple: a page that is being made keeps the old one.
                self._by_photo[photo_id] = tuple(sorted(said, key=lambda d: (d["decided_at_utc"], d["decision_id"])))


def _id(key: str) -> str:
    parsed = paths.parse_decision_key(key)
    return parsed[1] if parsed else ""
