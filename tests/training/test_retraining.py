"""A whole retraining on some real photos, from the champion's own weights: what it keeps, resumes and refuses.

Each step is killed with -9 and run again, at the places of tests/kill_points.py.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import yaml

from screening import retrain_cli
from screening.contracts import CORPUS
from screening.contracts import SPLIT as SPLIT_TABLE
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.release import load_release, split_file, verify_weights, weights_file
from screening.edges.tables import write_table
from screening.errors import ContractError, MissingError
from screening.stages.pixels import PhotoLimits, decode_photo, encode_working_copy
from screening.taxonomy import load_taxonomy
from screening.training.corpus import build_corpus, read_corpus_table, write_corpus
from screening.training.ensemble import fit_one
from screening.training.evaluation.gate_rules import GateRules
from screening.training.photo_cache import load_pixels
from screening.training.recipe import load_recipe
from screening.training.retraining.assemble import assemble_release
from screening.training.retraining.compare import compare_releases
from screening.training.retraining.gate import pass_gate
from screening.training.retraining.members import fit_member_of_run
from screening.training.retraining.run_folder import Order, RunFolder
from screening.training.retraining.sides import check_leaks, open_training_set, split_photos
from screening.training.retraining.snapshot import merge_corpora, take_snapshot
from screening.training.splits import read_split, write_split
from tests.kill_points import TRAINING
from tests.killed import KILLED, run_until_killed
from tests.second_release import repository_of_r0001
from tests.training.small_photos import SHARED, SOURCES, needs_photos

_FOLDER = tempfile.TemporaryDirectory()
REPOSITORY = repository_of_r0001(Path(_FOLDER.name) / "models")
CHAMPION = load_release(str(REPOSITORY), "r0001")
SPLIT = split_file(str(REPOSITORY), CHAMPION)
NO_WEIGHTS = Path("no-imagenet-here")
EPOCHS = 3
SMALL = {
    "name": "small", "about": "One member of the champion at 32 px.", "source": "docs/decisions/0020", "ours": ["all"],
    "classes": "isic8", "sources": ["any"], "split": {"seed": 0}, "start_from": "champion",
    "members": [{
        "name": "lesion_mobilenet_v2_192", "architecture": "torchvision:mobilenet_v2", "size": 32, "epochs": EPOCHS,
        "batch_photos": 16, "precision": "32-true", "optimizer": {"name": "adamw", "learning_rate": 1e-4},
        "schedule": {"name": "one_cycle"}, "draws": {"order": "each_once"}, "seed": 1,
    }],
}  # fmt: skip

pytestmark = needs_photos


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published photos, some of each class and side of the champion's split."""
    folder = tmp_path_factory.mktemp("base")
    for source in SOURCES:
        (folder / source).symlink_to(SHARED / "data" / source)
    table, _ = build_corpus(folder, dict.fromkeys(SOURCES), load_taxonomy())
    frame = table.to_pandas()
    side = frame["photo_id"].map(read_split(SPLIT).to_pandas().set_index("photo_id")["side"])
    some = frame.groupby([side, "disease", "kind"]).head(4)
    write_corpus(pa.Table.from_pandas(some, schema=CORPUS.schema, preserve_index=False), folder / "corpus.parquet")
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    return file


Begin = Callable[[Path], RunFolder]


@pytest.fixture(scope="module")
def begin(base: Path, recipe: Path) -> Begin:
    """Begins a run in a folder, up to its split."""

    def begun(folder: Path) -> RunFolder:
        run = RunFolder.named(folder, "run-1")
        today = datetime(2026, 11, 22, tzinfo=UTC).date().isoformat()
        run.write_order(Order("run-1", load_recipe(str(recipe)), "r0001", "r0001", today, "a test", is_dry_run=False))
        take_snapshot(run, FolderStore(folder), base)
        check_leaks(run, SPLIT, NO_WEIGHTS)
        split_photos(run, SPLIT, NO_WEIGHTS)
        return run

    return begun


def train(run: RunFolder) -> str:
    """Fit and assemble; returns the digest of the release's networks."""
    photos = open_training_set(run)
    member = fit_member_of_run(run, 0, photos, str(REPOSITORY), NO_WEIGHTS, "")
    name = assemble_release(run, photos, [member], REPOSITORY)
    return load_release(str(run.release), name).weights_sha256


@pytest.fixture(scope="module")
def whole(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nobody disturbed, up to its answers."""
    run = begin(tmp_path_factory.mktemp("whole"))
    train(run)
    compare_releases(run, open_training_set(run), REPOSITORY)
    return run


def digest(run: RunFolder) -> str:
    return load_release(str(run.release), run.order().release).weights_sha256


def test_photos_keep_the_sides_of_the_champions_split_and_gone_ones_are_remembered(whole):
    before = read_split(SPLIT).to_pandas().set_index("photo_id")["side"]
    after = read_split(whole.split).to_pandas().set_index("photo_id")["side"]

    assert after.index.symmetric_difference(before.index).empty
    assert (after == before[after.index]).all()


def test_too_few_validation_photos_of_a_grade_are_told_before_the_training(begin, tmp_path):
    run = begin(tmp_path)
    corpus, rows = read_corpus_table(run.snapshot).to_pandas(), read_split(run.split).to_pandas()
    dangerous = corpus["photo_id"][corpus["disease"].isin(["melanoma", "squamous_cell_carcinoma"])]
    rows.loc[(rows["side"] == "validation") & rows["photo_id"].isin(dangerous), "side"] = "left_out"
    write_split(pa.Table.from_pandas(rows, schema=SPLIT_TABLE.schema, preserve_index=False), run.split)

    with pytest.raises(ContractError, match="validation photos: 0 of dangerous, expected at least 10 of each grade"):
        open_training_set(run)


def test_the_challenger_has_a_free_name_members_of_its_own_and_what_a_next_one_starts_from(whole):
    release = load_release(str(whole.release), "r0002")
    file, sha256 = weights_file(str(whole.release), release, "lesion_mobilenet_v2_192")

    assert [m.name for m in release.members] == ["lesion_mobilenet_v2_192_r0002"]
    assert verify_weights(str(whole.release), release) == ("lesion_mobilenet_v2_192_r0002",)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    assert read_split(split_file(str(whole.release), release)).num_rows == read_split(whole.split).num_rows


def test_a_member_starts_from_the_champions_own_weights(whole):
    file, sha256 = weights_file(str(REPOSITORY), CHAMPION, "lesion_mobilenet_v2_192")
    best = torch.load(whole.members / "lesion_mobilenet_v2_192" / "best.ckpt", weights_only=True)["state_dict"]
    from safetensors.torch import load_file  # noqa: PLC0415  # of the training alone

    start = load_file(file)
    name = "backbone.features.0.0.weight"
    moved = (best[f"member.{name}"] - start[name].float()).abs().max()

    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    assert 0 < moved < 0.02, "it moved, and not far"


def test_both_releases_answered_the_photos_of_the_test_side_and_no_other(whole):
    table = pd.read_parquet(whole.answers)
    side = read_split(whole.split).to_pandas().set_index("photo_id")["side"]

    assert set(side[table["photo_id"]]) == {"test"}
    assert not table["is_new"].any()
    assert (table["champion_p_at_risk"] != table["challenger_p_at_risk"]).all()
    costs = json.loads(whole.costs.read_text())
    assert costs["challenger"]["size_bytes"] < costs["champion"]["size_bytes"]


def command(words: list[str]) -> None:
    """What a task of the DAG starts in the training's environment."""
    torch.set_num_threads(1)
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow sets it where it is used: that of an earlier test
    retrain_cli.app(words, standalone_mode=False)


class KilledStep(Protocol):
    """See ``killed_step``."""

    def __call__(self, step: str, folder: Path, *, is_disturbed: bool = True) -> list[int | None]: ...


@pytest.fixture(scope="module")
def killed_step(base: Path, recipe: Path) -> KilledStep:
    """Runs a step in a folder, killed at each of its places and then to its end; returns the exit codes."""

    def ends(step: str, folder: Path, *, is_disturbed: bool = True) -> list[int | None]:
        options = {"snapshot": ["--recipe", str(recipe), "--reason", "a test"], "fit": ["--member", "0"]}
        again = partial(command, [step, "run-1", *options.get(step, [])])
        environment = {
            "SCREENING_TRAINING_FOLDER": str(folder), "SCREENING_BASE_CORPUS": str(base),
            "SCREENING_RESULTS": folder.as_uri(), "SCREENING_MODEL_REPOSITORY": str(REPOSITORY),
        }  # fmt: skip
        places = [*(TRAINING[step] if is_disturbed else ()), (None, 1)]
        return [
            run_until_killed(again, before=place, time=time, environment=environment, preload=[__name__])
            for place, time in places
        ]

    return ends


def killed_in(step: str) -> list[int]:
    return [KILLED] * len(TRAINING[step]) + [0]


def left_in(folder: Path) -> dict[str, bytes]:
    """The files of a run and of its store by their names; of pixels, the name holds when their photos were written."""
    files = [file for file in folder.rglob("*") if file.is_file() and ".partial" not in file.parts]
    return {re.sub("pixels-[0-9a-f]+", "pixels", str(file.relative_to(folder))): file.read_bytes() for file in files}


def test_a_corpus_frozen_checked_and_split_by_killed_steps_is_that_of_undisturbed_ones(base, killed_step, tmp_path):
    published = read_corpus_table(base / "corpus.parquet").to_pylist()
    copy = encode_working_copy(decode_photo((base / str(published[0]["photo"])).read_bytes(), PhotoLimits()).pixels)
    ids = [digit * 32 for digit in "def"]
    rows = [
        programme_row(published[0], f"north/{i}", photo_id=i, photo=f"photos/{i}.jpg", perceptual_hash=None)
        for i in ids
    ]
    for name in ("killed", "undisturbed"):
        store = FolderStore(tmp_path / name)
        (tmp_path / name).mkdir()
        write_table(store, paths.CORPUS_TABLE, CORPUS.table(rows), CORPUS)
        for photo_id in ids:
            store.put(paths.corpus_photo(photo_id), copy)

    for step in ("snapshot", "check", "split"):
        assert killed_step(step, tmp_path / "undisturbed", is_disturbed=False) == [0]
        assert killed_step(step, tmp_path / "killed") == killed_in(step)

    left = left_in(tmp_path / "killed")
    assert left == left_in(tmp_path / "undisturbed")
    assert len([name for name in left if name.startswith("corpus/snapshots/")]) == 1
    assert {f"run-1/{name}" for name in ("split.parquet", "groups.npy", "leaks.json", "pixels.npy")} < set(left)


@pytest.mark.slow
@pytest.mark.timeout(900)  # twenty processes, one after the other, on a machine that may have other work
def test_a_challenger_of_steps_that_were_killed_is_that_of_undisturbed_ones_and_so_is_the_gates_word(
    whole, begin, killed_step, tmp_path
):
    run = begin(tmp_path / "killed")
    steps = ("fit", "assemble", "evaluate")
    assert {step: killed_step(step, tmp_path / "killed") for step in steps} == {step: killed_in(step) for step in steps}
    assert run.order() == whole.order()
    assert left_in(run.release) == left_in(whole.release)
    pd.testing.assert_frame_equal(pd.read_parquet(run.answers), pd.read_parquet(whole.answers))
    costs, expected = (json.loads(of.costs.read_text()) for of in (run, whole))
    for who in expected:
        assert costs[who].pop("ms_per_photo") > 0
        assert costs[who].items() < expected[who].items()

    shutil.copytree(tmp_path / "killed", tmp_path / "undisturbed", symlinks=True)
    other = RunFolder(tmp_path / "undisturbed" / "run-1")
    pass_gate(other, GateRules(), FolderStore(tmp_path / "undisturbed"))
    assert killed_step("gate", tmp_path / "killed") == killed_in("gate")
    left, expected = (left_in(folder) for folder in (tmp_path / "killed", tmp_path / "undisturbed"))
    for name in ("run-1/gate.json", "training/run-1/gate.json"):
        said = json.loads(left.pop(name)) | {"release_folder": str(other.release)}
        assert said == json.loads(expected.pop(name))
    assert left == expected
    assert not run.photos.exists()


def test_a_step_that_is_done_is_not_done_again(whole):
    written = {f: f.stat().st_mtime_ns for f in whole.release.rglob("*") if f.is_file()}

    train(whole)

    assert {f: f.stat().st_mtime_ns for f in whole.release.rglob("*") if f.is_file()} == written


def test_the_gate_writes_its_word_for_people_and_takes_copies_of_photos_away(whole, tmp_path):
    run = RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run-1", symlinks=True)))
    store = FolderStore(tmp_path / "results")
    (tmp_path / "results").mkdir()

    verdict = pass_gate(run, GateRules(), store)

    assert not verdict.passed, "four photos of each kind prove nothing"
    assert "too few to prove anything" in verdict.reason
    said = json.loads(store.get(paths.training("run-1", "gate.json")))
    assert (said["challenger"], said["passed"], said["reason"]) == ("r0002", False, verdict.reason)
    assert store.get(paths.training("run-1", "comparison.html")) == run.comparison.read_bytes()
    assert not run.photos.exists()
    assert not list(run.path.glob("pixels-*"))
    with pytest.raises(MissingError, match="retrain snapshot` brings the photos back"):
        open_training_set(run)


def test_a_refused_challengers_name_is_not_used_again(whole, begin, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run-0", symlinks=True)
    run = begin(tmp_path)
    photos = open_training_set(run)
    shutil.copytree(whole.members, run.members)
    member = fit_member_of_run(run, 0, photos, str(REPOSITORY), NO_WEIGHTS, "")

    assert assemble_release(run, photos, [member], REPOSITORY) == "r0003"


def programme_row(base_row: dict[str, object], patient: str, **changes: object) -> dict[str, object]:
    """What intake_decisions writes of a photo that somebody vetted."""
    photo = f"photos/{base_row['photo_id']}.jpg"
    return base_row | {"photo": photo, "patient": patient, "lesion": patient, "source": "north"} | changes


def test_a_photo_of_a_programme_and_of_the_published_ones_is_one_and_so_are_its_people(base):
    published = read_corpus_table(base / "corpus.parquet")
    first = published.to_pylist()[0]
    ours = CORPUS.table([programme_row(first, "north/somebody", disease="melanoma")])

    merged = merge_corpora(ours, published).to_pandas()

    assert len(merged) == published.num_rows
    assert merged["photo_id"].is_unique
    row = merged[merged["photo_id"] == first["photo_id"]].iloc[0]
    assert (row["disease"], row["photo"]) == ("melanoma", f"programmes/photos/{first['photo_id']}.jpg")
    assert first["patient"] not in set(merged["patient"])


def test_new_photos_of_a_programme_are_fetched_and_seen_as_a_night_sees_them(base, recipe, tmp_path):
    store, run = FolderStore(tmp_path), RunFolder.named(tmp_path, "run-1")
    published = read_corpus_table(base / "corpus.parquet").to_pylist()
    copy = encode_working_copy(decode_photo((base / str(published[0]["photo"])).read_bytes(), PhotoLimits()).pixels)
    row = programme_row(published[0], "north/new", photo_id="f" * 32)
    row["photo"] = f"photos/{'f' * 32}.jpg"
    write_table(store, paths.CORPUS_TABLE, CORPUS.table([row]), CORPUS)
    run.write_order(Order("run-1", load_recipe(str(recipe)), "r0001", "r0001", "2026-11-22", "a test", is_dry_run=True))

    with pytest.raises(MissingError, match=r"1 of \d+ photos of the corpus cannot be used.*ffff"):
        take_snapshot(run, store, base)
    store.put(paths.corpus_photo("f" * 32), copy)
    table = take_snapshot(run, store, base)

    assert (run.photos / "programmes" / row["photo"]).read_bytes() == copy
    assert table.num_rows == len(published) + 1
    assert not list(tmp_path.glob("corpus/snapshots/*")), "a dry run keeps no snapshot"
    files = [str(run.photos / "programmes" / row["photo"]), str(base / str(published[0]["photo"]))]
    seen = load_pixels(files, tmp_path, working_copies=frozenset(files[:1]))
    assert np.array_equal(seen[0], seen[1]), "the working copy was not encoded a second time"


def test_a_published_photo_whose_bytes_changed_stops_the_snapshot(base, recipe, tmp_path):
    other = tmp_path / "base"
    other.mkdir()
    table = pd.read_parquet(base / "corpus.parquet").head(1)
    photo = other / str(table["photo"].iloc[0])
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"other bytes")
    write_corpus(pa.Table.from_pandas(table, schema=CORPUS.schema, preserve_index=False), other / "corpus.parquet")
    run = RunFolder.named(tmp_path, "run-1")
    run.write_order(Order("run-1", load_recipe(str(recipe)), "r0001", "r0001", "2026-11-22", "a test", is_dry_run=True))

    with pytest.raises(MissingError, match="holds other bytes than its table says"):
        take_snapshot(run, FolderStore(tmp_path), other)


def test_test_photos_of_somebody_who_turns_out_to_be_trained_on_are_no_longer_tested_on(begin, tmp_path):
    run = begin(tmp_path)
    frame = pd.read_parquet(run.snapshot)
    side = frame["photo_id"].map(read_split(SPLIT).to_pandas().set_index("photo_id")["side"])
    trained, tested = frame.index[side == "train"][0], frame.index[side == "test"][0]
    frame.loc[tested, "patient"] = frame.loc[trained, "patient"]
    write_corpus(pa.Table.from_pandas(frame, schema=CORPUS.schema, preserve_index=False), run.snapshot)

    found = check_leaks(run, SPLIT, NO_WEIGHTS)
    split_photos(run, SPLIT, NO_WEIGHTS)

    assert found.leaks >= 1
    assert json.loads(run.leaks.read_text())[0]["evidence"] == "same patient"
    after = read_split(run.split).to_pandas().set_index("photo_id")
    assert after.loc[frame.loc[tested, "photo_id"], ["side", "reason"]].tolist() == ["left_out", "joins_two_sides"]
    assert after.loc[frame.loc[trained, "photo_id"], "side"] == "train"


def test_blurred_photos_of_the_champions_test_are_no_longer_measured_on_unless_the_recipe_wants_it(begin, tmp_path):
    run = begin(tmp_path)
    frame = pd.read_parquet(run.snapshot)
    side = frame["photo_id"].map(read_split(SPLIT).to_pandas().set_index("photo_id")["side"])
    blurred = frame.loc[[frame.index[side == name][0] for name in ("test", "validation", "train")], "photo_id"]
    issues = [["out_of_focus"] if photo in set(blurred) else None for photo in frame["photo_id"]]
    frame = frame.assign(quality_issues=issues)
    write_corpus(pa.Table.from_pandas(frame, schema=CORPUS.schema, preserve_index=False), run.snapshot)

    found = check_leaks(run, SPLIT, NO_WEIGHTS)
    split_photos(run, SPLIT, NO_WEIGHTS)
    after = read_split(run.split).to_pandas().set_index("photo_id").loc[blurred]
    split = run.order().recipe.split.model_copy(update={"measure_on_blurred": True})
    recipe = run.order().recipe.model_copy(update={"split": split})
    run.write_order(replace(run.order(), recipe=recipe))
    split_photos(run, SPLIT, NO_WEIGHTS)

    assert any(line.startswith("2 photos in its validation and test are blurred or distant") for line in found.lines)
    assert after["side"].tolist() == ["left_out", "left_out", "train"]
    assert after["reason"].tolist() == ["quality", "quality", "drawn"]
    as_before = read_split(run.split).to_pandas().set_index("photo_id").loc[blurred, "side"]
    assert as_before.tolist() == ["test", "validation", "train"]


def test_photos_that_were_trained_on_left_and_came_back_are_never_tested_on(begin, tmp_path):
    run = begin(tmp_path)
    before = read_corpus_table(run.snapshot)
    side = read_split(SPLIT).to_pandas().set_index("photo_id")["side"]
    ids = before["photo_id"].to_pandas()
    trained = ids[ids.map(side) == "train"].head(20)
    write_corpus(before.filter(pa.array(~ids.isin(trained))), run.snapshot)
    check_leaks(run, SPLIT, NO_WEIGHTS)
    split_photos(run, SPLIT, NO_WEIGHTS)
    without = Path(shutil.copy(run.split, tmp_path / "without.parquet"))

    write_corpus(before, run.snapshot)
    check_leaks(run, without, NO_WEIGHTS)
    split_photos(run, without, NO_WEIGHTS)

    after = read_split(run.split).to_pandas().set_index("photo_id")["side"]
    assert set(after[trained]) == {"train"}


def test_members_start_only_from_a_release_of_the_same_classes(whole, tmp_path):
    run = RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run-1", symlinks=True)))
    repository = tmp_path / "repository"
    folder = repository / CHAMPION.model
    shutil.copytree(REPOSITORY / CHAMPION.model, folder)
    fields = json.loads((folder / "release.json").read_text())
    fields["classes"] = fields["classes"][::-1]
    (folder / "release.json").write_text(json.dumps(fields))

    with pytest.raises(ContractError, match="members can only start from a release of the same classes"):
        fit_member_of_run(run, 0, open_training_set(run), str(repository), NO_WEIGHTS, "")


def test_a_recipe_that_starts_from_a_release_is_not_trained_without_one(whole, tmp_path):
    with pytest.raises(MissingError, match=r"champion: .* does not exist"):
        fit_one(
            whole.order().recipe, 0, open_training_set(whole), NO_WEIGHTS, whole.members, model_repository=str(tmp_path)
        )


def test_an_order_of_a_run_can_be_read_again(whole):
    order = whole.order()

    whole.write_order(order)

    assert whole.order() == order
    assert replace(order, release=None).release is None
