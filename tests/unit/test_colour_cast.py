"""Coloured light on the skin, told from the skin's own tone, from red skin and from what lies around."""

from __future__ import annotations

import numpy as np
import pytest

from screening.cutoffs import QualityCutoffs
from screening.stages.quality import measure_quality
from screening.stages.quality.colour_cast import measure_cast_stops
from tests.unit.skin_photos import DARK_SKIN, LIGHT_SKIN, decoded, skin_photo

ALL_SKIN = np.ones((64, 64), bool)
FLAG = QualityCutoffs().flag_colour_cast
MONK_TONES = [
    *((246, 237, 228), (243, 231, 219), (247, 234, 208), (234, 218, 186), (215, 189, 150)),
    *((160, 126, 86), (130, 92, 67), (96, 65, 52), (58, 49, 42), (41, 36, 32)),
]
"""The Monk skin tone scale (2022), as published in sRGB."""
LIGHTS = {
    "blue": (0.2, 0.5, 1.5),
    "green": (0.5, 1.2, 0.5),
    "yellow": (1.1, 1.0, 0.2),
    "magenta": (1.2, 0.45, 1.2),
}


def cast_of(colour) -> float | None:
    return measure_cast_stops(np.full((300, 400, 3), colour, np.uint8), ALL_SKIN)


def lit(photo: np.ndarray, gains) -> np.ndarray:
    return np.asarray(255 * np.clip((np.clip(photo, 0, 255) / 255) ** 2.2 * gains, 0, 1) ** (1 / 2.2))


@pytest.mark.parametrize("tone", MONK_TONES)
def test_skin_of_every_tone_under_white_light_has_no_cast(tone):
    assert cast_of(tone) < 0


@pytest.mark.parametrize("stops", [-3, -1.5])
@pytest.mark.parametrize("tone", [LIGHT_SKIN, DARK_SKIN])
def test_little_light_is_no_cast(tone, stops):
    assert cast_of(np.array(tone) * 2 ** (stops / 2.2)) < FLAG


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("tone", [LIGHT_SKIN, (150, 105, 80), DARK_SKIN])
def test_strongly_coloured_light_is_a_cast_on_skin_of_every_tone(tone, light):
    found = measure_quality(decoded(lit(skin_photo(skin=tone), LIGHTS[light])))

    assert found.colour_cast_stops >= FLAG


@pytest.mark.parametrize("colour", [(60, 90, 140), (40, 120, 60), (240, 240, 250)])
def test_cloth_beside_the_skin_is_no_cast(colour):
    photo = skin_photo()
    photo[:, :300] = colour

    assert measure_quality(decoded(photo)).colour_cast_stops < FLAG


def test_a_red_lesion_is_no_cast():
    assert measure_quality(decoded(skin_photo(radius=0.2, pigment=(0.9, 0.3, 0.35)))).colour_cast_stops < FLAG


def test_too_little_skin_and_a_photo_without_colour_tell_nothing():
    assert measure_cast_stops(np.full((300, 400, 3), LIGHT_SKIN, np.uint8), np.zeros((64, 64), bool)) is None
    assert measure_quality(decoded(np.full((300, 400, 3), 128), is_greyscale=True)).colour_cast_stops is None


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)])
def test_the_ends_of_every_channel_have_a_finite_measure(colour):
    assert np.isfinite(cast_of(colour))
