import numpy as np
import pytest
import torch
from torch import Tensor, nn

from screening.training.augment import augment_batch, mix_pairs
from screening.training.networks import Member


def photos(count: int = 8) -> Tensor:
    """Brownish photos with a dark patch off the middle, shape (count, 256, 256, 3), uint8."""
    pixels = torch.full((count, 256, 256, 3), 0, dtype=torch.uint8)
    pixels[...] = torch.tensor([190, 140, 110], dtype=torch.uint8)
    pixels[:, 60:120, 130:200] = torch.tensor([70, 45, 40], dtype=torch.uint8)
    return pixels


def views(pixels: Tensor, size: int = 96, seed: int = 0) -> Tensor:
    return augment_batch(pixels, size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [64, 96, 256])
def test_a_view_has_the_shape_and_range_that_a_member_wants(size: int) -> None:
    seen = views(photos(3), size)

    assert seen.shape == (3, 3, size, size)
    assert seen.dtype == torch.float32
    assert seen.isfinite().all()
    assert -1 <= seen.min() < seen.max() <= 127 / 128


def test_a_view_is_normalised_as_a_member_normalises() -> None:
    grey = torch.full((64, 256, 256, 3), 128, dtype=torch.uint8)
    as_served = Member(nn.Identity(), 96).normalise(grey).mean()

    # Exposure moves single photos up to a third, and as often up as down.
    assert views(grey).mean() == pytest.approx(float(as_served), abs=0.05)


def test_the_same_generator_gives_the_same_views_and_another_gives_others() -> None:
    assert torch.equal(views(photos(), seed=3), views(photos(), seed=3))
    assert not torch.equal(views(photos(), seed=3), views(photos(), seed=4))


def test_no_other_randomness_is_used() -> None:
    torch.manual_seed(1)
    np.random.default_rng(1)
    before = views(photos(), seed=3)
    torch.manual_seed(2)

    assert torch.equal(views(photos(), seed=3), before)


def test_every_photo_of_a_batch_is_seen_in_its_own_way() -> None:
    seen = views(photos(8))

    for i in range(8):
        for j in range(i):
            assert (seen[i] - seen[j]).abs().mean() > 0.02


def test_the_photos_themselves_are_left_alone() -> None:
    pixels = photos()

    views(pixels)

    assert torch.equal(pixels, photos())


def test_a_view_still_shows_the_lesion_on_skin() -> None:
    for view in (views(photos(32)) * 128 + 128).clamp(0, 255):
        share_of_dark = float((view.mean(dim=0) < 0.7 * float(view.mean(dim=0).median())).float().mean())
        assert 0.01 < share_of_dark < 0.35
        red, _, blue = view.median(dim=1).values.median(dim=1).values
        assert red > blue


def test_no_view_shows_an_empty_rim() -> None:
    white = torch.full((32, 256, 256, 3), 255, dtype=torch.uint8)

    # Turned and shifted, a frame has corners without pixels, which are mirrored and not black.
    assert (views(white).amin(dim=(1, 2, 3)) > 0).all()


def test_some_views_are_mirrored_and_some_are_not() -> None:
    # A bright patch in each channel; going from red over green to blue is a left or a right turn.
    pixels = torch.full((64, 256, 256, 3), 40, dtype=torch.uint8)
    for channel, (row, column) in enumerate(((80, 80), (80, 176), (176, 80))):
        pixels[:, row - 20 : row + 20, column - 20 : column + 20, channel] = 220
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    is_left_turn = set()
    for view in views(pixels):
        patches = [(c > c.max() - 0.3 * (c.max() - c.median())) for c in view - view.mean(dim=0)]
        (y0, x0), (y1, x1), (y2, x2) = ((float(rows[p].mean()), float(columns[p].mean())) for p in patches)
        is_left_turn.add((x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0) > 0)

    assert is_left_turn == {True, False}


def test_views_are_turned_every_way() -> None:
    left_is_dark = torch.full((200, 256, 256, 3), 220, dtype=torch.uint8)
    left_is_dark[:, :, :128] = 60
    seen = views(left_is_dark, 64).mean(dim=1)

    across = (seen[:, :, 32:].mean(dim=(1, 2)) - seen[:, :, :32].mean(dim=(1, 2))).numpy()
    down = (seen[:, 32:].mean(dim=(1, 2)) - seen[:, :32].mean(dim=(1, 2))).numpy()
    quadrants = {(bool(a > 0), bool(d > 0)) for a, d in zip(across, down, strict=True)}
    assert len(quadrants) == 4


def test_a_blended_photo_keeps_most_of_itself_and_its_label_tells_the_same_shares() -> None:
    brightness = torch.arange(32.0)  # each photo is a plane of its own number, so shares can be read off its pixels
    blended, targets = mix_pairs(
        brightness[:, None, None, None].expand(-1, 3, 8, 8), torch.eye(32), 0.4, torch.Generator().manual_seed(3)
    )

    assert blended.shape == (32, 3, 8, 8)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(32))
    torch.testing.assert_close(blended.mean(dim=(1, 2, 3)), targets @ brightness)
    assert (targets.diagonal() >= 0.5).all()
    assert (targets.diagonal() < 0.95).any(), "some photos are blended indeed"
