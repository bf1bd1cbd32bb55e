"""Pretrained weights: read from a folder, or fetched when a recipe says so in as many words. Nothing else downloads."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from screening.errors import ContractError, MissingError, SettingsError
from screening.training.packaged_weights import PACKAGED, packaged_file

SUFFIXES = (".safetensors", ".pt", ".pth")
IMAGENET, RANDOM, DOWNLOAD = "imagenet", "none", "download"


@dataclass(frozen=True)
class Normalisation:
    """What a network's pixels go through, ``(x / 255 - mean) / std``, per channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


CENTRED = Normalisation((128 / 255,) * 3, (128 / 255,) * 3)
"""(x − 128) / 128, as the published 8-bit MobileNetV2 was made."""
KNOWN_FILES = {"torchvision:mobilenet_v2": ("mobilenet_v2_imagenet.pt", CENTRED)}
"""Architecture → file of the project's own weights folder and how its pixels are normalised."""
OF_PACKAGES = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
"""(x − 127) / 128, as TensorFlow's EfficientNet-Lite were made."""


def find_weights(architecture: str, weights: str, folder: Path) -> Path:
    """The file that a recipe's ``weights`` means.

    Raises:
        MissingError: it does not exist; the message has the names that were looked for and those that are there.
    """
    if weights != IMAGENET:
        names = [weights]
    elif architecture in KNOWN_FILES:
        names = [KNOWN_FILES[architecture][0]]
    else:
        names = [architecture.partition(":")[2] + suffix for suffix in SUFFIXES]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if weights == IMAGENET and (packaged := packaged_file(architecture)):
        return packaged
    there = ", ".join(sorted(p.name for p in folder.glob("*") if p.suffix in SUFFIXES)) or "no weights"
    raise MissingError(
        f"{folder / names[0]} does not exist; expected weights of {architecture} as {' or '.join(names)}, found {there}. "
        "Put the file there, or set weights: download or weights: none in the recipe"
    )


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors, .pt or .pth file; no code in the file is run.

    Raises:
        ContractError: the file holds anything but tensors by name.
    """
    if file.suffix not in SUFFIXES:
        raise SettingsError(f"{file.name}: weights end in {' or '.join(SUFFIXES)}")
    try:
        state = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise ContractError(
            f"{file.name}: the file holds more than tensors (pickled code or objects), which is not run; "
            "expected a state dict, e.g. torch.save(network.state_dict(), …)"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise ContractError(f"{file.name}: no weights can be read: {str(error).splitlines()[0]}") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ContractError(f"{file.name}: expected a state dict, tensors by name; found {type(state).__name__}")
    return state


def load_weights(network: torch.nn.Module, state: dict[str, Tensor], file: str, architecture: str) -> None:
    """Put a state dict into a network, all of it; the extra training outputs of Inception are left out.

    Raises:
        ContractError: it belongs to another architecture.
    """
    state = {name: value for name, value in state.items() if not name.startswith("AuxLogits.")}
    own = network.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    other_shape = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if missing or unknown or other_shape:
        named = ((missing, "missing"), (unknown, "unknown"))
        faults = [f"{len(names)} tensors {what}, the first is {names[0]}" for names, what in named if names]
        faults += [f"{n} is {tuple(state[n].shape)}, expected {tuple(own[n].shape)}" for n in sorted(other_shape)[:1]]
        raise ContractError(f"{file}: not the weights of {architecture}: {'; '.join(faults)}")
    network.load_state_dict(state)


def download_weights(architecture: str) -> dict[str, Tensor]:
    """The library's own ImageNet weights, fetched from the network or its cache; says what it does."""
    library, _, name = architecture.partition(":")
    if library == "timm":
        config = timm.get_pretrained_cfg(name)
        print(
            f"downloading the weights of {architecture} from {config and (config.hf_hub_id or config.url)}", flush=True
        )
        return dict(timm.create_model(name, pretrained=True).state_dict())
    of_library = torchvision.models.get_model_weights(name).DEFAULT
    print(f"downloading the weights of {architecture} from {of_library.url}", flush=True)
    return dict(of_library.get_state_dict(progress=False, check_hash=True))


def normalisation_of(architecture: str, weights: str) -> Normalisation:
    """How the pixels were normalised that the weights were made with, as the library records it."""
    if weights == IMAGENET and architecture in KNOWN_FILES:
        return KNOWN_FILES[architecture][1]
    if weights == IMAGENET and architecture in PACKAGED:
        return OF_PACKAGES
    library, _, name = architecture.partition(":")
    if library == "timm":
        config = timm.get_pretrained_cfg(name)
        if config is None:
            raise SettingsError(
                f"{architecture}: timm records no normalisation for it; give mean and std in the recipe"
            )
        return Normalisation(_three(config.mean), _three(config.std))
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return Normalisation(_three(transforms.mean), _three(transforms.std))


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
