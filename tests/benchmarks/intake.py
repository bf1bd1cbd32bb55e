"""The intake of decisions in a plain folder: a large file read line by line, then adjudicated and made into a corpus."""

from __future__ import annotations

import hashlib
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from screening.edges import paths
from screening.stages.audit import load_great_expectations
from screening.tasks import NightContext, adjudicate, anything_new, apply_withdrawals, build_corpus, report_intake
from screening.tasks.context import run_id_of
from screening.tasks.decision_inbox import read_inbox
from screening.tasks.review_queue import publish_review_queue
from screening.tasks.staged import published_contracts
from tests.unit.made_up_night import CLASSES, NIGHT, Upload, night_of
from tests.unit.review_site import ReviewSite, plan_of

READERS = 2
WRONG_SHARE = 100
"""For so many photos one line more, whose comment is a formula."""
PROGRAMME = "coast"


def run_intake_of(photos: int, folder: Path) -> dict[str, str]:
    """Take in what two readers said of each of so many photos of one night, then once more for one new decision."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    site = ReviewSite(folder)
    photo_ids = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(photos)]
    tables = _publish(site, photo_ids)
    lines = _lines(photo_ids)
    site.store.put(paths.INBOX_PREFIX + "large.csv", "\n".join(lines).encode())
    load_great_expectations()  # once, when a task's process starts
    context, figures = site.context, {}

    def timed(what: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        figures[what] = f"{time.perf_counter() - started:.1f} s"
        return result

    timed(f"queue of {photos:,} photos", lambda: publish_review_queue(plan_of(NIGHT), tables, context))
    [file] = timed(f"{len(lines) - 1:,} lines of CSV", lambda: read_inbox(context))
    figures["lines taken, rejected"] = f"{file.new:,}, {file.rejected:,}"
    timed(f"{file.new:,} decisions adjudicated", lambda: adjudicate(context))
    timed("their corpus", lambda: build_corpus(context))
    timed("their report", lambda: report_intake(context))
    site.decide("one more", "nevus", photo_id=photo_ids[0], reader="reader-more")
    timed("all of it again, for one decision more", lambda: _take_in(context))
    timed("is there anything new?", lambda: anything_new(context))
    figures["peak memory"] = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6:.0f} MB"
    return figures


def _take_in(context: NightContext) -> None:
    for task in (apply_withdrawals, read_inbox, adjudicate, build_corpus, report_intake):
        task(context)


def _publish(site: ReviewSite, photo_ids: list[str]) -> dict[str, pa.Table]:
    """The night's tables, each photo of a person of its own, and a working copy of each."""
    template = night_of(Upload("template.jpg", patient="somebody")).tables
    changed = {
        "photo_id": photo_ids,
        "key": [f"{PROGRAMME}/{NIGHT}/{photo_id}.jpg" for photo_id in photo_ids],
        "patient": [f"p-{photo_id[:24]}" for photo_id in photo_ids],
        "has_training_consent": [True] * len(photo_ids),
    }
    tables = {}
    for name in ("photos", "quality", "grades"):
        table = template[name].take([0] * len(photo_ids))
        for column in changed.keys() & set(table.column_names):
            at = table.column_names.index(column)
            field = table.schema.field(column)
            table = table.set_column(at, field, pa.array(changed[column], field.type))
        tables[name] = table
        site.write(paths.published(name, PROGRAMME, NIGHT), table, published_contracts(CLASSES)[name])
    copies = site.folder / paths.working_copy(run_id_of(NIGHT), "")
    copies.parent.mkdir(parents=True)
    for photo_id in photo_ids:
        copies.with_name(f"{photo_id}.jpg").write_bytes(b"pixels")
    return tables


def _lines(photo_ids: list[str]) -> list[str]:
    place = f"{PROGRAMME},{NIGHT}"
    lines = ["photo_id,programme,night,reader,decided_at,disease,comment"]
    for reader in range(READERS):
        lines += [
            f"{photo_id},{place},reader-{reader},2026-11-21T08:00:00,{'nevus' if number % 3 else 'melanoma'},seen on a screen"
            for number, photo_id in enumerate(photo_ids)
        ]
    return lines + [f"{i},{place},reader-0,2026-11-21T08:00:00,nevus,=cmd" for i in photo_ids[::WRONG_SHARE]]
