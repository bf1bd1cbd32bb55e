"""Published photos as scenes: what is known of skin, lesion, ink and hair in each, and what is not.

Lesions were drawn by hand for PAD-UFES-20 and a part of ISIC 2017. Skin is where the colour rule sees it, and unknown
elsewhere. Ink and hair are taken to be absent, but unknown where a rule suspects them or where a biopsy was taken (pen
rings were drawn before it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from screening.errors import ContractError, MissingError
from screening.stages.pixels import PhotoLimits, decode_photo, squeeze
from screening.stages.quality.skin_colour import find_skin_colour
from screening.training.quality.held_out import is_held_out
from screening.training.quality.scenes import HAIR, INK, LESION, SIDE, SKIN, Scene
from screening.training.quality.suspected_ink import find_dye

_DERMOSCOPIC_PHOTOS = {"ham10000": 1200, "isic9": 400}
"""How many dermoscopic photos without a drawn lesion take part: about as many as there are clinical ones."""
_LINE_GREY_LEVELS = 12
"""Darker by so much than what is beside it may be a hair: left out, rather than taught as none."""


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo with what is known of it, as bytes to spare memory; held-out ones are for measuring only."""

    name: str
    is_held_out: bool
    has_mask: bool
    pixels: np.ndarray
    truth: np.ndarray
    known: np.ndarray

    def scene(self) -> Scene:
        return Scene(
            self.pixels.astype(np.float32) / 255,
            self.truth.astype(np.float32) / 255,
            self.known.astype(np.float32) / 255,
        )


def read_photos(root: Path, apart: set[str]) -> Iterator[LabelledPhoto]:
    """Read the photos that may be learnt from or are held out, in a fixed order.

    Args:
        root: folder of the data sets, each with ``labels.csv``, ``images/`` and perhaps ``masks/``.
        apart: names (``<data set>/<stem>``) and patients (``pad_ufes:<patient>``) that take part in neither.

    Raises:
        MissingError: a data set is not there.
    """
    for source in ("pad_ufes", "isic2017_masks", *_DERMOSCOPIC_PHOTOS):
        labels = root / source / "labels.csv"
        if not labels.is_file():
            raise MissingError(f"{labels} does not exist; expected one row per photo")
        rows = pd.read_csv(labels, dtype=str, keep_default_na=False)
        if source in _DERMOSCOPIC_PHOTOS:
            rows = rows.sample(_DERMOSCOPIC_PHOTOS[source], random_state=0).sort_index()
        for row in rows.to_dict("records"):
            stem = Path(str(row["file"])).stem
            patient = str(row.get("patient_id", stem))
            if f"{source}/{stem}" in apart or f"{source}:{patient}" in apart:
                continue
            mask = root / source / "masks" / f"{stem}.png"
            yield _labelled(
                root / source / "images" / str(row["file"]),
                mask if mask.is_file() else None,
                name=f"{source}/{stem}",
                is_held_out=source in ("pad_ufes", "isic2017_masks") and is_held_out(patient),
                may_have_ink=row.get("biopsed") == "True",
            )


def read_mask(file: Path) -> np.ndarray:
    """A drawn mask, shape (height, width), 0 or 255.

    Raises:
        ContractError: the file is no picture.
    """
    mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ContractError(f"{file} is no picture; expected a lesion's mask")
    return np.asarray(mask)


def _labelled(file: Path, mask: Path | None, *, name: str, is_held_out: bool, may_have_ink: bool) -> LabelledPhoto:
    pixels = squeeze(decode_photo(file.read_bytes(), PhotoLimits()).pixels)
    truth = np.zeros((4, SIDE, SIDE), np.uint8)
    known = np.full((4, SIDE, SIDE), 255, np.uint8)
    if mask is None:
        known[LESION] = 0
    else:
        truth[LESION] = squeeze(read_mask(mask))
    skin = cv2.resize(find_skin_colour(pixels), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    dye = find_dye(pixels, skin)
    suspected_ink = cv2.dilate(dye, np.ones((9, 9), np.uint8)) > 0
    is_skin = (skin > 0) | (truth[LESION] > 127) | suspected_ink
    truth[SKIN] = is_skin * np.uint8(255)
    if is_skin.mean() < 0.98:
        known[SKIN][~is_skin] = 0
    known[INK][suspected_ink] = 0
    if may_have_ink or suspected_ink.mean() > 0.02:
        known[INK] = 0
    lines = cv2.morphologyEx(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.MORPH_BLACKHAT, np.ones((7, 7), np.uint8))
    suspected_hair = lines > _LINE_GREY_LEVELS
    known[HAIR][cv2.dilate(suspected_hair.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = 0
    return LabelledPhoto(name, is_held_out, mask is not None, pixels, truth, known)
