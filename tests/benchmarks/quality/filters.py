"""The filters as they are measured: one score each, the issues that they raise, and what they say of one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from screening.contracts import Verdict
from screening.cutoffs import QualityCutoffs
from screening.stages.pixels import DecodedPhoto, PhotoHeader
from screening.stages.quality import QualityMeasures, judge_quality, measure_quality

CUTOFFS = QualityCutoffs()
_WITHIN = -16.0  # what could not be measured is as far from a cut-off as can be

SCORES: Mapping[str, Callable[[QualityMeasures], float]] = {
    "blur": lambda m: m.blur_score,
    "dye": lambda m: m.dye_certainty,
    "hair": lambda m: m.hair_fraction,
    "far": lambda m: -m.lesion_diameter_px,
    "near": lambda m: m.lesion_cut_score,
    "dark": lambda m: -m.skin_brightness,
    "bright": lambda m: m.clipped_bright_fraction,
    "not skin": lambda m: -m.border_skin_fraction,
    "cast": lambda m: _WITHIN if m.colour_cast_stops is None else m.colour_cast_stops,
    "print": lambda m: _WITHIN if m.lettering_score is None else m.lettering_score,
    "face": lambda m: m.face_score,
    "crust": lambda m: m.crust_score,
    "thing": lambda m: m.object_score,
}
"""One number per filter, higher = worse. The only place that names the fields of ``QualityMeasures``."""

ISSUES_OF: Mapping[str, frozenset[str]] = {
    "blur": frozenset({"out_of_focus", "soft_focus", "motion_blur", "slight_motion"}),
    "dye": frozenset({"dye_over_lesion", "some_dye"}),
    "hair": frozenset({"hair_over_lesion", "some_hair"}),
    "far": frozenset({"lesion_too_small", "lesion_small"}),
    "near": frozenset({"lesion_cut_off", "lesion_too_close"}),
    "dark": frozenset({"too_dark", "dim"}),
    "bright": frozenset({"too_bright", "glare"}),
    "not skin": frozenset({"no_skin", "little_skin"}),
    "cast": frozenset({"colour_cast"}),
    "crust": frozenset({"crust_over_lesion"}),
    "thing": frozenset({"object_over_lesion"}),
}
"""The issues by which each filter speaks, refusing or flagging."""

PRIVACY: Mapping[str, float] = {"print": CUTOFFS.flag_lettering, "face": CUTOFFS.flag_face}
"""Filters that speak by one issue, ``needs_privacy_check``: which of them spoke is told by its score."""


@dataclass(frozen=True)
class Said:
    """What the filters say of one picture."""

    scores: Mapping[str, float]
    raised: frozenset[str]
    """The filters that refuse or flag it."""
    verdict: Verdict
    issues: tuple[str, ...]


def ask_filters(photo: DecodedPhoto) -> Said:
    """Measure and judge one photo with the product's cut-offs."""
    measures = measure_quality(photo)
    judged = judge_quality(measures, CUTOFFS, "enforce")
    scores = {name: float(score(measures)) for name, score in SCORES.items()}
    raised = {name for name, issues in ISSUES_OF.items() if issues & set(judged.issues)}
    raised |= {name for name, limit in PRIVACY.items() if scores[name] >= limit}
    return Said(
        scores=scores,
        raised=frozenset(raised),
        verdict=judged.verdict,
        issues=judged.issues,
    )


def as_upload(pixels: np.ndarray) -> DecodedPhoto:
    """What ``decode_photo`` makes of a JPEG with these pixels (0..255, any number type)."""
    height, width = pixels.shape[:2]
    rounded = np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return DecodedPhoto(rounded, PhotoHeader("jpeg", width, height, "RGB"), None, None, is_greyscale=False)
