"""The same pixels in training and serving: Triton gives the answers that torch gave when the release was made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from screening.edges.release import load_release
from screening.stages.pixels import PhotoLimits, decode_photo, encode_working_copy, model_pixels
from screening.tasks.context import connect_model_server
from tests.integration.nights import MODEL_REPOSITORY

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
