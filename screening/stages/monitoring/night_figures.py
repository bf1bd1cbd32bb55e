"""The counts of a night that later nights and the monitoring page are made of, for all photos and by group."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import GRADES, SKIN_TYPES, Outcome, RiskGrade, Verdict
from screening.stages.quality.skin_tone import ita_group

Row = dict[str, Any]

ALL, UNKNOWN = "all", "unknown"
GROUP_KINDS: Mapping[str, tuple[str, ...]] = {
    ALL: (ALL,),
    "age": ("under 20", "20 to 39", "40 to 59", "60 to 79", "80 and more", UNKNOWN),
    "sex": ("female", "male", "other", UNKNOWN),
    "skin": ("I-II", "III-IV", "V-VI", UNKNOWN),
    "skin_as_lit": ("I-II", "III-IV", "V-VI", UNKNOWN),
}
"""Groups in the order of the page. ``skin_as_lit`` is for photos whose skin type is not recorded."""

COUNTS = ("photos", "graded", "refused", "failed", "flagged", *map(str, GRADES))
EXPECTED = ("dangerous", "dangerous_found", "dangerous_sent", "at_risk", "at_risk_sent")


def groups_of(person: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Kind and group of a photo's person: by age, sex, skin type and, where that is not known, the tone in the photo.

    Args:
        person: with ``age_years``, ``sex``, ``fitzpatrick`` and perhaps ``skin_ita_deg``.
    """
    age = person["age_years"]
    band = UNKNOWN if age is None else GROUP_KINDS["age"][min(age // 20, 4)]
    skin = SKIN_TYPES.get(person["fitzpatrick"], UNKNOWN)
    found = [(ALL, ALL), ("age", band), ("sex", person["sex"] or UNKNOWN), ("skin", skin)]
    if skin == UNKNOWN:
        ita = person.get("skin_ita_deg")
        found.append(("skin_as_lit", UNKNOWN if ita is None else ita_group(ita)))
    return found


def night_figures(photos: pa.Table, quality: pa.Table, grades: pa.Table) -> list[Row]:
    """Rows of ``NIGHT_FIGURES``, without what says whose night it was, for one programme.

    Args:
        photos: of the programme, with ``photo_id``, ``outcome``, ``age_years``, ``sex`` and ``fitzpatrick``.
        quality: with ``photo_id`` and ``skin_ita_deg``.
        grades: with ``photo_id``, ``grade``, ``verdict`` and the probabilities of the grades.
    """
    ita_of = dict(zip(quality["photo_id"].to_pylist(), quality["skin_ita_deg"].to_pylist(), strict=True))
    grade_of: dict[str, Row] = {row["photo_id"]: row for row in grades.to_pylist()}
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    found[ALL, ALL] = Counter()
    for photo in photos.filter(pc.field("outcome") != str(Outcome.DUPLICATE)).to_pylist():
        is_graded = photo["outcome"] == Outcome.GRADED
        one = Counter({"photos": 1, photo["outcome"]: 1}) | (
            _of_grade(grade_of[photo["photo_id"]]) if is_graded else Counter()
        )
        for group in groups_of(photo | {"skin_ita_deg": ita_of.get(photo["photo_id"])}):
            found[group].update(one)
    return [
        {"group_kind": kind, "group": group}
        | {name: found[kind, group][name] for name in COUNTS}
        | {
            f"expected_{name}{suffix}": float(found[kind, group][f"expected_{name}{suffix}"])
            for name in EXPECTED
            for suffix in ("", "_variance")
        }
        for kind, groups in GROUP_KINDS.items()
        for group in groups
        if (kind, group) in found
    ]


def _of_grade(row: Row) -> Counter[str]:
    dangerous = min(row["p_dangerous"], 1.0)
    at_risk = min(row["p_dangerous"] + row["p_high_risk"], 1.0)
    is_found, is_sent = row["grade"] == RiskGrade.DANGEROUS, row["grade"] != RiskGrade.LOW_RISK
    one: Counter[str] = Counter({row["grade"]: 1, "flagged": int(row["verdict"] == Verdict.FLAGGED)})
    for name, p, counts in (
        ("dangerous", dangerous, True),
        ("dangerous_found", dangerous, is_found),
        ("dangerous_sent", dangerous, is_sent),
        ("at_risk", at_risk, True),
        ("at_risk_sent", at_risk, is_sent),
    ):
        if counts:
            one[f"expected_{name}"] += p
            one[f"expected_{name}_variance"] += p * (1.0 - p)
    return one


def summed(rows: Iterable[Mapping[str, Any]]) -> Row:
    """Counts and expectations of several rows together."""
    total: Counter[str] = Counter()
    names = (*COUNTS, *(f"expected_{name}{suffix}" for name in EXPECTED for suffix in ("", "_variance")))
    for row in rows:
        total.update({name: row[name] for name in names})
    return {name: total[name] for name in names}
