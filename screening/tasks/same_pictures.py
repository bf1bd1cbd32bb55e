"""Which photos of a night show a picture that their programme sent before, in other bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from screening.contracts import LEDGER, QUALITY, Outcome, quality_contract_of
from screening.edges import paths
from screening.edges.tables import iter_table
from screening.errors import ContractError, MissingObjectError
from screening.stages.quality.duplicates import find_first_among, find_first_known, read_hashes
from screening.tasks.context import NightContext, Plan

log = logging.getLogger(__name__)

Row = dict[str, Any]


def name_same_pictures(photos: Sequence[Row], quality: pa.Table, plan: Plan, context: NightContext) -> None:
    """Fill ``same_picture_as`` of the photos, which come in the order in which they were listed.

    A duplicate already names the photo whose bytes it repeats. Only the programme's own photos are compared: what
    another programme sent is not this one's to know.
    """
    hash_of = dict(zip(quality["photo_id"].to_pylist(), quality["perceptual_hash"].to_pylist(), strict=True))
    hashed = [p for p in photos if p["outcome"] != Outcome.DUPLICATE and hash_of.get(p["photo_id"])]
    nights = _earlier_nights(plan, context)
    for programme in sorted({p["programme"] for p in hashed}):
        missing = [p for p in hashed if p["programme"] == programme]
        own_ids = {p["photo_id"] for p in missing}  # one that was refused before may be sent again
        for known_ids, known in _hashes_of(programme, nights, own_ids, context):
            wanted = read_hashes([hash_of[p["photo_id"]] for p in missing])
            _name(missing, find_first_known(wanted, known), known_ids)
            missing = [p for p in missing if p["same_picture_as"] is None]
        first = find_first_among(read_hashes([hash_of[p["photo_id"]] for p in missing]))
        _name(missing, first, [p["photo_id"] for p in missing])


def _name(photos: Sequence[Row], first: np.ndarray, ids: Sequence[str]) -> None:
    for photo, place in zip(photos, first.tolist(), strict=True):
        photo["same_picture_as"] = ids[place] if place >= 0 else None


def _earlier_nights(plan: Plan, context: NightContext) -> list[date]:
    """The nights of the last days, oldest first, that were claimed before this one.

    Claimed before, and not only dated before: a night run again then finds the same, whatever was back-filled since.
    """
    days = range(context.settings.same_picture_days, 0, -1)
    return [n for n in (plan.night - timedelta(d) for d in days) if _was_claimed_before(n, plan, context)]


def _was_claimed_before(night: date, plan: Plan, context: NightContext) -> bool:
    with suppress(MissingObjectError):
        chunks = iter_table(context.results, paths.ledger(night), LEDGER, ["claimed_at_utc"])
        # One PUT claims a night: every row of it has the same time.
        return any(chunk["claimed_at_utc"][0].as_py() < plan.claimed_at_utc for chunk in chunks if chunk.num_rows)
    return False


def _hashes_of(
    programme: str, nights: Sequence[date], besides: set[str], context: NightContext
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Photo ids and hashes that the programme published in each of the nights, one chunk at a time."""
    for night in nights:
        key = paths.published(QUALITY.name, programme, night)
        try:
            for chunk in iter_table(context.results, key, quality_contract_of, ["photo_id", "perceptual_hash"]):
                rows = [r for r in chunk.to_pylist() if r["perceptual_hash"] and r["photo_id"] not in besides]
                yield [r["photo_id"] for r in rows], read_hashes([r["perceptual_hash"] for r in rows])
        except MissingObjectError:  # the programme sent nothing then, or the night was never published
            continue
        except ContractError:  # it was published before pictures were hashed; that must not stop a night for a month
            log.warning("same_pictures night=%s was published without hashes of its pictures: not compared", night)
