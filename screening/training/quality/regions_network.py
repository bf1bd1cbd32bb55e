"""The network that finds regions: ImageNet's MobileNetV2 down to a sixteenth, and a light way back up to a quarter."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from screening.stages.quality.regions import CHANNELS
from screening.training.networks import build_backbone

_WIDTH = 32
"""Channels of the way up: 7 ms on one core in all; 16 found less, 64 no more."""
_STAGES = ((0, 4, 24), (4, 7, 32), (7, 14, 96))
"""Blocks of MobileNetV2 and channels at the end of each: a quarter, an eighth, a sixteenth of the side."""


class RegionsNetwork(nn.Module):
    """``pixels`` (photos, side, side, 3), uint8, to logits (photos, channels, side / 4, side / 4)."""

    def __init__(self, weights_dir: Path) -> None:
        super().__init__()
        blocks = build_backbone("mobilenet_v2", 1, weights_dir).get_submodule("features")
        assert isinstance(blocks, nn.Sequential)  # noqa: S101  # narrows the type for mypy
        self.down = nn.ModuleList(blocks[start:end] for start, end, _ in _STAGES)
        self.bridges = nn.ModuleList(nn.Conv2d(channels, _WIDTH, 1) for *_, channels in _STAGES)
        self.up = nn.ModuleList(_separable(_WIDTH) for _ in _STAGES)
        self.head = nn.Conv2d(_WIDTH, len(CHANNELS), 1)

    def forward(self, pixels: Tensor) -> Tensor:
        logits, _ = self.read(pixels)
        return logits

    def read(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the encoding from which they are made: (photos, 96, side / 16, side / 16)."""
        x = (pixels.permute(0, 3, 1, 2).float() - 128.0) / 128.0
        scales = []
        for blocks, bridge in zip(self.down, self.bridges, strict=True):
            x = blocks(x)
            scales.append(bridge(x))
        y = self.up[-1](scales[-1])
        for up, scale in zip(list(self.up)[-2::-1], scales[-2::-1], strict=True):
            y = up(nn.functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False) + scale)
        return self.head(y), x


class Probabilities(nn.Module):
    """What is exported: probabilities in place of logits, and the encoding."""

    def __init__(self, network: RegionsNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        logits, encoding = self.network.read(pixels)
        return torch.sigmoid(logits), encoding


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(inplace=True),
    )
