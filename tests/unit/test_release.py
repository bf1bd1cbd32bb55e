"""Releases in a model repository."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from screening.edges.release import MemberOfRelease, digest_of_members, load_release, verify_weights
from screening.errors import ContractError, MissingError

WEIGHTS = {"lesion_a": b"weights of a", "lesion_b": b"weights of b"}


def release_fields(**changed: Any) -> dict[str, Any]:
    members = [
        {
            "name": name,
            "version": "2",
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "output": f"probabilities_{name}",
        }
        for name, weights in WEIGHTS.items()
    ]
    fields: dict[str, Any] = {
        "name": "r0007",
        "model": "lesion_ensemble_r0007",
        "members": members,
        "classes": ["nevus", "melanoma"],
        "taxonomy_version": "t-1",
        "model_input": "squash-256-area-2",
        "input_shape": [256, 256, 3],
        "cutoffs": {"version": "g-1", "dangerous": 0.3},
        "weights_sha256": digest_of_members([MemberOfRelease(**m) for m in members]),
        "made_on": "2026-11-21",
    }
    return fields | changed


def write_release(repository: Path, **changed: Any) -> None:
    folder = repository / "lesion_ensemble_r0007"
    folder.mkdir(exist_ok=True)
    (folder / "release.json").write_text(json.dumps(release_fields(**changed)))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_release(tmp_path)
    (tmp_path / "champion").write_text("r0007\n")
    for name, weights in WEIGHTS.items():
        file = tmp_path / name / "2" / "model.onnx"
        file.parent.mkdir(parents=True)
        file.write_bytes(weights)
    return tmp_path


def test_a_release_is_read_by_its_name(repository):
    release = load_release(str(repository), "r0007")
    assert release.model == "lesion_ensemble_r0007"
    assert [(m.name, m.version, m.output) for m in release.members] == [
        ("lesion_a", "2", "probabilities_lesion_a"),
        ("lesion_b", "2", "probabilities_lesion_b"),
    ]
    assert release.classes == ("nevus", "melanoma")
    assert release.input_shape == (256, 256, 3)
    assert release.cutoffs == {"version": "g-1", "dangerous": 0.3}


def test_without_a_name_the_champion_is_read(repository):
    assert load_release(str(repository), None) == load_release(str(repository), "r0007")


def test_a_rollback_is_one_line(repository):
    (repository / "champion").write_text("r0006")
    with pytest.raises(MissingError, match="r0006"):
        load_release(str(repository), None)


def test_a_release_survives_pickling(repository):
    release = load_release(str(repository), None)
    assert pickle.loads(pickle.dumps(release)) == release  # noqa: S301  our own bytes


def test_a_repository_without_a_champion_says_so(repository):
    (repository / "champion").unlink()
    with pytest.raises(MissingError, match="champion"):
        load_release(str(repository), None)
    with pytest.raises(MissingError, match="champion"):
        load_release(str(repository / "nowhere"), None)


@pytest.mark.parametrize("name", ["r0008", "", "0007", "../r0007", "r0007/../r0007", "r7", "R0007"])
def test_a_release_that_does_not_exist_is_missing(repository, name):
    with pytest.raises(MissingError):
        load_release(str(repository), name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ud800".encode("utf-8", "surrogatepass")])
def test_a_file_that_is_no_json_object_breaks_the_contract(repository, text):
    file = repository / "lesion_ensemble_r0007" / "release.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ContractError, match="r0007"):
        load_release(str(repository), "r0007")


@pytest.mark.parametrize("name", [name for name in release_fields() if name != "made_on"])
def test_a_field_that_is_missing_is_named(repository, name):
    fields = release_fields()
    del fields[name]
    (repository / "lesion_ensemble_r0007" / "release.json").write_text(json.dumps(fields))
    with pytest.raises(ContractError, match=name):
        load_release(str(repository), "r0007")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "r0008"),
        ("model", "../ensemble"),
        ("members", {}),
        ("classes", "nevus"),
        ("classes", ["nevus"]),
        ("classes", ["nevus", "nevus"]),
        ("classes", ["nevus", 3]),
        ("taxonomy_version", 1),
        ("model_input", ""),
        ("input_shape", [256, 256]),
        ("input_shape", [256, 256, 0]),
        ("input_shape", [256, 256, True]),
        ("input_shape", [256.0, 256, 3]),
        ("cutoffs", []),
        ("cutoffs", {}),
        ("weights_sha256", "0" * 63),
        ("weights_sha256", "0" * 64),
    ],
)
def test_a_field_with_a_wrong_value_is_named(repository, name, value):
    write_release(repository, **{name: value})
    with pytest.raises(ContractError, match="is of 'r0008'" if name == "name" else name):
        load_release(str(repository), "r0007")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "../a"),
        ("version", 2),
        ("version", "0"),
        ("version", "latest"),
        ("weights_sha256", "x"),
        ("output", ""),
    ],
)
def test_a_member_with_a_wrong_value_is_named(repository, name, value):
    members = release_fields()["members"]
    members[1][name] = value
    write_release(repository, members=members)
    with pytest.raises(ContractError, match=name):
        load_release(str(repository), "r0007")


def test_a_member_that_is_no_object_is_shown(repository):
    write_release(repository, members=["lesion_a"])
    with pytest.raises(ContractError, match="a member is 'lesion_a'"):
        load_release(str(repository), "r0007")


@pytest.mark.parametrize("name", ["name", "output"])
def test_two_members_cannot_share_a_name_or_an_output(repository, name):
    members = release_fields()["members"]
    members[1][name] = members[0][name]
    write_release(repository, members=members)
    with pytest.raises(ContractError, match="two members"):
        load_release(str(repository), "r0007")


def test_the_digest_changes_with_the_weights_the_version_and_the_order():
    a, b = (MemberOfRelease(name, "1", "0" * 64, name) for name in "ab")
    digests = {
        digest_of_members(members)
        for members in (
            [a, b],
            [b, a],
            [a],
            [a, MemberOfRelease("b", "2", "0" * 64, "b")],
            [a, MemberOfRelease("b", "1", "1" * 64, "b")],
        )
    }
    assert len(digests) == 5


def test_weights_that_are_those_of_the_release_are_verified(repository):
    assert verify_weights(str(repository), load_release(str(repository), None)) == ("lesion_a", "lesion_b")


def test_weights_that_are_elsewhere_cannot_be_verified(repository):
    (repository / "lesion_a" / "2" / "model.onnx").unlink()
    assert verify_weights(str(repository), load_release(str(repository), None)) == ("lesion_b",)


def test_other_weights_than_the_release_was_made_with_are_found(repository):
    (repository / "lesion_b" / "2" / "model.onnx").write_bytes(b"others")
    with pytest.raises(ContractError, match="lesion_b version 2"):
        verify_weights(str(repository), load_release(str(repository), None))


# What a release says of the limits of its answers

LOWEST = {"everybody": {"low_risk": 0.2, "high_risk": 0.2, "dangerous": 0.05}}
SETS = {"coverage": 0.9, "lowest": LOWEST}


def told_members() -> list[dict[str, str]]:
    return [m | {"distance_output": f"outlier_distance_{m['name']}"} for m in release_fields()["members"]]


def test_an_older_release_that_says_nothing_of_its_limits_is_read(repository):
    release = load_release(str(repository), "r0007")
    assert (release.outlier_cutoff, release.prediction_sets) == (None, None)
    assert (release.tells_outliers, release.tells_heat_maps) == (False, False)


def test_a_release_says_what_its_members_answer(repository):
    members = [m | {"heat_maps_output": f"heat_maps_{m['name']}"} for m in told_members()]
    write_release(repository, members=members, outlier_cutoff=3.3, prediction_sets=SETS)
    release = load_release(str(repository), "r0007")
    assert (release.tells_outliers, release.tells_heat_maps) == (True, True)
    assert release.members[0].outputs == (
        "probabilities_lesion_a", "outlier_distance_lesion_a", "heat_maps_lesion_a",
    )  # fmt: skip
    assert release.prediction_sets == SETS


def test_a_cutoff_that_a_member_has_no_distance_for_is_refused(repository):
    members = told_members()
    del members[1]["distance_output"]
    write_release(repository, members=members, outlier_cutoff=3.3)
    with pytest.raises(ContractError, match="but lesion_b has no distance_output"):
        load_release(str(repository), "r0007")


@pytest.mark.parametrize("cutoff", [0, -1, "3", True, float("nan")])
def test_a_cutoff_that_is_no_distance_is_refused(repository, cutoff):
    write_release(repository, members=told_members(), outlier_cutoff=cutoff)
    with pytest.raises(ContractError, match="outlier_cutoff"):
        load_release(str(repository), "r0007")


@pytest.mark.parametrize(
    "sets",
    [
        [],
        {"coverage": 0.9},
        {"coverage": 0.9, "lowest": {}},
        {"coverage": 0.9, "lowest": {"V-VI": LOWEST["everybody"]}},
        {"coverage": 1.9, "lowest": LOWEST},
        {"coverage": 0.9, "lowest": {"everybody": {"low_risk": 0.2, "high_risk": 0.2}}},
        {"coverage": 0.9, "lowest": LOWEST, "more": 1},
    ],
)
def test_prediction_sets_that_lack_a_limit_are_refused(repository, sets):
    write_release(repository, prediction_sets=sets)
    with pytest.raises(ContractError, match="prediction_sets"):
        load_release(str(repository), "r0007")


def test_two_tensors_of_one_name_are_refused(repository):
    members = [m | {"heat_maps_output": "heat_maps"} for m in release_fields()["members"]]
    write_release(repository, members=members)
    with pytest.raises(ContractError, match="two members have the same output"):
        load_release(str(repository), "r0007")
