"""Who looks at what just now, so that twenty readers do not all get the same next photo.

A hint and no lock: it lives in this process alone, and an answer is taken from whoever gives it.
"""

from __future__ import annotations

import threading
import time

LASTS_S = 300.0
"""A photo that was opened longer ago counts as left: most readings take seconds."""


class ReadingNow:
    """Photos that are open, by reader."""

    def __init__(self, lasts_s: float = LASTS_S) -> None:
        self._lasts_s = lasts_s
        self._lock = threading.Lock()
        self._opened: dict[str, dict[str, float]] = {}

    def open(self, photo_id: str, reader: str) -> None:
        with self._lock:
            self._opened.setdefault(photo_id, {})[reader] = time.monotonic()

    def close(self, photo_id: str, reader: str) -> None:
        with self._lock:
            readers = self._opened.get(photo_id, {})
            readers.pop(reader, None)
            if not readers:
                self._opened.pop(photo_id, None)

    def others(self, photo_id: str, reader: str) -> int:
        """How many others look at it."""
        start = time.monotonic() - self._lasts_s
        with self._lock:
            return sum(at > start for name, at in self._opened.get(photo_id, {}).items() if name != reader)
