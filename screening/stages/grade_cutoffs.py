"""The grade cut-offs of a release, and a site's own: what their files say, checked. docs/decisions/0016."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from screening.cutoffs import GradeCutoffs
from screening.errors import ContractError
from screening.stages.quality.site_cutoffs import NAME, NAME_RULE

GRADE_LINES = ("dangerous", "high_risk")
"""The cut-offs that a site may choose; those of the differential stay the release's."""
_FIELDS = {"name", "release", "cutoffs"}


def release_grade_cutoffs(fields: Mapping[str, Any], release: str) -> GradeCutoffs:
    """What a release says of its cut-offs.

    Raises:
        ContractError: one is missing, unknown, or no number over 0 and up to 1; all is said at once.
    """
    problems = [f"{name!r} is unknown" for name in fields if name not in ("version", "diseases", *GRADE_LINES)]
    if not isinstance(fields.get("version"), str) or not fields["version"]:
        problems.append(f"version is {fields.get('version')!r}, expected text")
    diseases = fields.get("diseases", {})
    if not isinstance(diseases, dict):
        problems.append(f"diseases is {diseases!r}, expected an object")
        diseases = {}
    for name, number in {line: fields.get(line) for line in GRADE_LINES}.items() | diseases.items():
        if not _is_cutoff(number):
            problems.append(f"{name} is {number!r}, expected a number over 0 and up to 1")
    if problems:
        raise ContractError(f"release {release}: its grade cut-offs: {'; '.join(sorted(problems))}")
    return GradeCutoffs(**fields)


def site_grade_cutoffs(fields: Mapping[Any, Any], file: str, release: str, of_release: GradeCutoffs) -> GradeCutoffs:
    """The release's cut-offs with those that a site chose.

    Args:
        fields: ``name``, ``release`` (whose probabilities they were chosen on) and ``cutoffs``: dangerous, high_risk or both.
        file: whose fields these are, for messages.
        release: the release that grades.
        of_release: its cut-offs.

    Raises:
        ContractError: a name is unknown or missing, a number is none over 0 and up to 1, or the release is another; all
            is said at once.
    """
    name, chosen = fields.get("name"), fields.get("cutoffs")
    problems = [
        f"{entry!r} is unknown, expected {', '.join(sorted(_FIELDS))}" for entry in fields if entry not in _FIELDS
    ]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        problems.append(f"name is {name!r}, expected {NAME_RULE}")
    if fields.get("release") != release:
        problems.append(f"fitted to release {fields.get('release')!r}, but {release!r} grades; fit them again")
    if not isinstance(chosen, dict) or not chosen:
        problems.append(f"cutoffs is {chosen!r}, expected {' or '.join(GRADE_LINES)}")
        chosen = {}
    for line, number in chosen.items():
        if line not in GRADE_LINES:
            problems.append(f"{line!r} is no cut-off, expected {' or '.join(GRADE_LINES)}")
        elif not _is_cutoff(number):
            problems.append(f"{line} is {number!r}, expected a number over 0 and up to 1")
    if problems:
        raise ContractError(f"grade cut-offs {file}: {'; '.join(problems)}")
    numbers = {line: float(number) for line, number in chosen.items()}
    digest = hashlib.sha256(json.dumps([of_release.version, numbers], sort_keys=True).encode()).hexdigest()
    return replace(of_release, version=f"{name}-{digest[:8]}", **numbers)  # type: ignore[arg-type]  # checked above


def _is_cutoff(number: object) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and 0 < number <= 1
