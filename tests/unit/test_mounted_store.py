from pathlib import Path

import pytest

from screening.edges.folder_store import FolderStore
from screening.edges.mounted_store import MountedStore
from screening.errors import ChangedObjectError, ContractError, MissingObjectError

AT = "uploads/north/2026-11-20/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.jpg", "leg/c.jpg"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def store(folder: Path) -> MountedStore:
    return MountedStore(FolderStore(folder), AT)


def keys(store: MountedStore, prefix: str) -> list[str]:
    return [found.key for page in store.pages(prefix) for found in page]


@pytest.mark.parametrize("prefix", ["", "u", "uploads/", "uploads/north/", AT])
def test_a_folder_is_listed_as_an_upload(store: MountedStore, prefix: str) -> None:
    assert keys(store, prefix) == [AT + "a.jpg", AT + "b.jpg", AT + "leg/c.jpg"]


@pytest.mark.parametrize(
    ("prefix", "found"), [(AT + "leg/", [AT + "leg/c.jpg"]), (AT + "a", [AT + "a.jpg"]), (AT + "z", [])]
)
def test_a_longer_prefix_lists_what_lies_below_it(store: MountedStore, prefix: str, found: list[str]) -> None:
    assert keys(store, prefix) == found


@pytest.mark.parametrize("prefix", ["uploads/south/", "tables/", "uploads/north/2026-11-21/", "a"])
def test_elsewhere_there_is_nothing(store: MountedStore, prefix: str) -> None:
    assert keys(store, prefix) == []


def test_an_object_keeps_the_tag_and_size_of_its_store(store: MountedStore, folder: Path) -> None:
    [[inner, *_]], [[outer, *_]] = FolderStore(folder).pages(""), store.pages("")

    assert (outer.etag, outer.size_bytes) == (inner.etag, inner.size_bytes)


def test_what_is_listed_can_be_read_with_its_tag(store: MountedStore) -> None:
    [page] = store.pages(AT)

    assert [store.get(found.key, found.etag) for found in page] == [b"a.jpg", b"b.jpg", b"leg/c.jpg"]


def test_a_replaced_object_is_not_read_with_its_old_tag(store: MountedStore, folder: Path) -> None:
    [[first, *_]] = store.pages(AT)
    (folder / "a.jpg").write_bytes(b"another photo")

    with pytest.raises(ChangedObjectError):
        store.get(first.key, first.etag)


def test_only_what_lies_in_the_folder_exists(store: MountedStore) -> None:
    assert store.exists(AT + "a.jpg")
    assert not store.exists(AT + "z.jpg")
    assert not store.exists("a.jpg")
    assert not store.exists("uploads/south/2026-11-20/a.jpg")


@pytest.mark.parametrize("key", [AT + "z.jpg", "a.jpg", "uploads/south/2026-11-20/a.jpg", AT + "../secret"])
def test_what_is_not_in_the_folder_cannot_be_read(store: MountedStore, key: str) -> None:
    with pytest.raises(MissingObjectError):
        store.get(key)


def test_an_address_is_that_of_the_file(store: MountedStore, folder: Path) -> None:
    assert store.url(AT + "a.jpg") == (folder / "a.jpg").as_uri()
    with pytest.raises(MissingObjectError, match="lies outside"):
        store.url("a.jpg")


def test_the_photos_of_a_person_are_never_written_to_or_deleted(store: MountedStore, folder: Path) -> None:
    with pytest.raises(ContractError, match="not to change"):
        store.put(AT + "a.jpg", b"")
    with pytest.raises(ContractError, match="not to change"):
        store.put_file(AT + "a.jpg", folder / "b.jpg")
    with pytest.raises(ContractError, match="not to change"):
        store.delete(AT + "a.jpg")

    assert (folder / "a.jpg").read_bytes() == b"a.jpg"
