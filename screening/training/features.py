"""Features of an ImageNet network: enough to find photos that look alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from screening.training.networks import Member, build_backbone
from screening.training.photo_cache import load_pixels

_PHOTOS_AT_ONCE = 64


def imagenet_features(pixels: np.ndarray, weights_dir: Path) -> np.ndarray:
    """Pooled MobileNetV2 features with ImageNet weights.

    Args:
        pixels: shape (photos, height, width, 3), uint8.
        weights_dir: folder of ImageNet's weights.

    Returns:
        Shape (photos, 1280), float32.
    """
    member = Member(build_backbone("mobilenet_v2", 2, weights_dir), 224).eval()
    features = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in track(range(0, len(pixels), _PHOTOS_AT_ONCE), "features"):
            x = member.normalise(torch.from_numpy(np.array(pixels[start : start + _PHOTOS_AT_ONCE])))
            maps = member.backbone.get_submodule("features")(x.contiguous(memory_format=torch.channels_last))
            features.append(maps.float().mean(dim=(2, 3)).numpy())
    return np.concatenate(features)


def cached_features(photos: Sequence[str], weights_dir: Path, cache: Path) -> np.ndarray:
    """``imagenet_features`` of photo files, made once for the same pixels in the same order and kept in ``cache``."""
    pixels = load_pixels(photos, cache)
    file = cache / f"features-{hashlib.sha256(pixels.data).hexdigest()[:16]}.npy"
    if not file.is_file():
        part = file.with_suffix(".part.npy")
        np.save(part, imagenet_features(pixels, weights_dir))
        part.rename(file)
    return np.asarray(np.load(file))
