"""The damage and the look-alikes of the quality benchmark: they do what they say, and nothing else."""

import cv2
import numpy as np
import pytest

from tests.benchmarks.quality import damage, framing, look_alikes
from tests.unit.skin_photos import lesion_mask, skin_photo

SIZE = (192, 256)
LESION = lesion_mask(0.15, size=SIZE)
PHOTO = np.clip(skin_photo(size=SIZE), 0, 255)


def noise(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def fine_detail(photo: np.ndarray, where: np.ndarray) -> float:
    return float((photo - cv2.GaussianBlur(photo, (0, 0), 2))[where].std())


def test_blur_on_the_lesion_leaves_the_skin_around_it_alone():
    blurred = damage.on_lesion_only(PHOTO, damage.defocused(PHOTO, 8), LESION)

    far_from_it = damage.feathered(LESION, 12) == 0
    assert np.array_equal(blurred[far_from_it], PHOTO[far_from_it])
    assert fine_detail(blurred, LESION) < 0.7 * fine_detail(PHOTO, LESION)


def test_more_defocus_leaves_less_detail():
    details = [fine_detail(damage.defocused(PHOTO, px), LESION) for px in (1.5, 4, 8)]

    assert details == sorted(details, reverse=True)


def test_motion_keeps_the_detail_across_it():
    stripes = np.repeat(np.where(np.arange(256) % 8 < 4, 90.0, 160.0)[None, :], 192, axis=0)
    photo = np.repeat(stripes[..., None], 3, axis=2).astype(np.float32)

    assert np.allclose(damage.shaken(photo, 15, 90), photo, atol=1)
    assert damage.shaken(photo, 30, 0).std() < 0.2 * photo.std()


def test_blur_keeps_the_light():
    for blurred in (damage.defocused(PHOTO, 6), damage.shaken(PHOTO, 15, 30)):
        assert damage.to_linear(blurred).mean() == pytest.approx(damage.to_linear(PHOTO).mean(), rel=0.01)


@pytest.mark.parametrize("shape", list(damage.STAIN_SHAPES))
@pytest.mark.parametrize("dye", list(damage.DYES))
def test_a_dye_only_darkens(shape, dye):
    density = damage.stain(PHOTO, shape, LESION, noise())

    dyed = damage.dyed(PHOTO, density, damage.DYES[dye])

    assert (dyed <= PHOTO + 0.01).all()
    assert np.array_equal(dyed[density == 0], PHOTO[density == 0])
    assert (density > 0).any()


@pytest.mark.parametrize(
    ("dye", "least_absorbed"),
    [("gentian violet", 2), ("methylene blue", 2), ("brilliant green", 1), ("iodine", 0), ("eosin", 0)],
)
def test_a_dye_takes_least_of_its_own_colour(dye, least_absorbed):
    white = np.full((32, 32, 3), 240, np.float32)

    dyed = damage.dyed(white, np.ones((32, 32), np.float32), damage.DYES[dye])

    assert dyed[16, 16].argmax() == least_absorbed


def test_a_ring_of_dye_leaves_the_middle_of_the_lesion_free():
    density = damage.stain(PHOTO, "ring", LESION, noise())

    assert density[96, 128] == 0


@pytest.mark.parametrize("mark", ["line", "arrow", "letters"])
def test_a_pen_mark_is_in_the_frame_and_thin(mark):
    share = float((damage.pen_marks(LESION, mark, noise()) > 0.2).mean())

    assert 0.002 < share < 0.15


@pytest.mark.parametrize("colour", [damage.DARK_HAIR, damage.LIGHT_HAIR])
def test_hairs_stay_in_their_region(colour):
    beside = damage.feathered(LESION, 20) == 0

    hairy = damage.hairy(PHOTO, beside, 20, colour, noise())

    assert np.array_equal(hairy[~beside], PHOTO[~beside])
    assert (np.abs(hairy - PHOTO).max(axis=2)[beside] > 20).any()


def test_more_hairs_cover_more():
    everywhere = np.ones(SIZE, bool)
    changed = [(damage.hairy(PHOTO, everywhere, n, damage.DARK_HAIR, noise()) != PHOTO).mean() for n in (3, 15, 40)]

    assert changed == sorted(changed)


def test_a_stop_doubles_the_light_until_the_camera_is_full():
    grey = np.full((8, 8, 3), 100, np.float32)

    assert np.allclose(damage.to_linear(damage.exposed(grey, 1)), 2 * damage.to_linear(grey), rtol=1e-3)
    assert (damage.exposed(grey, 9) == 255).all()


@pytest.mark.parametrize("lesion_width", [0.12, 0.05])
def test_from_far_the_lesion_has_the_width_that_was_asked_for(lesion_width):
    far, lesion = framing.from_far(PHOTO, LESION, lesion_width, noise())

    _, _, radius = damage.centre_and_radius(lesion)
    assert far.shape == PHOTO.shape
    assert 2 * radius / 256 == pytest.approx(lesion_width, rel=0.15)


def test_from_near_the_lesion_reaches_the_rim_and_the_control_is_the_whole_photo():
    painted = np.where(LESION[..., None], np.float32((0, 0, 0)), np.float32((255, 255, 255)))

    near, control = framing.from_near(painted, LESION, 0.5)

    assert (near < 20).all()
    assert control.mean() == pytest.approx(painted.mean(), rel=0.02)


def test_skin_grown_from_a_photo_has_its_colour_and_no_lesion():
    skin = framing.skin_around(PHOTO, LESION, SIZE, noise())

    assert np.allclose(np.median(skin.reshape(-1, 3), axis=0), np.median(PHOTO[~LESION], axis=0), atol=8)
    assert (skin.min(axis=2) > PHOTO[LESION].mean()).mean() > 0.2
    assert fine_detail(skin, LESION) == pytest.approx(fine_detail(PHOTO, ~LESION), rel=0.5)


def test_cloth_never_covers_the_lesion():
    for seed in range(6):
        draped = look_alikes.on_cloth(PHOTO, LESION, (62, 112, 168), noise(seed))
        centre = draped[90:102, 120:136] / PHOTO[90:102, 120:136]
        assert centre.min() > 0.6  # no more than the shade of skin that turns away


def test_a_bleeding_lesion_is_redder_and_no_brighter():
    bleeding = look_alikes.bleeding(PHOTO, LESION, noise())

    assert (bleeding <= PHOTO + 0.01).all()
    red, green, _ = (bleeding[LESION] / PHOTO[LESION]).mean(axis=0)
    assert red > green


def test_a_recoloured_lesion_leaves_the_skin_alone():
    for recoloured in (look_alikes.red_lesion(PHOTO, LESION), look_alikes.blue_naevus(PHOTO, LESION)):
        assert np.array_equal(recoloured[~LESION], PHOTO[~LESION])


@pytest.mark.parametrize("ita", look_alikes.TONES_ITA.values())
def test_retoned_skin_is_as_light_as_its_angle_says(ita):
    retoned = look_alikes.retoned(PHOTO, LESION, ita)

    skin = np.median(retoned[~LESION], axis=0).astype(np.float32) / 255
    lightness = cv2.cvtColor(skin[None, None], cv2.COLOR_RGB2LAB)[0, 0, 0]
    assert lightness == pytest.approx(look_alikes.lightness_of(ita), abs=2)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: damage.stain(PHOTO, "over", LESION, n),
        lambda n: damage.pen_marks(LESION, "line", n),
        lambda n: damage.hairy(PHOTO, ~LESION, 8, damage.DARK_HAIR, n),
        lambda n: damage.with_sensor_noise(PHOTO, n),
        lambda n: framing.from_far(PHOTO, LESION, 0.1, n)[0],
        lambda n: look_alikes.on_cloth(PHOTO, LESION, (62, 112, 168), n),
        lambda n: look_alikes.freckled(PHOTO, n),
        lambda n: look_alikes.wrinkled(PHOTO, n),
        lambda n: look_alikes.with_chain(PHOTO, LESION, n),
    ],
)
def test_the_same_seed_makes_the_same_picture_and_another_seed_another(make):
    assert np.array_equal(make(noise(1)), make(noise(1)))
    assert not np.array_equal(make(noise(1)), make(noise(2)))
