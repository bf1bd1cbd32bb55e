"""Rows of a night's published tables, for the photo that is shown; the last few tables stay in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from screening.contracts import PHOTOS, Contract, grades_contract_of
from screening.edges import paths
from screening.edges.store import Store
from screening.edges.tables import read_table
from screening.errors import MissingObjectError

KEPT_S = 60.0
"""A night that is published again shows after this long."""
KEPT_TABLES = 8

_CONTRACTS: dict[str, Contract | Callable[[Sequence[str]], Contract]] = {
    "grades": grades_contract_of,
    PHOTOS.name: PHOTOS,
}


class NightTables:
    """Reads ``grades`` and ``photos`` by night. Safe to use from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, pa.Table | None, dict[str, int]]] = OrderedDict()

    def row(self, table: str, programme: str, night: date, photo_id: str) -> dict[str, Any]:
        """The photo's row, or an empty one where the night has none."""
        rows, places = self._table(paths.published(table, programme, night), _CONTRACTS[table])
        return dict(rows.slice(places[photo_id], 1).to_pylist()[0]) if rows is not None and photo_id in places else {}

    def _table(
        self, key: str, contract: Contract | Callable[[Sequence[str]], Contract]
    ) -> tuple[pa.Table | None, dict[str, int]]:
        # One thread reads while the others wait: they mostly wait for the same table.
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or time.monotonic() - kept[0] > KEPT_S:
                try:
                    rows = read_table(self._store, key, contract).combine_chunks()
                except MissingObjectError:
                    rows = None
                # The first of several rows: a photo that was sent twice is the same picture.
                ids = [] if rows is None else rows["photo_id"].to_pylist()
                kept = (time.monotonic(), rows, {photo: at for at, photo in reversed(list(enumerate(ids)))})
                self._kept[key] = kept
                while len(self._kept) > KEPT_TABLES:
                    self._kept.popitem(last=False)
            return kept[1], kept[2]
