"""Hold a published night against the nights before it: charts, drift, performance, and the page that says so.

The night is out already: whatever fails here, its grades and referrals stand.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import (
    CONTROL_CHARTS,
    DRIFT,
    GRADES,
    NIGHT_FIGURES,
    PHOTOS,
    PREDICTIONS,
    QUALITY,
    REFERRALS,
    Contract,
    LabelStrength,
    RiskGrade,
    grades_contract,
)
from screening.cutoffs import MONITORING
from screening.edges import paths
from screening.edges.tables import iter_table, write_table
from screening.reports.monitoring import MeasuredRelease, ProgrammeWatch, monitoring_page
from screening.stages.monitoring.charts import CHARTS, chart_row, counted
from screening.stages.monitoring.night_figures import ALL, groups_of, night_figures, summed
from screening.stages.monitoring.performance import LabelledPhoto, Share, estimated, measured, wilson
from screening.stages.monitoring.photo_drift import PROPERTIES, drift_row, kind_of, new_reference, sketch
from screening.stages.monitoring.properties import EDGES
from screening.tasks.context import NightContext, Plan
from screening.tasks.night_history import AcceptedLevel, History, earlier_nights
from screening.tasks.open_night import MISPLACED
from screening.taxonomy import Taxonomy

log = logging.getLogger(__name__)

Row = dict[str, Any]

PAGE_NAME = "monitoring.html"
REMIND_AFTER_NIGHTS = 30
"""A drift that stands is raised again so many nights later: a month, as often as the ensemble is retrained anyway."""


@dataclass(frozen=True)
class Raised:
    """What began tonight, for whoever acts on it: programme to properties, and programme to charts."""

    night: date
    drift: dict[str, list[str]]
    alarms: dict[str, list[str]]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for Airflow."""
        return {"night": self.night.isoformat(), "drift": self.drift, "alarms": self.alarms}


def monitor(run_id: str, context: NightContext) -> Raised:
    """Write each programme's figures, charts and drift of a published night, and its page; may run again.

    Returns:
        What began tonight.
    """
    plan = context.plan(run_id)
    release = context.release(plan.release)
    classes = context.classes(release)
    with context.timed(run_id, "monitor", photos=plan.photos):
        tables = _night(run_id, context, grades_contract(classes.class_ids))
        watches = []
        for programme in sorted(set(tables["photos"]["programme"].to_pylist()) - {MISPLACED}):
            own = {name: table.filter(pc.equal(table["programme"], programme)) for name, table in tables.items()}
            watches.append(_watch(programme, own, plan, context, classes.taxonomy))
        page = monitoring_page(plan.night, watches, release=plan.release, code_revision=plan.code_revision)
        context.results.put(paths.report(plan.night, PAGE_NAME), page.encode())
    raised = _raised(plan.night, watches)
    log.info(
        "monitor run=%s programmes=%d alarms=%d drift=%d at=%s",
        run_id,
        len(watches),
        sum(map(len, raised.alarms.values())),
        sum(map(len, raised.drift.values())),
        context.results.url(paths.report(plan.night, PAGE_NAME)),
    )
    return raised


def accept_level(programme: str, night: date, *, by: str, why: str, context: NightContext) -> AcceptedLevel:
    """Write down that a programme's photos are rightly others from a night on: charts and drift begin anew there."""
    word = AcceptedLevel(programme, night, datetime.now(UTC), by, why)
    context.results.put(paths.accepted_level(programme, night), word.to_json())
    return word


def _night(run_id: str, context: NightContext, grades: Contract) -> dict[str, pa.Table]:
    """Only the columns that are looked at: the whole tables of a large night take seconds."""
    wanted = {
        PHOTOS: ("photo_id", "programme", "outcome", "age_years", "sex", "fitzpatrick"),
        QUALITY: ("photo_id", "programme", "quality_mode", "filters_version", *(e for e in EDGES if e in _MEASURES)),
        grades: (
            *("photo_id", "programme", "grade", "verdict", "outlier_distance"),
            *(f"p_{grade}" for grade in GRADES),
        ),
        PREDICTIONS: ("photo_id", "programme", "member", "probabilities"),
        REFERRALS: ("programme", "subject", "grade"),
    }
    found = {}
    for contract, columns in wanted.items():
        chunks = iter_table(context.results, paths.staged_table(run_id, contract.name), contract, columns)
        empty = contract.schema.empty_table().select([c.name for c in contract.columns if c.name in columns])
        found[contract.name] = pa.concat_tables([empty, *chunks])
    return found


_MEASURES = {column.name for column in QUALITY.columns}


def _watch(
    programme: str, tables: Mapping[str, pa.Table], plan: Plan, context: NightContext, taxonomy: Taxonomy
) -> ProgrammeWatch:
    history = earlier_nights(programme, plan, context)
    accepted = history.accepted_from()
    stamp = {"programme": programme, "night": plan.night, "claimed_at_utc": plan.claimed_at_utc}

    def write(contract: Contract, rows: Iterable[Row]) -> list[Row]:
        table = contract.table([stamp | row for row in rows])
        write_table(context.results, paths.published(contract.name, programme, plan.night), table, contract)
        return list(table.to_pylist())

    earlier_charts = history.rows(CONTROL_CHARTS)
    figures = night_figures(tables["photos"], tables["quality"], tables["grades"])
    charts = write(CONTROL_CHARTS, _charts(figures[0], tables["referrals"], plan, accepted, earlier_charts))
    drift = write(DRIFT, _drift(tables, plan, accepted, history))
    earlier_figures = history.rows(NIGHT_FIGURES)
    # The last of the three: a night with figures has all of them.
    of_night = write(NIGHT_FIGURES, [row | {"release": plan.release} for row in figures])
    all_figures = [*earlier_figures, *of_night]
    return ProgrammeWatch(
        name=programme,
        charts=[*earlier_charts, *charts],
        drift=drift,
        accepted=accepted,
        nights=len({row["night"] for row in all_figures}),
        estimated=estimated(summed(r for r in all_figures if r["group_kind"] == ALL and r["release"] == plan.release)),
        measured=_measured(history, all_figures, taxonomy),
        groups=_groups(all_figures),
    )


def _charts(
    figures: Row, referrals: pa.Table, plan: Plan, accepted: date | None, earlier: Sequence[Row]
) -> Iterable[Row]:
    people = referrals.filter(pc.field("subject") == "patient")["grade"].to_pylist()
    shares = counted(figures, len(people), sum(grade != RiskGrade.LOW_RISK for grade in people))
    regime = f"{plan.release} {plan.grade_cutoffs.version} {plan.quality_cutoffs.version}" + _anew(accepted)
    # What the quality filters do changes which photos are graded: every share has both in its regime but that of refusals.
    regimes = {"refused": plan.quality_cutoffs.version + _anew(accepted)}
    for chart in CHARTS:
        own = [row for row in earlier if row["chart"] == chart]
        yield chart_row(chart, *shares[chart], regimes.get(chart, regime), plan.night, own)


def _anew(accepted: date | None) -> str:
    return f" from {accepted}" if accepted else ""


def _drift(tables: Mapping[str, pa.Table], plan: Plan, accepted: date | None, history: History) -> Iterable[Row]:
    filters = ", ".join(sorted(set(tables["quality"]["filters_version"].to_pylist())))
    recent = history.rows(DRIFT, MONITORING.drift_window_nights)
    if not filters:  # nothing could be decoded: the filters are those of the night before
        filters = next(
            (r["regime"].split(" from ")[0] for r in reversed(recent) if kind_of(r["property"]) == "photos"), ""
        )
    regimes = {"photos": filters + _anew(accepted), "answers": plan.release + _anew(accepted)}
    references = {kind: history.reference(kind, regime) for kind, regime in regimes.items()}
    if not all(references.values()):
        recent = history.rows(DRIFT)
    for kind, regime in regimes.items():
        if not references[kind]:
            alike = [r for r in recent if kind_of(r["property"]) == kind and r["regime"] == regime]
            if found := new_reference(alike):
                history.keep_reference(kind, regime, found)
                references[kind] = history.reference(kind, regime)
    for name in PROPERTIES:
        regime = regimes[kind_of(name)]
        yield drift_row(
            name,
            plan.night,
            sketch(name, tables["quality"], tables["grades"], tables["predictions"]),
            regime,
            [r for r in references[kind_of(name)] if r["property"] == name],
            [r for r in recent if r["property"] == name and r["regime"] == regime],
        )


def _measured(history: History, figures: Sequence[Row], taxonomy: Taxonomy) -> list[MeasuredRelease]:
    """What the labels say of each release that graded the window, newest release last."""
    queue, vetted = history.reviewed()
    known = {row["night"] for row in figures}
    queue = [row for row in queue if row["night"] in known]
    truth_of = {
        row["photo_id"]: (truth, row["label_strength"])
        for row in vetted
        if row["disease"] in {d.id for d in taxonomy.diseases} and (truth := taxonomy.grade_of(row["disease"]))
    }
    found = []
    for release in sorted({row["release"] for row in queue}):
        own = [row for row in queue if row["release"] == release]
        groups = {(kind, group) for row in own for kind, group in groups_of(row)}
        nights = {row["night"] for row in own}
        by_group = {}
        for kind, group in sorted(groups):
            members = [row for row in own if (kind, group) in groups_of(row)]
            whole = summed(
                r
                for r in figures
                if (r["group_kind"], r["group"], r["release"]) == (kind, group, release) and r["night"] in nights
            )
            certain = Counter(RiskGrade(r["grade"]) for r in members if r["inclusion_probability"] >= 1.0)
            labelled = [
                LabelledPhoto(
                    RiskGrade(r["grade"]), truth_of[r["photo_id"]][0], was_certain=r["inclusion_probability"] >= 1.0
                )
                for r in members
                if r["photo_id"] in truth_of
            ]
            by_group[kind, group] = measured(labelled, {g: whole[str(g)] for g in GRADES}, certain)
        found.append(
            MeasuredRelease(
                release,
                labels=sum(row["photo_id"] in truth_of for row in own),
                performance=by_group.get((ALL, ALL)),
                histopathology=_of_histopathology(own, truth_of),
                groups={key: value.dangerous_sent for key, value in by_group.items() if value},
            )
        )
    return found


def _of_histopathology(queue: Sequence[Row], truth_of: Mapping[str, tuple[RiskGrade, str]]) -> Share | None:
    """Of the lesions that histopathology found dangerous, those that were graded dangerous or high risk."""
    grades = [
        row["grade"]
        for row in queue
        if truth_of.get(row["photo_id"]) == (RiskGrade.DANGEROUS, LabelStrength.HISTOPATHOLOGY)
    ]
    return wilson(sum(grade != RiskGrade.LOW_RISK for grade in grades), len(grades))


def _groups(figures: Sequence[Row]) -> list[Row]:
    """Counts of each group over the window."""
    keys = dict.fromkeys((r["group_kind"], r["group"]) for r in figures)
    return [
        {"group_kind": kind, "group": group}
        | summed(r for r in figures if (r["group_kind"], r["group"]) == (kind, group))
        for kind, group in keys
    ]


def _raised(night: date, watches: Iterable[ProgrammeWatch]) -> Raised:
    drift: dict[str, list[str]] = {}
    alarms: dict[str, list[str]] = {}
    for watch in watches:
        found = [
            row["property"]
            for row in watch.drift
            if row["since"] and (night - row["since"]).days % REMIND_AFTER_NIGHTS == 0
        ]
        began = [row["chart"] for row in watch.charts if row["night"] == night and row["since"] == night]
        drift |= {watch.name: found} if found else {}
        alarms |= {watch.name: began} if began else {}
    return Raised(night, drift, alarms)
