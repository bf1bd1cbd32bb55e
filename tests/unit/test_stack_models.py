"""The stack's own model repository, filled from the shipped releases."""

from __future__ import annotations

import pytest

from infra.local.errors import StackError
from infra.local.model_repository import bring_shipped_models
from infra.local.settings import StackSettings


@pytest.fixture
def shipped(tmp_path):
    folder = tmp_path / "shipped"
    for name, content in {
        "champion": "r0001\n",
        "lesion_ensemble_r0001/release.json": "{}",
        "lesion_ensemble_r0001/1/.gitkeep": "",
        "lesion_net/1/model.onnx": "weights",
        "lesion_net/1/__pycache__/model.pyc": "code",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def bring(repository, shipped):
    told: list[str] = []
    bring_shipped_models(repository, told.append, shipped)
    return told


def test_a_new_stack_serves_the_shipped_champion(tmp_path, shipped):
    own = tmp_path / "own"
    assert len(bring(own, shipped)) == 1
    assert (own / "champion").read_text() == "r0001\n"
    assert (own / "lesion_net/1/model.onnx").read_text() == "weights"
    assert (own / "lesion_ensemble_r0001/1").is_dir()
    assert not (own / "lesion_net/1/__pycache__").exists()


def test_a_second_start_brings_nothing_and_keeps_the_stacks_own_champion(tmp_path, shipped):
    own = tmp_path / "own"
    bring(own, shipped)
    (own / "champion").write_text("r0002\n")
    assert bring(own, shipped) == []
    assert (own / "champion").read_text() == "r0002\n"


def test_a_release_of_the_same_name_with_other_content_is_never_overwritten(tmp_path, shipped):
    own = tmp_path / "own"
    bring(own, shipped)
    (own / "lesion_net/1/model.onnx").write_text("weights of this site")
    (shipped / "lesion_net/2").mkdir()
    (shipped / "lesion_net/2/model.onnx").write_text("new")
    with pytest.raises(StackError, match=r"model\.onnx differs"):
        bring(own, shipped)
    assert (own / "lesion_net/1/model.onnx").read_text() == "weights of this site"
    assert not (own / "lesion_net/2").exists()


def test_a_stack_that_serves_the_checkout_itself_copies_nothing(shipped):
    assert bring(shipped, shipped) == []


def test_the_repository_lies_in_the_stacks_state_unless_another_is_named(tmp_path):
    assert StackSettings(state_dir=tmp_path).model_repository == tmp_path / "model_repository"
    assert StackSettings(state_dir=tmp_path, model_repository=tmp_path / "own").model_repository == tmp_path / "own"


def test_the_shipped_history_is_brought_once_and_then_the_stacks_own_goes_on(tmp_path, shipped):
    own = tmp_path / "own"
    (shipped / "history").mkdir()
    (shipped / "history/00001.json").write_text("r0001 was promoted")
    bring(own, shipped)
    assert (own / "history/00001.json").read_text() == "r0001 was promoted"
    (own / "history/00002.json").write_text("r0002 was trained here")
    (shipped / "history/00002.json").write_text("r0002 came with a later version")
    (shipped / "history/00003.json").write_text("so did r0003")
    assert bring(own, shipped) == []
    assert (own / "history/00002.json").read_text() == "r0002 was trained here"
    assert not (own / "history/00003.json").exists()
