"""What is drawn on photos beside the lesion: only where it says, the same for the same seed, at any size."""

import numpy as np
import pytest

from screening.training.shortcuts.drawings import DRAWINGS, INK, PAINTED, View, hair, ink_ring, jpeg, look_at, ruler
from tests.unit.skin_photos import BLUE_PEN, dyed, ring, skin_photo

SEEDS = range(6)
WHOLE_PICTURE = {"JPEG", "warm light", "cold light"}


def view(size: tuple[int, int] = (200, 260)) -> View:
    """Skin with a round lesion, and a stroke of ink along the upper left."""
    pixels = np.random.default_rng(0).integers(120, 200, (*size, 3), dtype=np.uint8)
    y, x = np.mgrid[0 : size[0], 0 : size[1]] / np.array(size)[:, None, None]
    ink = (np.abs(y - 0.2) < 0.03) & (x < 0.4)
    pixels[ink] = (60, 60, 140)
    return View(pixels, np.hypot(x - 0.55, y - 0.55) < 0.15, ink)


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawing_changes_pixels_only_where_it_says(name, seed):
    before = view()
    kept = before.pixels.copy()

    drawn = DRAWINGS[name](before, np.random.default_rng(seed))

    assert np.array_equal(drawn.pixels[~drawn.mask], kept[~drawn.mask])
    assert np.array_equal(before.pixels, kept), "the photo itself is left alone"
    assert (drawn.pixels != kept).any()
    if name not in WHOLE_PICTURE:
        assert drawn.mask.mean() < 0.6


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_seed_draws_the_same_again(name):
    first, second = (DRAWINGS[name](view(), np.random.default_rng(3)) for _ in range(2))

    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.mask, second.mask)


@pytest.mark.parametrize("name", set(DRAWINGS) - WHOLE_PICTURE - set(PAINTED))
def test_another_seed_draws_something_else(name):
    first, second = (DRAWINGS[name](view(), np.random.default_rng(seed)) for seed in (3, 4))

    assert not np.array_equal(first.pixels, second.pixels)


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (16, 16), (40, 1500)])
def test_a_drawing_keeps_shape_and_type_at_extreme_sizes(name, size):
    pixels = np.full((*size, 3), 150, np.uint8)

    for seed in SEEDS:
        drawn = DRAWINGS[name](look_at(pixels), np.random.default_rng(seed))

        assert drawn.pixels.shape == pixels.shape
        assert drawn.pixels.dtype == np.uint8
        assert drawn.mask.shape == size


@pytest.mark.parametrize("name", INK)
@pytest.mark.parametrize("seed", SEEDS)
def test_ink_darkens_skin_and_leaves_the_lesion_free(name, seed):
    before = view()

    drawn = INK[name](before, np.random.default_rng(seed))

    assert (drawn.pixels <= before.pixels).all()
    assert np.array_equal(drawn.pixels[before.lesion], before.pixels[before.lesion])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ring_runs_around_the_lesion(seed):
    drawn = ink_ring(view(), np.random.default_rng(seed))

    rows, columns = np.nonzero(drawn.mask)
    lesion_rows, lesion_columns = np.nonzero(view().lesion)
    assert rows.min() < lesion_rows.min() < lesion_rows.max() < rows.max()
    assert columns.min() < lesion_columns.min() < lesion_columns.max() < columns.max()


def test_more_ink_is_darker_and_none_changes_nothing():
    none, little, much = (
        ink_ring(view(), np.random.default_rng(1), dose).pixels.astype(int) for dose in (0.0, 0.4, 1.2)
    )

    assert np.array_equal(none, view().pixels)
    assert much.sum() < little.sum() < none.sum()
    assert (much <= little).all()


def test_more_hairs_cover_more():
    few, many = (hair(view(), np.random.default_rng(1), (n, n)).mask.mean() for n in (2, 60))

    assert 0 < few < many


def test_a_lower_quality_is_farther_from_the_photo():
    gap = [
        np.abs(jpeg(view(), np.random.default_rng(0), q).pixels.astype(int) - view().pixels).mean() for q in (20, 90)
    ]

    assert gap[0] > gap[1]


def test_a_ruler_lies_where_the_lesion_is_not():
    at_the_top = View(view().pixels, np.arange(200)[:, None] + np.zeros(260, int) < 60, view().ink)

    for seed in SEEDS:
        drawn = ruler(at_the_top, np.random.default_rng(seed))

        assert drawn.mask[-24:].any()
        assert not drawn.mask[:-24].any()


def test_ink_that_the_filters_find_is_painted_over_with_skin():
    skin = skin_photo(size=(512, 512), radius=0.12)
    inked = dyed(skin, ring(0.3, size=(512, 512)), BLUE_PEN).clip(0, 255).astype(np.uint8)
    before = look_at(inked)
    assert before.ink.mean() > 0.01

    painted = DRAWINGS["ink painted over"](before, np.random.default_rng(0))

    assert look_at(painted.pixels).ink.mean() < 0.2 * before.ink.mean()
    assert np.array_equal(painted.pixels[before.lesion], inked[before.lesion])
    gap = np.abs(painted.pixels[painted.mask].astype(float) - skin[painted.mask]).mean()
    assert gap < 0.5 * np.abs(inked[painted.mask].astype(float) - skin[painted.mask]).mean()


@pytest.mark.parametrize("name", PAINTED)
def test_where_no_ink_is_nothing_is_painted_over(name):
    bare = View(view().pixels, view().lesion, np.zeros((200, 260), bool))

    drawn = PAINTED[name](bare, np.random.default_rng(0))

    assert np.array_equal(drawn.pixels, bare.pixels)
    assert not drawn.mask.any()


def test_the_control_paints_over_as_much_skin_but_no_ink():
    drawn = DRAWINGS["skin painted over (control)"](view(), np.random.default_rng(0))

    assert drawn.mask.any()
    assert np.array_equal(drawn.pixels[view().ink], view().pixels[view().ink])
