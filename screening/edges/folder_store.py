r"""A folder as an object store, for one machine and for ``screening screen DIR``.

Keys and names: a file's key is its path below the folder. Linux names are bytes and a key is text that Parquet can
hold, so a byte that is not UTF-8 stands in the key as ``\xff`` (a backslash that would read as such an escape stands
as ``\x5c``). The translation is exact in both directions; no file is overlooked and no two share a key.

A symbolic link to a file is read as that file: who gathers photos by links means them. A link to a folder is not
entered, since it may lead back; it, pipes and devices are listed, so that they are accounted for, and refuse to be
read. The sub-folder ``.partial`` is ours: it holds files that are being written, and is never listed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from screening.edges.store import PAGE_OBJECTS, StoredObject
from screening.errors import (
    AccessError,
    ChangedObjectError,
    ContractError,
    MissingError,
    MissingObjectError,
    ScreeningError,
    StoreUnavailableError,
    UnreadableFileError,
)

_PARTIAL = ".partial"
_MAX_NAME_BYTES = 255
_ESCAPE = re.compile(r"\\x(5c|[89a-f][0-9a-f])")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
# What the operating system says when no file can have that path: too long, or a file where a folder should be.
_NO_SUCH_PATH = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP, errno.ENXIO)


class FolderStore:
    """The objects below one folder, which must exist, as a bucket must.

    An object's etag is ``<size in bytes>-<mtime in ns>``: cheap, since no file is read to list it. It misses a change
    that keeps both, e.g. one within the clock tick of the file system (some milliseconds) that keeps the size.
    """

    def __init__(self, folder: Path, page_objects: int = PAGE_OBJECTS) -> None:
        self._root = folder.resolve()
        self._page_objects = page_objects

    @classmethod
    def at_url(cls, url: str) -> FolderStore:
        """The store at ``file:///folder``, where ``%20`` and the like stand for bytes."""
        return cls(Path(os.fsdecode(unquote_to_bytes(url.removeprefix("file://")))))

    def pages(self, prefix: str) -> Iterator[list[StoredObject]]:
        """See ``Store``. Holds the names in the folders on the way to one file, not all of them."""
        page: list[StoredObject] = []
        for found in self._walk(prefix):
            page.append(found)
            if len(page) == self._page_objects:
                yield page
                page = []
        if page:
            yield page

    def _walk(self, prefix: str) -> Iterator[StoredObject]:
        self._check_root()
        start, slash, _ = prefix.rpartition("/")
        # A symbolic link on the way would lead out, or list a photo twice.
        if slash and not (_is_path_of_a_key(start) and self._is_inside(start)):
            return
        # A stack and not recursion: folders nest deeper than Python's calls may.
        open_folders = [iter(self._entries(start + slash))]
        while open_folders:
            key = next(open_folders[-1], None)
            if key is None:
                open_folders.pop()
            elif key.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    open_folders.append(iter(self._entries(key)))
            elif key.startswith(prefix):
                try:
                    status = self._status(key)
                except FileNotFoundError:
                    continue  # removed since its folder was listed
                except OSError as error:
                    raise self._translated(error, key) from error
                yield StoredObject(key, _etag(status), status.st_size)

    def _entries(self, folder_key: str) -> list[str]:
        """Keys in one folder, in order; those of folders end with a slash."""
        try:
            with os.scandir(self._path(folder_key)) as entries:
                names = [
                    _to_key(e.name) + ("/" if e.is_dir(follow_symlinks=False) else "")
                    for e in entries
                    if folder_key or e.name != _PARTIAL
                ]
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return []  # a prefix without objects, or removed since its parent was listed
            raise self._translated(error, folder_key) from error
        # A folder sorts as its name and a slash: "a-b" < "a.jpg" < "a/b" < "a0", as in S3.
        return [folder_key + name for name in sorted(names, key=str.encode)]

    def get(self, key: str, etag: str | None = None) -> bytes:
        """See ``Store``. Also a file that changes while it is read counts as changed."""
        path = self._path_to_read(key)
        try:
            # Without NONBLOCK, opening a pipe would wait for somebody to write into it.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    raise UnreadableFileError(f"object {key!r} in {self._name} is no regular file")
                body = file.read()
                after = os.fstat(file.fileno())
        except PermissionError as error:  # one file that we may not read is that file's fault, not the store's
            raise UnreadableFileError(f"object {key!r} in {self._name}: {error.strerror}") from error
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.EISDIR) and path.is_symlink():
                raise UnreadableFileError(f"object {key!r} in {self._name}: a link that leads to no file") from error
            raise self._translated(error, key) from error
        if _etag(before) != _etag(after) or etag not in (None, _etag(after)):
            expected = etag or _etag(before)
            raise ChangedObjectError(f"object {key!r} in {self._name} has etag {_etag(after)}, expected {expected}")
        return body

    def put(self, key: str, body: bytes, *, only_if_new: bool = False) -> bool:
        """See ``Store``.

        Raises:
            ContractError: the key would leave the folder, or cannot be a path (``..``, an empty part, a part of more
                than 255 bytes). Not a ``PhotoError``: the keys that are written are made of ids and escaped names, so
                such a key is a mistake in the program, and no photo is to blame.
        """
        with self._written_whole(key, only_if_new) as partial:
            partial.file.write(body)
        return partial.is_written

    def put_file(self, key: str, path: Path, only_if_new: bool = False) -> bool:
        """See ``Store`` and ``put``."""
        with self._written_whole(key, only_if_new) as partial, path.open("rb") as source:
            shutil.copyfileobj(source, partial.file, 1 << 20)
        return partial.is_written

    @contextlib.contextmanager
    def _written_whole(self, key: str, only_if_new: bool) -> Iterator[_Partial]:
        """A temporary file that takes the key's place at the end, atomically: by a rename, or a link to a new name."""
        target = self._path_to_write(key)
        temporary = self._root / _PARTIAL / uuid.uuid4().hex
        try:
            temporary.parent.mkdir(exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                partial = _Partial(file)
                yield partial
                file.flush()
                # Else a power cut could leave the new name with no bytes.
                os.fsync(file.fileno())
            if only_if_new:
                try:
                    target.hardlink_to(temporary)
                except FileExistsError:
                    partial.is_written = False
            else:
                temporary.replace(target)
        except OSError as error:
            raise self._translated(error, key, is_writing=True) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def exists(self, key: str) -> bool:
        """See ``Store``. What is listed exists, also what cannot be read, such as a link that leads nowhere."""
        try:
            return not stat.S_ISDIR(self._path_to_read(key).lstat().st_mode)
        except MissingObjectError:
            return False
        except OSError as error:
            if error.errno in _NO_SUCH_PATH:
                return False
            raise self._translated(error, key) from error

    def delete(self, key: str) -> None:
        """See ``Store``; sub-folders that become empty stay."""
        try:
            self._path_to_read(key).unlink()
        except MissingObjectError:
            return
        except OSError as error:
            if error.errno not in _NO_SUCH_PATH:
                raise self._translated(error, key) from error

    def url(self, key: str) -> str:
        """See ``Store``: ``file:///folder/…``, percent-encoded."""
        return self._path(key).as_uri()

    @property
    def _name(self) -> str:
        return self._root.as_uri()

    def _check_root(self) -> None:
        if not self._root.is_dir():
            raise MissingError(f"folder {self._name} does not exist")

    def _path(self, key: str) -> Path:
        return self._root / os.fsdecode(_to_name(key))

    def _status(self, key: str) -> os.stat_result:
        """Of the file that is read; of the link itself where that leads nowhere or to a folder."""
        path = self._path(key)
        with contextlib.suppress(OSError):
            target = path.stat()
            if not stat.S_ISDIR(target.st_mode):
                return target
        return path.lstat()

    def _path_to_read(self, key: str) -> Path:
        """Path of a key; nothing can be under a key that is no path, or behind a link that leads elsewhere."""
        self._check_root()
        if not _is_path_of_a_key(key) or not self._is_inside(key.rpartition("/")[0]):
            raise MissingObjectError(f"no object {key!r} in {self._name}")
        return self._path(key)

    def _path_to_write(self, key: str) -> Path:
        self._check_root()
        if not _is_path_of_a_key(key) or not self._is_inside(key.rpartition("/")[0]):
            raise ContractError(f"key {key!r} is no path below {self._name}, or leaves it")
        return self._path(key)

    def _is_inside(self, folder_key: str) -> bool:
        """Whether no symbolic link lies on the way to this folder."""
        folder = self._path(folder_key)
        # Not Path.resolve, which raises at a link that points to itself.
        return os.path.realpath(folder) == str(folder)

    def _translated(self, error: OSError, key: str, *, is_writing: bool = False) -> ScreeningError:
        """Our error for the operating system's."""
        what = f"object {key!r} in {self._name}: {error.strerror}"
        if is_writing and error.errno in (*_NO_SUCH_PATH, errno.EEXIST):
            return ContractError(what)
        if error.errno in _NO_SUCH_PATH:
            return MissingObjectError(what)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return AccessError(what)
        return StoreUnavailableError(what)


class _Partial:
    """A file being written, and whether it took its place."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.is_written = True


def key_below(folder: Path, file: Path) -> str:
    """Key of a file in a ``FolderStore`` of the folder."""
    return _to_key(file.relative_to(folder).as_posix())


def _etag(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _to_key(name: str) -> str:
    # Through bytes, so that the machine's locale has no say in what a name is.
    text = os.fsencode(name).decode("utf-8", "surrogateescape")
    # Only a backslash that would be taken for an escape is escaped: other names stay as people know them.
    text = _ESCAPE.sub(lambda m: "\\x5c" + m[0][1:], text)
    return _NOT_UTF8.sub(lambda m: f"\\x{ord(m[0]) - 0xDC00:02x}", text)


def _to_name(key: str) -> bytes:
    text = _ESCAPE.sub(lambda m: "\\" if m[1] == "5c" else chr(0xDC00 + int(m[1], 16)), key)
    return text.encode("utf-8", "surrogateescape")


def _is_path_of_a_key(key: str) -> bool:
    """Whether a file below the folder can have this key, i.e. whether a listing could show it."""
    parts = key.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts) or parts[0] == _PARTIAL:
        return False
    try:
        names = [_to_name(part) for part in parts]
    except UnicodeEncodeError:  # half a surrogate pair, which no listing gives
        return False
    is_canonical = all(_to_key(os.fsdecode(name)) == part for name, part in zip(names, parts, strict=True))
    return is_canonical and all(len(name) <= _MAX_NAME_BYTES for name in names)
