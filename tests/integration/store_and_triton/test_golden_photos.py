"""The same pixels in training and serving: Triton gives the answers that torch gave when the release was made."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

from screening.edges.release import load_release
from screening.errors import ContractError
from screening.stages.pixels import PhotoLimits, decode_photo, encode_working_copy, model_pixels
from screening.tasks.check_release import check_release
from screening.tasks.context import connect_model_server
from tests.integration.nights import MODEL_REPOSITORY, copy_repository

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def release():
    return load_release(str(MODEL_REPOSITORY), None)


@pytest.fixture(scope="module")
def golden(release):
    """The folder with the photos and torch's answers: photo to member to probabilities."""
    return MODEL_REPOSITORY / release.model / "golden"


def test_triton_answers_the_golden_photos_of_the_champion_as_torch_did(new_site, release, golden):
    answers = json.loads((golden / "golden.json").read_text())
    photos = sorted(golden.glob("photo-*.jpg"))
    assert {photo.name for photo in photos} == answers.keys()
    assert photos
    pixels = [
        (photo.name, model_pixels(encode_working_copy(decode_photo(photo.read_bytes(), PhotoLimits()).pixels)))
        for photo in photos
    ]
    with connect_model_server(new_site("golden").settings(), release) as server:
        inferred = list(server.infer(pixels))
    for answer in inferred:
        assert answers[answer.photo_id].keys() == {member.name for member in release.members}
        of_torch = np.array([answers[answer.photo_id][member.name] for member in release.members])
        assert answer.probabilities == pytest.approx(of_torch, abs=1e-3), answer.photo_id


def test_the_golden_photos_tell_every_two_members_and_every_two_photos_apart(release, golden):
    answers = json.loads((golden / "golden.json").read_text())
    every = np.array([[of_photo[member.name] for member in release.members] for of_photo in answers.values()])
    # Else a member in another's place, or a photo for another, would pass unseen.
    for answers_of_one in (every.transpose(1, 0, 2), every):
        one, other = np.triu_indices(len(answers_of_one), k=1)
        assert np.abs(answers_of_one[one] - answers_of_one[other]).max(axis=(1, 2)).min() > 2e-3


def test_triton_passes_on_how_far_a_photo_is_and_where_the_networks_look(new_site, release, golden):
    assert release.tells_outliers
    assert release.tells_heat_maps
    photo = (golden / "photo-0.jpg").read_bytes()
    pixels = model_pixels(encode_working_copy(decode_photo(photo, PhotoLimits()).pixels))
    settings = new_site("maps").settings()
    with connect_model_server(settings, release, with_heat_maps=True) as server:
        (mapped,) = server.infer([("photo-0", pixels)])
    with connect_model_server(settings, release) as server:
        (unmapped,) = server.infer([("photo-0", pixels)])
    assert unmapped.heat_maps == ()
    assert mapped.distances is not None
    assert unmapped.distances == pytest.approx(mapped.distances)
    assert len(mapped.heat_maps) == len(release.members)
    for place, member in enumerate(release.members):
        file = MODEL_REPOSITORY / member.name / member.version / "model.onnx"
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        distance, maps = session.run(["outlier_distance", "heat_maps"], {"pixels": pixels[None]})
        assert mapped.distances[place] == pytest.approx(distance[0, 0], rel=1e-3)
        assert mapped.heat_maps[place] == pytest.approx(maps[0], abs=1e-3)


def test_noise_is_unlike_the_training_photos(new_site, release):
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    with connect_model_server(new_site("noise").settings(), release) as server:
        (answer,) = server.infer([("noise", noise)])
    assert answer.distances is not None
    assert answer.distances.mean() >= release.outlier_cutoff


def test_the_check_of_a_release_says_how_near_the_server_is_to_torch(new_site, release):
    settings = new_site("check").settings()
    with connect_model_server(settings, release) as server:
        gaps = check_release(settings, release, server)
    assert gaps.keys() == {member.name for member in release.members}
    assert 0 < max(gaps.values()) <= 1e-3


def test_a_server_that_answers_otherwise_than_torch_is_told(new_site, release, tmp_path):
    repository = copy_repository(tmp_path, release.name)
    file = repository / release.model / "golden" / "golden.json"
    answers = json.loads(file.read_text())
    answers["photo-1.jpg"][release.members[1].name][0] += 0.01
    file.write_text(json.dumps(answers))
    settings = new_site("otherwise").settings(model_repository=str(repository))
    with (
        connect_model_server(settings, release) as server,
        pytest.raises(ContractError, match=f"differs from torch: {release.members[1].name} by 0.01"),
    ):
        check_release(settings, release, server)
