"""The gate: may a challenger take the champion's place? Only when it is shown to be not worse where it matters.

Sensitivities and specificity are tests of non-inferiority: the challenger passes when the lower end of a one-sided 95 %
interval of the difference, over people, lies above minus the margin; what cannot be shown counts against it. Subgroups
are too small for that: there a loss refuses it that exceeds its margin and that chance does not explain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from screening.contracts import RiskGrade
from screening.training.evaluation.compared import Answers, Compared
from screening.training.evaluation.gate_rules import GateRules
from screening.training.evaluation.measures import Statistic, calibration_error, share
from screening.training.evaluation.resampling import Resamples, draw_patients

RESAMPLES = 2000
ERROR = 0.05
"""Chance that a challenger which is worse by the whole margin passes one test; also, over all subgroups together, that
one which is worse nowhere is refused."""
HIGH_RISK, DANGEROUS = 1, 2
_MOST = 0.999


@dataclass(frozen=True)
class Check:
    """One question of the gate.

    ``is_passed`` is None where there are too few people to tell, which refuses nobody. ``champion``, ``challenger`` and
    ``difference`` are figures of ``measure``; ``low`` and ``high`` the ends of the one-sided 95 % intervals of the
    difference; ``people`` those who have such lesions. ``says``: the finding in words.
    """

    name: str
    measure: str
    is_passed: bool | None
    says: str
    champion: float | None = None
    challenger: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    photos: int | None = None
    people: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What the gate says; ``reason`` is why, in one line."""

    passed: bool
    reason: str
    champion: str
    challenger: str
    photos: int
    people: int
    rules: Mapping[str, Any]
    checks: tuple[Check, ...]
    subgroups: tuple[Check, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def judge_challenger(compared: Compared, rules: GateRules, *, resamples: int = RESAMPLES) -> Verdict:
    """Put every question to a challenger."""
    drawn = draw_patients(compared.patients, resamples)
    truth = compared.true_grades
    checks = (
        _cutoffs_are_set(compared.challenger),
        _not_inferior(
            compared, drawn, "dangerous lesions graded dangerous", truth == DANGEROUS, DANGEROUS, rules.dangerous_margin
        ),
        _not_inferior(
            compared, drawn, "lesions at risk graded at risk", truth >= HIGH_RISK, HIGH_RISK, rules.at_risk_margin
        ),
        _not_inferior(
            compared, drawn, "low-risk lesions graded low risk", truth < HIGH_RISK, None, rules.specificity_margin
        ),
        _calibration(compared, drawn, rules),
        _ratio("time of a photo", "ms", compared, rules.slower),
        _ratio("size of the networks", "MB", compared, rules.larger),
    )
    subgroups = _subgroups(compared, drawn, rules)
    return Verdict(
        passed=all(check.is_passed for check in checks) and all(check.is_passed is not False for check in subgroups),
        reason=_line(compared, checks, subgroups),
        champion=compared.champion.release,
        challenger=compared.challenger.release,
        photos=len(truth),
        people=len(np.unique(compared.patients)),
        rules=rules.model_dump(),
        checks=checks,
        subgroups=subgroups,
    )


def people_needed(margin: float) -> int:
    """With fewer, not even a challenger that loses nobody could be shown to lose less than the margin.

    None lost of n leaves a share of 1 − 0.05^(1/n) possible (Clopper and Pearson 1934, one-sided).
    """
    return math.ceil(math.log(ERROR) / math.log(1 - margin))


def _cutoffs_are_set(challenger: Answers) -> Check:
    missing = [name for name in ("high_risk", "dangerous") if not _is_cutoff(challenger.cutoffs.get(name))]
    if missing:
        names = " and ".join(missing)
        return Check(
            "cut-offs", "", is_passed=False, says=f"no cut-off for {names} is set, so that grade is never given"
        )
    return Check("cut-offs", "", is_passed=True, says="the cut-offs of both grades are set")


def _is_cutoff(value: object) -> bool:
    """From 1 on, or from 0 down, a cut-off cuts nothing off."""
    return isinstance(value, (int, float)) and 0 < value < _MOST


def _caught(answers: Answers, lowest: int | None) -> np.ndarray:
    """Photos graded this or worse; None: those graded low risk."""
    return answers.grade < HIGH_RISK if lowest is None else answers.grade >= lowest


def _not_inferior(  # each is a part of the question
    compared: Compared, drawn: Resamples, name: str, among: np.ndarray, lowest: int | None, margin: float
) -> Check:
    measure = "specificity" if lowest is None else "sensitivity"
    people, needed = len(np.unique(compared.patients[among])), people_needed(margin)
    if people < needed:
        return Check(
            name, measure, is_passed=False, margin=margin, photos=int(among.sum()), people=people,
            says=f"too few to prove anything: {people} people, expected {needed} or more for a margin of {margin:.2f}",
        )  # fmt: skip
    found = _difference(compared, drawn, among, lowest, ERROR)
    is_passed = found["low"] > -margin
    compares = ">" if is_passed else "≤"
    return Check(
        name, measure, is_passed=bool(is_passed), margin=margin, photos=int(among.sum()), people=people,
        says=f"{_both(found)}, at worst {found['low']:+.3f} {compares} −{margin:.2f}", **found,
    )  # fmt: skip


def _difference(
    compared: Compared, drawn: Resamples, among: np.ndarray, lowest: int | None, error: float
) -> dict[str, float]:
    """Both shares, their difference, and the ends of two one-sided intervals of it.

    Where few people's answers differ, resamples differ too little: the lower end lies at least as low as if none of so many
    people were lost, the upper likewise.
    """
    champion, challenger = (
        share(_caught(answers, lowest), among) for answers in (compared.champion, compared.challenger)
    )
    seen = drawn.of(among)
    parts = [share(_caught(a, lowest)[among], among[among]) for a in (compared.champion, compared.challenger)]
    draws = parts[1](seen.weights) - parts[0](seen.weights)
    draws = draws[np.isfinite(draws)]
    ones = np.ones((1, len(among)))
    first, second = float(champion(ones)[0]), float(challenger(ones)[0])
    least = 1 - error ** (1 / len(np.unique(compared.patients[among])))
    low, high = np.quantile(draws, [error, 1 - error])
    return {
        "champion": first,
        "challenger": second,
        "difference": second - first,
        "low": float(max(-1.0, min(low, second - first - least))),
        "high": float(min(1.0, max(high, second - first + least))),
    }


def _calibration(compared: Compared, drawn: Resamples, rules: GateRules) -> Check:
    def error(answers: Answers) -> Statistic:
        return calibration_error(answers.is_right, answers.certainty)

    found = drawn.compare(error(compared.challenger), error(compared.champion))
    first, second = (float(error(a)(np.ones((1, len(a.grade))))[0]) for a in (compared.champion, compared.challenger))
    is_passed = found.value <= rules.calibration_margin
    return Check(
        "calibration", "calibration error", is_passed=is_passed, champion=first, challenger=second,
        difference=found.value, low=found.low, high=found.high, margin=rules.calibration_margin,
        photos=len(compared.true_grades), people=len(np.unique(compared.patients)),
        says=f"{first:.3f} → {second:.3f}, at most {rules.calibration_margin:+.2f} is allowed",
    )  # fmt: skip


def _ratio(name: str, unit: str, compared: Compared, most: float) -> Check:
    champion, challenger = (
        a.ms_per_photo if unit == "ms" else a.size_bytes / 1e6 for a in (compared.champion, compared.challenger)
    )
    return Check(
        name, unit, is_passed=challenger <= most * champion, champion=champion, challenger=challenger, margin=most,
        says=f"{champion:.1f} → {challenger:.1f} {unit}, at most {most:g} times is allowed",
    )  # fmt: skip


def _subgroups(compared: Compared, drawn: Resamples, rules: GateRules) -> tuple[Check, ...]:
    truth = compared.true_grades
    asked = []
    for column in compared.groups:
        for word in sorted(compared.groups[column].dropna().unique()):
            inside = (compared.groups[column] == word).to_numpy()
            for grade, lowest, wanted in (
                (RiskGrade.DANGEROUS, DANGEROUS, truth == DANGEROUS),
                ("at risk", HIGH_RISK, truth >= HIGH_RISK),
            ):
                asked.append((f"{column}: {word}", f"{_words(grade)} found", inside & wanted, lowest))
    people = [len(np.unique(compared.patients[among])) for _, _, among, _ in asked]
    # Bonferroni: so many looks would find a loss somewhere by chance.
    error = ERROR / max(1, sum(n >= rules.subgroup_patients for n in people))
    return tuple(
        _subgroup(compared, drawn, question, n, rules, error) for question, n in zip(asked, people, strict=True)
    )


def _subgroup(  # as above
    compared: Compared,
    drawn: Resamples,
    question: tuple[str, str, np.ndarray, int],
    people: int,
    rules: GateRules,
    error: float,
) -> Check:
    name, measure, among, lowest = question
    count = {"photos": int(among.sum()), "people": people, "margin": rules.subgroup_margin}
    if people < rules.subgroup_patients:
        return Check(name, measure, is_passed=None, says=f"too few to tell: {people} people", **count)  # type: ignore[arg-type]
    found = _difference(compared, drawn, among, lowest, error)
    is_worse = found["difference"] < -rules.subgroup_margin and found["high"] < 0
    return Check(name, measure, is_passed=not is_worse, says=_both(found), **found, **count)  # type: ignore[arg-type]


def _both(found: Mapping[str, float]) -> str:
    return f"{found['champion']:.3f} → {found['challenger']:.3f} ({found['difference']:+.3f})"


def _words(grade: str) -> str:
    return str(grade).replace("_", " ")


def _line(compared: Compared, checks: tuple[Check, ...], subgroups: tuple[Check, ...]) -> str:
    names = f"{compared.challenger.release} against {compared.champion.release}"
    failed = [c for c in checks if not c.is_passed] + [c for c in subgroups if c.is_passed is False]
    if failed:
        others = f"; and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"refused, {names}: {failed[0].name}: {failed[0].says}{others}"
    told = "; ".join(f"{c.name} {c.says}" for c in checks[1:3])
    few = sum(c.is_passed is None for c in subgroups)
    return f"passed, {names}: {told}; no subgroup is worse ({few} too small to tell)"
