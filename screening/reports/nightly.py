"""The report of a night: one page, without any other host, that a programme's officer reads in the morning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from screening.contracts import GRADES, QUALITY, Outcome, RiskGrade, Verdict
from screening.cutoffs import GradeCutoffs, QualityCutoffs
from screening.edges.release import Release
from screening.reports import figures
from screening.reports.figures import GRADE_COLOURS, OUTCOME_COLOURS, VERDICT_COLOURS, Lane, Mark, Part
from screening.reports.shadow import ShadowNight
from screening.stages.accounting import Accounting, count_by_programme
from screening.stages.audit import AuditResult
from screening.stages.ensemble import ENSEMBLE
from screening.stages.grading import WARNINGS
from screening.taxonomy import Taxonomy, TrainingClasses

TEMPLATES = Path(__file__).parent / "templates"

# A page of 20,000 photos must stay readable: the tables have all rows, the page has the first.
URGENT_ROWS = 40
HIGH_RISK_ROWS = 10
PROGRAMME_ROWS = 20
REASON_ROWS = 15
SAME_PICTURE_ROWS = 15
MANIFEST_ROWS = 15
AUDIT_ROWS = 40

GRADE_WORDS = {RiskGrade.LOW_RISK: "low risk", RiskGrade.HIGH_RISK: "high risk", RiskGrade.DANGEROUS: "dangerous"}

Row = dict[str, Any]


def nightly_report(  # noqa: PLR0913  # everything that a night left behind meets on its one page
    night: date,
    tables: Mapping[str, pa.Table],
    accounting: Accounting,
    *,
    audit: Mapping[str, Any],
    release: Release,
    classes: TrainingClasses,
    cutoffs: GradeCutoffs,
    code_revision: str,
    timings: Sequence[Mapping[str, object]],
    quality_cutoffs: QualityCutoffs | None = None,
    shadow: ShadowNight | None = None,
    missed: Mapping[str, Mapping[str, Any]] | None = None,
    earlier_code_revision: str | None = None,
) -> str:
    """Write the page.

    Args:
        night: the night that is reported.
        tables: ``photos``, ``quality``, ``predictions``, ``grades``, ``referrals`` and ``manifest_issues``.
        accounting: of the same tables.
        audit: the fields of ``AuditResult``, as the audit left them.
        release: that graded.
        classes: of the release.
        cutoffs: of the release.
        code_revision: of the code that graded.
        timings: one entry per task and batch: ``task``, ``batch``, ``photos``, ``started_at_utc`` (ISO 8601),
            ``seconds`` and ``cpu_seconds``, in the order in which they started.
        quality_cutoffs: that the photos were judged by; None: those of this package.
        shadow: what a release answered that grades nobody; None: none did.
        missed: the estimates of ``missed_lesions`` over all earlier nights, as fields, by ``all`` and by
            ``programme=<name>``; None: no decision was taken in yet.
        earlier_code_revision: of the code that opened the night first, where that was another.
    """
    photos, quality, grades = tables["photos"], tables["quality"], tables["grades"]
    speed = _speed(timings, accounting.listed)
    page: str = (
        page_environment()
        .get_template("nightly.html.j2")
        .render(
            night=night,
            accounting=accounting,
            audit=AuditResult(**audit),
            audit_rows=AUDIT_ROWS,
            release=release,
            cutoffs=cutoffs,
            quality_cutoffs=_only_value(quality, "cutoffs_version"),
            quality_mode=_only_value(quality, "quality_mode"),
            code_revision=code_revision,
            earlier_code_revision=earlier_code_revision,
            shadow=shadow,
            missed=_missed(missed or {}),
            taxonomy=classes.taxonomy,
            people=_people(tables["referrals"], photos),
            flagged=_count_where(grades, "verdict", Verdict.FLAGGED),
            warned=[(WARNINGS[code], number) for code, number in _warned(grades)],
            tells_outliers=release.tells_outliers,
            urgent=_urgent(tables, RiskGrade.DANGEROUS, URGENT_ROWS, classes.taxonomy, cutoffs),
            high_risk=_urgent(tables, RiskGrade.HIGH_RISK, HIGH_RISK_ROWS, classes.taxonomy, cutoffs),
            outcome_bar=figures.stacked_bar(_outcome_parts(accounting), width=960, height=34, numbers=True),
            grade_bar=figures.stacked_bar(_grade_parts(accounting), width=960, height=34, numbers=True),
            outcome_parts=_outcome_parts(accounting),
            grade_parts=_grade_parts(accounting),
            verdict_colours=VERDICT_COLOURS,
            grade_colours=GRADE_COLOURS,
            programmes=_programmes(photos, grades),
            diseases=_diseases(grades, classes),
            reasons=_reasons(photos, quality),
            same_pictures=_same_pictures(photos),
            measures=list(_measures(quality, quality_cutoffs or QualityCutoffs())),
            manifest=_manifest_groups(tables["manifest_issues"]),
            speed=speed,
            members=_members(tables["predictions"], release),
            words=GRADE_WORDS,
        )
    )
    return page


@cache
def page_environment() -> Environment:
    """Templates of the reports, with their filters."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "share": _share,
        "words": _words,
        "day": _day,
        "day_month": _day_month,
        "duration": _duration,
    }
    return environment


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _share(part: float, whole: float) -> str:
    """A share in percent; a part that is there is never 0 %, one that is not all never 100 %."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "< 1 %"
    if 99 < percent < 100:
        return "> 99 %"
    return f"{percent:.0f} %"


def _words(code: object) -> str:
    return str(code).replace("_", " ")


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _day_month(day: date) -> str:
    return f"{day.day} {day:%B}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _count_where(table: pa.Table, column: str, word: str) -> int:
    return int(pc.sum(pc.equal(table[column], str(word))).as_py() or 0)


def _warned(grades: pa.Table) -> list[tuple[str, int]]:
    """Codes of the warnings beside grades, most frequent first, with the number of their photos."""
    return Counter(code for codes in grades["warnings"].to_pylist() for code in codes).most_common()


def _only_value(table: pa.Table, column: str) -> str | None:
    """The value of a column that has one for the whole night; None for an empty table."""
    values = pc.unique(table[column]).to_pylist()
    return ", ".join(map(str, values)) if values else None


def _outcome_parts(accounting: Accounting) -> list[Part]:
    return [Part(str(o), getattr(accounting, str(o)), OUTCOME_COLOURS[o]) for o in Outcome]


def _grade_parts(accounting: Accounting) -> list[Part]:
    """Most severe first: the left of a bar is seen first."""
    return [Part(GRADE_WORDS[g], accounting.per_grade[g], GRADE_COLOURS[g]) for g in reversed(GRADES)]


@dataclass(frozen=True)
class _People:
    """Persons by their most severe grade; a photo without a person counts as one."""

    per_grade: dict[str, int]
    due_by: dict[str, date]
    unnamed: int
    """Photos that name no person."""


def _people(referrals: pa.Table, photos: pa.Table) -> _People:
    persons = referrals.filter(pc.field("subject") == "patient").select(["grade", "due_by"]).to_pylist()
    due: dict[str, date] = {}
    for person in persons:
        due[person["grade"]] = min(person["due_by"], due.get(person["grade"], person["due_by"]))
    found = Counter(person["grade"] for person in persons)
    return _People({str(g): found[str(g)] for g in GRADES}, due, photos["patient"].null_count)


@dataclass(frozen=True)
class _Urgent:
    """The first rows of the list of one grade, and how many more the table has."""

    rows: list[Row]
    more: int


def _urgent(
    tables: Mapping[str, pa.Table], grade: RiskGrade, most: int, taxonomy: Taxonomy, cutoffs: GradeCutoffs
) -> _Urgent:
    """Lesions of a grade, the likeliest first, with the photo that decided; a person where no lesion is named."""
    referrals = tables["referrals"].filter(pc.field("grade") == str(grade)).to_pylist()
    listed = {(r["programme"], r["patient"], r["key_photo_id"]) for r in referrals if r["lesion"]}
    # A person stands in the list for a photo that shows no named lesion.
    wanted = [r for r in referrals if r["lesion"] or (r["programme"], r["patient"], r["key_photo_id"]) not in listed]
    grades = {g["photo_id"]: g for g in _rows_of(tables["grades"], {r["key_photo_id"] for r in wanted})}
    photos = {p["photo_id"]: p for p in _rows_of(tables["photos"], set(grades)) if p["outcome"] == Outcome.GRADED}

    def probability(referral: Row) -> float | None:
        found = grades.get(referral["key_photo_id"])
        if found is None:
            return None
        return float(found["p_dangerous"] + (found["p_high_risk"] if grade == RiskGrade.HIGH_RISK else 0.0))

    def severity(referral: Row) -> tuple[float, str]:
        p = probability(referral)
        return (-1.0 if p is None else -p, referral["referral_id"])

    mark = cutoffs.dangerous if grade == RiskGrade.DANGEROUS else cutoffs.high_risk
    rows = []
    for referral in sorted(wanted, key=severity)[:most]:
        found, p = grades.get(referral["key_photo_id"]), probability(referral)
        rows.append(
            referral
            | {
                "body_site": photos.get(referral["key_photo_id"], {}).get("body_site"),
                "p": p,
                "p_bar": figures.share_bar(p, GRADE_COLOURS[grade], mark=mark) if p is not None else Markup(),
                "disease": taxonomy[found["disease"]].name if found else None,
                "member_spread": found["member_spread"] if found else None,
                "is_flagged": bool(found and found["verdict"] == Verdict.FLAGGED),
                "warnings": [WARNINGS[code] for code in found["warnings"]] if found else [],
                # The decision of an earlier night, whose photo was sent again.
                "is_earlier": found is None,
            }
        )
    return _Urgent(rows, len(wanted) - len(rows))


def _rows_of(table: pa.Table, photo_ids: set[str]) -> list[Row]:
    return list(table.filter(pc.is_in(table["photo_id"], pa.array(sorted(photo_ids), pa.string()))).to_pylist())


def _programmes(photos: pa.Table, grades: pa.Table) -> Row:
    counted = count_by_programme(photos, grades)
    flagged = Counter(grades.filter(pc.field("verdict") == str(Verdict.FLAGGED))["programme"].to_pylist())
    largest = max((a.listed for a in counted.values()), default=0)
    rows = [
        {
            "name": name,
            "accounting": a,
            "flagged": flagged[name],
            "outcome_bar": figures.stacked_bar(_outcome_parts(a), width=180, height=12, of=largest),
            "grade_bar": figures.stacked_bar(_grade_parts(a), width=180, height=12),
        }
        for name, a in sorted(counted.items(), key=lambda item: (-item[1].listed, item[0]))
    ]
    return {"rows": rows[:PROGRAMME_ROWS], "more": len(rows) - len(rows[:PROGRAMME_ROWS])}


def _diseases(grades: pa.Table, classes: TrainingClasses) -> list[Row]:
    """Likeliest diseases by number, the most severe grade first."""
    found = Counter(grades["disease"].to_pylist())
    most = max(found.values(), default=1)
    graded = zip(classes.classes, classes.grades, strict=True)
    severest_first = sorted(graded, key=lambda pair: (-GRADES.index(pair[1]), -found[pair[0].id]))
    return [
        {
            "name": disease.name,
            "icd10": disease.icd10,
            "grade": grade,
            "count": found[disease.id],
            "bar": figures.share_bar(found[disease.id] / most, GRADE_COLOURS[grade], width=240),
        }
        for disease, grade in severest_first
    ]


def _missed(estimates: Mapping[str, Mapping[str, Any]]) -> Row:
    """The estimate over all programmes, None where nobody has looked at a photo yet, and those of each programme."""
    rows = [
        {**estimate, "name": name.removeprefix("programme=")}
        for name, estimate in sorted(estimates.items())
        if name.startswith("programme=") and estimate["looked_at"]
    ]
    of_all = estimates.get("all")
    return {"all": of_all if of_all and of_all["looked_at"] else None, "rows": rows[:PROGRAMME_ROWS]}


def _reasons(photos: pa.Table, quality: pa.Table) -> Row:
    """Why photos were refused, failed or flagged, most frequent first, with what their uploaders were told."""
    found: dict[tuple[str, str], Row] = {}

    def add(outcome: str, reason: str, advice: str | None) -> None:
        row = found.setdefault((outcome, reason), {"outcome": outcome, "reason": reason, "advice": advice, "count": 0})
        row["count"] += 1

    columns = ["outcome", "reason", "advice"]
    for photo in photos.select(columns).filter(pc.field("outcome").isin(["refused", "failed"])).to_pylist():
        add(photo["outcome"], photo["reason"] or "unknown", photo["advice"])
    flagged = quality.filter(pc.field("verdict") == str(Verdict.FLAGGED)).select(["reason", "advice"])
    for row in flagged.to_pylist():
        add("flagged", row["reason"], row["advice"])
    colours = {**VERDICT_COLOURS, "failed": OUTCOME_COLOURS["failed"]}
    groups = []
    for outcome in ("refused", "failed", "flagged"):
        rows = sorted((r for (o, _), r in found.items() if o == outcome), key=lambda r: (-r["count"], r["reason"]))
        if rows:
            for row in rows:
                row["bar"] = figures.share_bar(row["count"] / rows[0]["count"], colours[outcome], width=150)
            groups.append({"outcome": outcome, "rows": rows[:REASON_ROWS], "more": len(rows) - len(rows[:REASON_ROWS])})
    refused = [r for (o, _), r in found.items() if o == "refused"]
    return {"groups": groups, "commonest": max(refused, key=lambda r: r["count"], default=None)}


def _same_pictures(photos: pa.Table) -> Row:
    """Photos whose picture was sent before in other bytes, by programme, and how many more there are."""
    found = photos.filter(pc.field("same_picture_as").is_valid())
    shown = ["programme", "photo_id", "outcome", "same_picture_as"]
    first = found.select(shown).sort_by([(name, "ascending") for name in shown[:2]]).slice(0, SAME_PICTURE_ROWS)
    return {"rows": first.to_pylist(), "more": found.num_rows - first.num_rows, "total": found.num_rows}


@dataclass(frozen=True)
class ShownMeasure:
    """How a measure is shown; ``is_share`` as percent."""

    title: str
    says: str
    is_share: bool
    marks: tuple[Mark, ...] = ()


def shown_measures(limits: QualityCutoffs) -> dict[str, ShownMeasure]:
    """Plain words and cut-offs of the measures, by column; a measure that is not here is shown as its contract says."""
    refuse, flag = "refuse", "flag"
    return {
        "blur_score": ShownMeasure(
            "Blur",
            "log odds of a blurred lesion; more is worse",
            False,
            (Mark(refuse, limits.refuse_blur), Mark(flag, limits.flag_blur)),
        ),
        "motion_share": ShownMeasure("Motion in the blur", "less is out of focus, more is moved", True),
        "detail_grey_levels": ShownMeasure(
            "Contrast", "grey levels; less shows nothing", False, (Mark(refuse, limits.refuse_detail_below),)
        ),
        "lesion_certainty": ShownMeasure(
            "The lesion stands out", "less may be no lesion", True, (Mark(flag, limits.flag_certainty_below),)
        ),
        "lesion_diameter_px": ShownMeasure(
            "Size of the lesion",
            "diameter in px of 256; less is too far away",
            False,
            (
                Mark(refuse, limits.refuse_diameter_below),
                Mark(flag, limits.flag_diameter_below),
                Mark(flag, limits.flag_diameter_from),
            ),
        ),
        "lesion_offset": ShownMeasure(
            "Lesion off centre", "0 is the middle, 1 the rim", False, (Mark(flag, limits.flag_offset),)
        ),
        "lesion_rim_fraction": ShownMeasure(
            "Lesion at the edge", "share of the photo's rim; more is cut off", True, (Mark(flag, limits.flag_rim),)
        ),
        "lesion_cut_score": ShownMeasure(
            "Lesion cut by the frame", "log odds; more is cut off", False, (Mark(flag, limits.flag_cut),)
        ),
        "skin_fraction": ShownMeasure(
            "Skin", "share of the photo; less shows no skin", True, (Mark(refuse, limits.refuse_skin_below),)
        ),
        "border_skin_fraction": ShownMeasure(
            "Skin at the border", "share of the outer eighth", True, (Mark(flag, limits.flag_border_skin_below),)
        ),
        "dye_certainty": ShownMeasure(
            "Ink or dye", "probability that there is any", True, (Mark(flag, limits.flag_dye),)
        ),
        "dye_fraction": ShownMeasure("Ink or dye, area", "share of the photo", True),
        "lesion_dye_fraction": ShownMeasure(
            "Ink or dye on the lesion", "share of the lesion", True, (Mark(flag, limits.flag_lesion_dye),)
        ),
        "hair_fraction": ShownMeasure(
            "Hair", "share of the photo that hairs cross", True, (Mark(flag, limits.flag_hair),)
        ),
        "lesion_hair_fraction": ShownMeasure(
            "Hair over the lesion", "share of the lesion", True, (Mark(refuse, limits.refuse_hair),)
        ),
        "skin_brightness": ShownMeasure(
            "Brightness of the skin",
            "0 % is black, 100 % is white",
            True,
            (Mark(refuse, limits.refuse_brightness_below), Mark(flag, limits.flag_brightness_below)),
        ),
        "skin_ita_deg": ShownMeasure(
            "Lightness of the skin", "individual typology angle in degrees, as lit; more is lighter", False
        ),
        "colour_cast_stops": ShownMeasure(
            "Colour cast",
            "stops beyond the colours of skin; more is coloured light",
            False,
            (Mark(flag, limits.flag_colour_cast),),
        ),
        "clipped_dark_fraction": ShownMeasure("Black pixels", "share of the photo", True),
        "clipped_bright_fraction": ShownMeasure(
            "White pixels",
            "share of the photo; more is glare",
            True,
            (Mark(flag, limits.flag_clipped_bright), Mark(refuse, limits.refuse_clipped_bright)),
        ),
        "lesion_glare_fraction": ShownMeasure("Glare on the lesion", "share of the lesion that is white", True),
        "lettering_score": ShownMeasure(
            "Print in the photo",
            "log odds of a name, date or label; more is likelier",
            False,
            (Mark(flag, limits.flag_lettering),),
        ),
        "face_score": ShownMeasure(
            "Face in the photo", "probability where one is likeliest", True, (Mark(flag, limits.flag_face),)
        ),
        "crust_score": ShownMeasure(
            "Crust on the lesion",
            "log odds of crust, scale, exudate or blood; more is likelier",
            False,
            (Mark(flag, limits.flag_crust),),
        ),
        "object_score": ShownMeasure(
            "Thing on the lesion",
            "log odds of a ruler, a sticker or a gauze; more is likelier",
            False,
            (Mark(flag, limits.flag_object),),
        ),
        "short_side_px": ShownMeasure(
            "Shorter side",
            "pixels, as uploaded",
            False,
            (Mark(refuse, limits.refuse_short_side_px), Mark(flag, limits.flag_short_side_px)),
        ),
    }


def _measures(quality: pa.Table, cutoffs: QualityCutoffs) -> Iterator[Row]:
    """A histogram for every measure of the contract, so that a new measure shows itself."""
    shown = shown_measures(cutoffs)
    # Rows that an earlier run of the night left may have been judged by others.
    is_current = _only_value(quality, "cutoffs_version") == cutoffs.version
    verdicts = quality["verdict"].to_numpy()
    for column in QUALITY.columns:
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            continue
        values = quality[column.name].to_numpy().astype(np.float64)
        there = ~np.isnan(values)
        if not there.any():
            continue
        measure = shown.get(column.name, ShownMeasure(_words(column.name), column.description, column.unit == "0..1"))
        scale = 100.0 if measure.is_share else 1.0
        series = [(str(v), VERDICT_COLOURS[v], values[there & (verdicts == str(v))] * scale) for v in Verdict]
        marks = [Mark(mark.label, mark.at * scale) for mark in measure.marks] if is_current else []
        unit = " %" if measure.is_share else ""
        yield {
            "title": measure.title,
            "says": measure.says,
            "picture": figures.histogram(series, marks, unit=unit, most=100.0 if measure.is_share else None),
            "median": figures.figure(float(np.median(values[there])) * scale) + unit,
            "unknown": int((~there).sum()),
        }


def _manifest_groups(issues: pa.Table) -> Row:
    """Issues of the manifests, those of one kind together."""
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in issues.to_pylist():
        groups[row["programme"], row["issue"], row["column"]].append(row)
    rows = [
        {
            "programme": programme,
            "issue": issue,
            "column": column,
            "count": len(found),
            "first": min(found, key=lambda r: (r["manifest"], r["line"])),
        }
        for (programme, issue, column), found in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return {"rows": rows[:MANIFEST_ROWS], "more": len(rows) - len(rows[:MANIFEST_ROWS]), "total": issues.num_rows}


def _speed(timings: Sequence[Mapping[str, object]], listed: int) -> Row:
    """Times of the tasks that had finished when the report was written, summed over their batches."""
    spans: dict[str, list[tuple[float, float]]] = {}
    cpu: Counter[str] = Counter()
    starts = [datetime.fromisoformat(str(t["started_at_utc"])) for t in timings]
    opened = min(starts, default=None)
    for timing, started in zip(timings, starts, strict=True):
        assert opened is not None  # noqa: S101  # there is a timing
        at, took = (started - opened).total_seconds(), float(str(timing["seconds"]))
        spans.setdefault(str(timing["task"]), []).append((at, at + took))
        cpu[str(timing["task"])] += float(str(timing.get("cpu_seconds") or 0))  # type: ignore[assignment]
    wall = max((end for found in spans.values() for _, end in found), default=0.0)
    return {
        "opened": opened,
        "wall": wall,
        "per_second": listed / wall if wall else None,
        "tasks": [
            {"name": name, "batches": len(found), "seconds": sum(b - a for a, b in found), "cpu": cpu[name]}
            for name, found in spans.items()
        ],
        "picture": figures.timeline(
            [Lane(_words(name), tuple(found)) for name, found in spans.items()],
            width=960,
            until=wall,
            ticks=_ticks(wall),
        )
        if spans
        else None,
    }


def _ticks(wall: float) -> list[tuple[float, str]]:
    """About six round times on the axis."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((s for s in steps if wall / s <= 7), 28800)
    return [(float(at), _duration(at) if at else "0") for at in range(0, int(wall) + 1, step)]


def _members(predictions: pa.Table, release: Release) -> list[Row]:
    answered = Counter(predictions["member"].to_pylist())
    rows = [
        {"name": m.name, "version": m.version, "weights_sha256": m.weights_sha256, "answers": answered[m.name]}
        for m in release.members
    ]
    return [
        *rows,
        {
            "name": ENSEMBLE,
            "version": release.name,
            "weights_sha256": release.weights_sha256,
            "answers": answered[ENSEMBLE],
        },
    ]
