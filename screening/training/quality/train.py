"""What the quality filters learn, from published photos to the files that the stage reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError

from screening.errors import SettingsError
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality.blur import WEIGHTS
from screening.stages.quality.duplicates import find_first_known, perceptual_hash, read_hashes
from screening.stages.quality.framing import FRAMING
from screening.stages.quality.lettering import LETTERING
from screening.stages.quality.network import REGIONS
from screening.stages.quality.surface import SURFACE
from screening.training.quality.blurred_photos import read_sharp_photos
from screening.training.quality.export import export_regions
from screening.training.quality.fit_blur import fit_blur
from screening.training.quality.fit_framing import fit_framing
from screening.training.quality.fit_lettering import fit_lettering
from screening.training.quality.fit_regions import RegionsRecipe, fit_regions
from screening.training.quality.fit_surface import fit_surface, read_crusted
from screening.training.quality.framed_photos import read_drawn_lesions
from screening.training.quality.lettered_photos import read_unlettered
from screening.training.quality.photos import read_photos

RECIPE = Path(__file__).parents[1] / "recipes" / "skin_regions.yaml"
_LEARNT_FROM = ("pad_ufes", "ham10000", "isic9", "isic2017_masks")


def train_filters(photos: Path, weights_dir: Path, work: Path) -> list[Path]:
    """Fit the network that finds regions, what builds on it, and lettering, and write all; rounds in ``work`` are kept.

    Args:
        photos: folder of the published data sets.
        weights_dir: folder of ImageNet's weights.
        work: folder for what is half done.
    """
    apart = rated_photos(photos)
    recipe = _read_recipe()
    network = fit_regions(list(read_photos(photos, apart)), recipe, weights_dir, work)
    lesions = list(read_drawn_lesions(photos, apart))
    return [
        export_regions(network, REGIONS),
        fit_blur(read_sharp_photos(photos, apart), WEIGHTS),
        fit_framing(lesions, FRAMING),
        fit_lettering(list(read_unlettered(photos, apart)), LETTERING),
        fit_surface(lesions, list(read_crusted(photos)), SURFACE),
    ]


def rated_photos(root: Path) -> set[str]:
    """Names and patients of photos that are also among the rated ones of ``artefacts``, which are for measuring only.

    The rated photos have no names of their own: they are known again by their pictures.
    """
    rated = [_hash(file) for file in sorted((root / "artefacts" / "images").glob("*"))]
    known = read_hashes([digits for digits in rated if digits])
    apart = set()
    for source in _LEARNT_FROM:
        rows = pd.read_csv(root / source / "labels.csv", dtype=str, keep_default_na=False)
        hashes = [_hash(root / source / "images" / file) for file in rows["file"]]
        places = [i for i, digits in enumerate(hashes) if digits]
        found = find_first_known(read_hashes([str(hashes[i]) for i in places]), known)
        for i in np.array(places)[found >= 0]:
            apart.add(f"{source}/{Path(rows['file'][i]).stem}")
            if "patient_id" in rows:
                apart.add(f"{source}:{rows['patient_id'][i]}")
    return apart


def _hash(file: Path) -> str | None:
    return perceptual_hash(decode_photo(file.read_bytes(), PhotoLimits()).pixels)


def _read_recipe() -> RegionsRecipe:
    try:
        return RegionsRecipe.model_validate(yaml.safe_load(RECIPE.read_text()))
    except ValidationError as error:
        raise SettingsError(f"{RECIPE}: {error}") from error
