import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.contracts import QUALITY
from screening.cutoffs import QualityCutoffs
from screening.stages.pixels import fit_long_side
from screening.stages.quality import QualityMeasures, measure_quality
from screening.stages.quality.measure import rim_fraction
from screening.stages.quality.regions import CELLS, Regions
from tests.unit.skin_photos import (
    BLUE_PEN,
    DARK_SKIN,
    GREEN,
    LIGHT_SKIN,
    VIOLET,
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


def measured(pixels: np.ndarray) -> QualityMeasures:
    return measure_quality(decoded(pixels))


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((600, 800, 3), (red, green, blue))


def test_every_measure_is_a_column_and_every_measured_column_has_its_measure():
    judged = {
        "photo_id",
        "programme",
        "issues",
        "verdict",
        "reason",
        "advice",
        "quality_mode",
        "cutoffs_version",
        "filters_version",
    }
    hashed = {"perceptual_hash"}

    assert {f.name for f in dataclasses.fields(QualityMeasures)} == {c.name for c in QUALITY.columns} - judged - hashed


def test_the_measures_of_a_good_photo_fill_a_row():
    row = dataclasses.asdict(measured(skin_photo())) | {
        "photo_id": "0" * 32,
        "programme": "coast",
        "issues": [],
        "verdict": "usable",
        "quality_mode": "enforce",
        "cutoffs_version": "test",
        "filters_version": "test",
    }

    assert QUALITY.table([row]).num_rows == 1


def test_a_black_frame_is_black_and_blank():
    black = measured(flat(0, 0, 0))

    assert (black.skin_brightness, black.clipped_dark_fraction, black.detail_grey_levels) == (0.0, 1.0, 0.0)
    assert (black.lesion_certainty, black.skin_fraction) == pytest.approx((0.0, 0.0), abs=0.1)


def test_a_white_frame_is_white_and_blank():
    white = measured(flat(255, 255, 255))

    assert (white.clipped_bright_fraction, white.lesion_glare_fraction, white.detail_grey_levels) == (1.0, 1.0, 0.0)
    assert white.lesion_certainty == pytest.approx(0.0, abs=0.1)


def test_a_flat_frame_of_skin_colour_is_skin_without_detail():
    skin = measured(flat(*LIGHT_SKIN))

    assert skin.skin_fraction == 1.0
    assert (skin.detail_grey_levels, skin.lesion_certainty) == pytest.approx((0.0, 0.0), abs=0.1)


def test_noise_is_neither_skin_nor_lesion():
    noise = measured(np.random.default_rng(0).integers(0, 256, (600, 800, 3)))

    assert (noise.lesion_certainty, noise.skin_fraction) == pytest.approx((0.0, 0.0), abs=0.1)


@pytest.mark.parametrize("colour", [(60, 90, 140), (40, 120, 60), (128, 128, 128), (90, 160, 170)])
def test_cloth_leaves_and_metal_are_not_skin(colour):
    assert measured(skin_photo(skin=colour, radius=0)).skin_fraction == 0.0


@pytest.mark.parametrize(
    "tone", [LIGHT_SKIN, (235, 200, 190), (150, 105, 80), DARK_SKIN, (215, 120, 130), (170, 150, 160)]
)
def test_skin_of_every_tone_is_skin(tone):
    assert measured(skin_photo(skin=tone)).skin_fraction > 0.95


def test_background_beside_the_skin_shows_at_the_border():
    photo = skin_photo()
    photo[:, :250] = (60, 90, 140)
    found = measured(photo)

    assert 0.7 < found.skin_fraction < 0.8
    assert 0.55 < found.border_skin_fraction < 0.75


@pytest.mark.parametrize("tone", [LIGHT_SKIN, DARK_SKIN])
def test_brightness_is_that_of_the_skin_not_of_the_background(tone):
    photo = skin_photo(skin=tone)
    photo[:, :300] = (250, 252, 255)
    luma = np.dot(tone, (0.299, 0.587, 0.114)) / 255

    assert measured(photo).skin_brightness == pytest.approx(luma, abs=0.03)


def test_a_sharp_lesion_has_a_low_score_of_blur_and_a_blurred_one_a_high_one():
    photo = skin_photo()
    sharp, *blurred = (measured(p).blur_score for p in (photo, *(defocused(photo, r) for r in (6, 8))))

    assert sharp < CUTOFFS.flag_blur
    assert min(blurred) >= CUTOFFS.refuse_blur


def test_a_blurred_lesion_on_sharp_skin_is_out_of_focus():
    photo = skin_photo()
    soft = cv2.GaussianBlur(lesion_mask(0.2).astype(np.float32), (0, 0), 8.0)[..., None]
    blurred = soft * defocused(photo, 6) + (1 - soft) * photo

    assert measured(blurred).blur_score > 3 + measured(photo).blur_score


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 120, 135])
def test_a_moved_camera_shows_in_whatever_direction_it_moved(angle):
    found = measured(shaken(skin_photo(), 20, angle))

    assert found.blur_score >= CUTOFFS.flag_blur
    assert found.motion_share > 0.5


@pytest.mark.parametrize("radius", [0.08, 0.12, 0.18])
@pytest.mark.parametrize("tone", [LIGHT_SKIN, DARK_SKIN])
def test_a_lesion_is_about_as_large_as_it_was_drawn(radius, tone):
    area = lesion_mask(radius).mean()

    assert measured(skin_photo(skin=tone, radius=radius)).lesion_diameter_px == pytest.approx(
        256 * (4 / np.pi * area) ** 0.5, rel=0.25
    )


def test_a_lesion_stands_out_and_plain_skin_does_not():
    assert measured(skin_photo()).lesion_certainty > 0.8
    assert measured(skin_photo(radius=0)).lesion_certainty < 0.2


def test_a_lesion_within_the_frame_does_not_reach_the_rim():
    assert measured(skin_photo()).lesion_rim_fraction == 0.0


def test_a_lesion_that_the_frame_cuts_reaches_the_rim():
    mole = np.zeros((CELLS, CELLS), np.float32)
    mole[40:62, 20:44] = 0.9  # the network leaves out the outermost cells

    assert rim_fraction(Regions(mole, mole, mole, mole, encoding=mole[None]).lesion_mask) == pytest.approx(
        28 / (4 * CELLS - 4), abs=0.02
    )


def test_a_mole_that_the_frame_cuts_scores_higher_than_all_of_it():
    photo = skin_photo(radius=0.2)
    height, width = photo.shape[:2]
    middle = photo[3 * height // 8 : 5 * height // 8, 3 * width // 8 : 5 * width // 8]
    whole, cut = measured(photo), measured(middle)

    assert cut.lesion_cut_score > whole.lesion_cut_score + 2
    assert whole.lesion_cut_score < QualityCutoffs().flag_cut


def test_black_corners_of_a_dermoscope_are_not_taken_for_skin():
    photo = skin_photo()
    y, x = np.mgrid[-1:1:750j, -1:1:1000j]
    photo[x * x + y * y > 1.3] = 4
    found = measured(photo)

    assert found.lesion_diameter_px == pytest.approx(256 * (4 / np.pi * lesion_mask(0.15).mean()) ** 0.5, rel=0.25)
    assert found.clipped_dark_fraction > 0.05


@pytest.mark.parametrize("tone", [LIGHT_SKIN, (150, 105, 80)])
def test_a_pen_ring_is_ink_and_not_hair(tone):
    found = measured(dyed(skin_photo(skin=tone), ring(0.25), BLUE_PEN))

    assert found.dye_certainty > 0.8
    assert found.dye_fraction > ring(0.25).mean()
    assert found.hair_fraction < 0.06


@pytest.mark.parametrize("dye", [VIOLET, GREEN])
def test_a_painted_lesion_is_under_dye(dye):
    assert measured(dyed(skin_photo(), lesion_mask(0.2), dye)).lesion_dye_fraction > 0.8


def test_plain_skin_has_no_dye():
    assert measured(skin_photo(radius=0)).dye_fraction == 0.0


def test_a_blue_drape_at_the_rim_is_no_dye():
    photo = skin_photo(radius=0)
    photo[:150] = (60, 90, 160)

    assert measured(photo).dye_fraction < 0.01


@pytest.mark.parametrize("colour", [(60, 45, 40), (250, 240, 235)])
def test_dark_and_white_hairs_over_the_lesion_count(colour):
    few, many = (measured(hairy(skin_photo(), hairs, colour)).lesion_hair_fraction for hairs in (3, 12))

    assert 0.05 < few < many


def test_streaks_shorter_than_hair_do_not_count():
    assert measured(hairy(skin_photo(), 12, length=0.02)).hair_fraction < 0.05


def test_glare_is_measured_where_the_lesion_is():
    photo = skin_photo()
    photo[350:400, 450:550] = 255
    found = measured(photo)

    assert found.lesion_glare_fraction > 0.02
    assert found.clipped_bright_fraction < found.lesion_glare_fraction / 3


def test_the_short_side_is_that_of_the_upload():
    pixels = skin_photo(size=(400, 533))

    assert measure_quality(decoded(pixels, short_side_px=3024)).short_side_px == 3024


def test_greyscale_is_what_the_decoder_found():
    assert measure_quality(decoded(skin_photo(), is_greyscale=True)).is_greyscale


def test_a_photo_is_measured_alone():
    photos = [skin_photo(), skin_photo(skin=DARK_SKIN, seed=2), hairy(skin_photo(seed=3), 9), flat(0, 0, 0)]
    alone = [measured(photo) for photo in photos]

    assert [measured(photo) for photo in reversed(photos)] == alone[::-1]


def test_measuring_leaves_the_photo_as_it_was():
    photo = decoded(hairy(dyed(skin_photo(), ring(0.25), BLUE_PEN), 9))
    before = photo.pixels.copy()
    measure_quality(photo)

    assert np.array_equal(photo.pixels, before)


@pytest.mark.parametrize("long_side", [180, 300, 512, 700])
def test_the_camera_s_size_hardly_matters(long_side):
    full = measured(skin_photo())
    small = measured(fit_long_side(decoded(skin_photo()).pixels, long_side))

    assert small.lesion_diameter_px == pytest.approx(full.lesion_diameter_px, rel=0.15)
    assert small.skin_brightness == pytest.approx(full.skin_brightness, abs=0.02)


@settings(max_examples=40)
@given(height=st.integers(1, 90), width=st.integers(1, 1024), level=st.integers(0, 255), is_upright=st.booleans())
def test_a_photo_of_any_shape_can_be_measured(height, width, level, is_upright):
    pixels = np.random.default_rng(level).integers(0, level + 1, (height, width, 3))
    found = measured(pixels if is_upright else pixels.transpose(1, 0, 2))

    assert all(np.isfinite(value) for value in dataclasses.astuple(found) if value is not None)
    assert all(0 <= getattr(found, c.name) <= 1 for c in QUALITY.columns if c.unit == "0..1")
