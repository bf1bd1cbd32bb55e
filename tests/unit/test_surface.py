"""What lies on the lesion: a ruler or a sticker is told from one beside it, and from ink, hair, glare and skin of any tone."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.cutoffs import QualityCutoffs
from screening.stages.quality import measure_quality
from screening.stages.quality.regions import find_regions
from screening.stages.quality.surface import surface_features, surface_scores
from tests.unit.skin_photos import BLUE_PEN, DARK_SKIN, LIGHT_SKIN, decoded, defocused, dyed, hairy, ring, skin_photo

CUTOFFS = QualityCutoffs()
HEIGHT, WIDTH = 750, 1000


def with_ruler(photo: np.ndarray, top: int) -> np.ndarray:
    """A paper scale across the whole photo, its ticks on the upper edge."""
    laid = np.clip(photo, 0, 255).astype(np.uint8)
    laid[top : top + 130] = (226, 224, 218)
    for number, x in enumerate(range(8, WIDTH, 18)):
        cv2.line(laid, (x, top), (x, top + (50 if number % 5 == 0 else 28)), (28, 28, 30), 3, cv2.LINE_AA)
    return np.asarray(laid)


def with_sticker(photo: np.ndarray, x: int, y: int, colour: tuple[int, int, int], radius: int = 130) -> np.ndarray:
    laid = np.ascontiguousarray(np.clip(photo, 0, 255).astype(np.uint8))
    cv2.circle(laid, (x, y), radius, colour, -1, cv2.LINE_AA)
    return laid


def object_score(photo: np.ndarray) -> float:
    return measure_quality(decoded(photo)).object_score


@pytest.mark.parametrize("tone", [LIGHT_SKIN, DARK_SKIN])
def test_a_ruler_on_the_lesion_is_told_from_one_along_the_rim(tone):
    photo = skin_photo(skin=tone)

    assert object_score(with_ruler(photo, top=360)) >= CUTOFFS.flag_object
    assert object_score(with_ruler(photo, top=620)) < object_score(with_ruler(photo, top=360)) - 2


@pytest.mark.parametrize("colour", [(240, 240, 236), (250, 210, 60), (60, 100, 200)])
def test_a_sticker_on_half_of_the_lesion_is_told_from_one_in_the_corner(colour):
    over, beside = (with_sticker(skin_photo(), *place, colour) for place in ((610, 375), (130, 130)))

    assert object_score(over) > object_score(beside) + 2


def test_a_pen_ring_hair_and_blur_are_no_things():
    """A drawn lesion may itself look like a sticker: what is added must not make it one."""
    plain = object_score(skin_photo())
    photos = [dyed(skin_photo(), ring(0.25), BLUE_PEN), hairy(skin_photo(), 15), defocused(skin_photo(), 8)]

    assert max(object_score(photo) for photo in photos) < plain + 1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_scores_are_finite_whatever_is_shown(height, width, level, seed):
    noise = np.random.default_rng(seed).integers(0, level + 1, (height, width, 3)).astype(np.uint8)
    features = surface_features(noise, find_regions(noise))

    assert np.isfinite(features).all()
    assert np.isfinite(surface_scores(features)).all()


def test_a_lesion_that_fills_the_frame_is_compared_with_itself():
    regions = find_regions(np.clip(skin_photo(), 0, 255).astype(np.uint8))
    everywhere = type(regions)(np.ones_like(regions.lesion), regions.skin, regions.ink, regions.hair, regions.encoding)

    assert np.isfinite(surface_features(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), everywhere)).all()
