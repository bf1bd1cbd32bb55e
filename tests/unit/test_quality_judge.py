import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.contracts import Verdict
from screening.cutoffs import LINES, QualityCutoffs
from screening.stages.quality import QualityMeasures, judge_quality, measure_quality
from screening.stages.quality.messages import ENGLISH, ISSUES
from tests.unit.skin_photos import (
    BLUE_PEN,
    DARK_SKIN,
    LIGHT_SKIN,
    VIOLET,
    combed,
    decoded,
    defocused,
    dyed,
    hairy,
    lesion_mask,
    ring,
    shaken,
    skin_photo,
)

CUTOFFS = QualityCutoffs()
SEVERITY = {issue.code: issue.severity for issue in ISSUES}
GOOD = QualityMeasures(
    blur_score=-5.0,
    motion_share=0.2,
    detail_grey_levels=4.0,
    lesion_certainty=0.95,
    lesion_diameter_px=90.0,
    lesion_rim_fraction=0.0,
    lesion_cut_score=-4.0,
    lesion_offset=0.1,
    skin_fraction=1.0,
    border_skin_fraction=1.0,
    dye_certainty=0.05,
    dye_fraction=0.0,
    lesion_dye_fraction=0.0,
    hair_fraction=0.0,
    lesion_hair_fraction=0.0,
    skin_brightness=0.6,
    clipped_dark_fraction=0.0,
    clipped_bright_fraction=0.0,
    lesion_glare_fraction=0.0,
    short_side_px=3000,
    is_greyscale=False,
    colour_cast_stops=-0.4,
    lettering_score=-3.0,
    face_score=0.2,
    crust_score=-4.0,
    object_score=-5.0,
)


def but(**changes: object) -> QualityMeasures:
    return dataclasses.replace(GOOD, **changes)


# Cut-off, the measure it is laid on, the issue, and on which side of the cut-off the issue is.
LIMITS = [
    ("refuse_short_side_px", "short_side_px", "too_few_pixels", "below"),
    ("flag_short_side_px", "short_side_px", "few_pixels", "below"),
    ("refuse_brightness_below", "skin_brightness", "too_dark", "below"),
    ("flag_brightness_below", "skin_brightness", "dim", "below"),
    ("refuse_clipped_dark", "clipped_dark_fraction", "too_dark", "from"),
    ("refuse_clipped_bright", "clipped_bright_fraction", "too_bright", "from"),
    ("flag_clipped_bright", "clipped_bright_fraction", "glare", "from"),
    ("flag_lesion_glare", "lesion_glare_fraction", "glare", "from"),
    ("flag_colour_cast", "colour_cast_stops", "colour_cast", "from"),
    ("refuse_detail_below", "detail_grey_levels", "nothing_visible", "below"),
    ("refuse_detail_from", "detail_grey_levels", "no_skin", "from"),
    ("flag_certainty_below", "lesion_certainty", "no_lesion_found", "below"),
    ("refuse_skin_below", "skin_fraction", "no_skin", "below"),
    ("flag_border_skin_below", "border_skin_fraction", "little_skin", "below"),
    ("refuse_blur", "blur_score", "out_of_focus", "from"),
    ("flag_blur", "blur_score", "soft_focus", "from"),
    ("refuse_diameter_below", "lesion_diameter_px", "lesion_too_small", "below"),
    ("flag_diameter_below", "lesion_diameter_px", "lesion_small", "below"),
    ("flag_diameter_from", "lesion_diameter_px", "lesion_too_close", "from"),
    ("flag_rim", "lesion_rim_fraction", "lesion_cut_off", "from"),
    ("flag_cut", "lesion_cut_score", "lesion_cut_off", "from"),
    ("flag_offset", "lesion_offset", "lesion_off_centre", "from"),
    ("flag_lesion_dye", "lesion_dye_fraction", "dye_over_lesion", "from"),
    ("flag_dye", "dye_certainty", "some_dye", "from"),
    ("refuse_hair", "lesion_hair_fraction", "hair_over_lesion", "from"),
    ("flag_hair", "hair_fraction", "some_hair", "from"),
    ("flag_lettering", "lettering_score", "needs_privacy_check", "from"),
    ("flag_face", "face_score", "needs_privacy_check", "from"),
    ("flag_crust", "crust_score", "crust_over_lesion", "from"),
    ("flag_object", "object_score", "object_over_lesion", "from"),
]


@pytest.mark.parametrize(("cutoff", "measure", "code", "side"), LIMITS)
def test_an_issue_starts_exactly_at_its_cutoff(cutoff, measure, code, side):
    limit = getattr(CUTOFFS, cutoff)
    just_below = limit - 1 if isinstance(limit, int) else math.nextafter(limit, -1)
    found_below = code in judge_quality(but(**{measure: just_below}), CUTOFFS, "enforce").issues
    found_at = code in judge_quality(but(**{measure: limit}), CUTOFFS, "enforce").issues

    assert (found_below, found_at) == (side == "below", side == "from")


def test_the_table_of_lines_names_what_each_cutoff_is_really_laid_on():
    assert {cutoff: (measure, side) for cutoff, measure, _, side in LIMITS} == dict(LINES)


def test_every_cutoff_has_its_pair():
    assert {name for name, *_ in LIMITS} == {f.name for f in dataclasses.fields(QualityCutoffs)} - {"name"}


@pytest.mark.parametrize(("cutoff", "code"), [(cutoff, code) for cutoff, _, code, _ in LIMITS])
def test_a_cutoff_named_refuse_refuses_and_one_named_flag_flags(cutoff, code):
    assert cutoff.startswith(f"{SEVERITY[code]}_")


def test_every_issue_can_happen():
    moved = {"motion_blur", "slight_motion"}

    assert {code for _, _, code, _ in LIMITS} | moved | {"greyscale"} == set(SEVERITY)


def test_refusals_come_before_flags_in_the_order_of_severity():
    severities = [issue.severity for issue in ISSUES]

    assert severities == sorted(severities, key=["refuse", "flag"].index)
    assert len(set(SEVERITY)) == len(ISSUES)


def test_a_good_photo_is_usable_and_needs_no_advice():
    assert judge_quality(GOOD, CUTOFFS, "enforce") == (judged := judge_quality(GOOD, CUTOFFS, "observe"))
    assert (judged.verdict, judged.issues, judged.reason, judged.advice) == (Verdict.USABLE, (), None, None)


def test_the_most_severe_issue_decides_and_all_are_recorded():
    judged = judge_quality(but(hair_fraction=0.2, blur_score=13.0, skin_brightness=0.01), CUTOFFS, "enforce")

    assert judged.verdict == Verdict.REFUSED
    assert judged.issues == ("too_dark", "out_of_focus", "some_hair")
    assert (judged.reason, judged.advice) == ("too_dark", ENGLISH["too_dark"])


def test_nothing_lies_on_a_lesion_where_no_lesion_stands_out():
    judged = judge_quality(but(lesion_certainty=0.2, crust_score=9.0, object_score=9.0), CUTOFFS, "enforce")

    assert judged.issues == ("no_lesion_found",)


def test_a_flag_alone_does_not_refuse():
    judged = judge_quality(but(dye_certainty=0.95), CUTOFFS, "enforce")

    assert (judged.verdict, judged.reason, judged.advice) == (Verdict.FLAGGED, "some_dye", ENGLISH["some_dye"])


def test_observing_flags_what_would_be_refused_and_keeps_the_issues():
    blurred = but(blur_score=13.0, hair_fraction=0.2)
    enforced, observed = (judge_quality(blurred, CUTOFFS, mode) for mode in ("enforce", "observe"))

    assert (enforced.verdict, observed.verdict) == (Verdict.REFUSED, Verdict.FLAGGED)
    assert (observed.issues, observed.reason) == (enforced.issues, enforced.reason)


share = st.floats(0, 1)


@given(
    st.builds(
        QualityMeasures,
        blur_score=st.floats(-14, 14),
        motion_share=share,
        detail_grey_levels=st.floats(0, 60),
        lesion_certainty=share,
        lesion_diameter_px=st.floats(0, 290),
        lesion_rim_fraction=share,
        lesion_cut_score=st.floats(-14, 14),
        lesion_offset=st.floats(0, 1.5),
        skin_fraction=share,
        border_skin_fraction=share,
        dye_certainty=share,
        dye_fraction=share,
        lesion_dye_fraction=share,
        hair_fraction=share,
        lesion_hair_fraction=share,
        skin_brightness=share,
        clipped_dark_fraction=share,
        clipped_bright_fraction=share,
        lesion_glare_fraction=share,
        short_side_px=st.integers(1, 9000),
        is_greyscale=st.booleans(),
        colour_cast_stops=st.none() | st.floats(-8, 16),
        lettering_score=st.none() | st.floats(-30, 30),
        face_score=share,
        crust_score=st.floats(-30, 30),
        object_score=st.floats(-30, 30),
    )
)
def test_observing_never_refuses_and_enforcing_refuses_exactly_for_refusing_issues(measures):
    observed, enforced = (judge_quality(measures, CUTOFFS, mode) for mode in ("observe", "enforce"))
    refuses = any(SEVERITY[code] == "refuse" for code in enforced.issues)

    assert observed.verdict in (Verdict.USABLE, Verdict.FLAGGED)
    assert observed.issues == enforced.issues
    assert (enforced.verdict == Verdict.REFUSED) == refuses
    assert (enforced.reason is None) == (enforced.advice is None) == (enforced.verdict == Verdict.USABLE)


def test_a_programme_may_bring_advice_in_its_own_language():
    spanish = dict.fromkeys(ENGLISH, "Repita la foto.")

    assert judge_quality(but(blur_score=13.0), CUTOFFS, "enforce", spanish).advice == "Repita la foto."


def test_a_greyscale_photo_of_a_lesion_is_flagged():
    judged = judge_quality(but(is_greyscale=True, skin_fraction=0.0, border_skin_fraction=0.0), CUTOFFS, "enforce")

    assert (judged.verdict, judged.issues) == (Verdict.FLAGGED, ("greyscale",))


def test_a_greyscale_photo_without_a_lesion_shows_no_skin():
    judged = judge_quality(but(is_greyscale=True, lesion_certainty=0.1), CUTOFFS, "enforce")

    assert judged.reason == "no_skin"


def test_a_photo_without_colour_has_no_cast_and_skin_that_was_not_measured_none_either():
    greyscale = but(is_greyscale=True, skin_fraction=0.0, border_skin_fraction=0.0, colour_cast_stops=None)

    assert judge_quality(greyscale, CUTOFFS, "enforce").issues == ("greyscale",)
    assert judge_quality(but(colour_cast_stops=None), CUTOFFS, "enforce").issues == ()


def test_of_a_lesion_that_fills_the_frame_the_advice_is_to_show_all_of_it():
    judged = judge_quality(but(lesion_certainty=0.1, lesion_cut_score=6.0), CUTOFFS, "enforce")

    assert (judged.verdict, judged.issues) == (Verdict.FLAGGED, ("lesion_cut_off", "no_lesion_found"))


def test_where_no_skin_is_seen_no_lesion_is_cut():
    judged = judge_quality(but(skin_fraction=0.0, lesion_certainty=0.1, lesion_cut_score=6.0), CUTOFFS, "enforce")

    assert "lesion_cut_off" not in judged.issues


def test_where_no_lesion_stands_out_its_size_and_place_are_not_judged():
    judged = judge_quality(
        but(lesion_certainty=0.1, lesion_diameter_px=1.0, lesion_rim_fraction=1.0, lesion_offset=1.2),
        CUTOFFS,
        "enforce",
    )

    assert judged.issues == ("no_lesion_found",)


@pytest.mark.parametrize(
    ("score", "codes"), [(13.0, ("out_of_focus", "motion_blur")), (CUTOFFS.flag_blur, ("soft_focus", "slight_motion"))]
)
def test_a_blur_is_named_after_what_speaks_most_for_it(score, codes):
    found = [judge_quality(but(blur_score=score, motion_share=share), CUTOFFS, "enforce") for share in (0.499, 0.5)]

    assert tuple(verdict.issues for verdict in found) == ((codes[0],), (codes[1],))


def test_a_blank_photo_is_not_called_blurred_too():
    blank = but(detail_grey_levels=0.0, blur_score=13.0)

    assert judge_quality(blank, CUTOFFS, "enforce").issues == ("nothing_visible",)


def judged(pixels: np.ndarray, **facts: object) -> tuple[Verdict, tuple[str, ...]]:
    verdict = judge_quality(measure_quality(decoded(pixels, **facts)), CUTOFFS, "enforce")
    return verdict.verdict, verdict.issues


@pytest.mark.parametrize("tone", [LIGHT_SKIN, (235, 200, 190), (175, 130, 105), (125, 88, 66), DARK_SKIN])
def test_a_good_photo_of_any_skin_tone_is_graded_and_at_most_its_drawn_mole_is_taken_for_dye_or_a_sticker(tone):
    verdict, issues = judged(skin_photo(skin=tone))

    assert verdict != Verdict.REFUSED
    assert set(issues) <= {"some_dye", "object_over_lesion"}


def test_a_light_skin_with_two_stops_less_light_is_usable():
    assert judged(skin_photo() * 0.25 ** (1 / 2.2))[0] != Verdict.REFUSED


def letter() -> np.ndarray:
    page = np.full((1000, 750, 3), 235.0)
    page[60:-60:24, 60:-60] = page[61:-60:24, 60:-60] = page[62:-60:24, 60:-60] = 30
    page[:, 70::9] = 235
    return page * (1.0, 0.9, 0.75)  # in the light of a lamp it has the colour of skin


@pytest.mark.parametrize(
    ("pixels", "issue"),
    [
        (np.zeros((600, 800, 3)), "too_dark"),
        (np.full((600, 800, 3), 255), "too_bright"),
        (np.full((600, 800, 3), 128), "nothing_visible"),
        (np.full((600, 800, 3), LIGHT_SKIN), "nothing_visible"),
        (np.random.default_rng(0).integers(0, 256, (600, 800, 3)), "no_skin"),
        (skin_photo(skin=(60, 90, 140)), "no_skin"),
        (letter(), "no_skin"),
        (defocused(skin_photo(), 6), "out_of_focus"),
        (defocused(skin_photo(), 12), "out_of_focus"),
        (shaken(skin_photo(), 15, 0), "motion_blur"),
        (shaken(skin_photo(), 15, 60), "motion_blur"),
        (shaken(skin_photo(), 25, 135), "motion_blur"),
        (skin_photo(radius=0.02), "lesion_too_small"),
        (combed(skin_photo(), 12), "hair_over_lesion"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_spoilt_photo_is_refused_for_what_spoilt_it(pixels, issue):
    verdict, issues = judged(pixels)

    assert (verdict, issue in issues) == (Verdict.REFUSED, True)


@pytest.mark.parametrize(
    ("pixels", "issue"),
    [
        (dyed(skin_photo(), ring(0.25), BLUE_PEN), "some_dye"),
        (hairy(skin_photo(), 15), "some_hair"),
        (skin_photo(size=(180, 180)), "few_pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_flaw_that_can_be_lived_with_is_flagged(pixels, issue):
    verdict, issues = judged(pixels)

    assert (verdict, issue in issues) == (Verdict.FLAGGED, True)


@pytest.mark.parametrize(
    ("pixels", "issue"),
    [
        (dyed(skin_photo(), lesion_mask(0.2), VIOLET), "dye_over_lesion"),
        (skin_photo(radius=0), "no_lesion_found"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_else_is_wrong_is_named(pixels, issue):
    assert issue in judged(pixels)[1]
