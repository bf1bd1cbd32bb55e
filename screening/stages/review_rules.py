"""What a programme asks of its clinicians: whose photos they look at, how many read each, and who may. docs/decisions/0018."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from screening.contracts import PhotoKind
from screening.errors import ContractError


@dataclass(frozen=True)
class ReviewRules:
    """The rules of one programme. Source of the numbers: docs/decisions/0018."""

    margin: float = 0.05
    """A photo whose probability is this close to a cut-off of the grades is looked at. Our own choice, a third of r0001's
    lowest cut-off: no measurement stands behind it, and a site with fewer readers will want less."""
    spread: float = 0.5
    """Members that differ by this much disagree, as in the audit (docs/decisions/0007)."""
    audit_share: float = 0.02
    """Share of the low-risk photos that are looked at though nothing else speaks for it."""
    audit_minimum: float = 5.0
    """Expected number of them in a night, at least: 150 in a month, of which none missed means at most 2 % (the rule of
    three, Hanley and Lippman-Hand 1983)."""
    readers_wanted: int = 1
    """Independent readers of a photo."""
    blind: bool = True
    """The model's grade is shown only after the reader's answer: a grade that is seen pulls the answer towards it
    (Tschandl et al. 2020)."""
    kind: str = PhotoKind.CLINICAL
    """How the programme takes its photos; no upload says so."""


@dataclass(frozen=True)
class SiteReviewRules:
    """The rules of all programmes. ``readers``: the only people whose decisions are taken from files; all where empty."""

    default: ReviewRules = field(default_factory=ReviewRules)
    programmes: Mapping[str, ReviewRules] = field(default_factory=dict)
    readers: frozenset[str] = frozenset()

    def of(self, programme: str) -> ReviewRules:
        return self.programmes.get(programme, self.default)

    def version(self, programme: str) -> str:
        """A digest of a programme's rules."""
        return hashlib.sha256(json.dumps(asdict(self.of(programme)), sort_keys=True).encode()).hexdigest()[:8]


_RANGES = {
    "margin": (0.0, 1.0),
    "spread": (0.0, 1.0),
    "audit_share": (0.0, 1.0),
    "audit_minimum": (0.0, math.inf),
    "readers_wanted": (1, 3),
}
_ENTRIES = ("default", "programmes", "readers")


def site_review_rules(entries: Mapping[Any, Any], file: str) -> SiteReviewRules:
    """The product's rules with those that a site changed.

    Args:
        entries: ``default`` and ``programmes`` (name to rules that differ from ``default``), and ``readers``, a list.
        file: whose entries these are, for messages.

    Raises:
        ContractError: a name is unknown, or a value none that the rule can have; all is said at once.
    """
    problems = [f"{name!r} is unknown, expected {', '.join(_ENTRIES)}" for name in entries if name not in _ENTRIES]
    default = _changed(ReviewRules(), entries.get("default", {}), "default", problems)
    own = entries.get("programmes", {})
    if not isinstance(own, dict) or not all(isinstance(name, str) and name for name in own):
        problems.append("programmes holds no names with rules")
        own = {}
    programmes = {name: _changed(default, rules, f"programmes: {name}", problems) for name, rules in own.items()}
    readers = entries.get("readers", [])
    if not isinstance(readers, list) or not all(isinstance(name, str) and name.strip() for name in readers):
        problems.append(f"readers is {readers!r}, expected a list of names")
        readers = []
    if problems:
        raise ContractError(f"review rules {file}: {'; '.join(problems)}")
    return SiteReviewRules(default, programmes, frozenset(name.strip() for name in readers))


def _changed(rules: ReviewRules, entries: object, place: str, problems: list[str]) -> ReviewRules:
    if not isinstance(entries, dict):
        problems.append(f"{place} is {entries!r}, expected rules with values")
        return rules
    found = {name: _value(name, value, f"{place}: {name}", problems) for name, value in entries.items()}
    return replace(rules, **{name: value for name, value in found.items() if value is not None})


def _value(name: object, value: object, place: str, problems: list[str]) -> Any:
    known = {rule.name: type(rule.default) for rule in fields(ReviewRules)}
    if name not in known:
        problems.append(f"{place} is no rule, expected one of {', '.join(known)}")
    elif name == "blind":
        if isinstance(value, bool):
            return value
        problems.append(f"{place} is {value!r}, expected true or false")
    elif name == "kind":
        if value in list(PhotoKind):
            return str(value)
        problems.append(f"{place} is {value!r}, expected {' or '.join(PhotoKind)}")
    else:
        low, high = _RANGES[str(name)]
        kinds = (int,) if name == "readers_wanted" else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
            return value if name == "readers_wanted" else float(value)
        problems.append(f"{place} is {value!r}, expected a number from {low:g} to {high:g}")
    return None
