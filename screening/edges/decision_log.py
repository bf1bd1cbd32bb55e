"""What clinicians decided, one object for each decision: written once, never changed, so that no two readers collide.

A correction is a further decision that names the one it replaces. Every writer (pages, CSV, Label Studio) goes through
``append_decision``; `intake_decisions` and the pages read with ``decision_keys`` and ``read_decision``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

from screening.contracts import DECISIONS
from screening.edges import paths
from screening.edges.store import Store, StoredObject
from screening.errors import ContractError


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
    try:
        row = json.loads(store.get(key))
        for name in ("decided_at_utc", "recorded_at_utc"):
            row[name] = datetime.fromisoformat(row[name])
        row["night"] = date.fromisoformat(row["night"])
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"decision {key!r}: no decision can be read: {type(error).__name__}") from error
    [checked] = DECISIONS.table([row]).to_pylist()
    return dict(checked)


def _as_text(moment: object) -> str:
    if isinstance(moment, date):  # and datetime
        return moment.isoformat()
    raise TypeError(f"{type(moment).__name__} has no place in a decision")
