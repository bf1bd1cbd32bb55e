"""People who took back their consent: written down, and taken out of what is still to be looked at or learnt from."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import CORPUS, PHOTOS, REVIEW_QUEUE, SPLIT, Side
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.release import all_releases, split_file
from screening.edges.store import StoredObject
from screening.edges.tables import iter_table, read_table, write_table
from screening.edges.withdrawals import record_withdrawal, withdrawal_objects, withdrawn_at
from screening.errors import ContractError, MissingObjectError, SettingsError
from screening.stages.intake import Pseudonyms
from screening.tasks.context import NightContext

log = logging.getLogger(__name__)

OF_PHOTO = "photo:"
"""Before a photo_id, where the person is unknown; as in `referrals`."""
_STATE = "withdrawals"


def pseudonym_of(programme: str, patient_id: str, context: NightContext) -> str:
    """The pseudonym of a person whom the programme's manifests call ``patient_id``.

    Raises:
        SettingsError: the key of the pseudonyms is not set.
    """
    key = context.settings.pseudonym_key
    if key is None:
        raise SettingsError("SCREENING_PSEUDONYM_KEY is not set; it is needed to find a person")
    return Pseudonyms(key.get_secret_value().encode()).patient(programme, patient_id)


def withdraw(programme: str, patient: str, recorded_by: str, context: NightContext) -> int:
    """Write down that a person withdrew, and apply it; returns how many of their photos are known.

    Args:
        programme: who uploaded the photos.
        patient: pseudonym of the person, or ``photo:<photo_id>``.
        recorded_by: who writes it down.
        context: settings and stores.

    Raises:
        ContractError: no photo of the programme belongs to the person; nothing was written.
    """
    photos = _photos_of({patient}, _published("photos", programme, context), context)
    if not photos:
        raise ContractError(
            f"withdraw: no photo of programme {programme!r} belongs to this person; nothing was written"
        )
    row: dict[str, object] = {"programme": programme, "patient": patient, "recorded_by": recorded_by}
    record_withdrawal(context.results, row | {"withdrawn_at_utc": datetime.now(UTC)})
    apply_withdrawals(context)
    return len(photos)


def apply_withdrawals(context: NightContext) -> int:
    """Take the photos of everyone who withdrew out of the corpus, its copies and the review queues; may run again.

    Which snapshots of the corpus held them, and which releases were made of them, is listed in ``paths.WITHDRAWN``. Returns
    how many people withdrew.
    """
    state = _read_state(context)
    withdrawals = list(withdrawal_objects(context.results))
    people: dict[str, dict[str, str]] = {}
    for found in withdrawals:
        if parsed := paths.parse_withdrawal_key(found.key):
            people.setdefault(parsed[0], {})[parsed[1]] = found.key
    if not people:
        return 0
    photos = {programme: _withdrawn_photos(programme, set(of), state, context) for programme, of in people.items()}
    every = {photo_id for of in photos.values() for ids in of.values() for photo_id in ids}
    _shrink_corpus(every, context)
    for programme in people:
        _shrink_queues(programme, {photo_id for ids in photos[programme].values() for photo_id in ids}, state, context)
    _list_withdrawn(people, photos, context)
    context.results.put(paths.review_state(_STATE), json.dumps(state, indent=1).encode())
    log.info("apply_withdrawals people=%d photos=%d", len(withdrawals), len(every))
    return len(withdrawals)


def withdrawn_photos(context: NightContext) -> set[str]:
    """The photos that ``apply_withdrawals`` found: what it left in ``paths.WITHDRAWN``."""
    with suppress(MissingObjectError):
        listed = json.loads(context.results.get(paths.WITHDRAWN))
        return {photo_id for person in listed for photo_id in person["photos"]}
    return set()


def _read_state(context: NightContext) -> dict[str, Any]:
    """What was looked through already: by programme its people, their photos, and the tables with their etags."""
    with suppress(MissingObjectError, ValueError):
        state = json.loads(context.results.get(paths.review_state(_STATE)))
        if isinstance(state, dict):
            return state
    return {}


def _withdrawn_photos(
    programme: str, people: set[str], state: dict[str, Any], context: NightContext
) -> dict[str, list[str]]:
    """The photo_ids of each person; only tables that are new since the last time are read, unless somebody is new."""
    tables = _published("photos", programme, context)
    known = state.setdefault(programme, {"people": {}, "tables": {}, "queues": {}})
    if set(known["people"]) != people:
        known |= {"people": {person: [] for person in sorted(people)}, "tables": {}, "queues": {}}
    fresh = [table for table in tables if known["tables"].get(table.key) != table.etag]
    for person, photo_id in _photos_of(people, fresh, context):
        known["people"][person] = sorted({*known["people"][person], photo_id})
    known["tables"] = {table.key: table.etag for table in tables}
    return dict(known["people"])


def _photos_of(people: set[str], tables: list[StoredObject], context: NightContext) -> set[tuple[str, str]]:
    """(person, photo_id) of every upload of these people, duplicates too: the same bytes are the same picture."""
    found: set[tuple[str, str]] = set()
    wanted = pa.array(sorted(people), pa.string())
    photo_ids = pa.array([p.removeprefix(OF_PHOTO) for p in sorted(people) if p.startswith(OF_PHOTO)], pa.string())
    for table in tables:
        for chunk in iter_table(context.results, table.key, PHOTOS, ["photo_id", "patient"]):
            of_people = chunk.filter(pc.is_in(chunk["patient"], wanted)).to_pylist()
            found |= {(row["patient"], row["photo_id"]) for row in of_people if row["photo_id"]}
            nameless = chunk.filter(pc.is_in(chunk["photo_id"], photo_ids)) if len(photo_ids) else chunk.slice(0, 0)
            found |= {(OF_PHOTO + row["photo_id"], row["photo_id"]) for row in nameless.to_pylist() if row["photo_id"]}
    return found


def _published(table: str, programme: str, context: NightContext) -> list[StoredObject]:
    pages = context.results.pages(paths.published_prefix(table, programme))
    return [found for page in pages for found in page if paths.parse_published_key(found.key)]


def _shrink_corpus(photo_ids: set[str], context: NightContext) -> None:
    """Without these photos; their copies go last, so that a killed run begins here again."""
    with suppress(MissingObjectError):
        corpus = read_table(context.results, paths.CORPUS_TABLE, CORPUS)
        kept = corpus.filter(pc.invert(pc.is_in(corpus["photo_id"], pa.array(sorted(photo_ids), pa.string()))))
        if kept.num_rows != corpus.num_rows:
            write_table(context.results, paths.CORPUS_TABLE, kept, CORPUS)
    for photo_id in sorted(photo_ids):
        context.results.delete(paths.corpus_photo(photo_id))


def _shrink_queues(programme: str, photo_ids: set[str], state: dict[str, Any], context: NightContext) -> None:
    known = state[programme]["queues"] if state[programme].get("gone") == sorted(photo_ids) else {}
    gone = pa.array(sorted(photo_ids), pa.string())
    for table in _published(REVIEW_QUEUE.name, programme, context):
        if known.get(table.key) == table.etag:
            continue
        queue = read_table(context.results, table.key, REVIEW_QUEUE)
        kept = queue.filter(pc.invert(pc.is_in(queue["photo_id"], gone)))
        if kept.num_rows != queue.num_rows:
            write_table(context.results, table.key, kept, REVIEW_QUEUE)
    state[programme] |= {
        "gone": sorted(photo_ids),
        "queues": {table.key: table.etag for table in _published(REVIEW_QUEUE.name, programme, context)},
    }


def _list_withdrawn(
    people: Mapping[str, Mapping[str, str]], photos: Mapping[str, Mapping[str, list[str]]], context: NightContext
) -> None:
    snapshots, releases = dict(_snapshots(context)), dict(_learnt_by_releases(context))
    listed = [
        {
            "programme": programme,
            "patient": person,
            "withdrawn_at_utc": withdrawn_at(context.results, key),
            "photos": photos[programme][person],
            "snapshots": [name for name, held in snapshots.items() if held & set(photos[programme][person])],
            "releases": [name for name, learnt in releases.items() if learnt & set(photos[programme][person])],
        }
        for programme, of in sorted(people.items())
        for person, key in sorted(of.items())
    ]
    context.results.put(paths.WITHDRAWN, json.dumps(listed, indent=1).encode())


def _learnt_by_releases(context: NightContext) -> Iterator[tuple[str, set[str]]]:
    """Each release with the photos that it was made of, those of the releases that it started from included."""
    for release in all_releases(context.settings.model_repository):
        split = split_file(context.settings.model_repository, release)
        if split.is_file():
            rows = read_table(FolderStore(split.parent), split.name, SPLIT).to_pylist()
            yield release.name, {row["photo_id"] for row in rows if row["side"] in (Side.TRAIN, Side.VALIDATION)}


def _snapshots(context: NightContext) -> Iterator[tuple[str, set[str]]]:
    """Each snapshot of the corpus with its photo_ids."""
    for page in context.results.pages(paths.CORPUS_SNAPSHOTS_PREFIX):
        for found in page:
            if found.key.endswith(".parquet"):
                name = found.key.removeprefix(paths.CORPUS_SNAPSHOTS_PREFIX).removesuffix(".parquet")
                chunks = iter_table(context.results, found.key, CORPUS, ["photo_id"])
                yield name, {photo_id for chunk in chunks for photo_id in chunk["photo_id"].to_pylist()}
