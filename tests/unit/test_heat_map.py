import numpy as np
import pytest

from screening.stages.heat_map import draw_heat_map, enlarge_map

GREY = np.full((80, 120, 3), 128, np.uint8)


def a_map(*hot: tuple[int, int], scale: float = 1.0) -> np.ndarray:
    found = np.zeros((7, 7), np.float32)
    for place in hot:
        found[place] = scale
    return found


def change(picture: np.ndarray, row: float, column: float) -> float:
    """How far the picture is from the photo at a place, given as a share of its height and width."""
    return float(np.abs(picture[int(row * 79), int(column * 119)].astype(int) - 128).max())


def test_where_the_networks_look_the_photo_is_coloured_and_elsewhere_it_is_as_it_was() -> None:
    picture = draw_heat_map(GREY, [a_map((1, 5))])

    assert picture.shape == GREY.shape
    assert change(picture, 1 / 7, 5 / 7) > 40
    assert change(picture, 0.95, 0.05) == 0


def test_the_hottest_place_is_red() -> None:
    red, _, blue = draw_heat_map(GREY, [a_map((3, 3))])[round(80 * 3 / 7), round(120 * 3 / 7)]
    assert int(red) > int(blue) + 40


@pytest.mark.parametrize("scale", [0.01, 1.0, 500.0])
def test_every_member_counts_the_same_whatever_its_scale(scale: float) -> None:
    picture = draw_heat_map(GREY, [a_map((1, 1), scale=scale), a_map((5, 5))])

    assert change(picture, 1 / 7, 1 / 7) == pytest.approx(change(picture, 5 / 7, 5 / 7), abs=2)


def test_maps_of_members_of_other_sizes_are_laid_over_each_other() -> None:
    picture = draw_heat_map(GREY, [a_map((3, 3)), np.eye(8, dtype=np.float32)])
    assert picture.shape == GREY.shape


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_what_speaks_for_nothing_leaves_the_photo_as_it_is(value: float) -> None:
    assert np.array_equal(draw_heat_map(GREY, [np.full((7, 7), value)]), GREY)


def test_a_small_map_is_enlarged_with_its_first_cell_at_the_rim() -> None:
    large = enlarge_map(np.array([[0.0, 1.0]]), 2, 4)

    assert large == pytest.approx(np.tile([0.0, 0.5, 1.0, 1.0], (2, 1)))
