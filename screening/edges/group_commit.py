"""One write for all that arrives while the write before it is on its way.

Twenty readers who save at the same moment then wait for two requests to the store, and not for twenty. The name and the
idea are those of databases, which write the log of several transactions at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class GroupCommit(Generic[Item]):
    """Items of threads that meet share one write. Safe to use from several threads, which is what it is for."""

    def __init__(self, write: Callable[[list[Item]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: _Group[Item] | None = None

    def add(self, item: Item) -> None:
        """Return once the item was written, alone or with others.

        Raises:
            Exception: what the write of its group raised; then none of the group counts as written.
        """
        with self._lock:
            is_first = self._waiting is None
            group = self._waiting = self._waiting or _Group()
            group.items.append(item)
        if is_first:
            # Whoever comes until the earlier write has ended joins this group.
            with self._writing:
                with self._lock:
                    self._waiting = None
                try:
                    self._write(group.items)
                except BaseException as error:  # the others must not take it for written
                    group.error = error
                    raise
                finally:
                    group.is_done.set()
        else:
            group.is_done.wait()
            if group.error is not None:
                raise group.error


class _Group(Generic[Item]):
    def __init__(self) -> None:
        self.items: list[Item] = []
        self.is_done = threading.Event()
        self.error: BaseException | None = None
