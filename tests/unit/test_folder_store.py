"""A plain folder as an object store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.edges.folder_store import FolderStore, _to_key, _to_name
from screening.edges.store import Store, open_store
from screening.errors import (
    AccessError,
    ChangedObjectError,
    ContractError,
    MissingError,
    MissingObjectError,
    SettingsError,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The store's folder, with room beside it for what must not be touched."""
    path = tmp_path / "store"
    path.mkdir()
    return path


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(folder.as_uri(), attempts=1, timeout_s=1, connections=1)


def keys_of(store: Store, prefix: str = "") -> list[str]:
    return [found.key for page in store.pages(prefix) for found in page]


def write(folder: Path, name: str | bytes, content: bytes = b"x") -> None:
    path = folder / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_what_was_put_is_listed_and_read_back(store):
    assert store.put("a/photo.jpg", b"pixels") is True
    ((found,),) = store.pages("")
    assert (found.key, found.size_bytes) == ("a/photo.jpg", 6)
    assert store.get("a/photo.jpg", found.etag) == store.get("a/photo.jpg") == b"pixels"
    assert store.exists("a/photo.jpg")


def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(store):
    store.put("a/photo.jpg", b"pixels")
    store.delete("a/photo.jpg")
    store.delete("a/photo.jpg")
    store.delete("never/there")
    assert not store.exists("a/photo.jpg")
    assert keys_of(store) == []


def test_a_folder_is_no_object(store):
    store.put("a/photo.jpg", b"")
    assert not store.exists("a")
    with pytest.raises(MissingObjectError):
        store.get("a")
    store.delete("a")
    assert keys_of(store) == ["a/photo.jpg"]


def test_keys_come_in_the_order_of_their_bytes_as_from_s3(folder, store):
    names = ["a/b", "a-b", "a.jpg", "a0", "a/b.c/d", "a/b/c2", "A", "é", "ä/ö", "z", "\U0001fa7a", "\uffee", "a b", "_"]
    names.remove("a/b")  # a file and a folder cannot share a name
    for name in names:
        write(folder, name)
    assert keys_of(store) == sorted(names, key=str.encode)


def test_pages_are_full_but_for_the_last(folder):
    for number in range(25):
        write(folder, f"d{number % 3}/{number:02d}.jpg")
    pages = list(FolderStore(folder, page_objects=10).pages(""))
    assert [len(page) for page in pages] == [10, 10, 5]
    keys = [found.key for page in pages for found in page]
    assert keys == sorted(keys)
    assert len(set(keys)) == 25


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", ["a/1", "a/b/2", "ab", "b/1"]),
        ("a", ["a/1", "a/b/2", "ab"]),
        ("a/", ["a/1", "a/b/2"]),
        ("a/b", ["a/b/2"]),
        ("a/1", ["a/1"]),
        ("c", []),
        ("a/1/", []),
        ("nowhere/at/all", []),
        ("../", []),
        ("/a", []),
        ("a//", []),
        ("x" * 256 + "/", []),
    ],
)
def test_a_prefix_is_the_start_of_a_key_and_no_folder(folder, store, prefix, found):
    write(folder.parent, "outside.jpg")
    for key in ("a/1", "a/b/2", "ab", "b/1"):
        store.put(key, b"")
    assert keys_of(store, prefix) == found


def test_a_name_that_is_not_utf8_is_listed_under_a_key_that_parquet_can_hold(folder, store):
    write(folder, b"mole-\xff\xe9.jpg", b"pixels")
    assert keys_of(store) == [r"mole-\xff\xe9.jpg"]
    assert store.get(r"mole-\xff\xe9.jpg") == b"pixels"


def test_a_name_that_looks_like_an_escape_has_a_key_of_its_own(folder, store):
    for name in (b"\xff", rb"\xff", rb"\x5cxff", rb"\x41", b"50%"):
        write(folder, name, name)
    keys = keys_of(store)
    assert sorted(keys) == sorted([r"\xff", r"\x5cxff", r"\x5cx5cxff", r"\x41", "50%"])
    assert {store.get(key) for key in keys} == {b"\xff", rb"\xff", rb"\x5cxff", rb"\x41", b"50%"}


@given(
    st.one_of(
        st.binary(min_size=1),
        st.lists(st.sampled_from([b"\\", b"x", b"5", b"c", b"f", b"\xff", b"\xc3"])).map(b"".join),
    )
)
def test_every_name_has_one_key_and_every_key_one_name(name):
    key = _to_key(os.fsdecode(name))
    assert _to_name(key) == name
    key.encode()  # no half of a surrogate pair is left


def test_hostile_names_are_listed_and_read(folder, store):
    names = ["new\nline", "tab\t", "control\x01", " ", "-rf", "~", "*?[", "'\"", "é", "e\u0301", "🩺", "x" * 255]
    for name in names:
        write(folder, name, name.encode())
    assert keys_of(store) == sorted(names, key=str.encode)
    assert [store.get(name) for name in names] == [name.encode() for name in names]


@pytest.mark.parametrize(
    "key",
    ["../outside", "a/../../outside", "/outside", "a//b", "", "..", ".", "./a", "a/.", "a/", "nul\0", "x" * 256,
     ".partial/mine", "half\udcff", r"\xc3\xa9"],
)  # fmt: skip
def test_a_key_that_is_no_path_below_the_folder_is_never_written(folder, store, key):
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(ContractError):
        store.put(key, b"escaped")
    assert [path for path in sorted(folder.parent.rglob("*")) if path.name != ".partial"] == before


@pytest.mark.parametrize(
    "key", ["../outside", "a/../../outside", "/outside", "a//b", "", "x" * 256, "half\udcff", "outside/x"]
)
def test_nothing_outside_of_the_folder_is_read_or_removed(folder, store, key):
    write(folder.parent, "outside", b"secret")
    with pytest.raises(MissingObjectError):
        store.get(key)
    assert not store.exists(key)
    store.delete(key)
    assert (folder.parent / "outside").read_bytes() == b"secret"


def test_a_linked_folder_is_neither_entered_nor_written_into(folder, store):
    outside = folder.parent / "outside"
    write(outside, "photo.jpg", b"secret")
    (folder / "linked").symlink_to(outside)
    (folder / "loop").symlink_to("loop")
    # listed, so that it is accounted for, and no photo
    assert keys_of(store) == ["linked", "loop"]
    assert keys_of(store, "linked/") == keys_of(store, "loop/") == []
    for key in ("linked", "loop", "linked/photo.jpg", "loop/photo.jpg"):
        with pytest.raises(MissingObjectError):
            store.get(key)
    with pytest.raises(ContractError):
        store.put("linked/new.jpg", b"")
    assert sorted(path.name for path in outside.iterdir()) == ["photo.jpg"]


def test_a_link_to_a_file_is_read_as_that_file(folder, store):
    write(folder.parent, "photo.jpg", b"pixels")
    (folder / "linked.jpg").symlink_to(folder.parent / "photo.jpg")
    ((found,),) = store.pages("")
    assert (found.key, found.size_bytes) == ("linked.jpg", 6)
    assert store.get("linked.jpg", found.etag) == b"pixels"


@pytest.mark.timeout(10)
def test_pipes_and_sockets_are_listed_and_never_waited_for(folder, store, monkeypatch):
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)  # the address of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert keys_of(store) == ["pipe", "socket"]
        for key in ("pipe", "socket"):
            with pytest.raises(MissingObjectError):
                store.get(key)


def test_an_object_that_was_replaced_since_the_listing_is_not_read(store):
    store.put("photo.jpg", b"listed")
    ((listed,),) = store.pages("")
    store.put("photo.jpg", b"another")
    with pytest.raises(ChangedObjectError, match=r"'photo\.jpg'"):
        store.get("photo.jpg", listed.etag)


def test_an_object_that_was_deleted_since_the_listing_is_missing(store):
    store.put("photo.jpg", b"listed")
    ((listed,),) = store.pages("")
    store.delete("photo.jpg")
    with pytest.raises(MissingObjectError, match=r"'photo\.jpg'"):
        store.get("photo.jpg", listed.etag)


def test_files_that_vanish_during_a_listing_are_left_out(folder):
    for number in range(6):
        write(folder, f"{number // 3}/{number}")
    pages = FolderStore(folder, page_objects=1).pages("")
    assert next(pages)[0].key == "0/0"
    (folder / "0" / "1").unlink()
    for path in (folder / "1").iterdir():
        path.unlink()
    (folder / "1").rmdir()
    assert [found.key for page in pages for found in page] == ["0/2"]


def test_only_one_of_many_writers_of_a_new_key_is_told_that_it_wrote(store):
    with ThreadPoolExecutor(16) as pool:
        was_written = list(pool.map(lambda n: store.put("claim", b"%d" % n, only_if_new=True), range(64)))
    assert was_written.count(True) == 1
    assert store.get("claim") == b"%d" % was_written.index(True)


def test_a_file_is_put_whole_and_not_over_another_that_should_stay(store, tmp_path):
    file = tmp_path / "table.parquet"
    file.write_bytes(os.urandom(3_000_000))
    assert store.put_file("a/table.parquet", file) is True
    assert store.get("a/table.parquet") == file.read_bytes()
    store.put("a/table.parquet", b"theirs")
    assert store.put_file("a/table.parquet", file, only_if_new=True) is False
    assert store.get("a/table.parquet") == b"theirs"


def test_a_reader_sees_the_old_object_or_the_new_one_and_never_a_part(store):
    store.put("table", b"0" * 1_000_000)
    is_over = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not is_over.is_set():
            seen.add(store.get("table"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        store.put("table", str(number % 10).encode() * 1_000_000)
    is_over.set()
    reader.join()
    assert {len(body) for body in seen} == {1_000_000}
    assert all(len(set(body)) == 1 for body in seen)


def test_a_write_that_fails_leaves_nothing_behind(folder, store, tmp_path):
    with pytest.raises(ContractError):
        store.put_file("a/table.parquet", tmp_path / "not-there")
    assert keys_of(store) == []
    assert list((folder / ".partial").iterdir()) == []


def test_what_is_being_written_is_not_listed(folder, store):
    write(folder, ".partial/0123", b"half")
    write(folder, "a/.partial/photo.jpg", b"whole")
    assert keys_of(store) == ["a/.partial/photo.jpg"]


def test_a_key_below_an_object_cannot_be_written(store):
    store.put("a", b"")
    for key in ("a/b", "a/b/c"):
        with pytest.raises(ContractError):
            store.put(key, b"")
    store.put("d/e", b"")
    with pytest.raises(ContractError):
        store.put("d", b"")


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: list(store.pages("")),
        lambda store: store.get("a"),
        lambda store: store.put("a", b""),
        lambda store: store.exists("a"),
        lambda store: store.delete("a"),
    ],
    ids=["pages", "get", "put", "exists", "delete"],
)
def test_a_missing_folder_is_named_and_not_made(tmp_path, ask):
    store = open_store((tmp_path / "nowhere").as_uri(), attempts=1, timeout_s=1, connections=1)
    with pytest.raises(MissingError, match="nowhere") as raised:
        ask(store)
    assert not isinstance(raised.value, MissingObjectError)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_written_or_entered_is_refused(folder, store):
    write(folder, "closed/photo.jpg")
    (folder / "closed").chmod(0)
    try:
        with pytest.raises(AccessError):
            keys_of(store)
        with pytest.raises(AccessError):
            store.put("closed/new.jpg", b"")
    finally:
        (folder / "closed").chmod(0o700)


def test_folders_nest_deeper_than_calls_may(folder, store):
    depth = sys.getrecursionlimit() + 200
    path = folder
    for _ in range(depth):
        path /= "d"
        path.mkdir()
    (path / "photo.jpg").write_bytes(b"x")
    try:
        (found,) = keys_of(store)
        assert found.count("/") == depth
        assert store.get(found) == b"x"
    finally:
        subprocess.run(["rm", "-rf", str(folder / "d")], check=True)  # pytest could not


def test_a_url_is_the_address_of_the_file_for_a_browser(folder, store):
    assert store.url("ä b#1.jpg") == f"{folder.as_uri()}/%C3%A4%20b%231.jpg"


def test_a_folder_with_an_odd_name_is_opened_by_its_url(tmp_path):
    odd = tmp_path / "50% öde #1?"
    odd.mkdir()
    open_store(odd.as_uri(), attempts=1, timeout_s=1, connections=1).put("a", b"")
    assert (odd / "a").exists()


@pytest.mark.parametrize(
    "url", ["", "photos", "/photos", "file://photos", "s3:/bucket", "s3://", "s3:///prefix", "gs://bucket"]
)
def test_an_address_of_another_form_is_a_mistake_in_the_settings(url):
    with pytest.raises(SettingsError):
        open_store(url, attempts=1, timeout_s=1, connections=1)
