"""A release that was built elsewhere comes into the model repository as a whole, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from screening.edges.release import load_release, verify_weights
from screening.edges.release_history import read_champion, read_events
from screening.errors import ContractError, MissingError
from screening.settings import Settings
from screening.tasks import install_release
from tests.second_release import build_second_release, repository_of_r0001


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return repository_of_r0001(tmp_path / "repository")


@pytest.fixture
def settings(repository: Path) -> Settings:
    return Settings(model_repository=str(repository))


@pytest.fixture
def built(tmp_path: Path) -> Path:
    return build_second_release(tmp_path / "built")


def contents(repository: Path) -> dict[str, bytes]:
    return {p.relative_to(repository).as_posix(): p.read_bytes() for p in repository.rglob("*") if p.is_file()}


def change_release(built: Path, **changed: Any) -> None:
    file = built / "lesion_ensemble_r0002" / "release.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def test_a_release_comes_in_with_its_members_and_serves_nothing_yet(repository, settings, built):
    assert install_release(built, settings, by="ada", why="retrained") == "r0002"
    release = load_release(str(repository), "r0002")
    assert verify_weights(str(repository), release) == tuple(member.name for member in release.members)
    assert read_champion(str(repository)) == "r0001"
    event = read_events(str(repository))[-1]
    assert (event.event, event.release, event.champion_before, event.by, event.why) == (
        "registered", "r0002", "r0001", "ada", "retrained",
    )  # fmt: skip
    assert event.weights_sha256 == release.weights_sha256


def test_a_release_that_comes_again_changes_nothing(repository, settings, built):
    install_release(built, settings)
    before = contents(repository)
    assert install_release(built, settings) == "r0002"
    assert contents(repository) == before


def test_a_member_that_is_there_with_the_same_weights_is_kept(repository, settings, built):
    shared = "lesion_mobilenet_v2_192_r0002"
    shutil.copytree(built / shared, repository / shared)
    (repository / shared / "config.pbtxt").write_text("changed on this server")
    install_release(built, settings)
    assert (repository / shared / "config.pbtxt").read_text() == "changed on this server"


def test_a_member_that_is_there_with_other_weights_is_refused(repository, settings, built):
    shared = "lesion_mobilenet_v2_192_r0002"
    shutil.copytree(built / shared, repository / shared)
    (repository / shared / "1" / "model.onnx").write_bytes(b"others")
    before = contents(repository)
    with pytest.raises(ContractError, match=f"{shared} holds other weights .* gets another name"):
        install_release(built, settings)
    assert contents(repository) == before


def test_another_release_of_the_same_name_is_refused(repository, settings, built):
    install_release(built, settings)
    before = contents(repository)
    change_release(built, outlier_cutoff=9.0)
    with pytest.raises(ContractError, match="another release of this name"):
        install_release(built, settings)
    assert contents(repository) == before


def without_cutoffs(built: Path) -> None:
    change_release(built, cutoffs={})


def with_a_cutoff_of_zero(built: Path) -> None:
    change_release(built, cutoffs={"version": "g", "dangerous": 0, "high_risk": 0.3})


def with_a_cutoff_missing(built: Path) -> None:
    change_release(built, cutoffs={"version": "g", "high_risk": 0.3})


def with_other_weights(built: Path) -> None:
    (built / "lesion_mobilenet_v2_192_r0002" / "1" / "model.onnx").write_bytes(b"others")


def without_weights(built: Path) -> None:
    (built / "lesion_mobilenet_v2_192_r0002" / "1" / "model.onnx").unlink()


def with_another_tree(built: Path) -> None:
    with (built / "lesion_ensemble_r0002" / "taxonomy.yaml").open("a") as file:
        file.write("\n# changed\n")


def for_other_pixels(built: Path) -> None:
    change_release(built, model_input="stretched-128-1")


def without_golden_photos(built: Path) -> None:
    (built / "lesion_ensemble_r0002" / "golden" / "golden.json").unlink()


def with_golden_photos_of_fewer_members(built: Path) -> None:
    file = built / "lesion_ensemble_r0002" / "golden" / "golden.json"
    answers = json.loads(file.read_text())
    answers["photo-0.jpg"].popitem()
    file.write_text(json.dumps(answers))


def without_a_configuration(built: Path) -> None:
    (built / "lesion_mobilenet_v2_192_r0002" / "config.pbtxt").unlink()


def with_two_releases(built: Path) -> None:
    shutil.copytree(built / "lesion_ensemble_r0002", built / "lesion_ensemble_r0003")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_cutoffs, "cutoffs is {}"),
        (with_a_cutoff_of_zero, "dangerous is 0, expected a number over 0"),
        (with_a_cutoff_missing, "dangerous is None"),
        (with_other_weights, "weights of lesion_mobilenet_v2_192_r0002 version 1 are"),
        (without_weights, "no model.onnx of lesion_mobilenet_v2_192_r0002"),
        (with_another_tree, "its taxonomy.yaml is"),
        (for_other_pixels, "made for pixels stretched-128-1"),
        (without_golden_photos, "golden.json does not exist"),
        (with_golden_photos_of_fewer_members, "one of each member"),
        (without_a_configuration, "config.pbtxt does not exist"),
        (with_two_releases, r"found the releases \['r0002', 'r0003'\]"),
    ],
)
def test_a_release_that_is_not_whole_is_refused_and_leaves_nothing(
    repository: Path, settings: Settings, built: Path, spoil: Callable[[Path], None], said: str
) -> None:
    before = contents(repository)
    spoil(built)
    with pytest.raises((ContractError, MissingError), match=said):
        install_release(built, settings)
    assert contents(repository) == before


def test_what_a_killed_process_left_is_cleared_away(repository, settings, built):
    half = repository / ".arriving-r0002-1" / "lesion_ensemble_r0002"
    half.mkdir(parents=True)
    install_release(built, settings)
    assert not half.parent.exists()


def test_a_folder_without_a_release_is_told(settings, tmp_path):
    with pytest.raises(ContractError, match="expected one folder lesion_ensemble_rNNNN"):
        install_release(tmp_path / "none", settings)
