"""The drift table of a programme: what a night's photos look like, and whether that has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from screening.cutoffs import MONITORING, MonitoringLimits
from screening.stages.monitoring.drift import PROPERTIES, Sketches, find_drift
from screening.stages.monitoring.properties import ANSWERS, answers_of, measures_of

Row = dict[str, Any]

OF_RELEASE = ("outlier_distance", ANSWERS)
"""Properties whose meaning changes with the release; all others change with the quality filters."""


def kind_of(name: str) -> str:
    """Properties of one kind share a reference: ``answers`` or ``photos``."""
    return "answers" if name in OF_RELEASE else "photos"


def sketch(name: str, quality: pa.Table, grades: pa.Table, predictions: pa.Table) -> tuple[int, list[float]]:
    """Photos with a value and what they are compared by, of one programme and night."""
    if name == ANSWERS:
        return answers_of(predictions)
    return measures_of((grades if name in OF_RELEASE else quality)[name], name)


def new_reference(earlier: Sequence[Row], limits: MonitoringLimits = MONITORING) -> list[Row] | None:
    """Rows of ``DRIFT_REFERENCE``: the first nights of a regime, once there are enough; None before.

    Args:
        earlier: rows of ``DRIFT`` of one kind and one regime, of earlier nights.
        limits: how many nights and photos it takes.
    """
    photos = dict.fromkeys(sorted({r["night"] for r in earlier if r["photos"]}), 0)
    for row in earlier:
        if row["photos"]:
            photos[row["night"]] = max(photos[row["night"]], row["photos"])
    nights = list(photos)[: limits.drift_reference_nights]
    if len(nights) < limits.drift_reference_nights or sum(photos[n] for n in nights) < limits.drift_reference_photos:
        return None
    names = ("night", "claimed_at_utc", "property", "photos", "values")
    return [{name: r[name] for name in names} for r in earlier if r["night"] in nights and r["photos"]]


def drift_row(
    name: str,
    night: date,
    sketched: tuple[int, list[float]],
    regime: str,
    reference: Sequence[Row],
    earlier: Sequence[Row],
    limits: MonitoringLimits = MONITORING,
) -> Row:
    """A row of ``DRIFT``, without what says whose night it is.

    Args:
        name: of the property.
        night: the night.
        sketched: photos of the night that have a value, and what they are compared by.
        regime: under which nights can be compared.
        reference: rows of the reference of this property; empty while it is learnt.
        earlier: rows of this property and regime of earlier nights, oldest first.
        limits: when it is drift.
    """
    photos, values = sketched
    row: Row = {"property": name, "regime": regime, "photos": photos, "values": values, "state": "learning"}
    if not reference:
        return row
    ends = {"reference_from": min(r["night"] for r in reference), "reference_to": max(r["night"] for r in reference)}
    after = [r for r in earlier if r["night"] > ends["reference_to"] and r["photos"]]
    recent = [*after, *([row | {"night": night}] if photos else [])][-limits.drift_window_nights :]
    found = find_drift(name, _sketches(reference), _sketches(recent), limits) if recent else None
    if found is None:
        return row | ends | {"state": "too_few"}
    last = earlier[-1] if earlier else None
    goes_on = found.is_drift and last is not None and last["state"] == "drift"
    return row | ends | {
        "state": "drift" if found.is_drift else "steady",
        "p_value": found.p_value,
        "effect": found.effect,
        "at": found.at,
        "share_before": found.share_before,
        "share_now": found.share_now,
        "since": (last["since"] if goes_on and last else night) if found.is_drift else None,
    }  # fmt: skip


def _sketches(rows: Sequence[Row]) -> Sketches:
    return Sketches(np.array([r["photos"] for r in rows]), np.array([r["values"] for r in rows], np.float64))


__all__ = ["OF_RELEASE", "PROPERTIES", "drift_row", "kind_of", "new_reference", "sketch"]
