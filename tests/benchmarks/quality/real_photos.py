"""The held-out clinical photos: sharp ones, with their lesion masks, without ink of their own.

``seen_in_photos.csv`` says which held-out photos of PAD-UFES-20 bear ink (pen, dye, tattoo) or clearly visible hair, as one
lay person saw on a contact sheet of 200 px; photos that are not in it bear neither. A dye that is found in a photo with real
ink would be no false alarm. ``crusted_photos.csv`` says in which the lesion is hidden to a third and more by crust, scale, exudate or
blood, as the same person saw at 210 px.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from screening.stages.pixels import PhotoLimits, decode_photo
from screening.training.quality.held_out import is_held_out

REPOSITORY = Path(__file__).resolve().parents[3]
DATA = REPOSITORY.parent / "shared" / "data"
LEAST_LONG_SIDE = 480
"""Pixels. Of smaller photos of PAD-UFES-20 nobody knows whether they were made small, or cut out and enlarged."""


@dataclass(frozen=True)
class RealPhoto:
    """A held-out photo; the pixels are read when they are asked for."""

    path: Path
    mask_path: Path
    patient_id: str
    fitzpatrick: str
    """Recorded skin type, ``I`` to ``VI``, empty when none was recorded."""
    has_ink: bool
    has_hair: bool
    crust: str
    """``yes``, ``uncertain``, ``no``; empty where nobody looked."""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @cached_property
    def pixels(self) -> np.ndarray:
        """As the product decodes them: RGB, uint8, long side at most 1,024."""
        return decode_photo(self.path.read_bytes(), PhotoLimits()).pixels

    @cached_property
    def lesion(self) -> np.ndarray:
        """The mask that students drew, shape (height, width), bool."""
        drawn = cv2.imread(str(self.mask_path), cv2.IMREAD_GRAYSCALE)
        height, width = self.pixels.shape[:2]
        return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST) > 0)

    def noise(self, purpose: str) -> np.random.Generator:
        """Random numbers that depend on the photo and the purpose only."""
        return np.random.default_rng(int(hashlib.sha256(f"{self.name}/{purpose}".encode()).hexdigest()[:16], 16))


def held_out_photos(data: Path = DATA) -> list[RealPhoto]:
    """The held-out photos of PAD-UFES-20 that have a mask, each at the largest size at hand."""
    seen = {row["file"]: row for row in _rows(Path(__file__).with_name("seen_in_photos.csv"))}
    crust = {row["file"]: row["crust"] for row in _rows(Path(__file__).with_name("crusted_photos.csv"))}
    full_size = {path.stem: path for path in (data / "pad_ufes_fullsize" / "images").iterdir()}
    photos = []
    for row in _rows(data / "pad_ufes" / "labels.csv"):
        small = data / "pad_ufes" / "images" / row["file"]
        mask = data / "pad_ufes" / "masks" / f"{small.stem}.png"
        if not is_held_out(row["patient_id"]) or not mask.exists():
            continue
        marks = seen.get(row["file"], {"ink": "no", "hair": "no"})
        photos.append(
            RealPhoto(
                path=full_size.get(small.stem, small),
                mask_path=mask,
                patient_id=row["patient_id"],
                fitzpatrick=_roman(row["fitspatrick"]),
                has_ink=marks["ink"] == "yes",
                has_hair=marks["hair"] == "yes",
                crust=crust.get(row["file"], ""),
            )
        )
    return photos


def held_out_files(data: Path = DATA) -> dict[str, list[Path]]:
    """The photos of each published set whose patient, lesion or file is held out, as they are."""
    return {
        source: [
            data / source / "images" / row["file"]
            for row in _rows(data / source / "labels.csv")
            if is_held_out(row.get("patient_id") or row.get("lesion_id") or Path(row["file"]).stem)
        ]
        for source in ("pad_ufes", "ham10000", "isic9", "isic2017_masks")
    }


def sharpest(photos: list[RealPhoto], count: int) -> list[RealPhoto]:
    """The sharpest photos without ink, at most two of a patient, so that no patient decides a figure."""
    clean = [p for p in photos if not p.has_ink and max(p.pixels.shape) >= LEAST_LONG_SIDE]
    taken: list[RealPhoto] = []
    for photo in sorted(clean, key=lambda p: -fine_energy(p.pixels)):
        if sum(t.patient_id == photo.patient_id for t in taken) < 2:
            taken.append(photo)
    return taken[:count]


def fine_energy(pixels: np.ndarray) -> float:
    """Energy of the whole photo between a fifth and a third of the sampling rate, over that of four times coarser detail.

    Taken from the power spectrum of the whole frame at a long side of 512 px, so that it owes nothing to the product's
    own measures, which compare filtered copies within the lesion's cells.
    """
    scale = 512 / max(pixels.shape)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = grey.shape
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * np.outer(np.hanning(height), np.hanning(width)))) ** 2
    rate = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    fine, coarse = (rate > 0.2) & (rate < 0.35), (rate > 0.05) & (rate < 0.0875)
    return float(power[fine].sum() / power[coarse].sum())


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as table:
        return list(csv.DictReader(table))


def _roman(skin_type: str) -> str:
    return {"1.0": "I", "2.0": "II", "3.0": "III", "4.0": "IV", "5.0": "V", "6.0": "VI"}.get(skin_type, "")
