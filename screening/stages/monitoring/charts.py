"""The control charts of a programme: which shares, and a night's point on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from screening.cutoffs import MONITORING, MonitoringLimits
from screening.stages.monitoring.control_chart import chart_point, level_of

Row = dict[str, Any]

CHARTS: Mapping[str, str] = {
    "dangerous": "photos graded dangerous",
    "high_risk": "photos graded high risk",
    "referred": "people who should see somebody",
    "refused": "photos refused",
    "flagged": "graded photos flagged",
}
"""Charts in the order of the page, with what is counted."""


def counted(figures: Row, people: int, referred: int) -> dict[str, tuple[int, int]]:
    """Events and of how many, of each chart, from the night's row of all photos."""
    return {
        "dangerous": (figures["dangerous"], figures["graded"]),
        "high_risk": (figures["high_risk"], figures["graded"]),
        "referred": (referred, people),
        "refused": (figures["refused"], figures["photos"]),
        "flagged": (figures["flagged"], figures["graded"]),
    }


def chart_row(
    chart: str,
    events: int,
    of: int,
    regime: str,
    night: date,
    earlier: Sequence[Row],
    limits: MonitoringLimits = MONITORING,
) -> Row:
    """A row of ``CONTROL_CHARTS``, without what says whose night it is.

    Args:
        chart: which share.
        events: of the night.
        of: photos or people of the night.
        regime: under which the shares can be compared.
        night: the night.
        earlier: rows of this chart of earlier nights, oldest first; those of another regime do not count.
        limits: when the share has changed.
    """
    row: Row = {"chart": chart, "regime": regime, "events": events, "of": of, "state": "no_photos"}
    alike = [r for r in earlier if r["regime"] == regime and r["of"]][-limits.window_nights :]
    baseline = [r for r in alike if r["state"] not in ("above", "below")]
    if len(baseline) < limits.chart_settled_nights:
        baseline = [r for r in alike if abs(r["score"] or 0.0) < limits.chart_night]
    row["baseline_nights"] = len(baseline)
    if not of:
        return row
    level = level_of([r["events"] for r in baseline], [r["of"] for r in baseline], limits)
    if level is None:
        return row | {"state": "learning"}
    last = alike[-1]
    point = chart_point(events, of, level, last["mean_score"] or 0.0, limits)
    is_alarm = point.state != "in_control"
    goes_on = is_alarm and last["state"] == point.state
    return row | {
        "state": point.state,
        "level": level.share,
        "low": point.low,
        "high": point.high,
        "score": point.score,
        "mean_score": point.mean_score,
        "since": (last["since"] if goes_on else night) if is_alarm else None,
    }
