"""Augmentation of a whole batch at once, as tensor operations: what two CPU cores can afford.

Turns, mirrors, zoom, stretch and shift (a phone is held anyhow), exposure, contrast, colour and white balance (any
lamp), blur (any focus). Ranges: docs/decisions/0004.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def augment_batch(pixels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Random views of a batch.

    Args:
        pixels: shape (photos, 256, 256, 3), uint8.
        size: side of the result in pixels.
        generator: source of all randomness.

    Returns:
        Shape (photos, 3, size, size), float32, normalised as ``Member.normalise`` does.
    """
    n = len(pixels)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    x = pixels.permute(0, 3, 1, 2).float() / 255.0
    angle = uniform(0, 2 * math.pi)
    zoom = torch.exp(uniform(math.log(0.7), math.log(1.15)))
    stretch = torch.exp(uniform(-0.15, 0.15))
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    shift = uniform(-0.12, 0.12, 2)
    theta = torch.stack(
        [
            torch.stack([cos * zoom * stretch * mirror, -sin * zoom / stretch, shift[:, 0]], dim=1),
            torch.stack([sin * zoom * stretch * mirror, cos * zoom / stretch, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta, [n, 3, size, size], align_corners=False)
    x = functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    blurred = torch.rand(n, generator=generator) < 0.15
    if blurred.any():
        kernel = int(torch.randint(1, 4, (1,), generator=generator)) * 2 + 1
        soft = functional.avg_pool2d(x[blurred], kernel, stride=1, padding=kernel // 2, count_include_pad=False)
        x[blurred] = soft

    gains = torch.exp(uniform(-0.12, 0.12, 3))[:, :, None, None] * torch.exp(uniform(-0.25, 0.25))[:, None, None, None]
    x = x * gains
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (x - mean) * torch.exp(uniform(-0.25, 0.25))[:, None, None, None]
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * torch.exp(uniform(-0.3, 0.3))[:, None, None, None]
    return (x.clamp(0, 1) * 255.0 - 128.0) / 128.0


def mix_pairs(views: Tensor, targets: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blend each photo with another of the batch, labels alike (mixup, Zhang et al. 2018).

    Args:
        views: shape (photos, 3, side, side).
        targets: shape (photos, classes), probabilities.
        alpha: of the Beta distribution that the shares come from.
        generator: source of all randomness.

    Returns:
        Views and targets of the same shapes; every photo keeps at least half of itself.
    """
    shares = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator))).beta(alpha, alpha, len(views))
    own = torch.from_numpy(np.maximum(shares, 1 - shares)).to(views)
    other = torch.randperm(len(views), generator=generator).to(views.device)
    of_views, of_targets = own[:, None, None, None], own[:, None].to(targets)
    return of_views * views + (1 - of_views) * views[other], of_targets * targets + (1 - of_targets) * targets[other]
