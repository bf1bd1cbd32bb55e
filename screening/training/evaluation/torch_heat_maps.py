"""Saliency of Simonyan et al. 2014: how much each pixel's change would move the answer. It needs the trained weights.

All that the evaluation knows of recipes and checkpoints stands in this module.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from captum.attr import Saliency  # type: ignore[import-untyped]
from torch import nn

from screening.training.evaluation.network_answers import Network
from screening.training.networks import Member, build_backbone
from screening.training.recipe import load_recipe

CHECKPOINT = "best.ckpt"
"""What training leaves of a member's best epoch, in ``<work>/<member>/``."""
_BLUR = 9
"""Side in px of the box that joins the specks of a gradient; for the eye only."""


def open_members(
    networks: list[Network], recipe: str, work: Path | None, weights_dir: Path | None
) -> tuple[list[Member], str]:
    """The members with their trained weights, or none and why; weights that are not those of the networks are not taken."""
    if work is None or weights_dir is None:
        return [], "it needs the folder of checkpoints and that of ImageNet weights."
    by_name = {spec.name: spec for spec in load_recipe(recipe).members}
    members = []
    for network in networks:
        file = work / network.name / CHECKPOINT
        if network.name not in by_name or not file.is_file():
            return [], f"there is no checkpoint of {network.name}."
        spec = by_name[network.name]
        state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
        weights = {k.removeprefix("member."): v for k, v in state.items() if k.startswith("member.")}
        head = [v for v in weights.values() if v.ndim == 2][-1]
        if network.end is None or not np.allclose(head.numpy(), network.end.weights, atol=1e-5):
            return [], f"the checkpoint of {network.name} holds other weights than the release."
        member = Member(build_backbone(spec.architecture, len(head), weights_dir), spec.size)
        member.load_state_dict(weights)
        members.append(member.eval())
    return members, ""


def saliency(members: list[Member], pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """L1 norm over the colours of the gradient of the class's logit, mean of the members: (photos, side, side), 0..1."""
    # Only floating-point pixels have a gradient.
    total = np.zeros(pixels.shape[:3])
    for member in members:
        views = torch.from_numpy(pixels).float().requires_grad_()
        found = Saliency(member).attribute(views, target=torch.from_numpy(classes), abs=True)
        norm = found.sum(dim=3, keepdim=True).permute(0, 3, 1, 2)
        blurred = nn.functional.avg_pool2d(norm, _BLUR, stride=1, padding=_BLUR // 2, count_include_pad=False)
        smooth = blurred[:, 0].numpy()
        total += smooth / np.maximum(smooth.max(axis=(1, 2), keepdims=True), 1e-12)
    # The brightest hundredth is cut: one speck would leave the rest black.
    most = np.quantile(total, 0.99, axis=(1, 2), keepdims=True)
    return np.asarray(np.clip(total / np.maximum(most, 1e-12), 0, 1))
