"""The CNNs, and the wrapper that puts resize, normalisation and softmax inside the exported graph."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from screening.errors import MissingError, SettingsError

IMAGENET_WEIGHTS = {"mobilenet_v2": "mobilenet_v2_imagenet.pt"}


def build_backbone(architecture: str, classes: int, weights_dir: Path) -> nn.Module:
    """A torchvision classifier with ImageNet weights and a new head.

    Args:
        architecture: torchvision's name; ``IMAGENET_WEIGHTS`` says which have weights in ``weights_dir``.
        classes: outputs of the new head.
        weights_dir: folder of state dicts, read with ``weights_only=True``.

    Raises:
        SettingsError: the architecture is not known here.
        MissingError: the weights do not exist.
    """
    if architecture not in IMAGENET_WEIGHTS:
        raise SettingsError(f"architecture {architecture!r}: known are {', '.join(IMAGENET_WEIGHTS)}")
    file = weights_dir / IMAGENET_WEIGHTS[architecture]
    if not file.is_file():
        raise MissingError(f"{file} does not exist; expected ImageNet weights of {architecture}")
    network = torchvision.models.get_model(architecture, weights=None)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(network.last_channel, classes))
    backbone: nn.Module = network
    return backbone


class Member(nn.Module):
    """One ensemble member: uint8 pixels in, logits out (or probabilities, once calibrated and exported).

    ``pixels``: shape (photos, height, width, 3), uint8, sRGB. ``size``: side in pixels that the backbone sees.
    Normalisation is the one the ImageNet weights were made with: (x − 128) / 128.
    """

    def __init__(self, backbone: nn.Module, size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.size = size

    def normalise(self, pixels: Tensor) -> Tensor:
        x = (pixels.permute(0, 3, 1, 2).float() - 128.0) / 128.0
        if x.shape[-1] != self.size or x.shape[-2] != self.size:
            x = nn.functional.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)
        return x

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.backbone(self.normalise(pixels))
        return logits


class CalibratedMember(nn.Module):
    """A member whose answer is a calibrated probability: what is exported to ONNX."""

    def __init__(self, member: Member, temperature: float) -> None:
        super().__init__()
        self.member = member
        self.temperature = temperature

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.softmax(self.member(pixels) / self.temperature, dim=1)
