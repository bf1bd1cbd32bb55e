"""Files of a training run that are whole or not there, and a full disk that is told in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from screening.errors import TrainingError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def says_when_full(file: Path) -> Iterator[None]:
    """Turn the error of a full disk, a quota or a file limit into one that names the file.

    Raises:
        TrainingError: no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise TrainingError(
            f"{file}: no room to write it ({error.strerror}); free some and start again, finished steps are kept"
        ) from error


@contextmanager
def new_array(file: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """A .npy file to fill through a memory map; it has its name only when it is full.

    Raises:
        TrainingError: no room.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    try:
        with says_when_full(file):
            array = np.lib.format.open_memmap(part, "w+", dtype, shape)
            # Claimed now: a page of a memory map that finds no room later ends the process without a word.
            with part.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, part.stat().st_size)
        yield array
        array.flush()
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Write beside the place and move there: a kill leaves the old file or the new one.

    Raises:
        TrainingError: no room.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    try:
        with says_when_full(file), part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
