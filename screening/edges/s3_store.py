"""An S3 bucket as the object store: AWS, Ceph, MinIO and others that speak S3.

Retries are ours, not botocore's: its standard mode first waits 50 ms and doubles that, so that eight attempts of a plain
503 were over in 2 to 5 s, and all threads share a quota of 35 retries (botocore 1.44, measured). Ours outlast a minute.
No log line and no message holds credentials, a signature or a body; log lines hold no key either, since uploaders put
names of people into file names.
"""

from __future__ import annotations

import logging
import mimetypes
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from screening.edges import backoff
from screening.edges.store import PAGE_OBJECTS, StoredObject
from screening.errors import (
    AccessError,
    ChangedObjectError,
    ContractError,
    MissingError,
    MissingObjectError,
    ScreeningError,
    SettingsError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

# Answered with a 4xx status, though the next try may succeed.
_PASSING_CODES = {
    "ConditionalRequestConflict",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
_REFUSED_STATUS = (401, 403)
# Answered with 400, though they are about who we are.
_REFUSED_CODES = {"AuthorizationHeaderMalformed", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
_WRITER = "writer"
_PAGE_MARKS = re.compile(rb"<(NextContinuationToken|StartAfter)>.*?</\1>", re.DOTALL)


class S3Store:
    """The objects of one bucket below a prefix; see ``Store``.

    One boto3 client serves all threads of a process (clients are thread-safe, sessions are not); it is made at the first
    request.
    The rights must include ``s3:ListBucket``: without it, AWS refuses (403) to say that an object is missing.
    """

    def __init__(  # noqa: PLR0913  each is a setting of its own
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        attempts: int,
        timeout_s: float,
        connections: int,
        page_objects: int = PAGE_OBJECTS,
        wait_s: Callable[[int], float] = backoff.wait_s,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._endpoint = endpoint
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._connections = connections
        self._page_objects = page_objects
        self._wait_s = wait_s
        self._making_client = threading.Lock()
        self._clients: dict[int, S3Client] = {}

    @property
    def _client(self) -> S3Client:
        """One for each process: a fork would share its connections with its parent."""
        with self._making_client:
            if os.getpid() not in self._clients:
                self._clients = {os.getpid(): self._make_client()}
            return self._clients[os.getpid()]

    def _make_client(self) -> S3Client:
        config = Config(
            connect_timeout=self._timeout_s,
            read_timeout=self._timeout_s,
            max_pool_connections=self._connections,
            retries={"mode": "standard", "total_max_attempts": 1},
            # A server of one's own seldom has a name per bucket.
            s3={"addressing_style": "path" if self._endpoint else "auto"},
            # The newer checksums come as trailers, which Ceph and older MinIO refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            tcp_keepalive=True,
        )
        try:
            session = boto3.session.Session()
            # Servers other than AWS have no region, but the signature needs a word for it.
            region = session.region_name or ("us-east-1" if self._endpoint else None)
            client = session.client("s3", endpoint_url=self._endpoint, region_name=region, config=config)
        except ValueError as error:
            raise SettingsError(f"S3 endpoint {self._endpoint!r}; expected e.g. http://127.0.0.1:9000") from error
        # The star puts it before botocore's own check of the answer, which "s3" in its place would not.
        client.meta.events.register_first("before-parse.*.ListObjectsV2", _drop_page_marks)
        return client

    def pages(self, prefix: str) -> Iterator[list[StoredObject]]:
        """See ``Store``."""
        after = ""
        while True:
            # From the last key on and not from the server's token, which Ceph 16 garbles (see _drop_page_marks).
            start: dict[str, Any] = {"StartAfter": after} if after else {}
            answer = self._ask(
                "list",
                prefix,
                partial(
                    self._client.list_objects_v2,
                    Bucket=self._bucket,
                    Prefix=self._prefix + prefix,
                    MaxKeys=self._page_objects,
                    **start,
                ),
            )
            found = answer.get("Contents", [])
            if found:
                after = found[-1]["Key"]
                yield [
                    StoredObject(o["Key"].removeprefix(self._prefix), o["ETag"].strip('"'), int(o["Size"]))
                    for o in found
                ]
            if not answer["IsTruncated"] or not found:
                return

    def get(self, key: str, etag: str | None = None) -> bytes:
        """See ``Store``. Reading the body counts as part of an attempt."""

        def read() -> tuple[str, bytes]:
            condition: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag is not None else {}
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **condition)
            with answer["Body"] as body:
                return answer["ETag"].strip('"'), body.read()

        found, body = self._ask("get", key, read)
        # Not every server that speaks S3 heeds IfMatch.
        if etag not in (None, found):
            raise ChangedObjectError(f"object {key!r} in {self._name} has etag {found}, expected {etag}")
        return body

    def put(self, key: str, body: bytes, *, only_if_new: bool = False) -> bool:
        """See ``Store``. ``only_if_new`` needs a server that knows If-None-Match on PUT: AWS, Ceph, MinIO do."""
        return self._put(key, lambda: body, only_if_new)

    def put_file(self, key: str, path: Path, only_if_new: bool = False) -> bool:
        """See ``Store``. One request, never in parts: the object appears as a whole."""
        with path.open("rb") as file:

            def from_the_start() -> BinaryIO:
                file.seek(0)
                return file

            return self._put(key, from_the_start, only_if_new)

    def _put(self, key: str, body: Callable[[], bytes | BinaryIO], only_if_new: bool) -> bool:
        writer = uuid.uuid4().hex
        content_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
        condition: dict[str, Any] = {"IfNoneMatch": "*", "Metadata": {_WRITER: writer}} if only_if_new else {}
        sent = 0

        def send() -> bool:
            nonlocal sent
            sent += 1
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=body(), ContentType=content_type, **condition
                )
            except ClientError as error:
                if not only_if_new or _status(error) != 412:
                    raise
                return False
            return True

        if self._ask("put", key, send):
            return True
        if sent == 1:
            return False
        # An earlier attempt may have written it and lost only the answer: then the object is our own.
        return self._head(key)["Metadata"].get(_WRITER) == writer

    def exists(self, key: str) -> bool:
        """See ``Store``."""
        try:
            self._head(key)
        except MissingObjectError:
            # The answer to HEAD has no body that could say whether the object or the bucket is missing.
            self._ask("head bucket", "", lambda: self._client.head_bucket(Bucket=self._bucket))
            return False
        return True

    def _head(self, key: str) -> HeadObjectOutputTypeDef:
        return self._ask("head", key, lambda: self._client.head_object(Bucket=self._bucket, Key=self._prefix + key))

    def delete(self, key: str) -> None:
        """See ``Store``."""
        try:
            self._ask("delete", key, lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key))
        except MissingObjectError:
            return

    def url(self, key: str) -> str:
        """See ``Store``: ``s3://bucket/prefix/key``."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    @property
    def _name(self) -> str:
        return f"s3://{self._bucket}"

    def _ask(
        self,
        action: Literal["list", "get", "put", "head", "head bucket", "delete"],
        key: str,
        ask: Callable[[], _Answer],
    ) -> _Answer:
        """One request, tried again while the failure may pass; the only place that knows botocore's errors."""
        failures = 0
        while True:
            try:
                return ask()
            except (ClientError, BotoCoreError, urllib3.exceptions.HTTPError) as error:
                failures += 1
                translated = self._translated(error, action, key, failures)
                if not isinstance(translated, StoreUnavailableError) or failures >= self._attempts:
                    raise translated from error
                wait_s = self._wait_s(failures)
                log.warning(
                    "store %s: %s failed (%s), attempt %d of %d, next in %.1f s",
                    self._name, action, _short(error), failures, self._attempts, wait_s,
                )  # fmt: skip
                time.sleep(wait_s)

    def _translated(  # noqa: PLR0911  one line per kind of failure reads best
        self, error: Exception, action: str, key: str, failures: int
    ) -> ScreeningError:
        what = f"{action} {key!r} in {self._name}: {_short(error)}"
        if isinstance(error, NoCredentialsError | PartialCredentialsError | TokenRetrievalError):
            return AccessError(f"{what}; no usable S3 credentials in the environment")
        if isinstance(error, HTTPClientError | urllib3.exceptions.HTTPError):
            return StoreUnavailableError(f"{what}, after {failures} attempts")
        if isinstance(error, ParamValidationError):
            return ContractError(f"{what}; not a valid bucket or key")
        if not isinstance(error, ClientError):
            return StoreUnavailableError(f"{what}, after {failures} attempts")
        code, status = error.response["Error"].get("Code", ""), _status(error)
        if code == "NoSuchBucket" or (status == 404 and action in ("head bucket", "list")):
            return MissingError(f"bucket {self._bucket!r} does not exist")
        if status == 404:
            return MissingObjectError(f"no object {key!r} in {self._name}")
        if status == 412:
            return ChangedObjectError(f"object {key!r} in {self._name} is another now than when it was listed")
        if status >= 500 or status == 429 or code in _PASSING_CODES:
            return StoreUnavailableError(f"{what}, after {failures} attempts")
        if status in _REFUSED_STATUS or code in _REFUSED_CODES:
            return AccessError(f"{what}; the store refuses our credentials or our rights")
        return ContractError(f"{what}; the store does not accept the request")


def _drop_page_marks(response_dict: dict[str, Any], **_: object) -> None:
    """Cut from a listing where its page started and where the next one does, before botocore parses it.

    Ceph 16 writes both without encoding them, and a control character makes the whole answer unreadable: one upload
    with such a name, at the end of a page, would stop the night. The keys themselves come percent-encoded.
    """
    response_dict["body"] = _PAGE_MARKS.sub(b"", response_dict["body"])


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _short(error: Exception) -> str:
    """The kind of failure, without the server's text, which may repeat what was sent."""
    if isinstance(error, ClientError):
        return f"{error.response['Error'].get('Code', '')} (HTTP {_status(error)})"
    return type(error).__name__
