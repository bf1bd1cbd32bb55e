"""Who saw what and when, as objects that are only ever added.

What a reader *said* is a decision, itself an object that never changes and names its reader and its time: a second copy
here could only disagree with it. The page of the log shows both.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime
from typing import Any

from screening.edges import paths
from screening.edges.group_commit import GroupCommit
from screening.edges.store import Store
from screening.review.access import User

Entry = dict[str, Any]


class AuditLog:
    """Writes entries; those of requests that meet share one object, so that many readers do not wait for each other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._together = GroupCommit(self._put)

    def write(self, user: User, action: str, photo_id: str | None = None) -> None:
        """Return once the entry is in the store.

        Raises:
            ScreeningError: it could not be written; the caller must then show nothing.
        """
        self._together.add(
            {
                "at_utc": datetime.now(UTC).isoformat(),
                "user": user.name,
                "role": str(user.role),
                "action": action,
                "photo_id": photo_id,
            }
        )

    def entries(self, day: date, most: int) -> list[Entry]:
        """The last entries of a day (UTC), newest first, and some more where objects hold several."""
        keys = [found.key for page in self._store.pages(paths.audit_prefix(day)) for found in page]
        found: list[Entry] = []
        for key in reversed(keys):
            if len(found) >= most:
                break
            found += [json.loads(line) for line in reversed(self._store.get(key).decode().splitlines())]
        return found

    def _put(self, entries: list[Entry]) -> None:
        now = datetime.now(UTC)
        body = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        self._store.put(paths.audit_entries(now, uuid.uuid4().hex), body.encode(), only_if_new=True)
