"""Every recipe at its full width: it trains on real photos, and its export answers in onnxruntime and in Triton as torch does."""

import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import repeat
from pathlib import Path

import lightning
import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from infra.local.settings import REPOSITORY
from infra.local.triton import start_triton
from screening.edges.model_server import ModelServer
from screening.edges.release import MemberOfRelease, Release, digest_of_members
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.export import export_member, export_release_model, write_triton_files
from screening.training.fit import PhotosOfMember
from screening.training.frozen_features import cached_features
from screening.training.loop import FitMember
from screening.training.networks import CalibratedMember, Member, build_member, last_layer
from screening.training.photo_data import PhotoData
from screening.training.recipe import MemberRecipe, load_recipe, recipe_names
from tests.training.small_photos import needs_photos, some_photos

CLASSES = load_training_classes("isic8", load_taxonomy())
SIDE = 96
"""Pixels; Inception and Xception need 75 at least."""
STEPS = 2
TOLERANCE = 1e-3
"""Largest difference of a probability between torch and a server, float32."""
ARCHITECTURES = {m.architecture: m for name in recipe_names() for m in load_recipe(name).members}

# The exports take a minute or two, and longer on a machine that has other work.
pytestmark = [needs_photos, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def photos() -> PhotosOfMember:
    return some_photos(2, SIDE)


def small(recipe: MemberRecipe) -> MemberRecipe:
    """The same recipe on small photos, with random weights, for an epoch."""
    return recipe.model_copy(
        update={"weights": "none", "size": SIDE, "first_size": None, "first_epochs": 0, "epochs": 3, "batch_photos": 4}
    )


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_takes_training_steps_on_real_photos(name, photos, tmp_path):
    for each in {m.architecture: m for m in load_recipe(name).members}.values():
        recipe = small(each)
        torch.manual_seed(recipe.seed)
        member = build_member(recipe, len(CLASSES), tmp_path)
        before = {key: tensor.clone() for key, tensor in member.state_dict().items()}
        head = "backbone." + last_layer(member.backbone)
        shown = photos.pixels
        if recipe.trained == "head_on_cached_features":
            shown = cached_features(member, photos.pixels, tmp_path)
        kinds = photos.corpus["kind"].to_numpy()[photos.validation]
        module = FitMember(member, recipe, CLASSES, kinds, np.ones(len(CLASSES)), steps_per_epoch=STEPS)
        trainer = lightning.Trainer(
            max_epochs=1, limit_train_batches=STEPS, limit_val_batches=0, precision=recipe.precision, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            gradient_clip_val=recipe.gradient_clip,
        )  # fmt: skip
        trainer.fit(module, PhotoData(recipe, photos.corpus, shown, photos.train, photos.validation))

        assert trainer.global_step == STEPS
        assert np.isfinite(float(trainer.callback_metrics["loss"]))
        moved = [key for key, tensor in member.state_dict().items() if not torch.equal(tensor, before[key])]
        assert f"{head}.weight" in moved
        assert all(key.startswith(head) for key in moved) == (recipe.trained != "all")


def answering(recipe: MemberRecipe, pixels: np.ndarray) -> Member:
    """A member with random weights whose answers differ from photo to photo, which a comparison needs."""
    torch.manual_seed(1)
    member = build_member(small(recipe), len(CLASSES), Path())
    for module in member.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        member.train()(torch.from_numpy(pixels))
        logits = member.eval()(torch.from_numpy(pixels))
        head = member.backbone.get_submodule(last_layer(member.backbone))
        head.weight /= logits.std(dim=0).mean()
        head.bias.zero_()
    return member


def exported(architecture: str, pixels: np.ndarray, repository: Path) -> tuple[MemberOfRelease, np.ndarray]:
    """Export an architecture; also what torch says of the pixels."""
    torch.set_num_threads(1)
    name = architecture.replace(":", "_")
    member = answering(ARCHITECTURES[architecture], pixels)
    with torch.inference_mode():
        answer = CalibratedMember(member, 1.3).eval()(torch.from_numpy(pixels)).numpy()
    file = export_member(member, 1.3, name, 1, repository, SIDE)
    write_triton_files(name, 1, repository)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return MemberOfRelease(name, "1", digest, f"probabilities_{name}"), answer


class Served:
    """All architectures in one model repository, and what torch says of four photos."""

    def __init__(self, repository: Path, pixels: np.ndarray) -> None:
        self.repository, self.pixels = repository, pixels
        # An export is one core's work for ten seconds and more: two processes, and a fork of torch would hang.
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            made = list(pool.map(exported, ARCHITECTURES, repeat(pixels), repeat(repository)))
        self.torch_says = {member.name: answer for member, answer in made}
        pinned = [member for member, _ in made]
        export_release_model("lesion_ensemble_r0001", pinned, repository)
        self.release = Release(
            name="r0001",
            model="lesion_ensemble_r0001",
            members=tuple(pinned),
            classes=CLASSES.class_ids,
            taxonomy_version=CLASSES.taxonomy.version,
            model_input="any",
            input_shape=(SIDE, SIDE, 3),
            cutoffs={"version": "any", "dangerous": 0.5, "high_risk": 0.5, "diseases": {}},
            weights_sha256=digest_of_members(tuple(pinned)),
        )
        (repository / "lesion_ensemble_r0001" / "release.json").write_text(json.dumps(asdict(self.release)))
        (repository / "lesion_ensemble_r0001" / "taxonomy.yaml").write_bytes(CLASSES.taxonomy.text)


@pytest.fixture(scope="module")
def served(photos: PhotosOfMember, tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Served(tmp_path_factory.mktemp("repository"), photos.pixels[:4])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_export_of_an_architecture_answers_as_torch_does(served, architecture):
    name = architecture.replace(":", "_")
    session = onnxruntime.InferenceSession(served.repository / name / "1" / "model.onnx")

    found = session.run(["probabilities"], {"pixels": served.pixels})[0]

    assert np.abs(found - served.torch_says[name]).max() <= TOLERANCE
    assert np.abs(found[0] - found[1:]).max() > 0.02, "else constants are compared"


@pytest.mark.triton
@pytest.mark.skipif(not (REPOSITORY / ".venv-triton").exists(), reason="needs Triton's environment, .venv-triton")
def test_every_architecture_answers_in_triton_as_in_torch(served):
    with (
        start_triton(served.repository, "r0001") as ports,
        ModelServer(ports.url, served.release, timeout_s=60, attempts=1, in_flight=1, batch_photos=4) as server,
    ):
        answers = list(server.infer((str(number), pixels) for number, pixels in enumerate(served.pixels)))

    assert [answer.error for answer in answers] == [None] * 4
    found = np.stack([np.asarray(answer.probabilities) for answer in answers], axis=1)
    for name, of_member in zip(served.torch_says, found, strict=True):
        assert np.abs(of_member - served.torch_says[name]).max() <= TOLERANCE, name
