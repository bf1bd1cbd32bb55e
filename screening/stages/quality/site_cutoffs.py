"""A site's own quality cut-offs: what its file changes, checked against what the measures can be. docs/decisions/0009."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from screening.contracts import QUALITY
from screening.cutoffs import FLAGS_AND_REFUSALS, LINES, QualityCutoffs
from screening.errors import ContractError

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
NAME_RULE = "at most 40 lower-case letters, digits, '.', '-' and '_', a letter or digit first"
RANGES = {
    c.name: (-math.inf if c.low is None else c.low, math.inf if c.high is None else c.high) for c in QUALITY.columns
}
"""Lowest and highest value of each measure, by its contract."""


def site_cutoffs(fields: Mapping[Any, Any], file: str) -> QualityCutoffs:
    """The product's cut-offs with those that a site changed.

    Args:
        fields: ``name``, which stands in every row of ``quality``, and ``cutoffs``, the numbers that differ.
        file: whose fields these are, for messages.

    Raises:
        ContractError: a name is unknown, a number is none or one that its measure cannot reach, or two contradict each
            other; all is said at once.
    """
    product = QualityCutoffs()
    name, changed = fields.get("name"), fields.get("cutoffs")
    problems = [
        f"{entry!r} is unknown, expected name and cutoffs" for entry in fields if entry not in ("name", "cutoffs")
    ]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        problems.append(f"name is {name!r}, expected {NAME_RULE}")
    if not isinstance(changed, dict):
        problems.append(f"cutoffs is {changed!r}, expected the numbers that differ from the product's")
        changed = {}
    problems += [
        problem for cutoff, number in changed.items() if (problem := _problem_of(cutoff, number, product)) is not None
    ]
    if not problems:
        # 1 and 1.0 are one number, and must have one digest.
        numbers = {cutoff: type(getattr(product, cutoff))(number) for cutoff, number in changed.items()}
        cutoffs = replace(product, name=str(name), **numbers)
        problems = list(contradictions(cutoffs))
    if problems:
        raise ContractError(f"quality cut-offs {file}: {'; '.join(problems)}")
    return cutoffs


def _problem_of(cutoff: object, number: object, product: QualityCutoffs) -> str | None:
    if cutoff not in LINES:
        return f"{cutoff!r} is no cut-off, expected one of {', '.join(LINES)}"
    kind = type(getattr(product, str(cutoff)))
    if isinstance(number, bool) or not isinstance(number, (int, kind)):
        return f"{cutoff} is {number!r}, expected {'a whole number' if kind is int else 'a number'}"
    low, high = RANGES[LINES[str(cutoff)].measure]
    if not math.isfinite(number) or not low <= number <= high:
        return f"{cutoff} is {number}, expected a number from {low:g} to {high:g}"
    return None


def contradictions(cutoffs: QualityCutoffs) -> Iterator[str]:
    """What cannot be meant: a photo refused that would not be flagged, or a measure of which no value is accepted."""
    numbers = asdict(cutoffs)
    for flag, refusal in FLAGS_AND_REFUSALS:
        # Where the refusal starts, the flag must hold or start, too.
        most_or_least = "least" if LINES[flag].side == "below" else "most"
        outside = numbers[flag] < numbers[refusal] if most_or_least == "least" else numbers[flag] > numbers[refusal]
        if outside:
            yield f"{flag} is {numbers[flag]:g}, expected at {most_or_least} {refusal}, {numbers[refusal]:g}"
    for below, line in LINES.items():
        for start, other in LINES.items():
            opposite = line.measure == other.measure and (line.side, other.side) == ("below", "from")
            if opposite and numbers[below] >= numbers[start]:
                yield f"{below} is {numbers[below]:g}, expected less than {start}, {numbers[start]:g}"
