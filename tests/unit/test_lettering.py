"""Print in a photo is told from what else stands in a row, wherever it is and whatever its colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from screening.cutoffs import QualityCutoffs
from screening.stages.quality import measure_quality
from screening.stages.quality.lettering import find_rows, measure_lettering
from tests.unit.skin_photos import BLUE_PEN, DARK_SKIN, LIGHT_SKIN, decoded, dyed, hairy, ring, skin_photo

FLAG = QualityCutoffs().flag_lettering
WHITE, YELLOW, BLACK, ORANGE = (255, 255, 255), (255, 235, 40), (0, 0, 0), (255, 140, 20)


def printed(photo: np.ndarray, text: str, colour=WHITE, place=(30, 60), scale: float = 1.2) -> np.ndarray:
    canvas = np.ascontiguousarray(np.clip(photo, 0, 255).astype(np.uint8))
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_AA)
    return canvas


def score_of(photo: np.ndarray) -> float:
    found = measure_quality(decoded(photo)).lettering_score
    return -np.inf if found is None else found


@pytest.mark.parametrize("text", ["ANNA NOWAK", "Maria Silva", "15/03/2024", "ID 0048213"])
@pytest.mark.parametrize("colour", [WHITE, YELLOW, BLACK, ORANGE])
def test_a_name_a_date_or_a_number_is_print(text, colour):
    assert score_of(printed(skin_photo(), text, colour)) >= FLAG


@pytest.mark.parametrize("place", [(30, 60), (600, 60), (30, 720), (400, 720)])
@pytest.mark.parametrize("tone", [LIGHT_SKIN, DARK_SKIN])
def test_print_is_found_at_every_rim_on_skin_of_every_tone(place, tone):
    assert score_of(printed(skin_photo(skin=tone), "2024-03-15", place=place)) >= FLAG


def test_a_row_is_where_it_was_printed():
    photo = cv2.resize(printed(skin_photo(), "ANNA NOWAK", place=(400, 700)), (512, 384), interpolation=cv2.INTER_AREA)
    best = max(find_rows(photo), key=lambda row: row.score)

    assert 190 < best.left < best.right < 360
    assert 335 < best.top < best.bottom < 365


def test_skin_a_pen_ring_and_hair_are_no_print():
    photos = [
        skin_photo(),
        skin_photo(skin=DARK_SKIN),
        dyed(skin_photo(), ring(0.25), BLUE_PEN),
        hairy(skin_photo(), 15),
    ]

    assert max(score_of(photo) for photo in photos) < FLAG


@pytest.mark.parametrize("on_paper", [True, False])
@pytest.mark.parametrize("pitch", [8, 14, 20])
def test_the_ticks_of_a_ruler_are_no_print(pitch, on_paper):
    photo = np.clip(skin_photo(), 0, 255).astype(np.uint8)
    if on_paper:
        photo[640:] = 235
    for number, x in enumerate(range(10, 990, pitch)):
        cv2.line(photo, (x, 650), (x, 690 if number % 5 == 0 else 675), (25, 25, 28), 2, cv2.LINE_AA)

    assert score_of(photo) < FLAG


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_frame_has_no_rows(level):
    assert measure_lettering(np.full((384, 512, 3), level, np.uint8)) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 512), (512, 1), (3, 20), (17, 300)])
def test_noise_of_any_shape_has_a_finite_measure_or_none(size):
    found = measure_lettering(np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8))

    assert found is None or np.isfinite(found)
