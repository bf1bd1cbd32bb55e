"""Clinical and quality limits, each with its source. Changing one is a reviewed change of code or a new release.

A photo is refused or flagged by ``QualityCutoffs``, of which a site may bring its own; a probability becomes a grade by
``GradeCutoffs``, which belong to a release because they were chosen on its validation photos.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal, NamedTuple


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
    """Where a measure of the table ``quality`` becomes an issue of a photo.

    ``refuse_*`` keeps a photo from being graded, ``flag_*`` marks it; ``*_below`` holds under the number, every other from
    it on. Chosen on one half of the published photos (by patient), measured on the other: docs/decisions/0006.
    """

    name: str = "quality-1"
    """Whose numbers these are; a site that changes some gives its own."""

    refuse_short_side_px: int = 112
    """Half of the next: every pixel that the networks see would be made up from a quarter."""
    flag_short_side_px: int = 224
    """Side of the input for which torchvision and timm publish the members' weights (ATA 2012 asks for 600)."""

    refuse_brightness_below: float = 0.08
    """Three stops less light than flag_brightness_below's darkest skin."""
    flag_brightness_below: float = 0.12
    """Two stops less light than the darkest skin: ITA -60 degrees with b* 15 is L* 24, luma 0.22 (Chardon et al. 1991)."""
    refuse_clipped_dark: float = 0.5
    """At most 0.17 in 1,089 published photos, a dermoscope's black corners included."""
    refuse_clipped_bright: float = 0.35
    """At most 0.21 in 1,089 published photos; three stops too much light give more in most."""
    flag_clipped_bright: float = 0.1
    """One of 1,089 published photos has more."""
    flag_lesion_glare: float = 0.05
    """One of 1,089 published photos has more."""

    refuse_detail_below: float = 0.25
    """At least 0.73 in 1,089 published photos; a blank frame has less than 0.2."""
    refuse_detail_from: float = 16.0
    """At most 11.5 in 1,089 published photos; print has 20 and more."""
    refuse_contrast_below: float = 0.5
    """At least 0.85 in 1,089 published photos; noise and blank frames have less than 0.3."""
    flag_contrast_below: float = 1.1
    """Reached by 98 % of published lesions and by 24 % of plain skin."""
    refuse_skin_below: float = 0.1
    """At least 0.16 in 934 of 935 published photos (one is blue); drawings and machines have less than 0.06."""
    flag_border_skin_below: float = 0.3
    """Passed by 99.5 % of clinical photos and 96 % of dermoscopic ones."""

    refuse_focus_below: float = 0.25
    """Defocus; refuses 2 % of clinical photos as published."""
    flag_focus_below: float = 0.285
    """A disc of 3 of 512 pixels halves the detail to this."""
    refuse_coarse_focus_below: float = 0.22
    """Heavy defocus, in which noise is sharper than the photo; refuses 1 % of dermoscopic photos."""
    refuse_motion_below: float = 0.245
    """A move of 15 of 512 pixels; refuses 1 % of clinical photos."""
    refuse_coarse_motion_below: float = 0.2
    """A move of 30 of 512 pixels."""
    flag_motion_below: float = 0.285
    """A move of 10 of 512 pixels."""

    refuse_lesion_below: float = 0.014
    """A lesion a fiftieth of the frame wide; 0.5 % of clinical photos have less."""
    flag_lesion_below: float = 0.03
    """The smallest 5 % of clinical photos."""
    flag_rim: float = 0.5
    """The most cut-off 6 % of clinical photos; finds a third of lesions that were cut on purpose."""

    refuse_lesion_dye: float = 0.8
    """More than any published lesion, blue naevi included (0.87)."""
    flag_dye: float = 0.01
    """Ink ratings of ../shared/data/artefacts."""
    refuse_hair: float = 0.35
    """More than 99.8 % of published photos."""
    flag_hair: float = 0.05
    """Hair ratings of ../shared/data/artefacts: median of much hair."""

    @cached_property
    def version(self) -> str:
        """The name and a digest of all numbers: two sets of numbers never share a version."""
        numbers = {name: number for name, number in asdict(self).items() if name != "name"}
        digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
        return f"{self.name}-{digest[:8]}"


class Line(NamedTuple):
    """What a cut-off is laid on: a photo is hit when the measure is below it, or when it is at or over it (``from``)."""

    measure: str
    side: Literal["below", "from"]

    def is_hit(self, value: float | None, limit: float) -> bool:
        """None is a measure that the photo does not have: no line hits it."""
        return value is not None and (value < limit if self.side == "below" else value >= limit)


LINES: Mapping[str, Line] = MappingProxyType(
    {
        "refuse_short_side_px": Line("short_side_px", "below"),
        "flag_short_side_px": Line("short_side_px", "below"),
        "refuse_brightness_below": Line("skin_brightness", "below"),
        "flag_brightness_below": Line("skin_brightness", "below"),
        "refuse_clipped_dark": Line("clipped_dark_fraction", "from"),
        "refuse_clipped_bright": Line("clipped_bright_fraction", "from"),
        "flag_clipped_bright": Line("clipped_bright_fraction", "from"),
        "flag_lesion_glare": Line("lesion_glare_fraction", "from"),
        "refuse_detail_below": Line("detail_grey_levels", "below"),
        "refuse_detail_from": Line("detail_grey_levels", "from"),
        "refuse_contrast_below": Line("lesion_contrast", "below"),
        "flag_contrast_below": Line("lesion_contrast", "below"),
        "refuse_skin_below": Line("skin_fraction", "below"),
        "flag_border_skin_below": Line("border_skin_fraction", "below"),
        "refuse_focus_below": Line("focus_ratio", "below"),
        "flag_focus_below": Line("focus_ratio", "below"),
        "refuse_coarse_focus_below": Line("coarse_focus_ratio", "below"),
        "refuse_motion_below": Line("motion_ratio", "below"),
        "refuse_coarse_motion_below": Line("coarse_motion_ratio", "below"),
        "flag_motion_below": Line("motion_ratio", "below"),
        "refuse_lesion_below": Line("lesion_fraction", "below"),
        "flag_lesion_below": Line("lesion_fraction", "below"),
        "flag_rim": Line("lesion_rim_fraction", "from"),
        "refuse_lesion_dye": Line("lesion_dye_fraction", "from"),
        "flag_dye": Line("dye_fraction", "from"),
        "refuse_hair": Line("hair_fraction", "from"),
        "flag_hair": Line("hair_fraction", "from"),
    }
)
"""Which measure each quality cut-off is laid on; what being hit means is said in ``stages/quality/judge.py``."""

FLAGS_AND_REFUSALS: tuple[tuple[str, str], ...] = tuple(
    (flag, refusal)
    for flag in LINES
    for refusal in LINES
    if flag.startswith("flag_") and refusal.startswith("refuse_") and LINES[flag] == LINES[refusal]
)
"""Cut-offs on one side of one measure: whoever is refused by the second would be flagged by the first."""

FILTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "blur": ("flag_focus_below", "refuse_focus_below"),
        "motion": ("flag_motion_below", "refuse_motion_below"),
        "distance": ("flag_lesion_below", "refuse_lesion_below"),
        "dark": ("flag_brightness_below", "refuse_brightness_below"),
        "bright": ("flag_clipped_bright", "refuse_clipped_bright"),
        "dye": ("flag_dye", "refuse_lesion_dye"),
        "hair": ("flag_hair", "refuse_hair"),
    }
)
"""What a person can rate in a photo, and the two cut-offs that should agree with it (``screening quality fit``)."""
