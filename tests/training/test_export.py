import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision
from torch import Tensor, nn

from screening.errors import ContractError, MissingError, SettingsError
from screening.stages.pixels import MODEL_SIDE
from screening.training.export import (
    MAX_BATCH,
    TOLERANCE,
    TRITON_FILES,
    _check_same_answer,
    export_member,
    export_release_model,
    finish_member,
    member_shapes,
)
from screening.training.networks import CalibratedMember, Member, build_backbone
from screening.training.onnx_outputs import read_features
from screening.training.outliers import fit_outlier_model

CLASSES = 8
SIZE = 96
NAME = "lesion_mobilenet_v2_96"
TEMPERATURE = 1.7


def a_member(size: int = SIZE, seed: int = 0) -> Member:
    """MobileNetV2 as it is trained, with weights that nobody trained but whose answers differ from photo to photo."""
    torch.manual_seed(seed)
    backbone = torchvision.models.mobilenet_v2(weights=None, num_classes=CLASSES)
    nn.init.normal_(backbone.classifier[1].weight, std=0.02)
    member = Member(backbone, size)
    for module in member.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():  # one look at photos, so that what flows through the layers does not fade to nothing
        member.train()(torch.from_numpy(some_pixels(8, seed=seed)))
    return member.eval()


def some_pixels(photos: int, seed: int = 3) -> np.ndarray:
    """Photos of different colour and structure, shape (photos, 256, 256, 3), uint8."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (photos, 8, 8, 3))
    return np.asarray(coarse.repeat(MODEL_SIDE // 8, axis=1).repeat(MODEL_SIDE // 8, axis=2).astype(np.uint8))


def by_torch(member: Member, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(CalibratedMember(member, TEMPERATURE).eval()(torch.from_numpy(pixels)).numpy())


class Exported:
    """A member, the repository it was exported to, and what export_member said of it."""

    def __init__(self, repository: Path) -> None:
        self.member = a_member()
        self.repository = repository
        self.file = export_member(self.member, TEMPERATURE, NAME, 2, repository)
        self.plain = self.file.read_bytes()
        features = read_features(self.file, some_pixels(24), np.arange(24))
        self.outliers = fit_outlier_model(features, np.ones(24))
        self.pinned = finish_member(NAME, 2, repository, self.outliers)
        self.digest = self.pinned.weights_sha256
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])

    def answer(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(self.session.run(["probabilities"], {"pixels": pixels})[0])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("repository"))


@pytest.mark.parametrize("photos", [1, 2, 3, 4])
def test_onnx_answers_as_torch_does_for_any_number_of_photos(exported: Exported, photos: int) -> None:
    pixels = some_pixels(photos)

    found = exported.answer(pixels)

    assert found.shape == (photos, CLASSES)
    assert np.abs(found - by_torch(exported.member, pixels)).max() < TOLERANCE


def test_the_answers_differ_from_photo_to_photo(exported: Exported) -> None:
    # Else the tests beside this one would compare constants.
    answers = exported.answer(some_pixels(4))

    assert np.abs(answers[0] - answers[1:]).max() > 0.02


def test_an_answer_is_a_probability_that_does_not_depend_on_the_other_photos(exported: Exported) -> None:
    pixels = some_pixels(4)
    together = exported.answer(pixels)

    assert together.dtype == np.float32
    assert together.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    for photo in range(4):
        assert exported.answer(pixels[photo : photo + 1])[0] == pytest.approx(together[photo], abs=1e-5)


def test_the_largest_batch_of_the_server_is_answered(exported: Exported) -> None:
    assert exported.answer(some_pixels(MAX_BATCH)).shape == (MAX_BATCH, CLASSES)


def test_the_graph_takes_the_pixels_as_they_are_made_and_resizes_itself(exported: Exported) -> None:
    [pixels], [probabilities, *_] = exported.session.get_inputs(), exported.session.get_outputs()

    assert (pixels.name, pixels.type, pixels.shape[1:]) == ("pixels", "tensor(uint8)", [256, 256, 3])
    assert (probabilities.name, probabilities.type, probabilities.shape[1:]) == (
        "probabilities",
        "tensor(float)",
        [CLASSES],
    )
    assert isinstance(pixels.shape[0], str), "any number of photos"


def test_the_digest_is_that_of_the_one_file_that_holds_everything(exported: Exported) -> None:
    assert exported.digest == hashlib.sha256(exported.file.read_bytes()).hexdigest()
    assert {file.name for file in exported.file.parent.iterdir()} == {"model.onnx", "model.py"}
    assert exported.file.stat().st_size < 40_000_000 / 3, "three members share 40 MB"


def test_a_file_that_answers_otherwise_is_refused(exported: Exported) -> None:
    other = CalibratedMember(a_member(seed=1), TEMPERATURE).eval()

    with pytest.raises(ContractError, match=r"model\.onnx: onnxruntime differs from torch by"):
        _check_same_answer(other, exported.file)


def test_a_file_with_another_temperature_is_refused(exported: Exported) -> None:
    with pytest.raises(ContractError, match="differs from torch"):
        _check_same_answer(CalibratedMember(exported.member, TEMPERATURE * 1.01).eval(), exported.file)


@pytest.mark.parametrize(
    ("config", "backend", "kind"),
    [("config.pbtxt", "onnxruntime", "KIND_GPU"), ("configs/cpu.pbtxt", "python", "KIND_CPU")],
)
def test_both_servers_are_told_the_same_tensors(exported: Exported, config: str, backend: str, kind: str) -> None:
    text = (exported.repository / NAME / config).read_text()

    assert f'name: "{NAME}"' in text
    assert f'backend: "{backend}"' in text
    assert f"kind: {kind}" in text
    assert f"max_batch_size: {MAX_BATCH}" in text
    assert 'name: "pixels" data_type: TYPE_UINT8 dims: [ 256, 256, 3 ]' in text
    assert f'name: "probabilities" data_type: TYPE_FP32 dims: [ {CLASSES} ]' in text
    assert 'name: "outlier_distance" data_type: TYPE_FP32 dims: [ 1 ]' in text
    assert f'name: "heat_maps" data_type: TYPE_FP32 dims: [ {CLASSES}, 3, 3 ]' in text
    assert text.count("{") == text.count("}"), "no brace of the template is left over"
    assert "{{" not in text


def test_a_server_without_the_onnx_backend_gets_a_runner(exported: Exported) -> None:
    runner = exported.file.parent / "model.py"

    assert runner.read_text() == (TRITON_FILES / "onnx_runner.py").read_text()


def test_a_release_is_a_triton_ensemble_that_pins_every_version_and_passes_every_answer_on(exported: Exported) -> None:
    silent = replace(exported.pinned, heat_maps_output=None)
    for _ in range(2):  # it can be written again
        export_release_model("lesion_ensemble_r0007", [silent], exported.repository)

    text = (exported.repository / "lesion_ensemble_r0007" / "config.pbtxt").read_text()
    assert 'name: "lesion_ensemble_r0007"' in text
    assert re.findall(r'model_name: "(\w+)" model_version: (\d+)', text) == [(NAME, "2")]
    passed_on = [("probabilities", f"probabilities_{NAME}"), ("outlier_distance", f"outlier_distance_{NAME}")]
    assert re.findall(r'output_map { key: "(\w+)" value: "(\w+)" }', text) == passed_on
    assert re.findall(r'name: "(\w+)" data_type: TYPE_FP32 dims: \[ (\d+) \]', text) == [
        (f"probabilities_{NAME}", "8"),
        (f"outlier_distance_{NAME}", "1"),
    ]
    assert text.count("{") == text.count("}")
    # Triton wants a version folder, also where there is nothing to put into it.
    assert (exported.repository / "lesion_ensemble_r0007" / "1").is_dir()


# Distance and heat maps


def test_more_answers_do_not_change_a_probability(exported: Exported) -> None:
    plain = onnxruntime.InferenceSession(exported.plain, providers=["CPUExecutionProvider"])
    pixels = some_pixels(2)

    assert np.array_equal(plain.run(["probabilities"], {"pixels": pixels})[0], exported.answer(pixels))


def test_the_distance_in_the_graph_is_that_of_the_fitted_model(exported: Exported) -> None:
    pixels = some_pixels(3, seed=8)
    with torch.inference_mode():
        backbone = exported.member.backbone
        maps = backbone.get_submodule("features")(exported.member.normalise(torch.from_numpy(pixels)))
        features = maps.mean(dim=(2, 3)).numpy()

    found = exported.session.run(["outlier_distance"], {"pixels": pixels})[0]

    assert found.shape == (3, 1)
    assert found[:, 0] == pytest.approx(exported.outliers.distance(features), rel=1e-2, abs=1e-3)


def test_a_heat_map_is_that_of_grad_cam(exported: Exported) -> None:
    backbone = exported.member.backbone
    pixels = torch.from_numpy(some_pixels(1))
    maps = backbone.get_submodule("features")(exported.member.normalise(pixels))
    logits = backbone.get_submodule("classifier")(maps.mean(dim=(2, 3)))
    (gradient,) = torch.autograd.grad(logits[0, 2], maps)
    places = maps.shape[2] * maps.shape[3]
    grad_cam = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1)[0].detach().numpy() * places

    found = exported.session.run(["heat_maps"], {"pixels": pixels.numpy()})[0]

    assert found.shape == (1, CLASSES, 3, 3)
    assert found[0, 2] == pytest.approx(grad_cam, abs=1e-3)
    assert np.ptp(grad_cam) > 0.01, "a flat map would prove nothing"


@pytest.mark.parametrize(("architecture", "has_maps"), [("resnet18", True), ("alexnet", False)])
def test_a_network_that_does_not_average_its_maps_has_no_heat_maps_and_says_so(
    tmp_path: Path, architecture: str, has_maps: bool
) -> None:
    torch.manual_seed(0)
    network = torchvision.models.get_model(architecture, weights=None, num_classes=3)
    file = export_member(Member(network.eval(), 64), 1.0, "lesion_other", 1, tmp_path)
    features = read_features(file, some_pixels(8), np.arange(8))

    pinned = finish_member("lesion_other", 1, tmp_path, fit_outlier_model(features, np.ones(8)))

    assert pinned.distance_output == "outlier_distance_lesion_other"
    assert (pinned.heat_maps_output is not None) is has_maps
    assert ("heat_maps" in member_shapes(file)[1]) is has_maps


# The network


@pytest.mark.parametrize(("value", "normalised"), [(0, -1.0), (128, 0.0), (255, 127 / 128)])
def test_pixels_are_normalised_as_the_imagenet_weights_were_made(value: int, normalised: float) -> None:
    pixels = torch.full((1, 256, 256, 3), value, dtype=torch.uint8)

    seen = Member(nn.Identity(), 96).normalise(pixels)

    assert (float(seen.min()), float(seen.max())) == pytest.approx((normalised, normalised), abs=1e-6)


@pytest.mark.parametrize("size", [96, 256, 300])
def test_a_member_sees_the_whole_photo_at_its_own_size(size: int) -> None:
    seen = Member(nn.Identity(), size)(torch.from_numpy(some_pixels(2)))

    assert seen.shape == (2, 3, size, size)
    expected = torch.from_numpy(some_pixels(2)).permute(0, 3, 1, 2).float().mean(dim=(2, 3))
    assert torch.allclose(seen.mean(dim=(2, 3)) * 128 + 128, expected, atol=2)


def test_a_temperature_softens_the_answer_and_keeps_its_order() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([[2.0, 1.0, 0.0]]).expand(len(x), 3)

    member = Member(Constant(), 64)
    pixels = torch.zeros((2, 256, 256, 3), dtype=torch.uint8)

    sharp, soft = (CalibratedMember(member, t)(pixels)[0] for t in (0.5, 2.0))

    assert sharp.sum() == pytest.approx(1.0)
    assert soft[0] == pytest.approx(float(torch.softmax(torch.tensor([1.0, 0.5, 0.0]), 0)[0]))
    assert sharp[0] > soft[0] > soft[1] > soft[2]


def test_a_backbone_starts_from_the_weights_of_imagenet_with_a_head_of_its_own(tmp_path: Path) -> None:
    torch.manual_seed(5)
    imagenet = torchvision.models.mobilenet_v2(weights=None)
    torch.save(imagenet.state_dict(), tmp_path / "mobilenet_v2_imagenet.pt")

    backbone = build_backbone("mobilenet_v2", CLASSES, tmp_path)

    mine, theirs = backbone.state_dict(), imagenet.state_dict()
    body = [name for name in theirs if name.startswith("features.")]
    assert all(torch.equal(mine[name], theirs[name]) for name in body)
    assert mine["classifier.1.weight"].shape == (CLASSES, 1280)


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="architecture 'torchvision:resnet1202': torchvision knows no resnet1202"):
        build_backbone("resnet1202", CLASSES, tmp_path)


def test_weights_that_are_not_there_are_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mobilenet_v2_imagenet\.pt does not exist"):
        build_backbone("mobilenet_v2", CLASSES, tmp_path)
