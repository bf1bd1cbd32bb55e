"""The tone of the skin in a photo, by its colour."""

from __future__ import annotations

import numpy as np
import pytest

from screening.stages.quality import measure_quality
from screening.stages.quality.skin_tone import ita_group, measure_ita_deg
from tests.unit.skin_photos import DARK_SKIN, LIGHT_SKIN, decoded

ALL_SKIN = np.ones((64, 64), bool)


def plain(colour):
    return np.full((300, 400, 3), colour, np.uint8)


@pytest.mark.parametrize(("colour", "group"), [(LIGHT_SKIN, "I-II"), ((150, 110, 85), "III-IV"), (DARK_SKIN, "V-VI")])
def test_skin_of_each_tone_stands_in_its_group(colour, group):
    assert ita_group(measure_ita_deg(plain(colour), ALL_SKIN)) == group


def test_the_angle_is_that_of_the_formula():
    # sRGB (150, 110, 85) is L* 49.8, b* 20.2 under D65: atan(-0.2 / 20.2) = -0.5 degrees.
    assert measure_ita_deg(plain((150, 110, 85)), ALL_SKIN) == pytest.approx(-0.5, abs=0.5)


@pytest.mark.parametrize(("ita", "group"), [(28.01, "I-II"), (28.0, "III-IV"), (-29.99, "III-IV"), (-30.0, "V-VI")])
def test_a_group_starts_at_its_limit(ita, group):
    assert ita_group(ita) == group


def test_too_little_skin_and_skin_without_colour_tell_nothing():
    speck = np.zeros((64, 64), bool)
    speck[:3, :3] = True
    assert measure_ita_deg(plain(LIGHT_SKIN), speck) is None
    assert measure_ita_deg(plain((128, 128, 128)), ALL_SKIN) is None


def test_a_photo_without_colour_has_no_tone():
    assert measure_quality(decoded(plain((128, 128, 128)), is_greyscale=True)).skin_ita_deg is None
