"""From measures to a verdict: which issues a photo has, which one decides, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from screening.contracts import Verdict
from screening.cutoffs import LINES, QualityCutoffs
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
    """Codes of all that is wrong. Of issues on one line, such as out_of_focus and soft_focus, only the first is given."""
    is_lesion = m.lesion_certainty >= c.flag_certainty_below
    # Colour shows that a photo is of skin; without colour, only a lesion can.
    is_skin = is_lesion if m.is_greyscale else m.skin_fraction >= c.refuse_skin_below
    is_dark = m.skin_brightness < c.refuse_brightness_below or m.clipped_dark_fraction >= c.refuse_clipped_dark
    is_glaring = m.clipped_bright_fraction >= c.flag_clipped_bright or m.lesion_glare_fraction >= c.flag_lesion_glare
    # A blank photo is not blurred, too.
    is_blank = m.detail_grey_levels < c.refuse_detail_below
    is_blurred, is_soft = (not is_blank and m.blur_score >= limit for limit in (c.refuse_blur, c.flag_blur))
    is_moved = m.motion_share >= 0.5  # the likelier of two
    lines: tuple[dict[str, bool], ...] = (
        {
            "too_few_pixels": m.short_side_px < c.refuse_short_side_px,
            "few_pixels": m.short_side_px < c.flag_short_side_px,
        },
        {"too_dark": is_dark, "dim": m.skin_brightness < c.flag_brightness_below},
        {"too_bright": m.clipped_bright_fraction >= c.refuse_clipped_bright, "glare": is_glaring},
        {"nothing_visible": is_blank, "no_lesion_found": not is_lesion},
        {
            "no_skin": not is_skin or m.detail_grey_levels >= c.refuse_detail_from,
            "little_skin": not m.is_greyscale and m.border_skin_fraction < c.flag_border_skin_below,
        },
        {
            "out_of_focus": is_blurred and not is_moved,
            "motion_blur": is_blurred and is_moved,
            "soft_focus": is_soft and not is_moved,
            "slight_motion": is_soft and is_moved,
        },
        {
            "lesion_too_small": is_lesion and m.lesion_diameter_px < c.refuse_diameter_below,
            "lesion_small": is_lesion and m.lesion_diameter_px < c.flag_diameter_below,
            "lesion_too_close": is_lesion and m.lesion_diameter_px >= c.flag_diameter_from,
        },
        {
            # Of a lesion that fills the frame no outline stands out: the score counts on any skin.
            "lesion_cut_off": (is_lesion and m.lesion_rim_fraction >= c.flag_rim)
            or (is_skin and m.lesion_cut_score >= c.flag_cut),
            "lesion_off_centre": is_lesion and m.lesion_offset >= c.flag_offset,
        },
        {"dye_over_lesion": m.lesion_dye_fraction >= c.flag_lesion_dye, "some_dye": m.dye_certainty >= c.flag_dye},
        {
            "object_over_lesion": is_lesion and m.object_score >= c.flag_object,
            "crust_over_lesion": is_lesion and m.crust_score >= c.flag_crust,
        },
        {"hair_over_lesion": m.lesion_hair_fraction >= c.refuse_hair, "some_hair": m.hair_fraction >= c.flag_hair},
        {
            "needs_privacy_check": LINES["flag_lettering"].is_hit(m.lettering_score, c.flag_lettering)
            or m.face_score >= c.flag_face
        },
        {
            "greyscale": m.is_greyscale,
            "colour_cast": LINES["flag_colour_cast"].is_hit(m.colour_cast_stops, c.flag_colour_cast),
        },
    )
    return {code for line in lines for code in [code for code, holds in line.items() if holds][:1]}
