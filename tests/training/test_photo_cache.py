"""The cache of decoded photos: one for each corpus and side, and told when a photo is none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from screening.errors import ContractError
from screening.training.photo_cache import load_pixels, pixels_of_upload


def three_photos(folder: Path) -> list[str]:
    random = np.random.default_rng(0)
    files = [folder / f"{number}.jpg" for number in range(3)]
    for file in files:
        Image.fromarray(random.integers(0, 256, (400, 500, 3), dtype=np.uint8)).save(file)
    return [str(file) for file in files]


def test_photos_are_cached_as_the_model_would_see_them_at_each_side(tmp_path):
    photos = three_photos(tmp_path)

    for side in (256, 320):
        pixels = load_pixels(photos, tmp_path / "cache", side)
        assert pixels.shape == (3, side, side, 3)
        for photo, found in zip(photos, pixels, strict=True):
            assert (found == pixels_of_upload(Path(photo).read_bytes(), side)).all()
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_photos_are_decoded_once_and_anew_when_one_has_changed(tmp_path):
    photos = three_photos(tmp_path)
    load_pixels(photos, tmp_path / "cache")
    [cached] = (tmp_path / "cache").iterdir()
    written = cached.stat().st_mtime_ns

    load_pixels(photos, tmp_path / "cache")
    assert cached.stat().st_mtime_ns == written
    Image.new("RGB", (300, 300), "white").save(photos[1])
    assert load_pixels(photos, tmp_path / "cache")[1].min() == 255


def test_a_photo_that_cannot_be_decoded_is_named_and_leaves_no_cache(tmp_path):
    photos = three_photos(tmp_path)
    Path(photos[1]).write_bytes(b"no photo")

    with pytest.raises(ContractError, match=r"1\.jpg cannot be decoded: not one of"):
        load_pixels(photos, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
