"""Real photos for tests of the training, few and of every disease at hand; read from the shared folder, never copied."""

from pathlib import Path

import numpy as np
import pytest

from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.corpus import read_corpus
from screening.training.fit import PhotosOfMember
from screening.training.photo_cache import pixels_of_upload

SHARED = Path(__file__).parents[3] / "shared"
SOURCES = ("pad_ufes", "ham10000")
CLASSES = load_training_classes("isic8", load_taxonomy())

needs_photos = pytest.mark.skipif(
    not all((SHARED / "data" / source).is_dir() for source in SOURCES),
    reason=f"real photos are read from {SHARED / 'data'}, which is not here",
)


def some_photos(of_each: int, side: int = 96) -> PhotosOfMember:
    """So many photos of each disease and kind; every fourth is for validation."""
    corpus = read_corpus(SHARED / "data", list(SOURCES), CLASSES)
    corpus = corpus.groupby(["kind", "label"]).head(of_each).reset_index(drop=True)
    pixels = np.stack([pixels_of_upload(Path(photo).read_bytes(), side) for photo in corpus["photo"]])
    place = corpus.groupby(["kind", "label"]).cumcount().to_numpy()
    return PhotosOfMember(corpus, pixels, np.flatnonzero(place % 4 > 0), np.flatnonzero(place % 4 == 0))
