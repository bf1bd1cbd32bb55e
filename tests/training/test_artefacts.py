"""Artefacts drawn on a batch of training photos, of every class alike."""

import pytest
import torch

from screening.training.artefacts import KINDS, draw_artefacts, make_bank


def photos(number: int = 8, side: int = 96) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(90, 220, (number, side, side, 3), dtype=torch.uint8, generator=generator)


def drawn(pixels: torch.Tensor, share: float, seed: int = 0) -> torch.Tensor:
    return draw_artefacts(pixels, share, torch.Generator().manual_seed(seed))


def is_changed(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return (before != after).flatten(1).any(dim=1)


def test_no_share_leaves_photos_and_randomness_untouched():
    generator = torch.Generator().manual_seed(1)
    state = generator.get_state()

    assert draw_artefacts(photos(), 0.0, generator) is not None
    assert torch.equal(draw_artefacts(photos(), 0.0, generator), photos())
    assert torch.equal(generator.get_state(), state)


def test_every_photo_is_drawn_on_where_the_share_is_one_and_the_given_ones_are_left_alone():
    pixels = photos(32)

    after = drawn(pixels, 1.0)

    # A stroke may be shifted out of the frame now and then.
    assert is_changed(pixels, after).sum() >= 30
    assert torch.equal(pixels, photos(32))


def test_a_share_of_the_photos_is_drawn_on_and_the_others_keep_every_pixel():
    pixels = photos(400, 32)

    share = float(is_changed(pixels, drawn(pixels, 0.3)).float().mean())

    assert 0.2 < share < 0.38


def test_a_seed_draws_the_same_again_and_another_something_else():
    assert torch.equal(drawn(photos(), 1.0, 3), drawn(photos(), 1.0, 3))
    assert not torch.equal(drawn(photos(), 1.0, 3), drawn(photos(), 1.0, 4))


@pytest.mark.parametrize("side", [1, 33, 224, 300])
def test_shape_and_type_are_kept_at_any_size(side):
    as_bytes = photos(4, side)
    as_floats = as_bytes.permute(0, 3, 1, 2).float() / 255

    assert drawn(as_bytes, 1.0).shape == as_bytes.shape
    assert drawn(as_bytes, 1.0).dtype == torch.uint8
    assert drawn(as_floats, 1.0).shape == as_floats.shape
    assert drawn(as_floats.half(), 1.0).dtype == torch.float16


def test_bytes_and_floats_are_drawn_on_alike():
    as_floats = photos().permute(0, 3, 1, 2).float() / 255

    gap = drawn(photos(), 1.0).permute(0, 3, 1, 2).float() / 255 - drawn(as_floats, 1.0)

    assert gap.abs().max() <= 0.5 / 255 + 1e-6


def test_a_photo_is_drawn_on_in_part_and_shows_its_lesion_still():
    pixels = photos(64, 128)

    same = (drawn(pixels, 1.0) == pixels).all(dim=3).float().mean(dim=(1, 2))

    assert same.median() > 0.75
    assert same.min() > 0.3


def test_photos_of_a_batch_are_drawn_on_differently():
    one = torch.full((12, 64, 64, 3), 180, dtype=torch.uint8)

    after = drawn(one, 1.0)

    assert len({bytes(photo.numpy().tobytes()) for photo in after}) >= 11


def test_a_layer_leaves_light_between_nothing_and_white():
    white = torch.full((64, 64, 64, 3), 255, dtype=torch.uint8)
    black = torch.zeros_like(white)

    assert (drawn(white, 1.0) >= drawn(black, 1.0)).all()


def test_the_bank_has_every_kind_at_its_chance_and_ink_only_takes_light():
    bank = make_bank()

    assert bank.layers.shape[0] == sum(kind.layers for kind in KINDS.values())
    assert float(bank.chances.sum()) == pytest.approx(1.0)
    at = 0
    for name, kind in KINDS.items():
        layers = bank.layers[at : at + kind.layers]
        assert (layers > 0).flatten(1).any(dim=1).all(), f"an empty layer of {name}"
        if name.startswith("ink"):
            assert not layers[:, 3:].any()
        at += kind.layers
