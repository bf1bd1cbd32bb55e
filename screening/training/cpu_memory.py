"""Keep freed memory with the process: on a CPU every step would else give its tensors back and fault them in anew."""

from __future__ import annotations

import ctypes
import ctypes.util

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt(3)."""
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Whether glibc was told so; another C library goes on as it is."""
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if not hasattr(libc, "mallopt"):
        return False
    return bool(libc.mallopt(_MMAP_THRESHOLD, 2**30) and libc.mallopt(_TRIM_THRESHOLD, _LARGEST))
