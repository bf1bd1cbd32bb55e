"""Every key that the package reads or writes, built in one place.

Uploads: ``uploads/<programme>/<yyyy-mm-dd>/<name the uploader chose>``. Results: ``tables/`` is what readers see,
``runs/`` is what one run needs, ``reports/`` is for people. A programme's name is percent-encoded where it becomes the
name of a folder, so that nothing an uploader writes can leave its place.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from urllib.parse import quote, unquote

LEDGER_PREFIX = "tables/ledger/"
UPLOADS_PREFIX = "uploads/"

MAX_PROGRAMME_BYTES = 200
"""Longest percent-encoded programme: as a folder ``programme=…`` it must fit into a file system's 255 bytes."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LEDGER_KEY = re.compile(r"tables/ledger/night=([0-9-]+)/part-0\.parquet")
# The second form: of one photo and one decision, as they were named at first.
_DECISIONS_KEY = re.compile(
    r"review/decisions/[0-9-]{10}/([0-9]{2}/[0-9a-f]{32}\.jsonl|[0-9a-f]{32}-[0-9a-f]{32}\.json)"
)
_WITHDRAWAL_KEY = re.compile(r"review/withdrawals/programme=([^/]+)/([^/]+)\.json")
_PUBLISHED_KEY = re.compile(r"tables/([a-z_]+)/programme=([^/]+)/night=([0-9-]+)/part-0\.parquet")


@dataclass(frozen=True)
class UploadKey:
    """What the key of an upload says; ``source_name`` is the path below the day, as the uploader knows it."""

    programme: str
    day: date
    source_name: str


@dataclass(frozen=True)
class PublishedKey:
    """What the key of a published table says."""

    table: str
    programme: str
    night: date


def upload(programme: str, day: date, source_name: str) -> str:
    """Key of an upload, as uploaders write it: nothing is encoded."""
    return f"{UPLOADS_PREFIX}{programme}/{day.isoformat()}/{source_name}"


def parse_upload_key(key: str) -> UploadKey | None:
    """Take the key of an upload apart; None when it is not below ``uploads/<programme>/<yyyy-mm-dd>/``.

    Also None for a programme whose name is longer than ``MAX_PROGRAMME_BYTES`` as a folder. The caller accounts for
    such objects all the same.
    """
    parts = key.split("/", 3)
    if len(parts) != 4 or parts[0] + "/" != UPLOADS_PREFIX:
        return None
    _, programme, day_text, source_name = parts
    day = _parse_day(day_text)
    if not programme or not source_name or day is None or len(quote(programme, safe="")) > MAX_PROGRAMME_BYTES:
        return None
    return UploadKey(programme, day, source_name)


def published(table: str, programme: str, night: date) -> str:
    """Key of the one object that holds a table of a programme and a night."""
    return f"{published_prefix(table, programme)}night={night.isoformat()}/part-0.parquet"


def published_prefix(table: str, programme: str | None = None) -> str:
    """Prefix of a table's objects: of all nights, and of all programmes where none is given."""
    return f"tables/{table}/" + (f"programme={quote(programme, safe='')}/" if programme is not None else "")


def parse_published_key(key: str) -> PublishedKey | None:
    """Take the key of a published table apart; None when it is not one."""
    match = _PUBLISHED_KEY.fullmatch(key)
    night = _parse_day(match[3]) if match else None
    return PublishedKey(match[1], unquote(match[2]), night) if match and night else None


def ledger(night: date) -> str:
    """Key of the keys that a night claimed, of all programmes: one object, so that one PUT claims them all."""
    return f"{LEDGER_PREFIX}night={night.isoformat()}/part-0.parquet"


def parse_ledger_key(key: str) -> date | None:
    """The night of a ledger object; None when it is not one."""
    match = _LEDGER_KEY.fullmatch(key)
    return _parse_day(match[1]) if match else None


CORPUS_TABLE = "corpus/corpus.parquet"
"""The labelled photos that programmes may be trained on, all of them in one object."""
CORPUS_SNAPSHOTS_PREFIX = "corpus/snapshots/"
DECISIONS_PREFIX = "review/decisions/"
WITHDRAWALS_PREFIX = "review/withdrawals/"
INBOX_PREFIX = "review/inbox/"
"""Where people put files of decisions; those that were read move to its folder ``done``."""
_INBOX_DONE_PREFIX = "review/inbox/done/"
ALL_DECISIONS = "review/state/decisions.parquet"
"""All decisions that `intake_decisions` has read, in one table: objects that are written once need no second reading."""
REVIEW_STATUS = "review/status.json"
MISSED_LESIONS = "review/missed.json"
WITHDRAWN = "review/withdrawn.json"
"""Who withdrew, their photos, the snapshots of the corpus that held them, and the releases that were made of them."""


def snapshot(snapshot_id: str) -> str:
    """Key of the corpus as a retraining found it; ids begin with the day, so that the newest is the last."""
    return f"{CORPUS_SNAPSHOTS_PREFIX}{snapshot_id}.parquet"


TRAINING_PREFIX = "training/"
COMPARISON_PAGE = "comparison.html"


def training(run_id: str, name: str) -> str:
    """Key of a file that a retraining leaves for people, and for the release that came of it."""
    return f"{TRAINING_PREFIX}{_folder_name(run_id)}/{name}"


def decisions_prefix(hour: datetime) -> str:
    """Prefix of the decisions that were written in an hour (UTC): once it is over, nothing is added."""
    return f"{DECISIONS_PREFIX}{hour.astimezone(UTC):%Y-%m-%d/%H}/"


def decisions(written: datetime, name: str) -> str:
    """Key of decisions that were saved together."""
    return f"{decisions_prefix(written)}{name}.jsonl"


def is_decisions(key: str) -> bool:
    """Whether it is the key of decisions."""
    return _DECISIONS_KEY.fullmatch(key) is not None


def withdrawal(programme: str, patient: str) -> str:
    """Key of one person's withdrawal."""
    return f"{WITHDRAWALS_PREFIX}programme={quote(programme, safe='')}/{quote(patient, safe='')}.json"


def parse_withdrawal_key(key: str) -> tuple[str, str] | None:
    """The programme and the patient's pseudonym of a withdrawal's key; None when it is not one."""
    match = _WITHDRAWAL_KEY.fullmatch(key)
    return (unquote(match[1]), unquote(match[2])) if match else None


def inbox_name(key: str) -> str | None:
    """Name of a file of decisions that waits in the inbox; None when the key is not one."""
    name = key.removeprefix(INBOX_PREFIX)
    return None if name == key or not name or key.startswith(_INBOX_DONE_PREFIX) else name


def inbox_done(name: str, digest: str) -> str:
    """Key of a file of decisions that was read; ``digest`` tells files of one name apart."""
    return f"{_INBOX_DONE_PREFIX}{digest[:12]}-{name.replace('/', '_')}"


def inbox_claim(digest: str) -> str:
    """Key of when a file of decisions was first read: its decisions carry that time whoever reads it again."""
    return f"review/imports/{digest}.json"


def rejects(name: str) -> str:
    """Key of what was not taken of a file of decisions, line by line."""
    return f"review/rejects/{name}"


def review_export(name: str) -> str:
    """Key of a file that was made for clinicians who read elsewhere."""
    return f"review/export/{name}"


def review_state(name: str) -> str:
    """Key of what a task of `intake_decisions` remembers; removed, everything is worked out again."""
    return f"review/state/{name}.json"


def audit_prefix(day: date) -> str:
    """Prefix of who saw what on the review pages on a day (UTC)."""
    return f"review/audit/{day.isoformat()}/"


def audit_entries(moment: datetime, entries_id: str) -> str:
    """Key of some entries of that log; keys sort by time."""
    at = moment.astimezone(UTC)
    return f"{audit_prefix(at.date())}{at:%H%M%S.%f}-{entries_id}.jsonl"


def review_inbox(name: str) -> str:
    """Key of a file of decisions that waits for `intake_decisions`."""
    return INBOX_PREFIX + name


def draft(reader: str, photo_id: str) -> str:
    """Key of an answer that a reader has begun."""
    return f"review/drafts/reader={quote(reader, safe='')}/{photo_id}.json"


def corpus_photo(photo_id: str) -> str:
    """Key of a photo of the corpus: its working copy, kept for as long as the person's consent stands."""
    return f"corpus/photos/{photo_id}.jpg"


def drift_reference(programme: str, kind: str, regime: str) -> str:
    """Key of the nights that a programme's photos, or the answers to them, are compared with."""
    digest = hashlib.sha256(regime.encode()).hexdigest()[:16]
    return f"monitoring/references/programme={quote(programme, safe='')}/{kind}-{digest}.parquet"


def accepted_level_prefix(programme: str) -> str:
    """Prefix of the nights from which on a person says that a programme's photos are rightly others."""
    return f"monitoring/accepted/programme={quote(programme, safe='')}/"


def accepted_level(programme: str, night: date) -> str:
    """Key of one such word."""
    return f"{accepted_level_prefix(programme)}night={night.isoformat()}.json"


def run_prefix(run_id: str) -> str:
    """Prefix of all that one run keeps for itself."""
    return f"runs/{_folder_name(run_id)}/"


def run_plan(run_id: str) -> str:
    """Key of the plan of a run: its night, its batches, its release."""
    return f"{run_prefix(run_id)}plan.json"


def staged_batch(run_id: str, table: str, batch: int) -> str:
    """Key of the rows of a table that one batch of a run made; batches count from 0."""
    return f"{run_prefix(run_id)}{table}/batch-{batch:05d}.parquet"


def staged_table(run_id: str, table: str) -> str:
    """Key of a table of a run that was not made in batches."""
    return f"{run_prefix(run_id)}{table}.parquet"


def working_copy(run_id: str, photo_id: str) -> str:
    """Key of the upright photo without metadata that the models and the clinicians see."""
    return f"{run_prefix(run_id)}working/{photo_id}.jpg"


def heat_map(run_id: str, photo_id: str) -> str:
    """Key of the picture of where the networks look in a photo: as private as the working copy beside it."""
    return f"{run_prefix(run_id)}heat-maps/{photo_id}.jpg"


def report(night: date, name: str) -> str:
    """Key of a file of a night's report; ``name`` may hold slashes."""
    return f"reports/night={night.isoformat()}/{name}"


def programme_report(night: date, programme: str, name: str) -> str:
    """Key of a file that one programme gets of a night."""
    return report(night, f"programme={quote(programme, safe='')}/{name}")


def shadow_tries(run_id: str) -> str:
    """Key of the number of times that the shadow of a run was begun and not ended."""
    return f"{run_prefix(run_id)}shadow-tries.json"


def audit_result(run_id: str) -> str:
    """Key of what the audit of a run found."""
    return f"{run_prefix(run_id)}audit.json"


def timings_prefix(run_id: str) -> str:
    """Prefix of the times that the tasks of a run took."""
    return f"{run_prefix(run_id)}timings/"


def timing(run_id: str, task: str, batch: int | None) -> str:
    """Key of the time that one task took."""
    return timings_prefix(run_id) + task + ("" if batch is None else f"-{batch:05d}") + ".json"


def _folder_name(text: str) -> str:
    """One part of a key; Airflow's run ids hold ``:`` and ``+``."""
    encoded = quote(text, safe="")
    return encoded if encoded.strip(".") else encoded.replace(".", "%2E")


def _parse_day(text: str) -> date | None:
    # date.fromisoformat alone also takes 20261120 and 2026-W47-5.
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
