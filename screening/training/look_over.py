"""What the photos themselves tell: when and with what they were taken, their perceptual hash, and the quality verdict.

The measures are those of the nightly ``prepare``. Each photo is decoded once and kept in a cache by its bytes; judging
is cheap and done anew, so other cut-offs need no other measures.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, asdict, fields
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from screening.contracts import CORPUS, QUALITY, check_table
from screening.cutoffs import QualityCutoffs
from screening.errors import ContractError, PhotoError
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality import QualityMeasures, judge_quality, measure_quality, perceptual_hash
from screening.stages.quality.learnt import filters_version

PHOTOS_AT_ONCE = 500
"""Photos in a part of the cache: what a killed run loses at most."""

_MEASURES = tuple(field.name for field in fields(QualityMeasures) if field.default is MISSING)
"""What a verdict rests on; a measure with a default is for statistics, and caches from before it stay good."""
_SEEN = ("captured_at_utc", "device", "perceptual_hash")
_CACHED = pa.schema(
    [
        *(CORPUS.schema.field(name).remove_metadata() for name in ("photo_id", *_SEEN)),
        *(QUALITY.schema.field(name).remove_metadata() for name in _MEASURES),
    ]
)


def look_over(
    corpus: pa.Table,
    root: Path,
    cache: Path,
    cutoffs: QualityCutoffs,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> pa.Table:
    """Fill in capture time and device (where the source says none), perceptual hash, quality verdict, issues and reason.

    Args:
        corpus: the table ``corpus``.
        root: folder where its paths start.
        cache: folder for what was measured; a second call measures new photos only.
        cutoffs: those of the nightly run.
        on_progress: gets the photos done and all of them.

    Raises:
        ContractError: photos cannot be decoded; it names them.
    """
    rows = corpus.to_pylist()
    known = _measured(rows, root, cache / f"looks-{filters_version()}", on_progress)
    for row in rows:
        look = known[row["photo_id"]]
        measures = QualityMeasures(**{name: look[name] for name in _MEASURES})  # type: ignore[arg-type]  # as they were cached
        judged = judge_quality(measures, cutoffs, "enforce")
        row["captured_at_utc"] = row["captured_at_utc"] or look["captured_at_utc"]
        row["device"] = row["device"] or look["device"]
        row["perceptual_hash"] = look["perceptual_hash"]
        row["quality_verdict"], row["quality_reason"] = str(judged.verdict), judged.reason
        row["quality_issues"] = list(judged.issues)
    return check_table(pa.Table.from_pylist(rows, schema=CORPUS.schema), CORPUS)


def _measured(
    rows: list[dict[str, object]], root: Path, cache: Path, on_progress: Callable[[int, int], None]
) -> dict[object, dict[str, object]]:
    known = {look["photo_id"]: look for part in sorted(cache.glob("*.parquet")) for look in _read_part(part)}
    new = [row for row in rows if row["photo_id"] not in known]
    done, broken = len(rows) - len(new), []
    on_progress(done, len(rows))
    with ThreadPoolExecutor(2, thread_name_prefix="look-over") as pool:
        for some in _in_parts(new):
            looks = []
            for row, look in zip(some, pool.map(lambda row: _look(row, root), some), strict=True):
                if isinstance(look, PhotoError):
                    broken.append(f"{row['photo']}: {look}")
                else:
                    looks.append(look)
                done += 1
                on_progress(done, len(rows))
            _write_part(cache, looks)
            known |= {look["photo_id"]: look for look in looks}
    if broken:
        raise ContractError(
            f"{len(broken)} photos cannot be decoded; mend them or take them from the labels: {'; '.join(broken[:5])}"
        )
    return known


def _look(row: dict[str, object], root: Path) -> dict[str, object] | PhotoError:
    try:
        photo = decode_photo((root / str(row["photo"])).read_bytes(), PhotoLimits())
    except PhotoError as error:
        return error
    return asdict(measure_quality(photo)) | {
        "photo_id": row["photo_id"],
        "captured_at_utc": photo.captured_at_utc,
        "device": photo.device,
        "perceptual_hash": perceptual_hash(photo.view),
    }


def _in_parts(rows: list[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    left = iter(rows)
    while some := list(islice(left, PHOTOS_AT_ONCE)):
        yield some


def _read_part(file: Path) -> list[dict[str, object]]:
    looks: list[dict[str, object]] = pq.read_table(file, schema=_CACHED).to_pylist()
    return looks


def _write_part(cache: Path, looks: list[dict[str, object]]) -> None:
    """Under a new name, and by renaming: a part is whole, or not there."""
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cache / f"{uuid.uuid4().hex}.part"
    pq.write_table(pa.Table.from_pylist(looks, schema=_CACHED), unfinished, compression="zstd")
    unfinished.rename(unfinished.with_suffix(".parquet"))
