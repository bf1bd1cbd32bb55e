"""The page that a person decides by: champion and challenger side by side, one HTML file that asks no other host."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes

from screening.contracts import GRADES
from screening.training.evaluation import figures
from screening.training.evaluation.compared import Compared
from screening.training.evaluation.gate import DANGEROUS, HIGH_RISK, Check, Verdict
from screening.training.evaluation.measures import confusion, roc_points
from screening.training.evaluation.report import GRADE_WORDS, TEMPLATES, three

_WORST_FIRST = 20
"""Changed photos that are named; all stand in answers.parquet of the run."""


def comparison_page(compared: Compared, verdict: Verdict, run_id: str, reason: str) -> str:
    """Write the page; it holds no photo, only ids and figures."""
    page: str = _template().render(
        verdict=verdict,
        run_id=run_id,
        reason=reason,
        roc=[_roc(compared, "at risk", HIGH_RISK), _roc(compared, "dangerous", DANGEROUS)],
        forest=_forest(verdict),
        groups=_by_group(verdict.subgroups),
        moved=_moved(compared),
        changed=_changed(compared),
        words=GRADE_WORDS,
        grade_names=list(GRADE_WORDS.values()),
        grade_colours=figures.GRADE_COLOURS,
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
    environment.filters |= {"three": three, "signed": _signed}
    return environment.get_template("comparison.html.j2")


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-", "−")


def _roc(compared: Compared, title: str, lowest: int) -> tuple[str, Markup]:
    truth = compared.true_grades >= lowest
    if truth.all() or not truth.any():
        return title, Markup("<p>Only one answer occurs.</p>")
    releases = (
        (compared.champion, figures.READER, "--"),
        (compared.challenger, figures.MODEL, "-"),
    )

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#c5cbd2", lw=1, ls=":")
        for answers, colour, stroke in releases:
            score = answers.p_at_risk if lowest == HIGH_RISK else answers.p_dangerous
            _, sensitivity, specificity = roc_points(truth, score)
            axes.plot(1 - specificity, sensitivity, color=colour, ls=stroke, lw=1.8, label=answers.release)
            caught = answers.grade >= lowest
            axes.plot(caught[~truth].mean(), caught[truth].mean(), ls="", marker="s", ms=7, color=colour, mec="white")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="1 − specificity", ylabel="sensitivity")
        axes.legend(loc="lower right")

    return title, figures.drawn(
        draw, f"ROC curves of {title}: champion and challenger; squares are the cut-offs in use"
    )


def _forest(verdict: Verdict) -> Markup:
    """Differences with their one-sided intervals: a bar that reaches left of its mark is not shown to be harmless."""
    shown = [c for c in (*verdict.checks, *verdict.subgroups) if c.measure != "calibration error" and c.low is not None]

    def draw(axes: Axes) -> None:
        for place, check in enumerate(reversed(shown)):
            colour = figures.MODEL if check.is_passed else figures.OTHER
            axes.plot([check.low or 0.0, check.high or 0.0], [place, place], color=colour, lw=2)
            axes.plot(check.difference or 0.0, place, "s" if check.is_passed else "X", ms=7, color=colour, mec="white")
            axes.plot(-(check.margin or 0.0), place, "|", ms=14, color=figures.INK)
        axes.axvline(0, color=figures.FAINT, lw=0.8)
        names = [
            f"{c.name}, n = {c.people}" if c in verdict.checks else f"{c.name}: {c.measure}, n = {c.people}"
            for c in shown
        ]
        axes.set_yticks(range(len(shown)), labels=names[::-1])
        axes.set_xlabel("challenger − champion; | = margin")

    size = (8.6, 0.9 + 0.3 * max(len(shown), 1))
    return figures.drawn(draw, "Differences between challenger and champion with intervals and margins", size)


def _by_group(subgroups: Sequence[Check]) -> dict[str, dict[str, list[Check]]]:
    """Kind of group → its name → its checks."""
    found: dict[str, dict[str, list[Check]]] = {}
    for check in subgroups:
        kind, _, name = check.name.partition(": ")
        found.setdefault(kind, {}).setdefault(name, []).append(check)
    return found


def _moved(compared: Compared) -> list[tuple[str, int, list[list[int]]]]:
    """For each true grade and its place: photos by the champion's (rows) and the challenger's grade (columns)."""
    tables = []
    for place, grade in enumerate(GRADES):
        of_grade = compared.true_grades == place
        counts = confusion(compared.champion.grade[of_grade], compared.challenger.grade[of_grade], len(GRADES))
        tables.append((str(grade), place, counts.tolist()))
    return tables[::-1]


def _changed(compared: Compared) -> list[dict[str, Any]]:
    """Dangerous photos whose grade changed, those that lost most first."""
    before, after = compared.champion.grade, compared.challenger.grade
    rows = np.flatnonzero((compared.true_grades == DANGEROUS) & (before != after))
    rows = rows[np.argsort((after - before)[rows], kind="stable")]
    return [
        {
            "photo_id": str(compared.photo_ids[row]),
            "before": str(GRADES[before[row]]),
            "after": str(GRADES[after[row]]),
            "p_before": float(compared.champion.p_dangerous[row]),
            "p_after": float(compared.challenger.p_dangerous[row]),
        }
        for row in rows[:_WORST_FIRST]
    ]
