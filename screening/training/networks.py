"""The CNNs, and the wrapper that puts resize, normalisation and softmax inside the exported graph."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
import torchvision
from torch import Tensor, nn

from screening.errors import SettingsError
from screening.training.packaged_weights import as_timm_names, packaged_file
from screening.training.recipe import MemberRecipe
from screening.training.weights import (
    CENTRED,
    DOWNLOAD,
    IMAGENET,
    RANDOM,
    Normalisation,
    download_weights,
    find_weights,
    load_weights,
    normalisation_of,
    read_weights,
)

_TORCHVISION_HEADS = ("fc", "classifier", "heads", "head")
"""Where torchvision's families keep their last layers."""


def build_backbone(
    architecture: str, classes: int, weights_dir: Path, weights: str = IMAGENET, dropout: float = 0.3
) -> nn.Module:
    """A classifier of torchvision or timm with pretrained weights and a new last layer.

    Args:
        architecture: ``torchvision:name`` or ``timm:name``; without a library, torchvision's.
        classes: outputs of the new last layer.
        weights_dir: folder of state dicts.
        weights: as in ``MemberRecipe``.
        dropout: before the last layer.

    Raises:
        SettingsError: the library does not know the architecture.
        MissingError: the weights do not exist.
        ContractError: they belong to another architecture, or hold more than tensors.
    """
    architecture = architecture if ":" in architecture else f"torchvision:{architecture}"
    network = _empty_network(architecture, dropout)
    if weights == DOWNLOAD:
        load_weights(network, download_weights(architecture), "downloaded weights", architecture)
    elif weights != RANDOM:
        file = find_weights(architecture, weights, weights_dir)
        state = read_weights(file)
        if file == packaged_file(architecture):
            state = as_timm_names(network, state)
        load_weights(network, state, file.name, architecture)
    _replace_head(network, classes, dropout)
    return network


def _empty_network(architecture: str, dropout: float) -> nn.Module:
    """The network with ImageNet's 1,000 classes and no weights."""
    library, _, name = architecture.partition(":")
    if library == "timm":
        if not timm.is_model(name):
            raise SettingsError(f"architecture {architecture!r}: timm knows no {name}")
        network: nn.Module = timm.create_model(name, pretrained=False, drop_rate=dropout)
        return network
    if library != "torchvision":
        raise SettingsError(f"architecture {architecture!r}: expected torchvision:name or timm:name")
    if name not in torchvision.models.list_models(torchvision.models):
        raise SettingsError(f"architecture {architecture!r}: torchvision knows no {name}")
    # Inception and GoogLeNet have extra outputs for training from scratch, which nobody asks for here.
    extra = {"aux_logits": False, "init_weights": False} if name in ("inception_v3", "googlenet") else {}
    empty: nn.Module = torchvision.models.get_model(name, weights=None, **extra)
    return empty


def _replace_head(network: nn.Module, classes: int, dropout: float) -> None:
    if is_of_timm(network):  # it was given the dropout when it was made
        network.reset_classifier(classes)  # type: ignore[operator]  # a method, which torch's types cannot know
        return
    path = last_layer(network)
    parent = network.get_submodule(path.rpartition(".")[0])
    old = network.get_submodule(path)
    new = nn.Linear(int(old.in_features), classes)  # type: ignore[arg-type]  # of a Linear it is a number
    before = list(parent.children())[:-1] if isinstance(parent, nn.Sequential) else []
    if before and isinstance(before[-1], nn.Dropout):
        before[-1].p = dropout
        setattr(parent, path.rpartition(".")[2], new)
    else:
        setattr(parent, path.rpartition(".")[2], nn.Sequential(nn.Dropout(dropout), new) if dropout else new)


def last_layer(network: nn.Module) -> str:
    """Path of the linear layer that gives the classes."""
    if is_of_timm(network):
        head = network.get_classifier()  # type: ignore[operator]  # as above
        paths = (name for name, module in network.named_modules() if module is head)
        return str(next(paths))
    prefix = next(name for name in _TORCHVISION_HEADS if hasattr(network, name))
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return str([name for name in linear if name == prefix or name.startswith(prefix + ".")][-1])


def is_of_timm(network: nn.Module) -> bool:
    """Whether timm made the network: its networks know how to get another last layer."""
    return hasattr(network, "reset_classifier")


class Member(nn.Module):
    """One ensemble member: uint8 pixels in, logits out (or probabilities, once calibrated and exported).

    ``pixels``: shape (photos, height, width, 3), uint8, sRGB. ``size``: side in pixels that the backbone sees.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, size: int, normalisation: Normalisation = CENTRED) -> None:
        super().__init__()
        self.backbone = backbone
        self.size = size
        for name, values in (("mean", normalisation.mean), ("std", normalisation.std)):
            shaped = torch.tensor([v * 255.0 for v in values]).reshape(1, 3, 1, 1)
            # Not part of the weights: it comes with the recipe.
            self.register_buffer(name, shaped, persistent=False)

    def standardise(self, views: Tensor) -> Tensor:
        """Views of shape (photos, 3, height, width), 0..255, as the weights want them."""
        return (views - self.mean) / self.std

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels resized and standardised: shape (photos, 3, size, size), float32."""
        x = self.standardise(pixels.permute(0, 3, 1, 2).float())
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


def build_member(recipe: MemberRecipe, classes: int, weights_dir: Path, *, is_empty: bool = False) -> Member:
    """The untrained member of a recipe: pretrained backbone, new head, normalisation; ``is_empty``: all weights random."""
    weights = RANDOM if is_empty else recipe.weights
    backbone = build_backbone(recipe.architecture, classes, weights_dir, weights, recipe.dropout)
    if recipe.mean is not None and recipe.std is not None:
        return Member(backbone, recipe.size, Normalisation(recipe.mean, recipe.std))
    return Member(backbone, recipe.size, normalisation_of(recipe.architecture, recipe.weights))
