"""Which weights measured: part of what every row of ``quality`` can be traced to."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from screening.stages.quality.blur import WEIGHTS
from screening.stages.quality.faces import FACES
from screening.stages.quality.framing import FRAMING
from screening.stages.quality.lettering import LETTERING
from screening.stages.quality.network import REGIONS
from screening.stages.quality.surface import SURFACE


@lru_cache(maxsize=1)
def filters_version() -> str:
    """The first 8 hex digits of the SHA-256 of each file, in this order."""
    files = (REGIONS, WEIGHTS, FRAMING, LETTERING, FACES, SURFACE)
    return "-".join(hashlib.sha256(file.read_bytes()).hexdigest()[:8] for file in files)
