"""What the monitoring of a night knows of the nights before it.

A night knows the nights before it that were claimed before it was: run again, it finds the same, whatever was back-filled
since, and a back-filled night never looks at later ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from screening.contracts import (
    DRIFT_REFERENCE,
    NIGHT_FIGURES,
    REVIEW_QUEUE,
    VETTED_PHOTOS,
    Contract,
)
from screening.cutoffs import MONITORING
from screening.edges import paths
from screening.edges.tables import read_table, read_tables, write_table
from screening.errors import ContractError, MissingObjectError
from screening.tasks.context import NightContext, Plan

Row = dict[str, Any]


@dataclass(frozen=True)
class History:
    """Earlier nights of one programme, oldest first."""

    programme: str
    nights: tuple[date, ...]
    plan: Plan
    context: NightContext

    def rows(self, contract: Contract, latest: int | None = None) -> list[Row]:
        """Rows of a table of the nights, or of the latest ones.

        Raises:
            ContractError: a table is not as its contract says.
        """
        nights = self.nights if latest is None else self.nights[-latest:]
        keys = [paths.published(contract.name, self.programme, night) for night in nights]
        found = read_tables(self.context.results, keys, contract).to_pylist()
        if "claimed_at_utc" in (column.name for column in contract.columns):
            found = [row for row in found if row["claimed_at_utc"] < self.plan.claimed_at_utc]
        return list(found)

    def reference(self, kind: str, regime: str) -> list[Row]:
        """The reference nights of a regime; none where there is none, or where it holds nights that this one may not see."""
        try:
            table = read_table(self.context.results, self._reference_key(kind, regime), DRIFT_REFERENCE)
        except MissingObjectError:
            return []
        rows: list[Row] = table.to_pylist()
        is_known = all(r["night"] < self.plan.night and r["claimed_at_utc"] < self.plan.claimed_at_utc for r in rows)
        return rows if is_known else []

    def keep_reference(self, kind: str, regime: str, rows: list[Row]) -> None:
        """Write a reference once and for all."""
        table = DRIFT_REFERENCE.table(rows)
        write_table(self.context.results, self._reference_key(kind, regime), table, DRIFT_REFERENCE, only_if_new=True)

    def reviewed(self) -> tuple[list[Row], list[Row]]:
        """Rows of the review queue of the nights, and the vetted photos that were settled before this one."""
        queue = self.rows(REVIEW_QUEUE)
        vetted = [
            row
            for row in self.rows(VETTED_PHOTOS)
            if row["settled_at_utc"] and row["settled_at_utc"] < self.plan.claimed_at_utc
        ]
        return queue, vetted

    def accepted_from(self) -> date | None:
        """The latest night up to this one from which on a person accepted the programme's photos as they are."""
        found = []
        for page in self.context.results.pages(paths.accepted_level_prefix(self.programme)):
            for stored in page:
                word = read_accepted(self.context.results.get(stored.key), stored.key)
                if word.night <= self.plan.night and word.recorded_at_utc < self.plan.claimed_at_utc:
                    found.append(word.night)
        return max(found, default=None)

    def _reference_key(self, kind: str, regime: str) -> str:
        return paths.drift_reference(self.programme, kind, regime)


def earlier_nights(programme: str, plan: Plan, context: NightContext) -> History:
    """The last nights of a programme before this one that have figures."""
    prefix = paths.published_prefix(NIGHT_FIGURES.name, programme)
    found = [
        key.night
        for page in context.results.pages(prefix)
        for stored in page
        if (key := paths.parse_published_key(stored.key)) and key.night < plan.night
    ]
    return History(programme, tuple(sorted(found)[-MONITORING.window_nights :]), plan, context)


@dataclass(frozen=True)
class AcceptedLevel:
    """A person's word that from a night on the programme's photos are rightly other than before."""

    programme: str
    night: date
    recorded_at_utc: datetime
    recorded_by: str
    why: str

    def to_json(self) -> bytes:
        row = {**vars(self), "night": self.night.isoformat(), "recorded_at_utc": self.recorded_at_utc.isoformat()}
        return json.dumps(row, ensure_ascii=False, indent=1).encode()


def read_accepted(text: bytes, key: str) -> AcceptedLevel:
    """Read such a word.

    Raises:
        ContractError: it is none.
    """
    try:
        row = json.loads(text)
        row["night"] = date.fromisoformat(row["night"])
        row["recorded_at_utc"] = datetime.fromisoformat(row["recorded_at_utc"])
        return AcceptedLevel(**row)
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"{key!r} is no accepted level: {type(error).__name__}") from error
