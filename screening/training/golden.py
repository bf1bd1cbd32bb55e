"""Golden photos of a release: what torch says of a few photos, for ever after compared with what Triton says.

The photos are drawn, so that they may lie in the repository; they show no disease, and need not.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from screening.stages.pixels import MODEL_SIDE
from screening.training.networks import CalibratedMember, Member
from screening.training.photo_cache import pixels_of_upload

PHOTOS = 4


def write_golden_photos(folder: Path, members: dict[str, Member], temperature: float, side: int = MODEL_SIDE) -> None:
    """Write ``photo-<n>.jpg`` and ``golden.json``: photo to member to probabilities, as torch computes them."""
    folder.mkdir(exist_ok=True)
    answers: dict[str, dict[str, list[float]]] = {}
    for seed in range(PHOTOS):
        name = f"photo-{seed}.jpg"
        (folder / name).write_bytes(_drawn_photo(seed))
        pixels = torch.from_numpy(pixels_of_upload((folder / name).read_bytes(), side)[None])
        with torch.inference_mode():
            answers[name] = {
                member: CalibratedMember(network, temperature).eval()(pixels)[0].tolist()
                for member, network in members.items()
            }
    (folder / "golden.json").write_text(json.dumps(answers, indent=1) + "\n")


def _drawn_photo(seed: int) -> bytes:
    """A patch on a ground, 640 x 480 px, each colour and shape another."""
    random = np.random.default_rng(seed)
    picture = np.ones((480, 640, 3), np.uint8) * random.integers(90, 240, 3).astype(np.uint8)
    centre = (int(random.integers(220, 420)), int(random.integers(160, 320)))
    axes = (int(random.integers(40, 150)), int(random.integers(40, 120)))
    colour = tuple(int(c) for c in random.integers(20, 200, 3))
    cv2.ellipse(picture, centre, axes, float(random.integers(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    noisy = picture + random.normal(0, 8, picture.shape)
    stream = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=85)
    return stream.getvalue()
