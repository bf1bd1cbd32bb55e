"""The same picture is known again, whatever became of its file, and no other photo is taken for it."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality.duplicates import (
    HASH_BYTES,
    MOST_LEVELS,
    MOST_SIGNS,
    find_first_among,
    find_first_known,
    find_same_pairs,
    perceptual_hash,
    read_hashes,
)
from tests.unit.skin_photos import DARK_SKIN, skin_photo

REAL_PHOTOS = Path("../shared/data")
SIGNS = 256
ORIENTATIONS = [None, *Image.Transpose]


def picture(**drawn: object) -> np.ndarray:
    return np.clip(skin_photo(**drawn), 0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, name: str = "JPEG", **how: object) -> np.ndarray:
    """The pixels as they come back from a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, name, **how)
    return decode_photo(stream.getvalue(), PhotoLimits()).pixels


def hashes(*pictures: np.ndarray) -> np.ndarray:
    return read_hashes([found for found in map(perceptual_hash, pictures) if found is not None])


def is_same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(find_first_known(hashes(other), hashes(one))[0] == 0)


@pytest.mark.parametrize(
    "how",
    [
        {"name": "JPEG", "quality": 50},
        {"name": "JPEG", "quality": 95},
        {"name": "WEBP", "quality": 50},
        {"name": "PNG"},
    ],
    ids=lambda how: f"{how['name']}-{how.get('quality')}",
)
def test_a_picture_that_was_saved_again_is_the_same(how):
    assert is_same(picture(), encoded(picture(), **how))


@pytest.mark.parametrize("scale", [0.25, 0.6, 2.0])
def test_a_resized_picture_is_the_same(scale):
    assert is_same(picture(), encoded(cv2.resize(picture(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)))


@pytest.mark.parametrize("turn", ORIENTATIONS, ids=lambda turn: turn.name if turn else "AS_IT_IS")
def test_a_turned_or_mirrored_picture_is_the_same_after_it_was_made_smaller_and_saved_again(turn):
    small = Image.fromarray(picture(centre=(0.4, 0.55))).resize((400, 300))
    assert is_same(
        picture(centre=(0.4, 0.55)), encoded(np.asarray(small.transpose(turn) if turn is not None else small))
    )


@pytest.mark.parametrize(
    "drawn",
    [{"centre": (0.52, 0.5), "seed": 3}, {"radius": 0.17, "seed": 3}, {"seed": 3}],
    ids=["moved", "closer", "once-more"],
)
def test_another_photo_of_the_same_lesion_is_not_the_same_picture(drawn):
    assert not is_same(picture(), picture(**drawn))


def test_alike_moles_on_other_skin_are_told_apart_by_their_colours():
    smooth, dark = (
        cv2.GaussianBlur(picture(radius=0.03, skin=skin), (0, 0), 9) for skin in ((205, 160, 135), DARK_SKIN)
    )
    signs = hashes(smooth, dark)[:, : SIGNS // 8]
    assert int(np.bitwise_count(signs[0] ^ signs[1]).sum()) <= MOST_SIGNS
    assert not is_same(smooth, dark)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_frame_has_no_hash(level):
    assert perceptual_hash(np.full((600, 800, 3), level, np.uint8)) is None


def test_a_hash_is_of_the_pixels_alone_and_has_88_hex_digits():
    found = perceptual_hash(picture())
    assert found == perceptual_hash(picture())
    assert len(bytes.fromhex(found or "")) == HASH_BYTES == 44


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (31, 47, 3), (5, 1024, 3)])
def test_a_photo_of_any_shape_is_hashed_or_flat(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert len(perceptual_hash(pixels) or "0" * 88) == 88


def made(signs: int = 0, colour: int = 100, chance: int = 0) -> np.ndarray:
    """A hash drawn by lot, with the first ``signs`` of its signs changed."""
    drawn = np.random.default_rng(chance).random(SIGNS) < 0.5
    drawn[:signs] = ~drawn[:signs]
    return np.concatenate([np.packbits(drawn), np.full(12, colour, np.uint8)])


@pytest.mark.parametrize(
    ("other", "is_found"),
    [
        (made(signs=MOST_SIGNS), True),
        (made(signs=MOST_SIGNS + 1), False),
        (made(colour=100 + MOST_LEVELS), True),
        (made(colour=100 + MOST_LEVELS + 1), False),
        (made(colour=100 - MOST_LEVELS), True),
        (made(colour=100 - MOST_LEVELS - 1), False),
    ],
)
def test_pictures_are_the_same_up_to_the_limits_and_no_further(other, is_found):
    assert (find_first_known(other[None], made()[None])[0] == 0) == is_found


def test_the_first_of_several_is_named_wherever_it_stands():
    known = np.stack([made(chance=n) for n in range(2200)])
    known[[2050, 2150]] = made(chance=2050)
    assert find_first_known(np.stack([made(chance=2050), made(chance=9999)]), known).tolist() == [2050, -1]


def test_what_is_named_is_never_a_copy_itself():
    first, copy, copy_of_the_copy = made(), made(signs=MOST_SIGNS), made(signs=2 * MOST_SIGNS)
    assert find_first_among(np.stack([first, copy, copy_of_the_copy])).tolist() == [-1, 0, -1]


def test_copies_are_named_across_many_photos():
    many = np.stack([made(chance=n) for n in range(600)])
    many[[450, 599]] = many[3]
    first = find_first_among(many)
    assert np.flatnonzero(first >= 0).tolist() == [450, 599]
    assert first[[450, 599]].tolist() == [3, 3]


@pytest.mark.parametrize("count", [0, 1])
def test_without_others_nothing_is_named(count):
    few = np.stack([made(chance=n) for n in range(2)])[:count]
    assert find_first_among(few).tolist() == [-1] * count
    assert find_first_known(few, few[:0]).tolist() == [-1] * count


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_the_lookup_finds_what_comparing_each_with_each_finds(wanted, known):
    def looks_same(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
        # Three drawn hashes are far apart in every orientation; signs are changed from the first one on.
        return one[0] == other[0] and abs(one[1] - other[1]) <= MOST_SIGNS and abs(one[2] - other[2]) <= MOST_LEVELS

    expected = [next((at for at, k in enumerate(known) if looks_same(w, k)), -1) for w in wanted]
    rows = [np.stack([made(signs, colour, chance) for chance, signs, colour in some]) for some in (wanted, known)]
    assert find_first_known(*rows).tolist() == expected


def test_every_pair_of_copies_is_found_once_a_chain_of_copies_link_by_link():
    chain = [made(), made(signs=MOST_SIGNS), made(signs=2 * MOST_SIGNS)]
    assert find_same_pairs(np.stack([*chain, made(chance=1), chain[2]])).tolist() == [[0, 1], [1, 2], [1, 4], [2, 4]]
    assert find_same_pairs(made()[None]).shape == (0, 2)


@pytest.mark.skipif(not REAL_PHOTOS.is_dir(), reason=f"real photos are read from {REAL_PHOTOS}, which is not here")
def test_of_real_photos_only_those_that_were_published_in_two_sizes_are_the_same():
    large = sorted((REAL_PHOTOS / "pad_ufes_fullsize" / "images").iterdir())
    small = sorted((REAL_PHOTOS / "pad_ufes" / "images").iterdir())[::8]
    small += [path for path in (REAL_PHOTOS / "pad_ufes" / "images").iterdir() if path.stem in {p.stem for p in large}]
    paths = [*large, *sorted(set(small))]
    first = find_first_among(hashes(*(decode_photo(path.read_bytes(), PhotoLimits()).pixels for path in paths)))
    pairs = {(paths[at].stem, paths[place].stem) for at, place in enumerate(first.tolist()) if place >= 0}
    assert pairs == {(path.stem, path.stem) for path in large}
