"""A site's own grade cut-offs from its own photos, whose grade is known: docs/decisions/0016.

Where a population's photos get other probabilities, the same cut-off catches another share of its cancers (Han et al.
2018), so the site chooses the number at which its own share is caught.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from screening.contracts import GRADES, RiskGrade
from screening.errors import ContractError
from screening.stages.grade_cutoffs import GRADE_LINES
from screening.stages.quality.fit import FEWEST_PHOTOS, Found, Share, fold_of

_AT_RISK = {"dangerous": (RiskGrade.DANGEROUS,), "high_risk": (RiskGrade.HIGH_RISK, RiskGrade.DANGEROUS)}
"""Grades that each line should catch."""
_SAID_AT_ONCE = 20


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo whose grade is known; ``group`` holds photos of one person or lesion together."""

    file: str
    group: str
    grade: RiskGrade


@dataclass(frozen=True)
class ScoredPhoto:
    """What the release says of a labelled photo; probabilities 0..1."""

    label: LabelledPhoto
    p_high_risk: float
    p_dangerous: float

    def score(self, line: str) -> float:
        """What a cut-off is laid on."""
        return self.p_dangerous if line == "dangerous" else self.p_high_risk + self.p_dangerous


@dataclass(frozen=True)
class GradeFit:
    """Chosen cut-offs, and by line how they do on these photos and on photos kept out of the choice.

    ``sensitivity`` is what was wanted; None: Youden's index. ``not_fitted`` says why a line stays the release's.
    """

    cutoffs: Mapping[str, float]
    photos: int
    sensitivity: float | None
    folds: int
    same_photos: Mapping[str, Found]
    kept_out: Mapping[str, Found]
    not_fitted: Mapping[str, str]


def read_grade_labels(text: str, name: str, is_there: Callable[[str], bool]) -> list[LabelledPhoto]:
    """Every line of a CSV with the columns ``file``, ``grade`` and perhaps ``group``.

    Raises:
        ContractError: the columns or lines are others; what is wrong is said at once, the first 20 of it.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = list(reader.fieldnames or ())
    lines = list(reader)
    problems = [f"column {c} is missing" for c in ("file", "grade") if c not in columns]
    problems += [f"column {c!r} is unknown, expected file, grade, group" for c in columns if c not in _COLUMNS]
    problems = problems or list(_wrong_lines(lines, is_there))
    if problems:
        more = [f"and {len(problems) - _SAID_AT_ONCE} more"] if len(problems) > _SAID_AT_ONCE else []
        raise ContractError(f"labels {name}: {'; '.join(problems[:_SAID_AT_ONCE] + more)}")
    return [LabelledPhoto(line["file"], line.get("group") or line["file"], RiskGrade(line["grade"])) for line in lines]


_COLUMNS = ("file", "grade", "group")


def _wrong_lines(lines: Sequence[Mapping[str, str]], is_there: Callable[[str], bool]) -> Iterator[str]:
    seen: set[str] = set()
    for number, line in enumerate(lines, start=2):
        if None in line or None in line.values():
            yield f"line {number} has another number of cells than the header"
            continue
        if line["file"] in seen:
            yield f"line {number}: {line['file']!r} stands there twice"
        elif not line["file"] or not is_there(line["file"]):
            yield f"line {number}: there is no photo {line['file']!r}"
        seen.add(line["file"])
        if line["grade"] not in GRADES:
            yield f"line {number}: grade is {line['grade']!r}, expected {', '.join(GRADES)}"


def fit_grade_cutoffs(photos: Sequence[ScoredPhoto], sensitivity: float | None, folds: int) -> GradeFit:
    """Choose both cut-offs.

    Args:
        photos: scored and labelled.
        sensitivity: share of those at risk that each cut-off must catch, over 0 and under 1; None: the cut-off where
            sensitivity + specificity is most (Youden 1950).
        folds: parts; each in turn is kept out of the choice and judged by it. A group is never divided.
    """
    cutoffs: dict[str, float] = {}
    not_fitted: dict[str, str] = {}
    same: dict[str, Found] = {}
    kept_out: dict[str, Found] = {}
    for line in GRADE_LINES:
        at_risk = sum(p.label.grade in _AT_RISK[line] for p in photos)
        if min(at_risk, len(photos) - at_risk) < FEWEST_PHOTOS:
            found = f"{at_risk} photos to catch and {len(photos) - at_risk} to pass"
            not_fitted[line] = f"{found}, expected {FEWEST_PHOTOS} of either"
            continue
        cutoffs[line] = _choose(line, photos, sensitivity)
        same[line] = _found(line, [(p, cutoffs[line]) for p in photos])
        judged: list[tuple[ScoredPhoto, float]] = []
        for fold in range(folds):
            without = [p for p in photos if fold_of(p.label.group, folds) != fold]
            chosen = _choose(line, without, sensitivity)
            judged += [(p, chosen) for p in photos if fold_of(p.label.group, folds) == fold]
        kept_out[line] = _found(line, judged)
    return GradeFit(cutoffs, len(photos), sensitivity, folds, same, kept_out, not_fitted)


def _choose(line: str, photos: Sequence[ScoredPhoto], sensitivity: float | None) -> float:
    """Rounded down to a thousandth, so that the photo that set it still reaches it; never 0, which catches everybody."""
    at_risk = sorted((p.score(line) for p in photos if p.label.grade in _AT_RISK[line]), reverse=True)
    if sensitivity is not None:
        exact = at_risk[min(math.ceil(sensitivity * len(at_risk)), len(at_risk)) - 1]
    else:
        others = [p.score(line) for p in photos if p.label.grade not in _AT_RISK[line]]
        tried = sorted(set(at_risk), reverse=True)
        exact = max(tried, key=lambda c: _share_reached(at_risk, c) - _share_reached(others, c))
    return max(math.floor(exact * 1000) / 1000, 0.001)


def _share_reached(scores: Sequence[float], cutoff: float) -> float:
    return sum(score >= cutoff for score in scores) / max(len(scores), 1)


def _found(line: str, judged: Sequence[tuple[ScoredPhoto, float]]) -> Found:
    caught = [p.score(line) >= c for p, c in judged if p.label.grade in _AT_RISK[line]]
    passed = [p.score(line) < c for p, c in judged if p.label.grade not in _AT_RISK[line]]
    return Found(Share(sum(caught), len(caught)), Share(sum(passed), len(passed)))
