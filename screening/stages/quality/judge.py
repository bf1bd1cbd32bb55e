"""From measures to a verdict: which issues a photo has, which one decides, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from screening.contracts import Verdict
from screening.cutoffs import QualityCutoffs
from screening.stages.quality.measure import QualityMeasures
from screening.stages.quality.messages import ENGLISH, ISSUES


@dataclass(frozen=True)
class QualityVerdict:
    """What the quality filters say of one photo; the fields are columns of the table ``quality``."""

    verdict: Verdict
    issues: tuple[str, ...]
    """Codes of all that was found, the most severe first."""
    reason: str | None
    """The first of the issues; None when the photo is usable."""
    advice: str | None
    """What the photographer should do about the reason."""


def judge_quality(
    measures: QualityMeasures,
    cutoffs: QualityCutoffs,
    mode: Literal["enforce", "observe"],
    messages: Mapping[str, str] = ENGLISH,
) -> QualityVerdict:
    """Say whether the photo may be graded. In mode ``observe`` nothing is refused: it is flagged instead."""
    found = find_issues(measures, cutoffs)
    issues = [issue for issue in ISSUES if issue.code in found]
    if not issues:
        return QualityVerdict(Verdict.USABLE, (), None, None)
    reason = issues[0]
    is_refused = reason.severity == "refuse" and mode == "enforce"
    return QualityVerdict(
        verdict=Verdict.REFUSED if is_refused else Verdict.FLAGGED,
        issues=tuple(issue.code for issue in issues),
        reason=reason.code,
        advice=messages[reason.code],
    )


def find_issues(m: QualityMeasures, c: QualityCutoffs) -> set[str]:
    """Codes of all that is wrong. Of a pair such as ``soft_focus`` and ``out_of_focus`` only the worse is given."""
    found: set[str] = set()

    def first(*rules: tuple[str, bool]) -> None:
        code = next((code for code, holds in rules if holds), None)
        if code is not None:
            found.add(code)

    first(
        ("too_few_pixels", m.short_side_px < c.refuse_short_side_px),
        ("few_pixels", m.short_side_px < c.flag_short_side_px),
    )
    first(
        ("too_dark", m.skin_brightness < c.refuse_brightness_below),
        ("dim", m.skin_brightness < c.flag_brightness_below),
    )
    first(
        ("too_bright", m.clipped_bright_fraction >= c.refuse_clipped_bright),
        ("glare", m.clipped_bright_fraction >= c.flag_clipped_bright),
    )
    first(("nothing_visible", m.detail_grey_levels < c.refuse_detail_below))
    if m.is_greyscale:
        found.add("greyscale")
    else:
        first(
            ("no_skin", m.skin_fraction < c.refuse_skin_below),
            ("little_skin", m.border_skin_fraction < c.flag_border_skin_below),
        )
    if m.focus_ratio is not None:
        is_blurred = m.focus_ratio < c.refuse_focus_below
        is_heavily_blurred = m.coarse_focus_ratio is not None and m.coarse_focus_ratio < c.refuse_coarse_focus_below
        first(("out_of_focus", is_blurred or is_heavily_blurred), ("soft_focus", m.focus_ratio < c.flag_focus_below))
    if m.motion_ratio is not None:
        first(
            ("motion_blur", m.motion_ratio < c.refuse_motion_below),
            ("slight_motion", m.motion_ratio < c.flag_motion_below),
        )
    if m.lesion_contrast < c.flag_contrast_below:
        found.add("no_lesion_found")
    else:
        first(
            ("lesion_too_small", m.lesion_fraction < c.refuse_lesion_below),
            ("lesion_small", m.lesion_fraction < c.flag_lesion_below),
        )
    first(("lesion_cut_off", m.lesion_rim_fraction >= c.flag_rim))
    first(("dye_over_lesion", m.lesion_dye_fraction >= c.refuse_lesion_dye), ("some_dye", m.dye_fraction >= c.flag_dye))
    first(("hair_over_lesion", m.hair_fraction >= c.refuse_hair), ("some_hair", m.hair_fraction >= c.flag_hair))
    return found
