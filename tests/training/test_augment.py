import numpy as np
import pytest
import torch
from torch import Tensor

from screening.training.augment import augment_batch, mix_pairs
from screening.training.recipe import Augmentation, Defocus, Lamp, Mirror, RotateAndCrop, TurnAndFrame

PHONE = (TurnAndFrame(name="turn_and_frame"), Defocus(name="defocus"), Lamp(name="lamp"))


def photos(count: int = 8) -> Tensor:
    """Brownish photos with a dark patch off the middle, shape (count, 256, 256, 3), uint8."""
    pixels = torch.full((count, 256, 256, 3), 0, dtype=torch.uint8)
    pixels[...] = torch.tensor([190, 140, 110], dtype=torch.uint8)
    pixels[:, 60:120, 130:200] = torch.tensor([70, 45, 40], dtype=torch.uint8)
    return pixels


def views(pixels: Tensor, size: int = 96, seed: int = 0, steps: tuple[Augmentation, ...] = PHONE) -> Tensor:
    return augment_batch(pixels, size, steps, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [64, 96, 256])
def test_a_view_has_the_shape_and_range_that_a_member_wants(size: int) -> None:
    seen = views(photos(3), size)

    assert seen.shape == (3, 3, size, size)
    assert seen.dtype == torch.float32
    assert seen.isfinite().all()
    assert 0 <= seen.min() < seen.max() <= 255


def test_views_are_as_bright_as_the_photos_on_average() -> None:
    grey = torch.full((64, 256, 256, 3), 128, dtype=torch.uint8)

    # Exposure moves single photos up to a third, and as often up as down.
    assert views(grey).mean() == pytest.approx(128, abs=6)


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
            assert (seen[i] - seen[j]).abs().mean() > 2


def test_the_photos_themselves_are_left_alone() -> None:
    pixels = photos()

    views(pixels)

    assert torch.equal(pixels, photos())


def test_a_view_still_shows_the_lesion_on_skin() -> None:
    for view in views(photos(32)):
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


@pytest.mark.parametrize("step", PHONE, ids=lambda step: step.name)
def test_each_augmentation_alone_changes_photos_and_keeps_their_range(step: Augmentation) -> None:
    plain, seen = views(photos(32), 256, steps=()), views(photos(32), 256, steps=(step,))

    assert not torch.equal(seen, plain)
    assert 0 <= seen.min() < seen.max() <= 255


def test_without_augmentations_a_photo_is_only_resized() -> None:
    assert torch.equal(views(photos(2), 256, steps=()), photos(2).permute(0, 3, 1, 2).float())
    assert views(photos(2), 64, steps=()).shape == (2, 3, 64, 64)


def test_a_turned_photo_is_cropped_to_what_lies_inside_it() -> None:
    # A white frame of two pixels would be mirrored into the view if the crop were any larger.
    pixels = torch.full((64, 256, 256, 3), 100, dtype=torch.uint8)
    for rim in (pixels[:, :2], pixels[:, -2:], pixels[:, :, :2], pixels[:, :, -2:]):
        rim[...] = 255
    seen = views(pixels, 128, steps=(RotateAndCrop(name="rotate_and_crop"),))

    assert (seen[:, :, 3:-3, 3:-3] - 100).abs().max() < 1e-3
    assert (seen.amax(dim=(1, 2, 3)) > 120).all(), "and no smaller: a corner still touches the frame"


def test_an_affine_map_of_colours_is_gain_then_contrast_then_saturation() -> None:
    step = Lamp(name="lamp", exposure=0.2, contrast=0.3, saturation=0.4, cast=0.1)
    seen = views(photos(4), 256, seed=5, steps=(step,))

    random = torch.Generator().manual_seed(5)

    def factor(width: float, *shape: int) -> Tensor:
        return torch.exp(torch.rand(4, *shape, generator=random) * 2 * width - width)

    x = photos(4).permute(0, 3, 1, 2).float() * factor(0.1, 3)[..., None, None] * factor(0.2, 1)[..., None, None]
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (x - mean) * factor(0.3, 1)[..., None, None]
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * factor(0.4)[:, None, None, None]
    torch.testing.assert_close(seen, x.clamp(0, 255), atol=2e-3, rtol=0)


def test_a_mirror_is_exact() -> None:
    every = Mirror(name="mirror", share=1.0)

    assert torch.equal(views(photos(2), 256, steps=(every,)), views(photos(2), 256, steps=()).flip(-1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_photo_is_seen_alike_on_a_gpu() -> None:
    torch.testing.assert_close(views(photos().cuda()).cpu(), views(photos()), atol=0.5, rtol=0)
