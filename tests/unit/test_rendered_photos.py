import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infra.local.rendered_photos import HEIGHT, WIDTH, render_night
from screening.errors import PhotoError
from screening.stages.intake import MANIFEST_COLUMNS, Pseudonyms, read_manifest
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.taxonomy import load_taxonomy

PHOTOS = 6
BROKEN = {"same-bytes-again.jpg", "cut-off.jpg", "empty.jpg", "letter.jpg"}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered") / "night"
    diseases = render_night(folder, photos=PHOTOS)
    assert set(diseases) == {file.name for file in rendered(folder)}
    assert set(diseases.values()) <= {disease.id for disease in load_taxonomy().diseases}
    return folder


def rendered(folder: Path) -> list[Path]:
    return sorted(folder.glob("photo-*.jpg"))


def manifest_lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_night_has_photos_broken_files_and_a_manifest(night: Path) -> None:
    assert {file.name for file in night.iterdir()} == {p.name for p in rendered(night)} | BROKEN | {"manifest.csv"}
    assert len(rendered(night)) == PHOTOS


def test_a_photo_is_a_phone_like_jpeg_that_says_it_is_none(night: Path) -> None:
    for file in rendered(night):
        found = decode_photo(file.read_bytes(), PhotoLimits())
        assert found.device == "Rendered not a photo"
        assert found.pixels.shape[1] > found.pixels.shape[0], "upright after turning"
        assert sorted((found.header.width, found.header.height)) == [HEIGHT, WIDTH]
        assert not found.is_greyscale


def test_a_photo_shows_something_on_skin(night: Path) -> None:
    contrasts = []
    for file in rendered(night):
        pixels = decode_photo(file.read_bytes(), PhotoLimits()).pixels.astype(float)
        height, width = pixels.shape[:2]
        middle = pixels[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
        rim = np.concatenate([pixels[: height // 8].reshape(-1, 3), pixels[-height // 8 :].reshape(-1, 3)])
        contrasts.append(np.abs(middle.mean(axis=(0, 1)) - rim.mean(axis=0)).max())
        assert np.median(rim[:, 0]) > np.median(rim[:, 2]), "skin is redder than blue"
    # A pale lesion on dark skin hardly shows in a mean, so this holds for most and not for each.
    assert np.median(contrasts) > 8


def test_the_first_photo_lies_on_its_side_and_the_second_does_not(night: Path) -> None:
    first, second = rendered(night)[:2]

    assert (Image.open(first).size, Image.open(first).getexif()[274]) == ((HEIGHT, WIDTH), 6)
    assert (Image.open(second).size, Image.open(second).getexif()[274]) == ((WIDTH, HEIGHT), 1)


def test_the_first_photo_is_out_of_focus(night: Path) -> None:
    def detail(file: Path) -> float:
        grey = decode_photo(file.read_bytes(), PhotoLimits()).pixels.mean(axis=2)
        return float(np.abs(np.diff(grey, axis=1)).mean())

    first, *others = (detail(file) for file in rendered(night))
    assert first < min(others) / 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cut-off.jpg", "truncated"), ("empty.jpg", "empty_file"), ("letter.jpg", "not_an_accepted_format")],
)
def test_a_broken_file_is_broken_in_its_own_way(night: Path, name: str, reason: str) -> None:
    with pytest.raises(PhotoError) as refused:
        decode_photo((night / name).read_bytes(), PhotoLimits())

    assert refused.value.reason == reason


def test_one_file_has_the_bytes_of_another_and_all_others_differ(night: Path) -> None:
    digests = [hashlib.sha256(file.read_bytes()).digest() for file in rendered(night)]

    assert len(set(digests)) == PHOTOS
    assert (night / "same-bytes-again.jpg").read_bytes() == (night / "photo-0001.jpg").read_bytes()


def test_the_manifest_describes_every_photo_without_an_issue(night: Path) -> None:
    manifest = read_manifest((night / "manifest.csv").read_bytes(), "demo", Pseudonyms(b"a key for this test only"))

    assert manifest.issues == []
    assert set(manifest.rows) == {file.name for file in rendered(night)}
    assert set(manifest_lines(night)[0]) <= set(MANIFEST_COLUMNS)


def test_people_have_several_lesions_and_lesions_several_photos_but_a_lesion_one_person(night: Path) -> None:
    lines = manifest_lines(night)

    pairs = {(line["patient_id"], line["lesion_id"]) for line in lines}
    patients, lesions = {p for p, _ in pairs}, {lesion for _, lesion in pairs}
    assert len(lesions) == len(pairs) < len(lines), "a lesion belongs to one person and has more than one photo"
    assert len(patients) < len(pairs), "somebody has more than one lesion"


def test_the_same_seed_draws_the_same_photos_and_another_seed_others(night: Path, tmp_path: Path) -> None:
    render_night(tmp_path / "again", photos=2)
    render_night(tmp_path / "other", photos=2, seed=21)

    first = rendered(night)[0].read_bytes()
    assert rendered(tmp_path / "again")[0].read_bytes() == first
    assert rendered(tmp_path / "other")[0].read_bytes() != first
