"""Augmentation of a whole batch at once, as tensor operations on the device where the batch is.

The random numbers come from a generator on the CPU and are handed over in a few small tensors: a photo is seen in the
same way on every device, and the device never waits for an answer. Which augmentations, and how strong: the recipe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from screening.training.artefacts import draw_artefacts
from screening.training.recipe import Artefacts, Augmentation, Defocus, Lamp, Mirror, RotateAndCrop, TurnAndFrame


def augment_batch(
    pixels: Tensor, size: int, augmentations: Sequence[Augmentation], generator: torch.Generator
) -> Tensor:
    """Random views of a batch.

    Args:
        pixels: shape (photos, side, side, 3), uint8, on any device.
        size: side of the result in pixels.
        augmentations: what happens, in this order; what frames a photo also resizes it.
        generator: source of all randomness, on the CPU.

    Returns:
        Shape (photos, 3, size, size), float32, 0..255, on the device of ``pixels``.
    """
    x = pixels.permute(0, 3, 1, 2).float()
    for step in augmentations:
        match step:
            case TurnAndFrame():
                x = _turn_and_frame(x, size, step, generator)
            case RotateAndCrop():
                x = _rotate_and_crop(x, size, step, generator)
            case Mirror():
                x = _mirror(x, step, generator)
            case Defocus():
                x = _defocus(x, step, generator)
            case Lamp():
                x = _lamp(x, step, generator)
            case Artefacts():
                x = draw_artefacts(x / 255, step.share, generator) * 255
    if x.shape[-1] != size:
        x = functional.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    return x


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _sampled(x: Tensor, theta: Tensor, size: int) -> Tensor:
    """The views that affine maps of shape (photos, 2, 3) cut out; beyond the rim the photo is mirrored."""
    grid = functional.affine_grid(theta.to(x.device), [len(x), 3, size, size], align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _turn_and_frame(x: Tensor, size: int, options: TurnAndFrame, generator: torch.Generator) -> Tensor:
    n = len(x)
    angle = _uniform(0, 2 * math.pi, (n,), generator)
    zoom = torch.exp(_uniform(math.log(options.zoom[0]), math.log(options.zoom[1]), (n,), generator))
    stretch = torch.exp(_uniform(-options.stretch, options.stretch, (n,), generator))
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift = _uniform(-options.shift, options.shift, (n, 2), generator)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([cos * zoom * stretch * mirror, -sin * zoom / stretch, shift[:, 0]], dim=1),
            torch.stack([sin * zoom * stretch * mirror, cos * zoom / stretch, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    return _sampled(x, theta, size)


def _rotate_and_crop(x: Tensor, size: int, options: RotateAndCrop, generator: torch.Generator) -> Tensor:
    n = len(x)
    degrees = torch.randint(0, 360, (n,), generator=generator)
    angle = degrees.float() * (math.pi / 180)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # The largest upright rectangle inside a turned square is a square, whose side is 1 / (|cos| + |sin|) of it.
    side = 1 / (cos.abs() + sin.abs())
    flip = torch.where(torch.rand(n, generator=generator) < options.flip_share, -1.0, 1.0)
    zero = torch.zeros(n)
    theta = torch.stack(
        [
            torch.stack([cos * side, -sin * side * flip, zero], dim=1),
            torch.stack([sin * side, cos * side * flip, zero], dim=1),
        ],
        dim=1,
    )
    return _sampled(x, theta, size)


def _mirror(x: Tensor, options: Mirror, generator: torch.Generator) -> Tensor:
    is_mirrored = (torch.rand(len(x), generator=generator) < options.share).to(x.device)
    return torch.where(is_mirrored[:, None, None, None], x.flip(-1), x)


def _defocus(x: Tensor, options: Defocus, generator: torch.Generator) -> Tensor:
    # Numbers of rows, found on the CPU: a mask on the device would make the CPU wait for its count.
    chosen = torch.rand(len(x), generator=generator) < options.share
    kernel = int(torch.randint(1, options.largest_px // 2 + 1, (1,), generator=generator)) * 2 + 1
    if not chosen.any():
        return x
    rows = chosen.nonzero().flatten().to(x.device)
    soft = functional.avg_pool2d(x[rows], kernel, stride=1, padding=kernel // 2, count_include_pad=False)
    return x.index_copy(0, rows, soft)


def _lamp(x: Tensor, options: Lamp, generator: torch.Generator) -> Tensor:
    """Gains, then contrast around the mean, then saturation around grey: together one affine map of the colours."""
    n = len(x)
    gain = torch.exp(_uniform(-options.cast, options.cast, (n, 3), generator))
    gain = gain * torch.exp(_uniform(-options.exposure, options.exposure, (n, 1), generator))
    contrast = torch.exp(_uniform(-options.contrast, options.contrast, (n, 1), generator))
    saturation = torch.exp(_uniform(-options.saturation, options.saturation, (n,), generator))
    # Rows mix the three channels: saturation of each channel, the rest from their mean.
    mix = saturation[:, None, None] * torch.eye(3) + ((1 - saturation) / 3)[:, None, None]
    colours = (mix * (contrast * gain)[:, None, :]).to(x.device)
    mean = (x.mean(dim=(2, 3)) * gain.to(x.device)).mean(dim=1, keepdim=True)
    offset = ((1 - contrast).to(x.device) * mean)[:, :, None]
    flat = torch.baddbmm(offset.expand(n, 3, 1), colours, x.reshape(n, 3, -1))
    return flat.clamp_(0, 255).reshape(x.shape)


def mix_pairs(views: Tensor, targets: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blend each photo with another of the batch, labels alike (mixup, Zhang et al. 2018).

    Args:
        views: shape (photos, 3, side, side).
        targets: shape (photos, classes), probabilities.
        alpha: of the Beta distribution that the shares come from.
        generator: source of all randomness, on the CPU.

    Returns:
        Views and targets of the same shapes; every photo keeps at least half of itself.
    """
    shares = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator))).beta(alpha, alpha, len(views))
    own = torch.from_numpy(np.maximum(shares, 1 - shares)).to(views)
    other = torch.randperm(len(views), generator=generator).to(views.device)
    of_views, of_targets = own[:, None, None, None], own[:, None].to(targets)
    return torch.lerp(views[other], views, of_views), torch.lerp(targets[other], targets, of_targets)
