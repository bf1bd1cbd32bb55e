"""Fetch, check, decode once, measure, judge, and keep the working copy: one batch."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from zoneinfo import ZoneInfo

from screening.contracts import BATCH, PREPARED, QUALITY, Outcome, Verdict
from screening.edges import paths
from screening.edges.tables import read_table, write_table
from screening.errors import (
    ChangedObjectError,
    MissingObjectError,
    PhotoError,
    ScreeningError,
    UnreadableFileError,
)
from screening.stages.pixels import PhotoLimits, decode_photo, encode_working_copy, read_header
from screening.stages.quality import judge_quality, measure_quality, perceptual_hash
from screening.stages.quality.learnt import filters_version
from screening.stages.refusals import advice_for
from screening.tasks.context import NightContext
from screening.tasks.earlier_run import EarlierRun
from screening.tasks.open_night import MISPLACED
from screening.tasks.parallel import map_windowed
from screening.tasks.quality_rules import QualityRules, load_messages

log = logging.getLogger(__name__)

Row = dict[str, object]
_LARGE_PIXELS = 16_000_000
# Large photos are decoded one at a time: four of 50 MP at once would pass the memory that a task may use.
_one_large_photo = threading.Lock()
_NOT_FETCHED = {
    UnreadableFileError: (
        "unreadable_file",
        "a link to nothing or to a folder, a pipe, or a file without permission",
    ),
    MissingObjectError: ("deleted_before_fetch", "listed, but gone when it was fetched"),
    ChangedObjectError: ("changed_before_fetch", "listed, but replaced when it was fetched"),
}


def prepare(run_id: str, batch: int, context: NightContext) -> int:
    """Prepare one batch and return its number; may run again, and writes the same objects again.

    Raises:
        StoreUnavailableError: the store did not answer; the whole batch is tried again.
    """
    rows: list[Row] = read_table(context.results, paths.staged_batch(run_id, "batch", batch), BATCH).to_pylist()
    # The plan's cut-offs, not the settings': another machine may have another file by now, or none.
    rules = QualityRules(context.plan(run_id).quality_cutoffs, load_messages(context.settings))
    with context.timed(run_id, "prepare", batch, len(rows)):
        threads = context.settings.prepare_threads
        with ThreadPoolExecutor(threads, thread_name_prefix="prepare") as pool:
            earlier = EarlierRun(run_id, context)
            prepare_photo = partial(_prepare_photo, run_id=run_id, context=context, rules=rules, earlier=earlier)
            prepared = list(map_windowed(pool, prepare_photo, rows, 2 * threads))
        photos = PREPARED.table([photo for photo, _ in prepared])
        # The same bytes may stand in the batch twice: one row of quality serves both.
        quality = QUALITY.table(list({q["photo_id"]: q for _, q in reversed(prepared) if q is not None}.values()))
        write_table(context.results, paths.staged_batch(run_id, "prepared", batch), photos, PREPARED)
        write_table(context.results, paths.staged_batch(run_id, "quality", batch), quality, QUALITY)
    outcomes = Counter(photo["outcome"] for photo, _ in prepared)
    log.info(
        "prepare run=%s batch=%d given=%d usable=%d refused=%d failed=%d",
        run_id, batch, len(rows), outcomes[None], outcomes[Outcome.REFUSED], outcomes[Outcome.FAILED],
    )  # fmt: skip
    return batch


def _prepare_photo(
    row: Row, *, run_id: str, context: NightContext, rules: QualityRules, earlier: EarlierRun
) -> tuple[Row, Row | None]:
    """One photo's row of ``prepared``, and of ``quality`` if it could be decoded."""
    photo: Row = {column.name: row.get(column.name) for column in PREPARED.columns}
    if row["programme"] == MISPLACED:
        return _not_graded(photo, Outcome.FAILED, "misplaced", "not below uploads/<programme>/<yyyy-mm-dd>/"), None
    try:
        return _decode_and_judge(photo, str(row["key"]), str(row["etag"]), run_id, context, rules)
    except (MissingObjectError, ChangedObjectError) as error:
        reason, text = _NOT_FETCHED[type(error)]
        return earlier.rows_of(photo) or (_not_graded(photo, Outcome.FAILED, reason, text), None)
    except PhotoError as error:
        return _not_graded(photo, Outcome.REFUSED, error.reason, str(error)), None
    except ScreeningError:
        raise
    except Exception as error:  # a fault of ours with this photo must not take the batch down, and must be seen
        log.exception("prepare run=%s photo=%s", run_id, photo["photo_id"])
        return _not_graded(photo, Outcome.FAILED, "prepare_error", f"{type(error).__name__}: {error}"), None


def _decode_and_judge(
    photo: Row, key: str, etag: str, run_id: str, context: NightContext, rules: QualityRules
) -> tuple[Row, Row]:
    settings = context.settings
    limits = PhotoLimits(settings.max_photo_pixels, settings.max_photo_bytes)
    if int(str(photo["size_bytes"])) > limits.max_bytes:  # not even fetched
        raise PhotoError(
            f"the file has {photo['size_bytes']:,} bytes; at most {limits.max_bytes:,} are accepted", "too_many_bytes"
        )
    body = context.uploads.get(key, etag)
    photo_id = hashlib.sha256(body).hexdigest()[:32]
    photo["photo_id"] = photo_id
    header = read_header(body, limits)
    photo |= {"format": header.format, "width_px": header.width, "height_px": header.height}
    zone = ZoneInfo(settings.camera_timezone)
    if header.width * header.height > _LARGE_PIXELS:
        with _one_large_photo:
            decoded = decode_photo(body, limits, zone)
    else:
        decoded = decode_photo(body, limits, zone)
    # What a person wrote into the manifest outranks what a camera believed.
    photo["captured_at_utc"] = photo["captured_at_utc"] or decoded.captured_at_utc
    photo["device"] = photo["device"] or decoded.device
    measures = measure_quality(decoded)
    judged = judge_quality(measures, rules.cutoffs, settings.quality_mode, rules.messages)
    quality: Row = asdict(measures) | {
        "photo_id": photo_id,
        "programme": photo["programme"],
        "perceptual_hash": perceptual_hash(decoded.view),
        "issues": list(judged.issues),
        "verdict": judged.verdict,
        "reason": judged.reason,
        "advice": judged.advice,
        "quality_mode": settings.quality_mode,
        "cutoffs_version": rules.cutoffs.version,
        "filters_version": filters_version(),
    }
    if judged.verdict == Verdict.REFUSED:
        photo |= {
            "outcome": Outcome.REFUSED,
            "reason": judged.reason,
            "reason_text": "quality: " + ", ".join(judged.issues),
            "advice": judged.advice,
        }
    else:
        photo["advice"] = judged.advice
        context.results.put(paths.working_copy(run_id, photo_id), encode_working_copy(decoded.pixels))
    return photo, quality


def _not_graded(photo: Row, outcome: Outcome, reason: str, text: str) -> Row:
    return photo | {"outcome": outcome, "reason": reason, "reason_text": text, "advice": advice_for(reason)}
