"""The monitoring page of a night: what changed, since when, and what to do, for whoever looks after the programmes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from screening.cutoffs import MONITORING, QualityCutoffs
from screening.reports import figures
from screening.reports.figures import ChartNight
from screening.reports.nightly import page_environment, shown_measures
from screening.stages.monitoring.charts import CHARTS
from screening.stages.monitoring.drift import PROPERTIES, chance_of_a_look
from screening.stages.monitoring.night_figures import ALL, GROUP_KINDS
from screening.stages.monitoring.performance import Performance, Share, wilson
from screening.stages.monitoring.properties import ANSWERS

Row = dict[str, Any]

ALARMS = ("above", "below")
_NO_DIFFERENCE = 0.005
_CHART_TITLES = {
    "dangerous": "Graded dangerous",
    "high_risk": "Graded high risk",
    "referred": "People referred",
    "refused": "Photos refused",
    "flagged": "Graded photos flagged",
}
_REVIEW_FIRST = (
    "See below whether the photos changed, too. If they did, find out why. If they did not, have a clinician look at "
    "photos of these nights: a new release, a fault, or truly other patients."
)
_TO_DO = {
    ("refused", "above"): "See in the nightly report which reason for refusing grew, and ask the programme about a new "
    "camera, place or person. Photos that were refused must be taken again.",
    (
        "refused",
        "below",
    ): "Good news, if the programme takes better photos now. Make sure that the quality filters still run.",
    (
        "flagged",
        "above",
    ): "See in the nightly report which flag grew, and ask the programme about a new camera or place.",
    ("flagged", "below"): "Make sure that the quality filters still run.",
}
_DRIFT_TO_DO = (
    "Look at photos of the last nights beside older ones. A new camera, light or place: tell the programme what to "
    "change. Other patients: the release may not know them; have more of their photos reviewed. If the change is right and here "
    "to stay, write it down with “screening monitoring accept”: the comparison then begins anew."
)
KIND_WORDS = {
    "age": "Age in years",
    "sex": "Sex",
    "skin": "Skin type, as recorded",
    "skin_as_lit": "Skin tone in the photo, where no type is recorded",
}
_PERFORMANCE_WORDS = {
    "dangerous_sent": "Dangerous lesions sent to a person (graded dangerous or high risk)",
    "dangerous_found": "Dangerous lesions graded dangerous",
    "at_risk_sent": "Dangerous and high-risk lesions sent to a person",
    "specificity": "Low-risk lesions graded low risk",
    "dangerous_precision": "Photos graded dangerous that are",
    "sent_precision": "Photos sent to a person that are dangerous or high risk",
}


@dataclass(frozen=True)
class MeasuredRelease:
    """What labels say of one release; ``performance`` None while they say too little."""

    release: str
    labels: int
    performance: Performance | None
    histopathology: Share | None
    """Of lesions that histopathology found dangerous, those sent to a person."""
    groups: Mapping[tuple[str, str], Share | None]
    """Dangerous lesions sent to a person, by kind and group."""


@dataclass(frozen=True)
class ProgrammeWatch:
    """All that the page says of one programme."""

    name: str
    charts: Sequence[Row]
    """Rows of ``CONTROL_CHARTS`` of the window, oldest first; this night's are the last."""
    drift: Sequence[Row]
    """This night's rows of ``DRIFT``."""
    accepted: date | None
    nights: int
    estimated: Performance
    measured: Sequence[MeasuredRelease]
    groups: Sequence[Row]
    """Counts of the groups over the window, as in ``NIGHT_FIGURES``."""


def monitoring_page(night: date, watches: Sequence[ProgrammeWatch], *, release: str, code_revision: str) -> str:
    """Write the page of a night."""
    page: str = (
        page_environment()
        .get_template("monitoring.html.j2")
        .render(
            night=night,
            release=release,
            code_revision=code_revision,
            happened=[entry for watch in watches for entry in _happened(watch, night)],
            programmes=[_programme(watch, night) for watch in watches],
            limits=MONITORING,
            properties=len(PROPERTIES),
            chance=chance_of_a_look(),
            grade_colours=figures.GRADE_COLOURS,
        )
    )
    return page


def property_title(name: str) -> str:
    """A property in plain words."""
    if name == ANSWERS:
        return "Answers of the networks"
    if name == "outlier_distance":
        return "Distance from the training photos"
    return shown_measures(QualityCutoffs())[name].title


def _happened(watch: ProgrammeWatch, night: date) -> Iterator[Row]:
    for row in watch.charts:
        if row["night"] == night and row["state"] in ALARMS:
            usual = f"{_percent(row['level'])} in the {row['baseline_nights']} nights before"
            is_one_night = not row["low"] <= row["events"] / row["of"] <= row["high"]
            why = (
                f"a single night stays between {_percent(row['low'])} and {_percent(row['high'])}"
                if is_one_night
                else "no single night stands out, but the last ones all lie to one side"
            )
            yield {
                "programme": watch.name,
                "title": f"{'More' if row['state'] == 'above' else 'Fewer'} {CHARTS[row['chart']]} than usual",
                "says": f"{_percent(row['events'] / row['of'])} tonight ({row['events']:,} of {row['of']:,}), {usual}; {why}.",
                "since": row["since"],
                "is_new": row["since"] == night,
                "to_do": _TO_DO.get((row["chart"], row["state"]), _REVIEW_FIRST),
            }
    for row in sorted(watch.drift, key=lambda r: -(r["effect"] or 0.0)):
        if row["state"] == "drift":
            yield {
                "programme": watch.name,
                "title": f"The photos have changed: {property_title(row['property']).lower()}",
                "says": _difference(row).capitalize() + ".",
                "since": row["since"],
                "is_new": row["since"] == night,
                "to_do": _DRIFT_TO_DO,
            }


def _difference(row: Row) -> str:
    if row["effect"] < _NO_DIFFERENCE:
        return "none to speak of"
    if row["property"] == ANSWERS:
        return f"before and now explain {_percent(row['effect'])} of the variance of the networks' answers"
    return (
        f"at most {figures.figure(row['at'])} in {_percent(row['share_before'])} of the photos before, "
        f"in {_percent(row['share_now'])} of the last nights'"
    )


def _programme(watch: ProgrammeWatch, night: date) -> Row:
    tonight = {row["chart"]: row for row in watch.charts if row["night"] == night}
    tested = [row for row in watch.drift if row["p_value"] is not None]
    return {
        "name": watch.name,
        "accepted": watch.accepted,
        "nights": watch.nights,
        "charts": [_chart(chart, tonight[chart], watch.charts) for chart in CHARTS],
        "drift": [
            row | {"title": property_title(row["property"]), "says": _difference(row)}
            for row in sorted(tested, key=lambda r: (r["state"] != "drift", -r["effect"]))
        ],
        "drift_state": next((r["state"] for r in watch.drift if r["p_value"] is None), None),
        "drifting": any(row["state"] == "drift" for row in watch.drift),
        "reference": next(((r["reference_from"], r["reference_to"]) for r in tested), None),
        "performance": [
            {
                "title": words,
                "estimated": _share(getattr(watch.estimated, name)),
                "measured": [_share(getattr(m.performance, name)) if m.performance else None for m in watch.measured],
            }
            for name, words in _PERFORMANCE_WORDS.items()
        ],
        "measured": watch.measured,
        "histopathology": [(m.release, share) for m in watch.measured if (share := _share(m.histopathology))],
        "groups": list(_groups(watch)),
    }


def _chart(chart: str, tonight: Row, rows: Sequence[Row]) -> Row:
    own = [row for row in rows if row["chart"] == chart]
    nights = [
        ChartNight(
            f"{row['night']:%-d %b}",
            row["events"] / row["of"] if row["of"] else None,
            row["level"],
            row["low"],
            row["high"],
            row["state"] in ALARMS,
        )
        for row in own
    ]
    of = f"{tonight['events']:,} of {tonight['of']:,}"
    says = {
        "no_photos": "nothing to count tonight",
        "learning": f"{of} tonight; learning, no limits yet: {tonight['baseline_nights']} of "
        f"{MONITORING.chart_learning_nights} nights",
        "in_control": f"{of} tonight, as usual",
        "above": f"{of} tonight: more than usual",
        "below": f"{of} tonight: fewer than usual",
    }[tonight["state"]]
    return {
        "title": _CHART_TITLES[chart],
        "picture": figures.control_chart(nights),
        "says": says,
        "is_alarm": tonight["state"] in ALARMS,
        "since": tonight["since"],
    }


def _groups(watch: ProgrammeWatch) -> Iterator[Row]:
    counts = {(r["group_kind"], r["group"]): r for r in watch.groups}
    for kind, groups in GROUP_KINDS.items():
        rows = []
        for group in groups:
            row = counts.get((kind, group))
            if kind == ALL or row is None:
                continue
            rows.append(
                {
                    "group": group,
                    "photos": row["photos"],
                    "refused": _share(wilson(row["refused"], row["photos"])),
                    "high_risk": _share(wilson(row["high_risk"], row["graded"])),
                    "dangerous": _share(wilson(row["dangerous"], row["graded"])),
                    "sensitivity": _share(watch.measured[-1].groups.get((kind, group))) if watch.measured else None,
                }
            )
        if rows:
            yield {"title": KIND_WORDS[kind], "kind": kind, "rows": rows}


def _share(share: Share | None) -> Row | None:
    if share is None:
        return None
    return {
        "value": _percent(share.value),
        "interval": f"{_percent(share.low)} to {_percent(share.high)}",
        "picture": figures.interval_bar(share.value, share.low, share.high),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"
