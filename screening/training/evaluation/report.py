"""The report: one HTML file without any other host, made of the document, its pictures and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from screening.contracts import GRADES
from screening.training.evaluation import figures
from screening.training.evaluation.targets import AT_RISK, DEADLY_CANCER

TEMPLATES = Path(__file__).parent / "templates"
GRADE_WORDS = {str(g): str(g).replace("_", " ") for g in GRADES}
STATUS_WORDS = {
    "reached": "✓ reached",
    "likely": "(✓) reached, not for sure",
    "unlikely": "(✗) not reached, not for sure",
    "missed": "✗ not reached",
    "unknown": "? not measured",
}


@dataclass(frozen=True)
class HeatMapRow:
    """One photo with its heat maps: ``title`` says why it is shown, ``pictures`` are (caption, picture)."""

    title: str
    says: str
    pictures: Sequence[tuple[str, Markup]]


@dataclass(frozen=True)
class Pictures:
    """What of the report is no number: it shows patients' photos, or nothing where they are left out."""

    holds_photos: bool
    photo_map: Markup | None = None
    heat_maps: Sequence[HeatMapRow] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)
    """Why something is missing."""


def evaluation_report(document: Mapping[str, Any], pictures: Pictures) -> str:
    """Write the page."""
    page: str = _template().render(
        document=document,
        pictures=pictures,
        kinds=_kinds_shown(document["groups"]),
        drawings=[_drawings(group) for group in _kinds_shown(document["groups"])],
        cost=figures.cost_chart(document["runs"]["rows"], document["runs"]["metric"]) if document["runs"] else None,
        words=GRADE_WORDS,
        status_words=STATUS_WORDS,
        grade_colours=figures.GRADE_COLOURS,
        at_risk=AT_RISK,
    )
    return page


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"in_hundred": in_hundred, "three": three, "p_value": p_value}
    return environment.get_template("evaluation.html.j2")


def three(value: float | None) -> str:
    """A figure with three digits."""
    return "–" if value is None else f"{value:.3f}"


def in_hundred(value: float | None) -> str:
    """How many of a hundred; none and all only where it is none and all."""
    if value is None:
        return "–"
    if 0 < value < 0.005:
        return "fewer than 1"
    if 0.995 < value < 1:
        return "more than 99"
    return f"{100 * value:.0f}"


def p_value(value: float | None) -> str:
    """A p with two digits; small ones as a bound."""
    if value is None:
        return "–"
    return "< 0.01" if value < 0.01 else f"{value:.2f}"


def _kinds_shown(groups: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The kinds of photo; all photos together only where there is one kind, or none was said."""
    kinds = [g for g in groups if g["key"] != "all"]
    return kinds or list(groups)


def _drawings(group: Mapping[str, Any]) -> dict[str, list[Markup]]:
    kind = group["key"]
    drawn = [q for q in group["questions"] if q["curve"]]
    grades = [q for q in drawn if q["name"] in GRADE_WORDS]
    dangerous = next((q for q in drawn if q["name"] == "dangerous"), None)
    # Where melanoma and SCC are all that is dangerous, their curve is the same.
    extra = [q for q in drawn if q["name"] == DEADLY_CANCER and (not dangerous or q["curve"] != dangerous["curve"])]
    cut = [q for q in drawn if q["name"] in ("dangerous", AT_RISK)]
    return {
        "roc": [figures.roc_curve(q, kind) for q in grades + extra],
        "precision": [figures.precision_recall_curve(q, kind) for q in grades + extra],
        "cutoffs": [figures.cutoff_curve(q, kind) for q in cut],
        "calibration": [figures.calibration_curve(c, kind) for c in group["calibration"]],
        "titles": [Markup("{}").format(q["title"]) for q in grades + extra],
        "cutoff_titles": [Markup("{}").format(q["title"]) for q in cut],
    }
