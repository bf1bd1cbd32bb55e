"""Scenes and blurred crops from which the networks of the quality filters learn."""

from dataclasses import replace

import numpy as np
import pytest

from screening.training.quality import scenes
from screening.training.quality.blurred_photos import SharpPhoto, blurred_views, disc, line
from screening.training.quality.scenes import HAIR, INK, LESION, SIDE, SKIN, Scene


@pytest.fixture
def scene() -> Scene:
    """Skin with a round brown lesion; everything is known."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    lesion = (np.hypot(x - 128, y - 128) < 30).astype(np.float32)
    pixels = np.array((0.8, 0.62, 0.53), np.float32) * (1 - 0.5 * lesion[..., None])
    truth = np.zeros((4, SIDE, SIDE), np.float32)
    truth[LESION], truth[SKIN] = lesion, 1
    return Scene(pixels.astype(np.float32), truth, np.ones_like(truth))


def generators(count: int = 12) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def test_the_same_seed_composes_the_same_scene(scene):
    first, second = (scenes.compose(scene, scene, np.random.default_rng(7)) for _ in range(2))

    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.truth, second.truth)


@pytest.mark.parametrize("seed", range(20))
def test_a_composed_scene_stays_within_its_bounds(scene, seed):
    composed = scenes.compose(scene, scene, np.random.default_rng(seed))

    assert composed.pixels.shape == (SIDE, SIDE, 3)
    for values in (composed.pixels, composed.truth, composed.known):
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-5


@pytest.mark.parametrize("stain", [scenes.dyed, scenes.inked])
def test_a_stain_only_darkens_and_is_ink_where_it_shows(scene, stain):
    for random in generators():
        stained = stain(scene, random)
        darker = (scene.pixels - stained.pixels).max(axis=2)

        assert darker.min() > -1e-5
        assert darker[stained.truth[INK] > 0.5].min(initial=1) > 0
        assert stained.truth[INK][darker < 1e-4].max(initial=0) == 0


def test_no_stain_holds_on_cloth(scene):
    bare = replace(scene, truth=np.zeros_like(scene.truth))

    assert all(scenes.dyed(bare, random).truth[INK].max() == 0 for random in generators())


def test_hair_is_known_where_it_was_drawn_and_leaves_the_rest(scene):
    for random in generators():
        haired = scenes.haired(scene, random)

        assert 0 < (haired.truth[HAIR] > 0.5).mean() < 0.6
        assert np.array_equal(haired.truth[LESION], scene.truth[LESION])


def test_a_photo_laid_on_cloth_is_smaller_and_has_no_skin_around_it(scene):
    for random in generators():
        far = scenes.laid_on(scene, scenes.cloth(random), random)

        assert far.truth[LESION].sum() < 0.55 * scene.truth[LESION].sum()
        assert far.truth[SKIN].mean() < 0.6
        assert far.known.min() > 0.99


def test_drawn_pigment_is_a_lesion_and_no_ink(scene):
    bare = replace(scene, truth=scene.truth * np.array([0, 1, 1, 1], np.float32)[:, None, None])
    drawn = [scenes.pigmented(bare, random) for random in generators()]

    assert all(view.truth[INK].max() == 0 for view in drawn)
    assert any(view.truth[LESION].mean() > 0.01 for view in drawn)


def test_what_cloth_covers_is_neither_skin_nor_lesion(scene):
    for random in generators():
        covered = scenes.partly_covered(scene, scenes.cloth(random), random)

        assert (covered.truth[LESION] <= covered.truth[SKIN] + 1e-5).all()
        assert covered.truth[SKIN].min() == 0


def test_a_bluish_lesion_is_no_ink(scene):
    bluish = scenes.bluish_lesion(scene, np.random.default_rng(0))

    assert bluish.truth[INK].max() == 0
    assert not np.array_equal(bluish.pixels, scene.pixels)


def sharp_photo() -> SharpPhoto:
    pixels = np.random.default_rng(0).integers(60, 200, (300, 320, 3), np.uint8)
    lesion = np.zeros((300, 320), np.uint8)
    lesion[80:220, 80:240] = 255
    return SharpPhoto(pixels, lesion)


def test_blurred_views_have_less_detail_in_the_lesion_than_sharp_ones():
    views = [view for random in generators(4) for view in blurred_views(sharp_photo(), random)]

    def detail(kind: bool) -> list[float]:
        inside = [view[100:200, 100:220].astype(float) for label, view in views if (label == 0) == kind]
        return [float(np.diff(patch, axis=0).std() / patch.std()) for patch in inside]

    assert {label for label, _ in views} == {0, 1, 2}
    assert min(detail(True)) > max(detail(False))


def test_some_views_are_blurred_in_the_lesion_only():
    corners = [view[:60, :60].astype(float) for label, view in blurred_views(sharp_photo(), generators(1)[0]) if label]
    detail = sorted(float(np.diff(corner, axis=0).std() / corner.std()) for corner in corners)

    assert detail[0] < 0.6 * detail[-1]


@pytest.mark.parametrize("kernel", [disc(0.6), disc(7.3), line(2.0, 0.3), line(31.0, 2.0)])
def test_a_blur_keeps_the_light(kernel):
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert kernel.min() >= 0


def test_a_line_is_as_long_as_it_says_and_a_disc_as_wide():
    assert (line(21.0, 0.0) > 0).sum() == pytest.approx(21, abs=2)
    assert (disc(8.0) > 0).sum() == pytest.approx(np.pi * 8.5**2, rel=0.08)
