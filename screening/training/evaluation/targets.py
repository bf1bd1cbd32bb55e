"""The figures that a release should reach, per kind of photo. Source: docs/decisions/0014."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from screening.contracts import RiskGrade

AT_RISK = "at_risk"
"""The question whether a photo is high risk or dangerous: whether it is referred at all."""
DEADLY_CANCER = "melanoma_or_scc"
SPECIFICITY = 0.80
"""At which sensitivities of different models are compared: one of five harmless lesions is referred needlessly."""


@dataclass(frozen=True)
class Target:
    """A figure to reach: ``question`` and ``measure`` find it in the document; ``is_most``: the lower the better."""

    kind: str
    question: str
    measure: str
    title: str
    goal: float
    is_most: bool = False


def _aucs(kind: str, goals: tuple[float, float, float]) -> tuple[Target, ...]:
    grades = (RiskGrade.LOW_RISK, RiskGrade.HIGH_RISK, RiskGrade.DANGEROUS)
    return tuple(
        Target(kind, str(g), "auc", f"AUC of {str(g).replace('_', ' ')}", goal)
        for g, goal in zip(grades, goals, strict=True)
    )


TARGETS = (
    *_aucs("clinical", (0.94, 0.88, 0.82)),
    Target("clinical", AT_RISK, "at_specificity", "Sensitivity for high risk or dangerous at specificity 0.80", 0.90),
    Target("clinical", "", "calibration_error", "Calibration error", 0.05, is_most=True),
    *_aucs("dermoscopic", (0.93, 0.96, 0.91)),
    Target("dermoscopic", DEADLY_CANCER, "at_specificity", "Sensitivity for melanoma or SCC at specificity 0.80", 0.85),
    Target("dermoscopic", "", "calibration_error", "Calibration error", 0.05, is_most=True),
)


def status_of(target: Target, figure: Mapping[str, Any]) -> str:
    """Where a figure stands: ``reached`` or ``missed`` for sure, or ``likely`` and ``unlikely`` with the goal in the interval."""
    if figure["value"] is None:
        return "unknown"
    value, low, high = (figure[k] if figure[k] is not None else figure["value"] for k in ("value", "low", "high"))
    if target.is_most:
        value, low, high, goal = -value, -high, -low, -target.goal
    else:
        goal = target.goal
    if value >= goal:
        return "reached" if low >= goal else "likely"
    return "missed" if high < goal else "unlikely"
