"""What clinicians decided, as objects that are written once and never changed, so that no two readers collide.

An object holds what was saved in one moment as JSON lines: one reader's decision, those of readers who saved together,
or a part of a file. A correction is a further decision that names the one it replaces. Every writer (pages, CSV, Label
Studio) goes through ``append_decisions``; `intake_decisions` and the pages read with ``decision_objects`` and
``read_decisions``. docs/decisions/0025.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

from screening.contracts import DECISIONS
from screening.edges import paths
from screening.edges.store import Store, StoredObject
from screening.errors import ContractError, MissingObjectError

Decision = dict[str, Any]
"""A row of ``RECORDED_DECISIONS``: of ``DECISIONS``, and where it is recorded."""
MOST_IN_AN_OBJECT = 10_000
"""Of a file with many lines: some 6 MB."""


def append_decisions(store: Store, rows: list[dict[str, object]], written: datetime | None = None) -> list[Decision]:
    """Write decisions; once this returns, they are in the store.

    A decision is known by its id. Written twice, through two servers at the same moment or by a task that was killed, it
    counts once: see ``first_recorded``.

    Args:
        store: of the results.
        rows: of ``DECISIONS``.
        written: when they are written; now.

    Returns:
        The rows with where they are recorded.

    Raises:
        ContractError: a row breaks the contract, or two have one id; nothing was written.
    """
    checked = DECISIONS.table(rows).to_pylist()
    parts = [checked[start : start + MOST_IN_AN_OBJECT] for start in range(0, len(checked), MOST_IN_AN_OBJECT)]
    return [row for part in parts for row in _put(store, part, written or datetime.now(UTC))]


def _put(store: Store, rows: list[Decision], written: datetime) -> list[Decision]:
    body = "\n".join(json.dumps(row, default=_as_text, ensure_ascii=False) for row in rows).encode()
    # Named by what it holds: sent again because no answer came, it is the same object.
    key = paths.decisions(written, hashlib.sha256(body).hexdigest()[:32])
    store.put(key, body, only_if_new=True)
    return [row | {"recorded_in": key} for row in rows]


def decision_objects(store: Store, hour: datetime | None = None) -> Iterator[StoredObject]:
    """The objects that were written in an hour (UTC), or all of them."""
    for page in store.pages(paths.decisions_prefix(hour) if hour else paths.DECISIONS_PREFIX):
        yield from (found for found in page if paths.is_decisions(found.key))


def read_decisions(store: Store, keys: Iterable[str], connections: int = 1) -> tuple[list[Decision], dict[str, str]]:
    """The decisions of many objects, each once.

    Args:
        store: of the results.
        keys: of the objects.
        connections: requests at once.

    Returns:
        The decisions, and by key what is wrong with the objects that cannot be read; of such an object nothing counts.
    """
    listed = list(keys)
    with ThreadPoolExecutor(connections) as threads:
        read = dict(zip(listed, threads.map(lambda key: _read(store, key), listed), strict=True))
    rows = first_recorded(row for found in read.values() if isinstance(found, list) for row in found)
    return rows, {key: found for key, found in read.items() if isinstance(found, str)}


def first_recorded(rows: Iterable[Decision]) -> list[Decision]:
    """The decisions, each id once: as it was recorded first."""
    found: dict[str, Decision] = {}
    for row in rows:
        known = found.setdefault(row["decision_id"], row)
        if known is not row and was_recorded_before(row, known):
            found[row["decision_id"]] = row
    return list(found.values())


def was_recorded_before(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Which of two copies of a decision counts; the object's key decides between equal times."""
    return (row["recorded_at_utc"], row["recorded_in"]) < (other["recorded_at_utc"], other["recorded_in"])


def _read(store: Store, key: str) -> list[Decision] | str:
    """The decisions of an object, at least one, or what is wrong with it."""
    try:
        rows = [_row(line) for line in store.get(key).splitlines()]
        checked: list[Decision] = DECISIONS.table(rows).to_pylist()
    except (ContractError, MissingObjectError) as error:
        return str(error)
    except (ValueError, KeyError, TypeError) as error:
        return f"no decision can be read: {type(error).__name__}"
    if not checked:
        return "is empty"
    return [row | {"recorded_in": key} for row in checked]


def _row(line: bytes) -> dict[str, object]:
    row: dict[str, object] = json.loads(line)
    for name in ("decided_at_utc", "recorded_at_utc"):
        row[name] = datetime.fromisoformat(str(row[name]))
    row["night"] = date.fromisoformat(str(row["night"]))
    return row


def _as_text(moment: object) -> str:
    if isinstance(moment, date):  # and datetime
        return moment.isoformat()
    raise TypeError(f"{type(moment).__name__} has no place in a decision")
