"""Features of a frozen backbone, computed once and kept on disk: only the head is trained then."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import nn

from screening.training.disk import new_array
from screening.training.networks import Member, last_layer

AT_ONCE = 64


def cached_features(member: Member, pixels: np.ndarray, cache: Path) -> np.ndarray:
    """What the last layer is given for each photo: shape (photos, features), float32, memory-mapped from ``cache``.

    The file's name holds a digest of the weights before the last layer, the size, the normalisation and the pixels.
    """
    headless = _without_head(member)
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{member.size} {member.mean.flatten().tolist()} {member.std.flatten().tolist()}".encode())
    for name, tensor in sorted(headless.backbone.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    for start in range(0, len(pixels), AT_ONCE):
        digest.update(np.ascontiguousarray(pixels[start : start + AT_ONCE]).data)
    file = cache / f"features-{digest.hexdigest()}.npy"
    if not file.is_file():
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        headless.to(device)
        with torch.inference_mode():
            width = headless(torch.from_numpy(pixels[:1].copy()).to(device)).shape[1]
            with new_array(file, np.float32, (len(pixels), width)) as features:
                for start in track(range(0, len(pixels), AT_ONCE), "features of the frozen backbone"):
                    part = torch.from_numpy(pixels[start : start + AT_ONCE].copy()).to(device)
                    features[start : start + AT_ONCE] = headless(part).float().cpu().numpy()
    return np.asarray(np.load(file, mmap_mode="r"))


def _without_head(member: Member) -> Member:
    headless = copy.deepcopy(member).eval()
    path = last_layer(headless.backbone)
    parent, _, name = path.rpartition(".")
    setattr(headless.backbone.get_submodule(parent), name, nn.Identity())
    return headless
