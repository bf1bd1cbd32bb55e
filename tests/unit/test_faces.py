"""Faces are found where they are; skin with whatever is on it is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from screening.cutoffs import QualityCutoffs
from screening.stages.quality import measure_quality
from screening.stages.quality.faces import find_face
from tests.unit.skin_photos import BLUE_PEN, DARK_SKIN, decoded, dyed, hairy, ring, skin_photo

FLAG = QualityCutoffs().flag_face


def drawn_face(side: int, skin: tuple[int, int, int] = (224, 182, 152)) -> np.ndarray:
    """A face as a child draws it, with light from above: enough for the network, and nobody's."""
    canvas = np.full((400, 400, 3), skin, np.float32) * 0.55
    dark = np.array(skin, np.float32) * 0.35
    cv2.ellipse(canvas, (200, 130), (150, 120), 0, 0, 360, dark.tolist(), -1)  # hair
    cv2.ellipse(canvas, (200, 210), (125, 160), 0, 0, 360, skin, -1)
    for x in (150, 250):
        cv2.ellipse(canvas, (x, 185), (34, 20), 0, 0, 360, (np.array(skin) * 0.8).tolist(), -1)
        cv2.ellipse(canvas, (x, 187), (24, 11), 0, 0, 360, (240, 240, 240), -1)
        cv2.circle(canvas, (x, 187), 11, (50, 35, 25), -1)
        cv2.ellipse(canvas, (x, 160), (34, 10), 0, 180, 360, dark.tolist(), 7)
    cv2.ellipse(canvas, (200, 245), (24, 14), 0, 0, 180, (np.array(skin) * 0.7).tolist(), 5)
    cv2.ellipse(canvas, (200, 300), (48, 16), 0, 0, 360, (170, 80, 80), -1)
    soft = cv2.GaussianBlur(canvas, (9, 9), 2.5)
    return np.asarray(cv2.resize(soft, (side, side), interpolation=cv2.INTER_AREA))


def with_face(photo: np.ndarray, side: int, left: int, top: int) -> np.ndarray:
    canvas: np.ndarray = np.clip(photo, 0, 255).astype(np.uint8)
    canvas[top : top + side, left : left + side] = drawn_face(side)
    return canvas


@pytest.mark.parametrize("side", [300, 400, 600])
@pytest.mark.parametrize("place", [(50, 50), (400, 100)])
def test_a_face_calls_for_a_look_at_privacy(side, place):
    measures = measure_quality(decoded(with_face(skin_photo(), side, *place)))

    assert measures.face_score >= FLAG


@pytest.mark.parametrize(("side", "place"), [(200, (50, 50)), (180, (400, 100))])
def test_a_small_face_is_found_at_the_second_look(side, place):
    """At the first look they have 0.67 and 0.64."""
    assert measure_quality(decoded(with_face(skin_photo(), side, *place))).face_score >= FLAG


@pytest.mark.parametrize("place", [(0, 0), (700, 0), (0, 450), (700, 450)])
def test_a_face_in_a_corner_is_looked_at_again_as_well_as_one_in_the_middle(place):
    assert measure_quality(decoded(with_face(skin_photo(), 300, *place))).face_score >= FLAG


@pytest.mark.parametrize("photo_size", [(1000, 750), (750, 1000), (1000, 300)])
def test_a_face_is_where_it_was_drawn(photo_size):
    width, height = photo_size
    photo = np.full((height, width, 3), (200, 160, 135), np.uint8)
    left, top = width - 320, height - 290
    face = find_face(with_face(photo, 280, left, top))

    assert face.score >= FLAG
    assert left < face.left < left + 140 < face.right < left + 280
    assert top < face.top < top + 140 < face.bottom < top + 280


def test_skin_a_pen_ring_and_hair_are_no_face():
    photos = [
        skin_photo(),
        skin_photo(skin=DARK_SKIN),
        dyed(skin_photo(), ring(0.25), BLUE_PEN),
        hairy(skin_photo(), 15),
    ]

    assert max(measure_quality(decoded(photo)).face_score for photo in photos) < FLAG


@pytest.mark.parametrize("size", [(1, 1), (1, 512), (10000, 10), (17, 300)])
@pytest.mark.parametrize("level", [0, 255, None])
def test_a_picture_of_any_shape_has_a_probability(size, level):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)

    assert 0 <= find_face(noise if level is None else np.full_like(noise, level)).score < FLAG
