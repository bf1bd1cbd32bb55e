"""Files of decisions that people put into the inbox: read line by line, written as decisions, moved away."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import LEDGER, Outcome, grades_contract_of
from screening.edges import paths
from screening.edges.decision_log import append_decisions
from screening.edges.tables import iter_table, read_table
from screening.errors import ChangedObjectError, MissingObjectError
from screening.stages.decision_files import (
    GradedPhoto,
    Line,
    Reject,
    decisions_of,
    read_csv_lines,
    read_label_studio,
    rejects_csv,
)
from screening.tasks.context import NightContext
from screening.tasks.gathered_decisions import all_decisions
from screening.tasks.review_rules import load_review_rules
from screening.taxonomy import load_taxonomy

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 200_000_000
"""Some million lines: what a task can hold."""


@dataclass(frozen=True)
class ImportedFile:
    """What became of a file's answered lines; ``known`` were there already, from this file or another."""

    file: str
    new: int
    known: int
    rejected: int


def read_inbox(context: NightContext) -> list[ImportedFile]:
    """Take in every file of the inbox; may be killed and run again: each line counts once.

    Raises:
        SettingsError, ContractError: the review rules cannot be read.
    """
    waiting = [
        (name, found)
        for page in context.results.pages(paths.INBOX_PREFIX)
        for found in page
        if (name := paths.inbox_name(found.key))
    ]
    if not waiting:
        return []
    known = set(all_decisions(context)[0]["decision_id"].to_pylist())  # ids are digests of what a line says
    taken = []
    for name, found in waiting:
        if found.size_bytes > MAX_FILE_BYTES:
            fault = Reject(0, "", f"{found.size_bytes:,} bytes", f"at most {MAX_FILE_BYTES:,}; send it in parts")
            context.results.put(paths.rejects(_rejects_name(name)), rejects_csv([fault]))
            taken.append(ImportedFile(name, 0, 0, 1))
            continue
        # Taken back, or still being written, by whoever put it there: another time.
        with suppress(MissingObjectError, ChangedObjectError):
            taken.append(_import_file(name, context.results.get(found.key, found.etag), known, context))
            context.results.get(found.key, found.etag)
            context.results.delete(found.key)
    for file in taken:
        log.info("read_inbox new=%d known=%d rejected=%d", file.new, file.known, file.rejected)
    return taken


def _import_file(name: str, body: bytes, known: set[str], context: NightContext) -> ImportedFile:
    digest = hashlib.sha256(body).hexdigest()
    recorded_at = _first_read(name, digest, context)
    is_json = name.lower().endswith(".json")
    lines, rejects = read_label_studio(body) if is_json else read_csv_lines(body)
    decisions, wrong = decisions_of(
        lines,
        source="label_studio" if is_json else "csv",
        taxonomy=load_taxonomy(),
        known_readers=load_review_rules(context.settings).readers,
        recorded_at=recorded_at,
        find_photo=_GradedPhotos(lines, context).find,
    )
    rejects += wrong
    new = [row for row in decisions if row["decision_id"] not in known]
    append_decisions(context.results, new)
    known |= {str(row["decision_id"]) for row in new}
    if rejects:
        context.results.put(paths.rejects(_rejects_name(name)), rejects_csv(rejects))
    else:  # of a file of the same name that was mended since
        context.results.delete(paths.rejects(_rejects_name(name)))
    context.results.put(paths.inbox_done(name, digest), body)
    return ImportedFile(name, len(new), len(decisions) - len(new), len(rejects))


def _rejects_name(name: str) -> str:
    return name if name.lower().endswith(".csv") else f"{name}.csv"


def _first_read(name: str, digest: str, context: NightContext) -> datetime:
    """When these bytes were first read: their decisions carry that time, so that a second reading writes the same."""
    claim = {"file": name, "recorded_at_utc": datetime.now(UTC).isoformat()}
    key = paths.inbox_claim(digest)
    if not context.results.put(key, json.dumps(claim).encode(), only_if_new=True):
        claim = json.loads(context.results.get(key))
    return datetime.fromisoformat(claim["recorded_at_utc"])


class _GradedPhotos:
    """The graded photos that the lines of a file may mean; a night's grades are read when a line first names it."""

    def __init__(self, lines: Iterable[Line], context: NightContext) -> None:
        self._context = context
        self._of_night: dict[tuple[str, date], dict[str, GradedPhoto]] = {}
        placeless = {
            line.values.get("photo_id", "")
            for line in lines
            if not (line.values.get("programme") and line.values.get("night"))
        }
        self._place_of = _places_in_ledgers(placeless, context) if placeless else {}

    def find(self, photo_id: str, programme: str | None, night: date | None) -> GradedPhoto | None:
        if programme is None or night is None:
            place = self._place_of.get(photo_id)
            if place is None or programme not in (None, place[0]) or night not in (None, place[1]):
                return None
            programme, night = place
        if (programme, night) not in self._of_night:
            self._of_night[programme, night] = self._read(programme, night)
        return self._of_night[programme, night].get(photo_id)

    def _read(self, programme: str, night: date) -> dict[str, GradedPhoto]:
        try:
            key = paths.published("grades", programme, night)
            grades = read_table(self._context.results, key, grades_contract_of)
        except MissingObjectError:
            return {}
        columns = (grades[name].to_pylist() for name in ("photo_id", "grade", "release"))
        return {
            photo_id: GradedPhoto(photo_id, programme, night, grade, release)
            for photo_id, grade, release in zip(*columns, strict=True)
        }


def _places_in_ledgers(photo_ids: set[str], context: NightContext) -> Mapping[str, tuple[str, date]]:
    """Programme and first night in which each of these photos was graded; reads every night's ledger, once."""
    wanted = pa.array(sorted(photo_ids), pa.string())
    found: dict[str, tuple[str, date]] = {}
    for page in context.results.pages(paths.LEDGER_PREFIX):
        for ledger in page:
            for chunk in iter_table(context.results, ledger.key, LEDGER, ["photo_id", "programme", "night", "outcome"]):
                graded = pc.equal(chunk["outcome"], str(Outcome.GRADED))
                hit = pc.fill_null(pc.and_(pc.is_in(chunk["photo_id"], wanted), graded), False)
                for row in chunk.filter(hit).to_pylist():
                    found.setdefault(row["photo_id"], (row["programme"], row["night"]))
    return found
