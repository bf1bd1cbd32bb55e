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
class PredictionSets:
    """Lowest probability with which a disease belongs to the prediction set of a photo (split conformal prediction).

    ``coverage`` is the share of photos whose set should hold the true disease, for each grade of it. ``lowest``: group of
    skin types to grade of the disease to probability. Chosen on validation photos: docs/decisions/0016.
    """

    coverage: float
    lowest: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class AnswerLimits:
    """What a release knows of the limits of its answers; None where it knows nothing, as older ones do.

    ``outlier_cutoff``: distance from the training photos from which on a photo is unlike them.
    """

    outlier_cutoff: float | None = None
    prediction_sets: PredictionSets | None = None


@dataclass(frozen=True)
class QualityCutoffs:
    """Where a measure of the table ``quality`` becomes an issue of a photo.

    ``refuse_*`` keeps a photo from being graded, ``flag_*`` marks it; ``*_below`` holds under the number, every other from
    it on. Chosen on published photos of people who are not held out, measured on those who are: docs/quality-filters.md.
    """

    name: str = "quality-6"
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
    """At most 0.16 in 2,398 published photos, a dermoscope's black corners included."""
    refuse_clipped_bright: float = 0.35
    """At most 0.1 in 2,398 published photos; three stops too much light give more in most."""
    flag_clipped_bright: float = 0.1
    """At most 0.1 in 2,398 published photos."""
    flag_lesion_glare: float = 0.05
    """At most 0.041 in 2,398 published photos."""
    flag_colour_cast: float = 0.05
    """0.8 % of clinical photos as published and 2 to 3 % of dermoscopic ones, most of them blue or pink to the eye, of people
    who are not held out (docs/decisions/0027)."""

    refuse_detail_below: float = 0.25
    """At least 0.67 in 2,398 published photos; a blank frame has less than 0.2."""
    refuse_detail_from: float = 16.0
    """One of 2,398 published photos has more, 17.3, a very hairy one; print has 20 and more."""
    flag_certainty_below: float = 0.5
    """The network's own middle; 0.7 % of clinical photos have less."""
    refuse_skin_below: float = 0.1
    """Four of 2,398 published photos, in bluish light, have less (0.03 and more), and some re-toned to very light skin;
    drawings and machines have less than 0.06."""
    flag_border_skin_below: float = 0.5
    """One of 2,398 published photos has less."""

    refuse_blur: float = 4.5
    """2 % of clinical photos as published; of sharp ones 90 % with a disc of 6 of 512 pixels, 70 % with a move of 15."""
    flag_blur: float = 3.0
    """8 % of clinical photos as published; of sharp ones 85 % with a disc of 4 of 512 pixels, 59 % with a move of 9."""

    refuse_diameter_below: float = 15.0
    """0.5 % of published photos have less; the networks that grade see 15 pixels across."""
    flag_diameter_below: float = 36.0
    """The smallest 3 % of clinical photos."""
    flag_diameter_from: float = 230.0
    """No clinical photo and 1 % of dermoscopic ones."""
    flag_rim: float = 0.1
    """0.2 % of clinical and 7 % of dermoscopic photos; finds few lesions cut on purpose (docs/quality-filters.md)."""
    flag_cut: float = 1.5
    """0.6 % of clinical photos as published that show all of the lesion; 56 % of photos cut on purpose, and 2 % of their
    uncut controls, of people who are not held out (docs/decisions/0023)."""
    flag_offset: float = 0.75
    """0.6 % of clinical photos."""

    flag_lesion_dye: float = 0.8
    """At most 0.68 in 2,398 published photos. It flags only: nearly black lesions on very dark skin, of which
    there are no photos at hand, may reach it."""
    flag_dye: float = 0.82
    """5 % of the photos that people rated free of ink reach it."""
    refuse_hair: float = 0.65
    """0.4 % of clinical photos."""
    flag_hair: float = 0.05
    """Reached by 2 % of the photos that people rated free of hair."""

    flag_lettering: float = 0.5
    """One in 900 clinical photos as published, and 99 % of what was printed into them, of people who are not held out
    (docs/decisions/0027)."""
    flag_face: float = 0.7
    """None of 4,688 published photos of people who are not held out, the highest has 0.69; all of 22 faces that fill 0.3 of the
    longer side (docs/decisions/0029)."""
    flag_crust: float = 2.0
    """5 % of lesions that one lay person saw without crust, and 64 % of those with crust over a third and more, of people who were
    left out of the fit (docs/decisions/0030)."""
    flag_object: float = 1.0
    """0.4 % of clinical and at most 1.5 % of dermoscopic photos as published; 83 % of the rulers, stickers and gauzes that were laid
    on lesions of people who were left out of the fit, 6 % of those laid beside (docs/decisions/0030)."""

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
        """What could not be measured is not hit."""
        if value is None:
            return False
        return value < limit if self.side == "below" else value >= limit


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
        "flag_colour_cast": Line("colour_cast_stops", "from"),
        "refuse_detail_below": Line("detail_grey_levels", "below"),
        "refuse_detail_from": Line("detail_grey_levels", "from"),
        "flag_certainty_below": Line("lesion_certainty", "below"),
        "refuse_skin_below": Line("skin_fraction", "below"),
        "flag_border_skin_below": Line("border_skin_fraction", "below"),
        "refuse_blur": Line("blur_score", "from"),
        "flag_blur": Line("blur_score", "from"),
        "refuse_diameter_below": Line("lesion_diameter_px", "below"),
        "flag_diameter_below": Line("lesion_diameter_px", "below"),
        "flag_diameter_from": Line("lesion_diameter_px", "from"),
        "flag_rim": Line("lesion_rim_fraction", "from"),
        "flag_cut": Line("lesion_cut_score", "from"),
        "flag_offset": Line("lesion_offset", "from"),
        "flag_lesion_dye": Line("lesion_dye_fraction", "from"),
        "flag_dye": Line("dye_certainty", "from"),
        "refuse_hair": Line("lesion_hair_fraction", "from"),
        "flag_hair": Line("hair_fraction", "from"),
        "flag_lettering": Line("lettering_score", "from"),
        "flag_face": Line("face_score", "from"),
        "flag_crust": Line("crust_score", "from"),
        "flag_object": Line("object_score", "from"),
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

FILTERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "blur": ("flag_blur", "refuse_blur"),
        "distance": ("flag_diameter_below", "refuse_diameter_below"),
        "dark": ("flag_brightness_below", "refuse_brightness_below"),
        "bright": ("flag_clipped_bright", "refuse_clipped_bright"),
        "dye": ("flag_dye",),
        "hair": ("flag_hair", "refuse_hair"),
    }
)
"""What a person can rate in a photo, and the cut-offs that should agree with it: to flag, and to refuse where it may."""


@dataclass(frozen=True)
class MonitoringLimits:
    """When the nights of a programme are said to have changed. Source of the numbers without one: docs/decisions/0022."""

    window_nights: int = 60
    """Nights back that make the level of a control chart; those with an alarm do not count."""
    chart_learning_nights: int = 14
    """Nights with photos before a chart has limits: two whole weeks."""
    chart_settled_nights: int = 45
    """Nights that make a level before nights of a lasting alarm are left out of it, too; until then only those that stand
    out by themselves are: a level that was learnt from a few odd nights would else alarm for good."""
    chart_weight: float = 0.2
    """Of the newest night in the exponentially weighted mean (Lucas and Saccucci 1990: 0.05 to 0.25)."""
    chart_night: float = 3.3
    """Score of a night that alarms by itself."""
    chart_lasting: float = 2.9
    """Standard deviations of the weighted mean that alarm."""
    chart_spread_doubt: float = 0.2
    """One-sided doubt at which the over-dispersion of the earlier nights is taken."""

    drift_reference_nights: int = 28
    """Nights that the photos are compared with, the first ones: four whole weeks."""
    drift_reference_photos: int = 300
    """Photos that they must have together: a share is then known to within 6 %."""
    drift_window_nights: int = 7
    """Latest nights that are compared with them: a whole week."""
    drift_fewest_nights: int = 5
    """Of the latest nights: 33 nights can be split into 28 and 5 in 237,336 ways, enough for the chance below."""
    drift_fewest_photos: int = 50
    drift_most_photos: int = 100
    """A night counts by its photos up to so many: one large upload is not a change of a programme."""
    drift_chance_a_year: float = 0.5
    """Expected false alarms of a programme in a year of nights, over all properties together."""
    drift_least_gap: float = 0.1
    """Smallest gap between two distributions that is worth a word: one photo in ten lies elsewhere."""
    drift_least_explained: float = 0.01
    """Smallest part of the variance of the answers that before-and-now explains: `small`, Cohen 1988."""


MONITORING = MonitoringLimits()
