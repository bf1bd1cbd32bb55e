"""Fit the regressions that tell crust on a lesion, and things that lie on it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from screening.errors import ContractError
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality.regions import find_regions
from screening.stages.quality.surface import QUESTIONS, surface_features
from screening.training.quality.covered_photos import covered_views
from screening.training.quality.fit_regression import Example, fit_regression, write_regression
from screening.training.quality.framed_photos import DrawnLesion, in_another_tone
from screening.training.quality.held_out import is_held_out

CRUSTED = Path(__file__).with_name("crusted_photos.csv")
"""Photos of PAD-UFES-20 as one lay person saw their lesions at 210 px: ``yes`` where crust, scale, exudate or blood hides a third
and more, ``no``, and ``uncertain``, which are not learnt from. Nobody is held out or among the rated photos."""
_REGULARISATION = {"crust": 0.1, "object": 0.03}
"""Inverse strength (scikit-learn's C): 0.03 to 0.3 did equally well on people left out of the fit."""
_TONES = 3
"""Other skin tones in which each rated photo is seen, too: those at hand are of light skin."""
_OTHER_TONE_SHARE = 0.5
"""Of the photos that something was laid on."""

CrustedPhoto = tuple[bool, np.ndarray]
"""Whether its lesion is crusted, and its view, RGB, uint8."""


def read_crusted(root: Path, file: Path = CRUSTED) -> Iterator[CrustedPhoto]:
    """The photos of which somebody was certain.

    Raises:
        ContractError: somebody is held out.
    """
    with file.open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            if is_held_out(row["patient_id"]):
                raise ContractError(f"{file.name}: {row['file']} is of a patient who is held out")
            if row["crust"] != "uncertain":
                body = (root / "pad_ufes" / "images" / row["file"]).read_bytes()
                yield row["crust"] == "yes", decode_photo(body, PhotoLimits()).view


def fit_surface(lesions: Sequence[DrawnLesion], crusted: Sequence[CrustedPhoto], file: Path, seed: int = 0) -> Path:
    """Fit on rated photos, and on photos that something was laid on, and write the weights as JSON."""
    with ProcessPoolExecutor() as pool:
        rated = pool.map(partial(_features_of_crusted, seed=seed), range(len(crusted)), crusted, chunksize=4)
        covered = pool.map(partial(_features_of_covered, seed=seed), range(len(lesions)), lesions, chunksize=4)
        of_crust, of_things = ([view for part in parts for view in part] for parts in (rated, covered))
    learnt = dict(zip(QUESTIONS, (of_crust, of_things), strict=True))
    fitted = {question: fit_regression(views, _REGULARISATION[question]) for question, views in learnt.items()}
    return write_regression(fitted, file)


def _features_of_crusted(number: int, photo: CrustedPhoto, seed: int) -> list[Example]:
    cv2.setNumThreads(1)
    random = np.random.default_rng((seed, number))
    is_crusted, pixels = photo
    others = (in_another_tone(pixels, random).astype(np.uint8) for _ in range(_TONES))
    return [(is_crusted, surface_features(view, find_regions(view))) for view in (pixels, *others)]


def _features_of_covered(number: int, photo: DrawnLesion, seed: int) -> list[Example]:
    cv2.setNumThreads(1)
    random = np.random.default_rng((seed, number))
    found = []
    for is_covered, view in covered_views(photo, random):
        seen = in_another_tone(view, random).astype(np.uint8) if random.random() < _OTHER_TONE_SHARE else view
        found.append((is_covered, surface_features(seen, find_regions(seen))))
    return found
