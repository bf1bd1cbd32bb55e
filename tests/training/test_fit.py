"""The training of one member on real photos: killed and resumed, stopped in words, logged."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from screening.errors import ContractError, TrainingError
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.disk import new_array, write_whole
from screening.training.fit import PhotosOfMember, fit_member
from screening.training.folds import rows_of_member
from screening.training.frozen_features import cached_features
from screening.training.networks import Member, build_member
from screening.training.recipe import Draws, Fold, MemberRecipe, load_recipe
from screening.training.tracking import track_member
from tests.training.small_photos import needs_photos, some_photos

EPOCHS = 4
CLASSES = load_training_classes("isic8", load_taxonomy())
ROOT = Path(__file__).parents[2]


def a_recipe(**changes: object) -> MemberRecipe:
    """MobileNetV2 at 32 px without pretrained weights, for a few quick epochs."""
    recipe = load_recipe("first_ensemble").members[0]
    small = {"weights": "none", "size": 32, "first_size": None, "first_epochs": 0, "epochs": EPOCHS, "stop_after": None,
             "batch_photos": 8, "precision": "32-true", "draws": Draws(order="each_once")}  # fmt: skip
    return MemberRecipe.model_validate(recipe.model_dump() | small | changes)


def drawn_photos(count: int = 32, side: int = 32) -> PhotosOfMember:
    """Noise of two diseases of different grade, one brighter: where a test looks at the loop, not at what is learnt."""
    is_bright = np.arange(count) % 2
    label = is_bright * CLASSES.class_ids.index("melanoma")
    random = np.random.default_rng(0)
    pixels = (random.integers(0, 120, (count, side, side, 3)) + 100 * is_bright[:, None, None, None]).astype(np.uint8)
    corpus = pd.DataFrame({"label": label, "kind": "clinical", "source": "drawn"})
    return PhotosOfMember(corpus, pixels, np.arange(count)[8:], np.arange(count)[:8])


def fit(recipe: MemberRecipe, photos: PhotosOfMember, folder: Path) -> Member:
    return fit_member(recipe, photos, CLASSES, folder, folder)


def trained_by_itself(folder: Path) -> None:
    """What the process that is killed runs."""
    torch.set_num_threads(1)
    fit(a_recipe(), some_photos(6, 32), folder)


@needs_photos
def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path):
    whole = fit(a_recipe(), some_photos(6, 32), tmp_path / "whole").state_dict()

    killed = tmp_path / "killed"
    command = (
        f"from pathlib import Path; from tests.training.test_fit import *; trained_by_itself(Path({str(killed)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 120
    while epochs_done(killed) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "killed before it was finished"
    assert 2 <= epochs_done(killed) < EPOCHS
    resumed = fit(a_recipe(), some_photos(6, 32), killed).state_dict()

    assert epochs_done(killed) == EPOCHS
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, msg=f"{name} differs")


def epochs_done(folder: Path) -> int:
    file = folder / "last.ckpt"
    return int(torch.load(file, weights_only=True)["epoch"]) + 1 if file.is_file() else 0


def test_a_member_that_is_finished_is_only_loaded(tmp_path):
    first = fit(a_recipe(epochs=1), drawn_photos(), tmp_path).state_dict()
    written = (tmp_path / "last.ckpt").stat().st_mtime_ns
    again = fit(a_recipe(epochs=1), drawn_photos(), tmp_path).state_dict()

    assert (tmp_path / "last.ckpt").stat().st_mtime_ns == written
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())


def test_a_checkpoint_of_another_recipe_is_not_taken_up(tmp_path):
    fit(a_recipe(epochs=1), drawn_photos(), tmp_path)

    with pytest.raises(ContractError, match="holds a training of another recipe"):
        fit(a_recipe(epochs=2), drawn_photos(), tmp_path)


def test_a_loss_that_is_no_number_stops_with_its_step(tmp_path):
    too_fast = a_recipe(optimizer={"name": "sgd", "learning_rate": 1e30}, schedule={"name": "constant"},
                        gradient_clip=None, ema_decay=None)  # fmt: skip

    with pytest.raises(
        TrainingError, match=r"lesion_mobilenet_v2_224: the loss is not a number at step \d+ of epoch 0"
    ):
        fit(too_fast, drawn_photos(), tmp_path)
    assert not (tmp_path / "last.ckpt").exists(), "no checkpoint is written of a lost network"


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """What the kernel refuses like a full disk: no file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_with_the_file_and_the_checkpoint_before_stands(tmp_path):
    write_whole(tmp_path / "last.ckpt", b"before")

    with no_room_beyond(1000), pytest.raises(TrainingError, match=r"last\.ckpt: no room to write it"):
        write_whole(tmp_path / "last.ckpt", bytes(2000))
    assert (tmp_path / "last.ckpt").read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"], "nothing half is left"


def test_a_training_on_a_full_disk_stops_in_words(tmp_path):
    with no_room_beyond(100_000), pytest.raises(TrainingError, match=r"(best|last)\.ckpt: no room"):
        fit(a_recipe(epochs=1), drawn_photos(), tmp_path)


def test_a_cache_that_finds_no_room_is_told_before_it_is_filled(tmp_path):
    with (
        no_room_beyond(100_000),
        pytest.raises(TrainingError, match=r"pixels\.npy: no room"),
        new_array(tmp_path / "pixels.npy", np.uint8, (1_000_000,)) as array,
    ):
        array[:] = 1
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_is_not_of_room_stays_what_it_is(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "file" / "last.ckpt", b"")


def test_a_class_that_no_training_photo_shows_is_told(tmp_path):
    photos = drawn_photos()
    photos.corpus.loc[photos.validation[:2], "label"] = 5

    with pytest.raises(ContractError, match=f"no training photo shows {CLASSES.class_ids[5]}"):
        fit(a_recipe(), photos, tmp_path)


def test_no_photo_to_validate_on_is_told(tmp_path):
    photos = drawn_photos()

    with pytest.raises(ContractError, match="24 photos to train on and 0 to validate on"):
        fit(a_recipe(), PhotosOfMember(photos.corpus, photos.pixels, photos.train, np.array([], int)), tmp_path)


def test_with_the_head_alone_the_backbone_stays_as_it_was(tmp_path):
    recipe = a_recipe(trained="head", epochs=1, ema_decay=None)
    torch.manual_seed(recipe.seed)
    before = build_member(recipe, len(CLASSES), tmp_path)
    torch.save(before.backbone.state_dict(), tmp_path / "start.pt")
    moved = fit(recipe, drawn_photos(), tmp_path / "run").state_dict()

    still = [name for name, tensor in before.state_dict().items() if torch.equal(moved[name], tensor)]
    assert [name for name in moved if name not in still] == [
        "backbone.classifier.1.weight",
        "backbone.classifier.1.bias",
    ]


def test_early_stopping_ends_a_run_that_gets_no_better(tmp_path):
    fit(a_recipe(patience=1, epochs=50, optimizer={"name": "sgd", "learning_rate": 1e-9}), drawn_photos(), tmp_path)

    assert 2 <= epochs_done(tmp_path) < 10


def test_features_of_a_frozen_backbone_are_computed_once_and_are_what_its_head_is_given(tmp_path):
    recipe = a_recipe()
    member = build_member(recipe, 5, tmp_path).eval()
    pixels = drawn_photos().pixels
    features = cached_features(member, pixels, tmp_path)
    [file] = tmp_path.glob("features-*.npy")
    written = file.stat().st_mtime_ns

    again = cached_features(member, pixels, tmp_path)
    other = cached_features(member, pixels[::-1], tmp_path)

    assert file.stat().st_mtime_ns == written
    assert (again == features).all()
    assert other[::-1] == pytest.approx(features, abs=1e-4)
    assert len(list(tmp_path.glob("features-*.npy"))) == 2, "other photos, another file"
    with torch.inference_mode():
        whole = member(torch.from_numpy(pixels))
        from_features = member.backbone.get_submodule("classifier.1")(torch.from_numpy(features.copy()))
    torch.testing.assert_close(from_features, whole)


def test_a_head_is_trained_on_cached_features(tmp_path):
    # ResNet: a MobileNetV2 without trained weights gives every photo the same features.
    recipe = a_recipe(architecture="torchvision:resnet18", trained="head_on_cached_features", augmentations=(),
                      mixup_alpha=0.0, ema_decay=None, epochs=20,
                      optimizer={"name": "adamw", "learning_rate": 0.05}, schedule={"name": "constant"})  # fmt: skip
    photos = drawn_photos()
    member = fit(recipe, photos, tmp_path / "run")

    with torch.inference_mode():
        melanoma, nevus = member(torch.from_numpy(photos.pixels)).numpy()[:, [CLASSES.class_ids.index("melanoma"), 0]].T
    is_melanoma = photos.corpus["label"] > 0
    # The best epoch is the one that ranks best, which here is every photo.
    assert (melanoma - nevus)[is_melanoma].min() > (melanoma - nevus)[~is_melanoma].max()
    assert list(tmp_path.glob("features-*.npy"))


def test_a_run_is_logged_and_a_killed_one_goes_on_in_the_same_run(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    recipe = a_recipe(epochs=1)
    folder = tmp_path / recipe.name
    with sqlite3.connect(tmp_path / "mlflow.db.part") as left_by_a_kill:
        left_by_a_kill.execute("create table spans (id)")  # with which MLflow could not go on
    logger = track_member("tried", recipe, folder, {"split_version": "s-1", "code_revision": "abc"})
    fit_member(recipe, drawn_photos(), CLASSES, tmp_path, folder, logger)
    again = track_member("tried", recipe, folder, {})

    assert again.run_id == logger.run_id
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        metrics = {name for (name,) in database.execute("select key from metrics")}
        params = dict(database.execute("select key, value from params"))
        tags = dict(database.execute("select key, value from tags"))
    assert {"auc", "loss", "training_seconds", "best_auc"} <= metrics
    assert params["optimizer.learning_rate"] == "0.0006"
    assert {name.partition(".")[0] for name in params} == set(MemberRecipe.model_fields)
    assert (tags["split_version"], tags["code_revision"]) == ("s-1", "abc")


def test_a_fold_leaves_out_whole_groups_and_the_validation_photos_stay_unseen():
    photos = 200
    corpus = pd.DataFrame({"source": "one", "label": np.arange(photos) % 2, "quality_issues": None})
    side = pd.Series(["train"] * 150 + ["validation"] * 25 + ["test"] * 25)
    group = pd.Series(np.arange(photos) // 5)

    left_out: list[int] = []
    for number in range(5):
        train, judged = rows_of_member(corpus, side, group, Fold(number=number, of=5))
        assert not set(group[train]) & set(group[judged])
        assert sorted([*train, *judged]) == list(range(150))
        left_out.extend(judged)
    assert sorted(left_out) == list(range(150)), "each photo is left out of one fold"
    train, judged = rows_of_member(corpus, side, group, None)
    assert (train.tolist(), judged.tolist()) == (list(range(150)), list(range(150, 175)))


def test_a_blurred_photo_is_learnt_from_in_the_other_folds_and_judged_in_none():
    corpus = pd.DataFrame(
        {"source": "one", "label": np.arange(20) % 2, "quality_issues": [["out_of_focus"], *[[]] * 19]}
    )
    side, group = pd.Series(["train"] * 20), pd.Series(np.arange(20))

    folds = [rows_of_member(corpus, side, group, Fold(number=number, of=5)) for number in range(5)]

    assert sum(0 in train for train, _ in folds) == 4
    assert not any(0 in judged for _, judged in folds)
