"""How long to wait before a request is tried again: one rule for the object store and for Triton."""

from __future__ import annotations

import random

_WAITS_S = (1.0, 4.0, 15.0)
# Full jitter (0 to 1 times the wait) spreads callers better, but its sum may be next to nothing: an outage of a minute
# would sometimes outlast eight attempts. A fifth up or down still parts callers that failed together, and the sum is
# known.
_JITTER = 0.2
_chance = random.SystemRandom()


def wait_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row: about 1, 4, then 15 each.

    Eight attempts (seven waits) last 64 to 96 s, six attempts (five waits) 40 to 60 s, without the requests' own time.
    """
    wait = _WAITS_S[min(failures, len(_WAITS_S)) - 1]
    return wait * _chance.uniform(1.0 - _JITTER, 1.0 + _JITTER)
