"""Clinical and quality limits, each with its source. Changing one is a reviewed change of code or a new release.

A photo is refused or flagged by ``QualityCutoffs``; a probability becomes a grade by ``GradeCutoffs``, which belong to a
release because they were chosen on its validation photos.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class GradeCutoffs:
    """Lowest probability at which each grade, and each disease of the differential, is given.

    Chosen on the release's validation photos; ``version`` is a digest of the numbers. Source: docs/decisions/0005.
    """

    version: str
    dangerous: float
    """On p_dangerous."""
    high_risk: float
    """On p_high_risk + p_dangerous."""
    diseases: dict[str, float] = field(default_factory=dict)
    """On the probability of each disease: those at or over theirs make the differential."""


@dataclass(frozen=True)
class QualityCutoffs:
    """Where a measure of the table ``quality`` becomes an issue. Preliminary. Source: docs/decisions/0006."""

    version: str = "quality-0"
    refuse_short_side_px: int = 120
    flag_short_side_px: int = 180
    refuse_brightness_below: float = 0.06
    flag_brightness_below: float = 0.10
    refuse_clipped_bright: float = 0.6
    flag_clipped_bright: float = 0.1
    refuse_detail_below: float = 0.3
    refuse_skin_below: float = 0.05
    flag_border_skin_below: float = 0.3
    refuse_focus_below: float = 0.23
    flag_focus_below: float = 0.27
    refuse_coarse_focus_below: float = 0.21
    refuse_motion_below: float = 0.245
    flag_motion_below: float = 0.285
    flag_contrast_below: float = 1.1
    refuse_lesion_below: float = 0.014
    flag_lesion_below: float = 0.03
    flag_rim: float = 0.5
    refuse_lesion_dye: float = 0.9
    flag_dye: float = 0.005
    refuse_hair: float = 0.35
    flag_hair: float = 0.05
