"""What clinicians decided, one object for each decision: written once, never changed, so that no two readers collide.

A correction is a further decision that names the one it replaces. Every writer (pages, CSV, Label Studio) goes through
``append_decision``; `intake_decisions` and the pages read with ``decision_keys`` and ``read_decision``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from screening.contracts import DECISIONS
from screening.edges import paths
from screening.edges.store import Store, StoredObject
from screening.errors import ContractError, MissingObjectError


def append_decision(store: Store, row: dict[str, object]) -> bool:
    """Write a decision; once this returns, it is in the store.

    Args:
        store: of the results.
        row: of ``DECISIONS``; its key holds the day of ``recorded_at_utc``, so one that is sent again must keep that.

    Returns:
        False when a decision with this id is there already: it stays as it is.

    Raises:
        ContractError: the row breaks the contract.
    """
    [checked] = DECISIONS.table([row]).to_pylist()
    return _put(store, checked)


def append_decisions(store: Store, rows: list[dict[str, object]], connections: int) -> int:
    """Write many decisions as ``append_decision`` does, ``connections`` at once; returns how many were new.

    Raises:
        ContractError: a row breaks the contract, or two have one id; nothing was written.
    """
    checked = DECISIONS.table(rows).to_pylist()
    with ThreadPoolExecutor(connections) as threads:
        return sum(threads.map(lambda row: _put(store, row), checked))


def _put(store: Store, checked: dict[str, Any]) -> bool:
    recorded: datetime = checked["recorded_at_utc"]
    key = paths.decision(recorded.astimezone(UTC).date(), str(checked["photo_id"]), str(checked["decision_id"]))
    return store.put(key, json.dumps(checked, default=_as_text, ensure_ascii=False).encode(), only_if_new=True)


def decision_keys(store: Store, day: date | None = None) -> Iterator[StoredObject]:
    """The decisions that were recorded on a day (UTC), or all of them."""
    prefix = paths.DECISIONS_PREFIX + (f"{day.isoformat()}/" if day else "")
    for page in store.pages(prefix):
        yield from (found for found in page if paths.parse_decision_key(found.key))


def read_decision(store: Store, key: str) -> dict[str, object]:
    """One decision, as a row of ``DECISIONS``.

    Raises:
        MissingObjectError: there is no such object.
        ContractError: it holds no decision.
    """
    [checked] = DECISIONS.table([_row(key, store.get(key))]).to_pylist()
    return dict(checked)


def read_decisions(store: Store, keys: Iterable[str], connections: int) -> tuple[pa.Table, list[str]]:
    """Many decisions at once, as ``DECISIONS``, and the keys under which there is none; ``connections``: requests at once."""

    def read(key: str) -> dict[str, object] | None:
        try:
            return _row(key, store.get(key))
        except (ContractError, MissingObjectError):
            return None

    listed = list(keys)
    with ThreadPoolExecutor(connections) as threads:
        rows = dict(zip(listed, threads.map(read, listed), strict=True))
    try:
        return DECISIONS.table([row for row in rows.values() if row is not None]), _without(rows)
    except ContractError:  # some break the contract: ask one by one which
        rows = {key: row if row is not None and _keeps_contract(row) else None for key, row in rows.items()}
        return DECISIONS.table([row for row in rows.values() if row is not None]), _without(rows)


def _without(rows: dict[str, dict[str, object] | None]) -> list[str]:
    return [key for key, row in rows.items() if row is None]


def _keeps_contract(row: dict[str, object]) -> bool:
    try:
        DECISIONS.table([row])
    except ContractError:
        return False
    return True


def _row(key: str, body: bytes) -> dict[str, object]:
    try:
        row: dict[str, object] = json.loads(body)
        for name in ("decided_at_utc", "recorded_at_utc"):
            row[name] = datetime.fromisoformat(str(row[name]))
        row["night"] = date.fromisoformat(str(row["night"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"decision {key!r}: no decision can be read: {type(error).__name__}") from error
    if paths.parse_decision_key(key) != (row.get("photo_id"), row.get("decision_id")):
        raise ContractError(f"decision {key!r} holds another photo_id or decision_id, expected those of its key")
    return row


def _as_text(moment: object) -> str:
    if isinstance(moment, date):  # and datetime
        return moment.isoformat()
    raise TypeError(f"{type(moment).__name__} has no place in a decision")
