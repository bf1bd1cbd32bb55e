"""Ink, hair, rulers, dark corners and borders on photos of every class, so that a network cannot learn a class by them.

The drawings are those of ``shortcuts/drawings.py``, made once as a bank of layers and laid on with random turn, size,
shift and strength. A layer turns a pixel ``x`` to ``x * kept + added``: what absorbs, covers and shades light does.

A recipe names it as the augmentation ``artefacts``, before the photos are turned and toned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from screening.training.shortcuts import drawings
from screening.training.shortcuts.drawings import Drawing, View

LAYER_SIDE = 256
"""Pixels: layers are made at the side of the model input and sampled at that of the photos."""


@dataclass(frozen=True)
class Kind:
    """One drawing in the bank, and how its layers are laid on."""

    drawing: Drawing
    layers: int
    chance: float
    """Of a photo that is drawn on. Ink has two thirds: it is what goes with cancers (docs/decisions/0015)."""
    is_movable: bool
    """Turned by any angle, shifted and scaled; otherwise by quarter turns and mirrored, as it hangs on the frame."""
    faintest: float
    """Lowest share of its strength; up to 1."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "ink ring": Kind(drawings.ink_ring, 32, 0.34, is_movable=True, faintest=0.35),
        "ink arrow": Kind(drawings.ink_arrow, 16, 0.16, is_movable=True, faintest=0.35),
        "ink letters": Kind(drawings.ink_letters, 16, 0.16, is_movable=True, faintest=0.35),
        "hair": Kind(drawings.hair, 24, 0.12, is_movable=True, faintest=0.6),
        "ruler": Kind(drawings.ruler, 12, 0.06, is_movable=False, faintest=1.0),
        "dark corners": Kind(drawings.dark_corners, 8, 0.08, is_movable=False, faintest=1.0),
        "black border": Kind(drawings.black_border, 8, 0.04, is_movable=False, faintest=1.0),
        "white border": Kind(drawings.white_border, 8, 0.04, is_movable=False, faintest=1.0),
    }
)
LESION_RADIUS = (0.064, 0.316)
"""Of the side, of the lesions that layers are made for: 5th and 95th percentile of the masks drawn in PAD-UFES-20."""
SCALES = (0.75, 1.4)
SHIFT = 0.12
"""Of half the side, as far as the photos themselves are shifted (``augment.py``)."""


@dataclass(frozen=True)
class Bank:
    """Layers, shape (layers, 6, side, side), uint8: what is lost of red, green and blue, then what is added.

    Lost and not kept, so that nothing (0) lies beyond the edge of a shifted layer. ``chances``, ``is_movable`` and
    ``faintest``: shape (layers,), of each layer's kind.
    """

    layers: Tensor
    chances: Tensor
    is_movable: Tensor
    faintest: Tensor


def draw_artefacts(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Draw on a share of the photos of a batch, whatever their class.

    Args:
        pixels: shape (photos, side, side, 3), uint8, or (photos, 3, side, side), floating, 0..1; on any device.
        share: chance of each photo to be drawn on, 0..1; at 0 the photos are given back and no randomness is used.
        generator: source of all randomness, on the CPU, so that a device does not change what is drawn.

    Returns:
        As ``pixels``: shape, type and device; the photos given are left alone.
    """
    if share <= 0:
        return pixels
    chosen = torch.nonzero(torch.rand(len(pixels), generator=generator) < share)[:, 0]
    if not len(chosen):
        return pixels
    bank = _bank_on(pixels.device)
    number = len(chosen)
    which = torch.multinomial(bank.chances, number, replacement=True, generator=generator)
    theta = _placements(bank.is_movable[which], generator)
    faintest = bank.faintest[which]
    strength = faintest + (1 - faintest) * torch.rand(number, generator=generator)
    is_bytes = pixels.dtype == torch.uint8
    side = pixels.shape[1] if is_bytes else pixels.shape[2]

    device = pixels.device
    chosen, theta, strength = chosen.to(device), theta.to(device), strength.to(device)[:, None, None, None]
    layers = bank.layers[which.to(device)].float() * (strength / 255)
    grid = functional.affine_grid(theta, [number, 6, side, side], align_corners=False)
    laid = functional.grid_sample(layers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    lost, added = laid[:, :3], laid[:, 3:]
    below = pixels[chosen].permute(0, 3, 1, 2).float() / 255 if is_bytes else pixels[chosen].float()
    above = (below + added - below * lost).clamp(0, 1)
    drawn = pixels.clone()
    drawn[chosen] = (above * 255).round().to(torch.uint8).permute(0, 2, 3, 1) if is_bytes else above.to(pixels.dtype)
    return drawn


def _placements(is_movable: Tensor, generator: torch.Generator) -> Tensor:
    """Matrices for ``affine_grid``, shape (layers, 2, 3)."""
    number = len(is_movable)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(number, *shape, generator=generator) * (high - low) + low

    quarter = torch.randint(4, (number,), generator=generator) * (math.pi / 2)
    angle = torch.where(is_movable, uniform(0, 2 * math.pi), quarter)
    size = torch.where(is_movable, 1 / torch.exp(uniform(*np.log(SCALES).tolist())), 1.0)
    shift = torch.where(is_movable[:, None], uniform(-SHIFT, SHIFT, 2), 0.0)
    mirror = torch.where(torch.rand(number, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    return torch.stack(rows, dim=1)


@cache
def _bank_on(device: torch.device) -> Bank:
    """The bank with its layers on a device; what the CPU's generator decides with stays on the CPU."""
    bank = make_bank()
    return replace(bank, layers=bank.layers.to(device))


@cache
def make_bank() -> Bank:
    """Make all layers: drawn on a black and on a white picture, which tells what is added and what is lost."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:LAYER_SIDE, 0:LAYER_SIDE] + 0.5
    nothing = np.zeros((LAYER_SIDE, LAYER_SIDE), bool)
    black = np.zeros((LAYER_SIDE, LAYER_SIDE, 3), np.uint8)
    layers, of_kind = [], []
    for kind in KINDS.values():
        for _ in range(kind.layers):
            radius = random.uniform(*LESION_RADIUS) * LAYER_SIDE
            lesion = np.hypot(x - LAYER_SIDE / 2, y - LAYER_SIDE / 2) < radius
            seed = int(random.integers(2**32))
            added, whitened = (
                kind.drawing(View(ground, lesion, nothing), np.random.default_rng(seed)).pixels
                for ground in (black, 255 - black)
            )
            lost = 255 - (whitened.astype(np.int16) - added)
            layers.append(np.concatenate([lost.clip(0, 255).astype(np.uint8), added], axis=2).transpose(2, 0, 1))
            of_kind.append(kind)
    return Bank(
        torch.from_numpy(np.stack(layers)),
        torch.tensor([kind.chance / kind.layers for kind in of_kind]),
        torch.tensor([kind.is_movable for kind in of_kind]),
        torch.tensor([kind.faintest for kind in of_kind]),
    )
