"""Step 1: freeze what may be learnt from, and bring its photos into the run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa

from screening.contracts import CORPUS
from screening.edges import paths
from screening.edges.store import Store
from screening.edges.tables import read_table, write_table
from screening.errors import MissingError, MissingObjectError, PhotoError
from screening.stages.pixels import PhotoLimits, read_header
from screening.training.corpus import read_corpus_table, write_corpus
from screening.training.disk import write_whole
from screening.training.readers.corpus_table import TABLE
from screening.training.retraining.run_folder import RunFolder

BASE, PROGRAMMES = "base/", "programmes/"
"""Where a photo of the snapshot comes from: the folder of published photos, or the results store."""
_DIGEST_CHARACTERS = 12
_AT_ONCE = 8


def take_snapshot(run: RunFolder, store: Store, base: Path | None) -> pa.Table:
    """Freeze the corpus of the run, once, in the run folder and, unless it is a dry run, in the store.

    Args:
        run: with its order.
        store: of the results.
        base: folder of a corpus that `screening corpus build` made of published photos; None: there is none.

    Raises:
        MissingError: there is nothing to learn from, or a photo is missing.
        ContractError: a table breaks its contract, or a photo is another than its table says.
    """
    if not run.snapshot.is_file():
        write_corpus(_merged(store, base), run.snapshot)
    table = read_corpus_table(run.snapshot)
    order = run.order()
    if not order.is_dry_run:
        write_table(store, paths.snapshot(snapshot_id(table, order.made_on)), table, CORPUS, only_if_new=True)
    _bring_photos(run, table, store, base)
    return table


def snapshot_id(table: pa.Table, day: str) -> str:
    """As ``2026-11-22-0123456789ab``: the day, and a digest of the photos with their diseases, people and lesions."""
    columns = ["photo_id", "disease", "label_strength", "patient", "lesion"]
    lines = sorted("\0".join(row.values()) for row in table.select(columns).to_pylist())
    return f"{day}-{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:_DIGEST_CHARACTERS]}"


def merge_corpora(programmes: pa.Table, base: pa.Table) -> pa.Table:
    """The photos of the programmes and the published ones as one corpus, each path below the folder of its kind.

    A photo that stands in both keeps what our readers said; the people of both rows are one person, and so is everybody
    who bears either name.
    """
    ours, theirs = _below(PROGRAMMES, programmes), _below(BASE, base)
    known = ours.set_index("photo_id")["patient"]
    twice = theirs["photo_id"].isin(known.index)
    same = dict(zip(theirs.loc[twice, "patient"], theirs.loc[twice, "photo_id"].map(known), strict=True))
    rest = theirs[~twice]
    merged = pd.concat([ours, rest.assign(patient=rest["patient"].replace(same))], ignore_index=True)
    return pa.Table.from_pandas(merged, schema=CORPUS.schema, preserve_index=False)


def _merged(store: Store, base: Path | None) -> pa.Table:
    nothing = CORPUS.schema.empty_table()
    try:
        programmes = read_table(store, paths.CORPUS_TABLE, CORPUS)
    except MissingObjectError:
        programmes = nothing
    published = read_corpus_table(base / TABLE) if base else nothing
    merged = merge_corpora(programmes, published)
    if not merged.num_rows:
        raise MissingError(
            f"nothing to learn from: {store.url(paths.CORPUS_TABLE)} has no photo, and SCREENING_BASE_CORPUS names none"
        )
    return merged


def _below(folder: str, table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame.assign(photo=folder + frame["photo"].astype(str))


def _bring_photos(run: RunFolder, table: pa.Table, store: Store, base: Path | None) -> None:
    """Photos of programmes are fetched once; published ones are looked at where they are, through a link."""
    run.photos.mkdir(parents=True, exist_ok=True)
    if base:
        link = run.photos / BASE.rstrip("/")
        link.unlink(missing_ok=True)
        link.symlink_to(base.resolve(), target_is_directory=True)
    rows = table.select(["photo_id", "photo"]).to_pylist()

    def bring(row: dict[str, str]) -> str | None:
        file = run.photos / row["photo"]
        if row["photo"].startswith(BASE):
            return _wrong_published(file, row["photo_id"])
        return None if file.is_file() else _fetch(store, "corpus/" + row["photo"].removeprefix(PROGRAMMES), file)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        _raise_first(pool.map(bring, rows), table.num_rows)


def _wrong_published(file: Path, photo_id: str) -> str | None:
    if not file.is_file():
        return f"{file} is not there"
    found = hashlib.sha256(file.read_bytes()).hexdigest()[: len(photo_id)]
    return None if found == photo_id else f"{file} holds other bytes than its table says"


def _fetch(store: Store, key: str, file: Path) -> str | None:
    try:
        body = store.get(key)
        read_header(body, PhotoLimits())
    except MissingObjectError:
        return f"{store.url(key)} is not there"
    except PhotoError as error:
        return f"{store.url(key)} is no photo: {error}"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, body)
    return None


def _raise_first(faults: Iterable[str | None], photos: int) -> None:
    found = [fault for fault in faults if fault]
    if found:
        raise MissingError(
            f"{len(found)} of {photos} photos of the corpus cannot be used; the first: {found[0]}. "
            "Bring them back, or let intake_decisions write the corpus anew"
        )


def working_copies(photos: Iterable[str], root: Path) -> frozenset[str]:
    """Those of the files that are working copies of our own nights."""
    ours = f"{root / PROGRAMMES}/"
    return frozenset(photo for photo in photos if photo.startswith(ours))
