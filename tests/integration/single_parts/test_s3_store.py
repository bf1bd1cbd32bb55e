"""S3Store against a real Ceph, with real faults between them."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from screening.edges.s3_store import S3Store
from screening.edges.store import Store, open_store
from screening.errors import (
    AccessError,
    ChangedObjectError,
    ContractError,
    MissingError,
    MissingObjectError,
    SettingsError,
    StoreUnavailableError,
)
from tests.integration.ceph_fixture import RunningCeph, running_ceph
from tests.integration.faulty_proxy import Fault, FaultyProxy

pytestmark = pytest.mark.stack

HOSTILE_KEYS = [
    "../above", "a/../../b", "..", "./here", "a//b", "/leading", "trailing/", " space ", "new\nline", "tab\tand\rreturn",
    "control\x01\x1f", "\x7f", "percent%41%2F%", "plus+plus", "question?x=1&y", "hash#1", "quote'\"<>&", "back\\slash\\xff",
    "ä/ö/é", "e\u0301", "🩺", "\u2028", "\uffff", "\U0010fffd",
]  # fmt: skip


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCeph]:
    with running_ceph(tmp_path_factory.mktemp("ceph")) as ceph:
        yield ceph


@pytest.fixture(autouse=True)
def credentials(ceph: RunningCeph, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ceph.credentials.uploads_access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ceph.credentials.uploads_secret_key)
    # No file of the developer's own, and nobody to ask for credentials over the network.
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def prefix() -> str:
    """A place in the bucket for one test."""
    return f"tests/{uuid.uuid4().hex}"


@pytest.fixture
def store(ceph: RunningCeph, prefix: str) -> Store:
    return open_store(
        f"s3://screening-results/{prefix}", endpoint=ceph.endpoint, attempts=2, timeout_s=10, connections=16
    )


@pytest.fixture
def proxy(ceph: RunningCeph) -> Iterator[FaultyProxy]:
    with FaultyProxy(ceph.endpoint) as proxy:
        yield proxy


@pytest.fixture
def far_store(proxy: FaultyProxy, prefix: str) -> S3Store:
    """The same store through the proxy, four attempts, hardly waiting between them."""
    return S3Store(
        "screening-results", prefix,
        endpoint=proxy.url, attempts=4, timeout_s=10, connections=2, wait_s=lambda failures: 0.01 * failures,
    )  # fmt: skip


def keys_of(store: Store, prefix: str = "") -> list[str]:
    return [found.key for page in store.pages(prefix) for found in page]


def test_what_was_put_is_listed_and_read_back(store):
    assert store.put("photo.jpg", b"pixels") is True
    (page,) = store.pages("")
    assert [(o.key, o.size_bytes) for o in page] == [("photo.jpg", 6)]
    assert store.get("photo.jpg", page[0].etag) == store.get("photo.jpg") == b"pixels"
    assert store.exists("photo.jpg")


def test_a_file_is_put_as_one_object(store, tmp_path):
    file = tmp_path / "table.parquet"
    file.write_bytes(os.urandom(9_000_000))
    assert store.put_file("table.parquet", file)
    assert store.get("table.parquet") == file.read_bytes()
    ((found,),) = store.pages("")
    assert "-" not in found.etag  # the etag of an upload in parts ends in -<parts>


def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(store):
    store.put("photo.jpg", b"pixels")
    store.delete("photo.jpg")
    store.delete("photo.jpg")
    assert not store.exists("photo.jpg")
    assert keys_of(store) == []


def test_a_url_for_people_is_the_address_without_a_signature(store, prefix):
    assert store.url("a b.jpg") == f"s3://screening-results/{prefix}/a b.jpg"


def test_keys_come_back_exactly_whatever_they_hold(store):
    for key in HOSTILE_KEYS:
        store.put(key, key.encode())
    assert keys_of(store) == sorted(HOSTILE_KEYS, key=str.encode)
    assert [store.get(key) for key in HOSTILE_KEYS] == [key.encode() for key in HOSTILE_KEYS]


def test_keys_of_the_full_length_work(ceph):
    whole_bucket = open_store("s3://screening-uploads", endpoint=ceph.endpoint, attempts=1, timeout_s=10, connections=1)
    for key in ("k" * 1024, "é" * 512, "a" * 1019 + "/../b"):
        whole_bucket.put(key, b"")
        assert keys_of(whole_bucket, key) == [key]
        assert whole_bucket.get(key) == b""


@pytest.mark.parametrize("page_objects", [1, 2, 3])
def test_a_hostile_key_at_the_end_of_a_page_does_not_stop_the_listing(ceph, store, prefix, page_objects):
    for key in HOSTILE_KEYS:
        store.put(key, b"")
    paged = S3Store(
        "screening-results", prefix,
        endpoint=ceph.endpoint, attempts=1, timeout_s=10, connections=1, page_objects=page_objects,
    )  # fmt: skip
    pages = list(paged.pages(""))
    assert all(len(page) == page_objects for page in pages[:-1])
    assert [found.key for page in pages for found in page] == sorted(HOSTILE_KEYS, key=str.encode)


def test_a_listing_has_only_the_keys_with_the_prefix(store):
    for key in ("a/1", "a/2", "ab", "b/1"):
        store.put(key, b"")
    assert keys_of(store, "a/") == ["a/1", "a/2"]
    assert keys_of(store, "a") == ["a/1", "a/2", "ab"]
    assert keys_of(store, "c") == []


def test_only_one_of_many_writers_of_a_new_key_is_told_that_it_wrote(store):
    with ThreadPoolExecutor(16) as pool:
        was_written = list(pool.map(lambda n: store.put("claim", b"%d" % n, only_if_new=True), range(16)))
    assert was_written.count(True) == 1
    assert store.get("claim") == b"%d" % was_written.index(True)
    assert store.put("claim", b"later", only_if_new=True) is False


def test_an_existing_file_is_not_replaced_when_it_should_be_new(store, tmp_path):
    file = tmp_path / "table.parquet"
    file.write_bytes(b"mine")
    store.put("table.parquet", b"theirs")
    assert store.put_file("table.parquet", file, only_if_new=True) is False
    assert store.get("table.parquet") == b"theirs"


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


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: list(store.pages("")),
        lambda store: store.get("photo.jpg"),
        lambda store: store.put("photo.jpg", b""),
        lambda store: store.exists("photo.jpg"),
        lambda store: store.delete("photo.jpg"),
    ],
    ids=["pages", "get", "put", "exists", "delete"],
)
def test_a_missing_bucket_is_named_whatever_is_asked(ceph, ask):
    store = open_store("s3://no-such-bucket", endpoint=ceph.endpoint, attempts=1, timeout_s=10, connections=1)
    with pytest.raises(MissingError, match="no-such-bucket") as raised:
        ask(store)
    assert not isinstance(raised.value, MissingObjectError)


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_credentials_are_refused_at_once_and_not_repeated_in_the_message(ceph, name, monkeypatch):
    monkeypatch.setenv(name, "wrong-and-private")
    store = open_store("s3://screening-results", endpoint=ceph.endpoint, attempts=8, timeout_s=10, connections=1)
    started = time.monotonic()
    for ask in (lambda: store.get("photo.jpg"), lambda: list(store.pages("")), lambda: store.exists("photo.jpg")):
        with pytest.raises(AccessError) as raised:
            ask()
        assert "private" not in str(raised.value)
        assert ceph.credentials.uploads_access_key not in str(raised.value)
    assert time.monotonic() - started < 5


def test_missing_credentials_are_named_at_once(ceph, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store("s3://screening-results", endpoint=ceph.endpoint, attempts=8, timeout_s=10, connections=1)
    with pytest.raises(AccessError, match="no usable S3 credentials"):
        store.get("photo.jpg")


def test_a_user_without_the_right_to_write_is_refused_at_once(ceph, monkeypatch):
    # the pipeline may only read uploads
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ceph.credentials.pipeline_access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ceph.credentials.pipeline_secret_key)
    uploads = open_store("s3://screening-uploads", endpoint=ceph.endpoint, attempts=8, timeout_s=10, connections=1)
    with pytest.raises(AccessError, match="AccessDenied"):
        uploads.put("photo.jpg", b"")


@pytest.mark.parametrize("key", ["k" * 1025, ""])
def test_a_key_that_s3_does_not_take_is_a_mistake_and_not_retried(ceph, key):
    store = open_store("s3://screening-results", endpoint=ceph.endpoint, attempts=8, timeout_s=10, connections=1)
    with pytest.raises(ContractError):
        store.put(key, b"")


def test_an_endpoint_that_is_no_address_is_a_mistake_in_the_settings():
    store = open_store("s3://screening-results", endpoint="ceph:9000", attempts=8, timeout_s=10, connections=1)
    with pytest.raises(SettingsError, match="ceph:9000"):
        store.get("photo.jpg")


def test_a_server_that_is_not_there_is_unavailable_after_all_attempts(prefix):
    waits: list[int] = []

    def wait_s(failures: int) -> float:
        waits.append(failures)
        return 0.0

    store = S3Store(
        "screening-results", endpoint="http://127.0.0.1:9", attempts=3, timeout_s=2, connections=1, wait_s=wait_s
    )
    with pytest.raises(StoreUnavailableError, match="after 3 attempts"):
        store.get("photo.jpg")
    assert waits == [1, 2]


def test_an_overloaded_server_is_asked_again(far_store, proxy):
    for ask in (
        lambda: far_store.put("photo.jpg", b"pixels"),
        lambda: far_store.get("photo.jpg"),
        lambda: keys_of(far_store),
        lambda: far_store.exists("photo.jpg"),
        lambda: far_store.delete("photo.jpg"),
    ):
        before = proxy.requests
        proxy.next_requests(Fault.ANSWERS_503, Fault.ANSWERS_503, Fault.ANSWERS_503)
        ask()
        assert proxy.requests == before + 4


def test_a_server_that_stays_overloaded_is_unavailable_after_all_attempts(far_store, proxy):
    proxy.overloaded_for(60)
    with pytest.raises(StoreUnavailableError, match="after 4 attempts"):
        far_store.get("photo.jpg")
    assert proxy.requests == 4


def test_a_body_that_breaks_off_is_read_again_from_the_start(far_store, proxy):
    body = os.urandom(300_000)
    far_store.put("photo.jpg", body)
    proxy.next_requests(Fault.CUTS_THE_BODY, Fault.CUTS_THE_BODY)
    assert far_store.get("photo.jpg") == body


def test_a_file_is_sent_again_from_its_start(far_store, proxy, tmp_path):
    file = tmp_path / "table.parquet"
    file.write_bytes(os.urandom(300_000))
    proxy.next_requests(Fault.ANSWERS_503, Fault.LOSES_THE_ANSWER)
    assert far_store.put_file("table.parquet", file)
    assert far_store.get("table.parquet") == file.read_bytes()


def test_a_server_that_hangs_is_given_up_after_the_timeout_and_asked_again(proxy, prefix):
    store = S3Store(
        "screening-results", prefix, endpoint=proxy.url, attempts=2, timeout_s=0.5, connections=1, wait_s=lambda _: 0.0
    )
    store.put("photo.jpg", b"pixels")
    proxy.next_requests(Fault.HANGS)
    assert store.get("photo.jpg") == b"pixels"
    proxy.next_requests(Fault.HANGS, Fault.HANGS)
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="ReadTimeoutError"):
        store.get("photo.jpg")
    assert time.monotonic() - started < 5


def test_a_writer_whose_answer_was_lost_is_told_that_it_wrote(far_store, proxy):
    proxy.next_requests(Fault.LOSES_THE_ANSWER)
    assert far_store.put("claim", b"mine", only_if_new=True) is True


def test_a_writer_that_came_second_is_told_so_also_after_a_failed_attempt(far_store, proxy):
    far_store.put("claim", b"mine", only_if_new=True)
    proxy.next_requests(Fault.ANSWERS_503)
    # the same bytes: what tells the writers apart is not what they wrote
    assert far_store.put("claim", b"mine", only_if_new=True) is False


def test_neither_keys_nor_credentials_are_logged(far_store, proxy, ceph, caplog):
    caplog.set_level(logging.WARNING)
    proxy.next_requests(Fault.ANSWERS_503)
    far_store.put("jane-doe.jpg", b"")
    assert "put failed (SlowDown (HTTP 503)), attempt 1 of 4" in caplog.text
    assert "jane" not in caplog.text
    assert ceph.credentials.uploads_access_key not in caplog.text
    assert ceph.credentials.uploads_secret_key not in caplog.text


def test_one_store_serves_many_threads(store):
    bodies = {f"photo-{n}": os.urandom(10_000) for n in range(64)}
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, bodies[key]), bodies))
        assert dict(zip(bodies, pool.map(store.get, bodies), strict=True)) == bodies
