"""The weights of the members as safetensors: readable without running any code, and what later members start from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from screening.errors import ContractError, MissingError
from screening.training.networks import Member
from screening.training.weights import load_weights, read_weights

NAME = "weights.safetensors"
_CONVOLUTION_AXES = 4
_WIDE_INPUTS = 8
"""Channels that a kernel sees from which on it is kept in float16: depthwise kernels hold few numbers, and rounding tells."""


def write_safetensors(repository: Path, members: Mapping[str, Member], version: int) -> dict[str, str]:
    """Write ``<member>/<version>/weights.safetensors`` beside each member's network; Triton reads no such file.

    Convolutions are kept in float16, which halves the file; all else, above all BatchNorm, in float32.

    Returns:
        The SHA-256 of each file by member.
    """
    digests = {}
    for name, member in members.items():
        file = repository / name / str(version) / NAME
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: _compact(tensor) for key, tensor in member.state_dict().items()}, file)
        file.chmod(0o644)  # whoever serves the folder may be another user; the library writes for its own only
        digests[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return digests


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    # A copy in any case: tensors that share memory are refused.
    is_wide = tensor.ndim == _CONVOLUTION_AXES and tensor.shape[1] >= _WIDE_INPUTS and tensor.dtype == torch.float32
    return tensor.detach().to(torch.float16 if is_wide else tensor.dtype, copy=True).contiguous()


def load_safetensors(member: Member, file: Path, sha256: str | None) -> None:
    """Put the weights of a member into a network of the same form, last layer and all.

    Args:
        member: gets them.
        file: as ``write_safetensors`` wrote it.
        sha256: what the release says of the file; None where it says nothing.

    Raises:
        MissingError: there is no such file.
        ContractError: the file is another than the release was made with, or of another network.
    """
    if not file.is_file():
        raise MissingError(f"{file} does not exist; expected the weights to start from, which a release keeps there")
    if sha256 and (found := hashlib.sha256(file.read_bytes()).hexdigest()) != sha256:
        raise ContractError(f"{file}: its SHA-256 is {found}, expected {sha256}")
    state = {
        key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in read_weights(file).items()
    }
    load_weights(member, state, str(file), type(member.backbone).__name__)
