"""What has been decided, held in memory: decisions never change, so each is read once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from screening.contracts import DECISIONS, RECORDED_DECISIONS
from screening.edges import paths
from screening.edges.decision_log import (
    Decision,
    append_decisions,
    decision_objects,
    read_decisions,
    was_recorded_before,
)
from screening.edges.group_commit import GroupCommit
from screening.edges.store import Store
from screening.edges.tables import read_table
from screening.errors import ContractError, MissingObjectError
from screening.review.looking_again import LookingAgain

log = logging.getLogger(__name__)

LISTED_EVERY_S = 2.0
"""Another server's decision is seen after that, or twice as long."""
READ_AT_ONCE = 8
HOUR = timedelta(hours=1)


class DecisionsIndex:
    """Decisions by photo. Safe to use from several threads.

    An hour that is over is listed once; the last hour that was listed, the one before it and those since are listed
    again (``LookingAgain``). What this process saves is there at once.
    """

    def __init__(
        self,
        store: Store,
        listed_every_s: float = LISTED_EVERY_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._now = now
        self._look = LookingAgain(self._look_again, listed_every_s)
        self._adding = threading.Lock()
        self._together = GroupCommit(self._write)
        self._objects: set[str] = set()
        self._by_id: dict[str, Decision] = {}
        self._by_photo: dict[str, tuple[Decision, ...]] = {}
        self._listed_to: datetime | None = None

    def by_photo(self) -> Mapping[str, Sequence[Decision]]:
        """All decisions of each photo, oldest first."""
        self._look.if_it_is_time()
        return self._by_photo

    def of(self, photo_id: str) -> Sequence[Decision]:
        """The decisions on one photo, oldest first."""
        return self.by_photo().get(photo_id, ())

    def append(self, row: Decision) -> None:
        """Write a decision, unless one with its id is there; once this returns it is in the store and in this index.

        Raises:
            ContractError: the row breaks the contract of ``DECISIONS``.
        """
        DECISIONS.table([row])  # here, so that a row that breaks it takes no other reader's with it
        self._together.add(row)

    def _write(self, rows: list[Decision]) -> None:
        # A form that was sent twice comes twice, maybe at the same moment: the first counts.
        new = {row["decision_id"]: row for row in reversed(rows) if row["decision_id"] not in self._by_id}
        recorded = append_decisions(self._store, list(new.values()))
        self._objects.update(row["recorded_in"] for row in recorded)
        self._add(recorded)

    def is_recorded(self, decision_id: str) -> bool:
        """Whether a form has been saved, through another server some seconds ago."""
        self._look.if_it_is_time()
        return decision_id in self._by_id

    def _look_again(self) -> None:
        now = self._now()
        if self._listed_to is None:
            keys = {found.key for found in decision_objects(self._store)}
            gathered = [row for row in self._gathered() if row["recorded_in"] in keys]
            self._objects.update(row["recorded_in"] for row in gathered)
            self._add(gathered)
        else:
            first = self._listed_to.replace(minute=0, second=0, microsecond=0) - HOUR
            hours = (first + n * HOUR for n in range((now - first) // HOUR + 1))
            keys = {found.key for hour in hours for found in decision_objects(self._store, hour)}
        if missing := sorted(keys - self._objects):
            read, unreadable = read_decisions(self._store, missing, READ_AT_ONCE)
            for key, fault in unreadable.items():
                log.warning("review: decisions %s cannot be read: %s", key, fault)
            self._objects.update(missing)
            self._add(read)
        self._listed_to = now

    def _gathered(self) -> list[Decision]:
        """Those that `intake_decisions` has gathered: one table instead of all the objects."""
        try:
            rows: list[Decision] = read_table(self._store, paths.ALL_DECISIONS, RECORDED_DECISIONS).to_pylist()
        except MissingObjectError:
            return []
        except ContractError as error:  # the objects themselves are read instead
            log.warning("review: the gathered decisions are not used: %s", error)
            return []
        return rows

    def _add(self, rows: Iterable[Decision]) -> None:
        with self._adding:
            for row in rows:
                known = self._by_id.get(row["decision_id"])
                if known is not None and not was_recorded_before(row, known):
                    continue
                self._by_id[row["decision_id"]] = row
                said = [d for d in self._by_photo.get(row["photo_id"], ()) if d["decision_id"] != row["decision_id"]]
                # A new tuple: a page that is being made keeps the old one.
                self._by_photo[row["photo_id"]] = tuple(
                    sorted([*said, row], key=lambda d: (d["decided_at_utc"], d["decision_id"]))
                )
