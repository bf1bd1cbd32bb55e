"""Nights on the real stack, each test's in folders of its own in the stack's two buckets, and photos to fill them."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from PIL import Image

from infra.local.rendered_photos import render_night
from infra.local.settings import REPOSITORY
from screening.contracts import Verdict
from screening.cutoffs import QualityCutoffs
from screening.edges import paths
from screening.edges.release import load_release, taxonomy_file
from screening.settings import Settings
from screening.stages.accounting import Accounting
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality import judge_quality, measure_quality
from screening.tasks import NightContext, open_context, run_night
from screening.tasks.context import run_id_of
from screening.taxonomy import TrainingClasses, load_taxonomy
from tests.integration.faulty_proxy import FaultyProxy
from tests.killed import in_a_process

if TYPE_CHECKING:  # conftest makes fixtures of what is here
    from tests.integration.conftest import RunningStack

NIGHT = date(2026, 11, 20)
NEXT_NIGHT = NIGHT + timedelta(days=1)
PROGRAMME = "north"
MODEL_REPOSITORY = REPOSITORY / "model_repository"

Row = dict[str, Any]
Rows = list[Row]


def champion_classes() -> TrainingClasses:
    """What the release in use answers."""
    release = load_release(str(MODEL_REPOSITORY), None)
    return TrainingClasses(load_taxonomy(taxonomy_file(str(MODEL_REPOSITORY), release)), release.classes)


@dataclass(frozen=True)
class Photos:
    """Drawn photos, 800 x 600 px JPEG: ``good`` ones pass the quality filters, ``blurred`` does not."""

    good: tuple[bytes, ...]
    blurred: bytes


def draw_photos(folder: Path, count: int = 12) -> Photos:
    """Draw photos as the demo's, smaller; the filters themselves say which are good, so no test knows a cut-off."""
    render_night(folder, photos=count)
    drawn = [_shrunk(path) for path in sorted(folder.glob("photo-*.jpg"))]
    verdicts = [_verdict(photo) for photo in drawn]
    good = tuple(photo for photo, verdict in zip(drawn, verdicts, strict=True) if verdict is not Verdict.REFUSED)
    refused = [photo for photo, verdict in zip(drawn, verdicts, strict=True) if verdict is Verdict.REFUSED]
    assert len(good) >= 6, f"only {len(good)} of {count} drawn photos pass the quality filters"
    assert refused, "every drawn photo passes the quality filters, also the blurred one"
    return Photos(good, refused[0])


def _shrunk(path: Path) -> bytes:
    with Image.open(path) as image:
        upright = image if image.width > image.height else image.rotate(90, expand=True)
        stream = io.BytesIO()
        upright.resize((800, 600), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def _verdict(photo: bytes) -> Verdict:
    return judge_quality(measure_quality(decode_photo(photo, PhotoLimits())), QualityCutoffs(), "enforce").verdict


def distinct(photo: bytes, word: object) -> bytes:
    """The same picture in other bytes: a JPEG comment more."""
    comment = str(word).encode()
    return photo[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + photo[2:]


def photo_id_of(body: bytes) -> str:
    """As the design says: the first 32 hex digits of the SHA-256 of the bytes."""
    return hashlib.sha256(body).hexdigest()[:32]


def manifest(rows: Iterable[Mapping[str, object]]) -> bytes:
    """A manifest.csv; its columns are those of the first row."""
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@dataclass(frozen=True)
class Site:
    """A small installation: ``uploads`` and ``results`` are folders in the stack's buckets; "" is the bucket itself.

    Whoever makes a context needs the pipeline's keys in the environment: the fixture ``new_site`` puts them there.
    """

    stack: RunningStack
    uploads: str
    results: str

    def settings(self, **changed: Any) -> Settings:
        environment = self.stack.environment
        return Settings(
            **{
                "uploads": _folder_in(environment["SCREENING_UPLOADS"], self.uploads),
                "results": _folder_in(environment["SCREENING_RESULTS"], self.results),
                "s3_endpoint": environment["SCREENING_S3_ENDPOINT"],
                "triton_url": environment["SCREENING_TRITON_URL"],
                "model_repository": str(MODEL_REPOSITORY),
                "pseudonym_key": environment["SCREENING_PSEUDONYM_KEY"],
            }
            | changed
        )

    def context(self, **changed: Any) -> NightContext:
        return open_context(self.settings(**changed))

    def upload(self, files: Mapping[str, bytes], programme: str = PROGRAMME, day: date = NIGHT) -> None:
        """Upload files of a programme for a day, as the owner of the bucket."""
        for name, body in files.items():
            self.put(paths.upload(programme, day, name), body)

    def put(self, key: str, body: bytes) -> None:
        """Write one object of the uploads, with whatever key."""
        bucket, folder = self._uploads
        self._owner.put_object(Bucket=bucket, Key=folder + key, Body=body)

    def delete(self, key: str) -> None:
        """Remove one object of the uploads."""
        bucket, folder = self._uploads
        self._owner.delete_object(Bucket=bucket, Key=folder + key)

    def run(self, night: date = NIGHT, **changed: Any) -> Accounting:
        """Run a night in this process; returns its accounting."""
        return run_night(night, self.context(**changed))[1]

    def published(self) -> dict[str, bytes]:
        """Every published object: key to bytes."""
        return self._objects("tables/")

    def finished(self, night: date = NIGHT) -> list[str]:
        """The tasks of a night's last run that came to their end, one by one for each batch."""
        timings = self._objects(paths.timings_prefix(run_id_of(night))).values()
        return [json.loads(timing)["task"] for timing in timings]

    def rows(self) -> dict[str, Rows]:
        """Every published table: key to rows, but for the time at which the night happened to claim its uploads."""
        return {key: read_rows(body) for key, body in self.published().items()}

    def table(self, name: str, night: date = NIGHT) -> Rows:
        """Rows of a published table of a night, of all programmes."""
        store = self.context().results
        keys = [found.key for page in store.pages(paths.published_prefix(name)) for found in page]
        published = [key for key in keys if (found := paths.parse_published_key(key)) and found.night == night]
        return [row for key in published for row in read_rows(store.get(key))]

    def ledger(self, night: date = NIGHT) -> Rows:
        return read_rows(self.context().results.get(paths.ledger(night)))

    def _objects(self, prefix: str) -> dict[str, bytes]:
        store = self.context().results
        return {found.key: store.get(found.key) for page in store.pages(prefix) for found in page}

    @property
    def _uploads(self) -> tuple[str, str]:
        bucket, _, folder = self.settings().uploads.removeprefix("s3://").partition("/")
        return bucket, folder and folder + "/"

    @property
    def _owner(self) -> Any:
        environment = self.stack.uploads_environment
        names = ("SCREENING_S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        return _s3(*(environment[name] for name in names))


@functools.cache
def _s3(endpoint: str, access_key: str, secret_key: str, region: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _folder_in(bucket: str, folder: str) -> str:
    return f"{bucket}/{folder}" if folder else bucket


def read_rows(table: bytes | Path) -> Rows:
    """Rows of a Parquet object or file, without the one column that depends on the clock."""
    source = pa.BufferReader(table) if isinstance(table, bytes) else table
    rows: Rows = pq.ParquetFile(source).read().to_pylist()
    return [{name: value for name, value in row.items() if name != "claimed_at_utc"} for row in rows]


def run_screening(
    folder: Path, *words: str, timeout_s: float = 240.0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command ``screening`` in ``folder``, without the settings of whoever runs the tests."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SCREENING_", "AWS_")) and name != "COLUMNS"
    }
    return subprocess.run(
        [str(Path(sys.executable).with_name("screening")), *words],
        cwd=folder,
        env=clean | {"SCREENING_MODEL_REPOSITORY": str(MODEL_REPOSITORY)} | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def one_line(text: str) -> str:
    """The only line of a message; fails when there are more, e.g. those of a traceback."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def copy_repository(folder: Path, release: str) -> Path:
    """A model repository with one release of this name, which no running Triton has loaded."""
    champion = (MODEL_REPOSITORY / "champion").read_text().strip()
    source = MODEL_REPOSITORY / f"lesion_ensemble_{champion}"
    target = folder / f"lesion_ensemble_{release}"
    shutil.copytree(source, target)
    described = (source / "release.json").read_text()
    (target / "release.json").write_text(
        described.replace(f'"{champion}"', f'"{release}"').replace(source.name, target.name)
    )
    (folder / "champion").write_text(release)
    return folder


# Below: a night, or another task, that is killed.

PRELOADED = ("screening.tasks", "great_expectations", "boto3", __name__)


class KillingProxy(FaultyProxy):
    """Kills a process with -9 when one request has just been answered and the process does not know it yet."""

    def __init__(self, upstream: str, request: str, time: int = 1) -> None:
        super().__init__(upstream)
        self._request = re.compile(request)
        self._time = time
        self._victim = 0
        self._victim_is_known = threading.Event()

    def aim_at(self, pid: int) -> None:
        self._victim = pid
        self._victim_is_known.set()

    def _ask_upstream(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        answer = super()._ask_upstream(request, body)
        if self._request.search(f"{request.command} {unquote(request.path)}"):
            self._time -= 1
            if self._time == 0:
                assert self._victim_is_known.wait(30)
                os.kill(self._victim, signal.SIGKILL)
        return answer


def run_until_killed(site: Site, key: str, time: int = 1, night: date = NIGHT, **changed: Any) -> int | None:
    """Run a night in a process of its own, killed once an object whose key matches was written the n-th time.

    Returns:
        The exit code: -9 for a process that was killed.
    """
    return do_until_killed(site, functools.partial(run_night, night), f"PUT .*{key}", time, **changed)


def do_until_killed(
    site: Site, work: Callable[[NightContext], object], request: str, time: int = 1, **changed: Any
) -> int | None:
    """Do some work in a process of its own, killed once the n-th request that matches was answered.

    Args:
        site: whose stores the work gets.
        work: of a module's top level.
        request: is searched in requests to the store, as ``PUT /bucket/key``.
        time: which of the requests that match.
        changed: settings that are not the site's.

    Returns:
        The exit code: -9 for a process that was killed.
    """
    proxy = KillingProxy(str(site.settings().s3_endpoint), request, time)
    with proxy:
        settings = site.settings(s3_endpoint=proxy.url, **changed)
        keys = {name: value for name, value in site.stack.environment.items() if name.startswith("AWS_")}
        return in_a_process(_work_on, work, settings, keys, preload=PRELOADED, on_start=proxy.aim_at)


def _work_on(work: Callable[[NightContext], object], settings: Settings, keys: dict[str, str]) -> None:
    os.environ |= keys
    work(open_context(settings))
