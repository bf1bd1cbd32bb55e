"""What is held in memory is looked up again now and then, and nobody waits for it while what is known is fresh enough."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from screening.errors import ScreeningError

log = logging.getLogger(__name__)

TOO_OLD = 2
"""Intervals: after a pause of all readers the next one waits for the look, so as not to be shown old things."""


class LookingAgain:
    """Calls ``look`` at most every ``every_s``, one at a time. Safe to use from several threads.

    Whoever finds that it is time lets a thread look and goes on with what is known. Only when that is ``TOO_OLD`` intervals
    old, or nothing is known yet, everybody waits.
    """

    def __init__(self, look: Callable[[], None], every_s: float) -> None:
        self.every_s = every_s
        self._look = look
        self._looking = threading.Lock()
        self._looked_at: float | None = None

    def if_it_is_time(self) -> None:
        """Look, or have it done.

        Raises:
            ScreeningError: what ``look`` raised, where it was waited for.
        """
        age_s = self._age_s()
        if age_s < self.every_s:
            return
        if age_s >= TOO_OLD * self.every_s:
            with self._looking:
                if self._age_s() >= self.every_s:  # else somebody looked while this one waited
                    self._look_now()
        elif self._looking.acquire(blocking=False):
            try:
                threading.Thread(target=self._look_aside, name="look-again", daemon=True).start()
            except RuntimeError as error:  # no more threads: another time, and nobody may wait for the lock for ever
                self._looking.release()
                log.warning("review: %s", error)

    def _look_aside(self) -> None:
        try:
            self._look_now()
        except ScreeningError as error:  # the next one tries again; who comes when all is too old gets the error
            log.warning("review: %s", error)
        finally:
            self._looking.release()

    def _look_now(self) -> None:
        started = time.monotonic()
        self._look()
        self._looked_at = started

    def _age_s(self) -> float:
        return float("inf") if self._looked_at is None else time.monotonic() - self._looked_at
