"""The weights of the members as safetensors: readable without running any code, and for whoever trains on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from screening.training.networks import Member


def write_safetensors(folder: Path, members: Mapping[str, Member]) -> dict[str, str]:
    """Write ``<folder>/<member>/model.safetensors``; returns the SHA-256 of each file by member."""
    digests = {}
    for name, member in members.items():
        file = folder / name / "model.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        # A copy of each: tensors that share memory are refused.
        tensors: dict[str, torch.Tensor] = {n: t.detach().clone().contiguous() for n, t in member.state_dict().items()}
        save_file(tensors, file)
        digests[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return digests
