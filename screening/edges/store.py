"""The object store as the rest of the package sees it: an S3 bucket or a plain folder.

A key is text without a leading slash, e.g. ``uploads/north/2026-11-20/mole.jpg``. It is opaque: whatever the uploader
called the file is a valid key, and only a message for people may show it (``repr``, so that a newline in a key cannot
forge a line of the log).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from screening.errors import SettingsError

PAGE_OBJECTS = 1000
"""Objects in a page of a listing; S3 gives no more."""


@dataclass(frozen=True)
class StoredObject:
    """One object of a listing; ``etag`` changes with the bytes, as far as the store can tell."""

    key: str
    etag: str
    size_bytes: int


class Store(Protocol):
    """What both stores can do; every method is safe to call from several threads.

    Raises, wherever it talks to the store:
        MissingError: the bucket or the folder itself does not exist.
        AccessError: the store refused our credentials.
        StoreUnavailableError: it did not answer, or was overloaded, through all attempts.
    """

    def pages(self, prefix: str) -> Iterator[list[StoredObject]]:
        """Every object whose key starts with ``prefix``, a thousand at a time, in the order of the UTF-8 of keys."""
        ...

    def get(self, key: str, etag: str | None = None) -> bytes:
        """The bytes of an object, held in memory: compare ``size_bytes`` with your limit first.

        Raises:
            MissingObjectError: there is no such object.
            ChangedObjectError: ``etag`` is given and the object is another now.
        """
        ...

    def put(self, key: str, body: bytes, *, only_if_new: bool = False) -> bool:
        """Write an object as a whole: a reader sees the old one or the new one.

        Returns:
            Whether it was written; false only with ``only_if_new``, when the key existed already. Of several writers at
            once exactly one is told true.
        """
        ...

    def put_file(self, key: str, path: Path, only_if_new: bool = False) -> bool:
        """As ``put``, with the bytes of a local file (S3: at most 5 GiB, since it is one request)."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already."""
        ...

    def url(self, key: str) -> str:
        """Where the object is, for people; without credentials or a signature."""
        ...


def open_store(url: str, *, endpoint: str | None = None, attempts: int, timeout_s: float, connections: int) -> Store:
    """The store at ``s3://bucket[/prefix]`` or ``file:///folder``; talks to nobody yet.

    Args:
        url: a prefix is prepended to every key and never shown to the caller.
        endpoint: address of an S3 server other than AWS, e.g. ``http://127.0.0.1:9000``.
        attempts: tries per request; eight outlast a minute of failures (``backoff.wait_s``).
        timeout_s: for connecting and for each read, not for a request as a whole.
        connections: connections kept open, i.e. threads that may use the store at once without waiting.

    Raises:
        SettingsError: the address is of neither form.
    """
    # boto3 takes a third of a second to import; who works on a folder need not wait for it, nor install it.
    if url.startswith("s3://"):
        from screening.edges.s3_store import S3Store  # noqa: PLC0415

        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise SettingsError(f"store {url!r} names no bucket; expected s3://bucket or s3://bucket/prefix")
        return S3Store(
            bucket, prefix, endpoint=endpoint, attempts=attempts, timeout_s=timeout_s, connections=connections
        )
    if url.startswith("file:///"):
        from screening.edges.folder_store import FolderStore  # noqa: PLC0415

        return FolderStore.at_url(url)
    raise SettingsError(f"store {url!r}; expected s3://bucket, s3://bucket/prefix or file:///folder")
