"""Put a folder of photos where the next night will find it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from screening.edges import paths
from screening.edges.folder_store import key_below
from screening.errors import MissingError, SettingsError
from screening.tasks.context import NightContext
from screening.tasks.parallel import map_windowed

_PROGRAMME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def upload_folder(
    folder: Path,
    programme: str,
    night: date,
    context: NightContext,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[int, int]:
    """Upload every file of a folder, below ``uploads/<programme>/<night>/``; returns (uploaded, already there).

    Repeated, it sends only what is missing or has other bytes: an S3 etag of a single PUT is the MD5 of the bytes.

    Raises:
        MissingError: the folder does not exist.
        SettingsError: the programme's name could not stand in a path.
    """
    if not _PROGRAMME.fullmatch(programme):
        raise SettingsError(
            f"programme {programme!r}: expected lower-case letters, digits, - and _, at most 63 of them"
        )
    if not folder.is_dir():
        raise MissingError(f"{folder} is not a folder; expected one with photos")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    prefix = paths.upload(programme, night, "")
    there = {found.key: found.etag for page in context.uploads.pages(prefix) for found in page}

    def send(file: Path) -> bool:
        body, key = file.read_bytes(), prefix + key_below(folder, file)
        if there.get(key) == hashlib.md5(body, usedforsecurity=False).hexdigest():
            return False
        context.uploads.put(key, body)
        return True

    uploaded = 0
    threads = context.settings.s3_connections
    with ThreadPoolExecutor(threads, thread_name_prefix="upload") as pool:
        for done, sent in enumerate(map_windowed(pool, send, files, 2 * threads), start=1):
            uploaded += sent
            on_progress(done, len(files))
    return uploaded, len(files) - uploaded
