"""A store seen from outside as if its keys lay below a prefix: a plain folder in the place of an upload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from screening.edges.store import Store, StoredObject
from screening.errors import ContractError, MissingObjectError


class MountedStore:
    """``store`` with every key below ``at``; order of keys and etags are the store's own. Read only."""

    def __init__(self, store: Store, at: str) -> None:
        self._store = store
        self._at = at

    def pages(self, prefix: str) -> Iterator[list[StoredObject]]:
        if self._at.startswith(prefix):
            inner = ""
        elif prefix.startswith(self._at):
            inner = prefix.removeprefix(self._at)
        else:
            return
        for page in self._store.pages(inner):
            yield [StoredObject(self._at + found.key, found.etag, found.size_bytes) for found in page]

    def get(self, key: str, etag: str | None = None) -> bytes:
        return self._store.get(self._inner(key), etag)

    def exists(self, key: str) -> bool:
        return key.startswith(self._at) and self._store.exists(self._inner(key))

    def url(self, key: str) -> str:
        return self._store.url(self._inner(key))

    def put(self, key: str, body: bytes, *, only_if_new: bool = False) -> bool:
        raise self._read_only(key)

    def put_file(self, key: str, path: Path, only_if_new: bool = False) -> bool:
        raise self._read_only(key)

    def delete(self, key: str) -> None:
        raise self._read_only(key)

    def _read_only(self, key: str) -> ContractError:
        return ContractError(f"{key!r}: {self._at} is a folder of photos to read, not to change")

    def _inner(self, key: str) -> str:
        if not key.startswith(self._at):
            raise MissingObjectError(f"{key} lies outside {self._at}")
        return key.removeprefix(self._at)
