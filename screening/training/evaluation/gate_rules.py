"""The limits of the gate: how much worse a challenger may be, at most, before it is refused.

The defaults are the project's own choice, with the reasons of docs/decisions/0020; a site may have a reviewed file of its own
(setting ``gate_rules``) with the same names.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from screening.edges.yaml_file import read_mapping
from screening.errors import SettingsError


class GateRules(BaseModel):
    """Margins as differences of shares, 0..1, challenger − champion; each says how much may be lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="default", description="stands in the result")
    dangerous_margin: float = Field(
        default=0.05, gt=0, le=0.2, description="sensitivity: dangerous lesions graded dangerous"
    )
    at_risk_margin: float = Field(
        default=0.05, gt=0, le=0.2, description="sensitivity: high-risk or dangerous lesions graded one of the two"
    )
    specificity_margin: float = Field(
        default=0.10, gt=0, le=0.5, description="low-risk lesions graded low risk: what more would be referred"
    )
    subgroup_margin: float = Field(
        default=0.10, gt=0, le=0.5, description="sensitivity in a subgroup, where chance does not explain the loss"
    )
    subgroup_patients: int = Field(
        default=20, ge=5, description="people with such lesions from which on a subgroup is judged"
    )
    calibration_margin: float = Field(default=0.03, gt=0, le=0.2, description="calibration error")
    slower: float = Field(default=1.5, ge=1, description="times as long for a photo, at most")
    larger: float = Field(default=2.0, ge=1, description="times the size of the networks, at most")


def load_gate_rules(file: Path | None) -> GateRules:
    """The site's rules, or the defaults.

    Raises:
        SettingsError: the file cannot be read, names an unknown rule, or has a value out of range.
    """
    if file is None:
        return GateRules()
    try:
        return GateRules.model_validate({"name": file.stem} | read_mapping(file))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(f"SCREENING_GATE_RULES: {file}: {first['loc'][0]}: {first['msg']}") from error
