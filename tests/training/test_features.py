from pathlib import Path

import numpy as np
import pytest

from screening.errors import MissingError
from screening.training.features import cached_features
from screening.training.splits import NEAR_DUPLICATE_COSINE
from screening.training.splits.graph import unit_features
from tests.training.labelled_photos import a_photo

PHOTOS, WEIGHTS = Path("../shared/data"), Path("../shared/weights")
are_here = pytest.mark.skipif(
    not (PHOTOS.is_dir() and WEIGHTS.is_dir()), reason=f"real photos and weights are read from {PHOTOS.parent}"
)


@are_here
def test_the_same_lesion_at_two_sizes_looks_alike_and_another_one_does_not(tmp_path: Path) -> None:
    large = sorted((PHOTOS / "pad_ufes_fullsize/images").iterdir())[:2]
    small = [next((PHOTOS / "pad_ufes/images").glob(f"{file.stem}.*")) for file in large]

    unit = unit_features(cached_features([str(file) for file in (*large, *small)], WEIGHTS, tmp_path))

    likeness = unit[:2] @ unit[2:].T
    assert unit.shape == (4, 1280)
    assert (np.diag(likeness) > NEAR_DUPLICATE_COSINE).all()
    assert likeness[0, 1] < NEAR_DUPLICATE_COSINE > likeness[1, 0]


@are_here
def test_features_are_made_once(tmp_path: Path) -> None:
    photos = [str(a_photo(tmp_path / "a.jpg"))]
    features = cached_features(photos, WEIGHTS, tmp_path / "cache")

    again = cached_features(photos, tmp_path / "no weights here", tmp_path / "cache")

    assert (again == features).all()


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mobilenet_v2_imagenet\.pt does not exist"):
        cached_features([str(a_photo(tmp_path / "a.jpg"))], tmp_path, tmp_path / "cache")
