"""What is asked of exported networks beyond their probabilities."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from captum.attr import LayerGradCam  # type: ignore[import-untyped]
from torch import nn

from screening.stages.heat_map import enlarge_map
from screening.training.evaluation.network_answers import (
    Network,
    activation_maps,
    answer,
    find_end,
    open_network,
)
from screening.training.evaluation.torch_heat_maps import saliency
from screening.training.networks import Member

SIDE = 32


class Small(nn.Module):
    """A network that ends like most: maps, their mean, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.ReLU())
        self.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(6, 4))

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(self.features(views).mean(dim=(2, 3)))
        return logits


class Asked(nn.Module):
    def __init__(self, member: nn.Module) -> None:
        super().__init__()
        self.member = member

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.member(pixels) / 0.7, dim=1)


def exported(member: nn.Module, file) -> None:
    torch.onnx.export(
        Asked(member).eval(),
        (torch.zeros((2, SIDE, SIDE, 3), dtype=torch.uint8),),
        file,
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes={"pixels": {0: torch.export.Dim("photos", min=1, max=32)}},
        dynamo=True,
        verbose=False,
    )


@pytest.fixture(scope="module")
def member():
    torch.manual_seed(0)
    return Member(Small(), SIDE).eval()


@pytest.fixture(scope="module")
def file(member, tmp_path_factory):
    file = tmp_path_factory.mktemp("network") / "model.onnx"
    exported(member, file)
    return file


@pytest.fixture(scope="module")
def network(file) -> Network:
    return open_network("small", file)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 3), dtype=np.uint8)


def test_the_file_stays_as_it_is_and_its_answers_too(network, file, pixels):
    before = file.read_bytes()
    plain = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    probabilities, _ = answer([network], pixels)

    assert probabilities[0] == pytest.approx(plain.run(None, {"pixels": pixels})[0], abs=1e-6)
    assert file.read_bytes() == before


def test_the_features_are_those_that_the_last_layer_sees(network, member, pixels):
    _, features = answer([network], pixels)
    with torch.inference_mode():
        seen = member.backbone.features(member.normalise(torch.from_numpy(pixels))).mean(dim=(2, 3)).numpy()

    assert features == pytest.approx(seen / np.linalg.norm(seen, axis=1).mean(), abs=1e-5)


def test_the_activation_map_is_the_grad_cam_of_torch(network, member, pixels):
    classes = np.arange(8) % 4
    found = activation_maps([network], pixels[:8], classes)

    views = member.normalise(torch.from_numpy(pixels[:8]))
    cam = LayerGradCam(member.backbone, member.backbone.features).attribute(
        views, target=torch.from_numpy(classes), relu_attributions=True
    )
    for ours, theirs in zip(found, cam[:, 0].detach().numpy(), strict=True):
        expected = enlarge_map(theirs, SIDE, SIDE)
        assert ours == pytest.approx(expected / max(expected.max(), 1e-12), abs=1e-4)


def test_a_network_with_two_linear_layers_has_no_such_end(tmp_path):
    class Deep(Small):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))

    exported(Member(Deep(), SIDE).eval(), tmp_path / "model.onnx")
    network = open_network("deep", tmp_path / "model.onnx")
    one = np.zeros((1, SIDE, SIDE, 3), np.uint8)

    assert network.end is None
    assert answer([network], one)[1] is None
    assert activation_maps([network], one, np.array([0])) is None


def test_the_end_of_the_release_in_use_is_found():
    file = next((Path(__file__).parents[3] / "model_repository").glob("lesion_mobilenet_v2_*/1/model.onnx"))
    end = find_end(onnx.load(file).graph)

    assert end is not None
    assert end.weights.shape[1] == 1280


def test_saliency_is_brightest_where_a_pixel_moves_the_answer():
    class Corner(nn.Module):
        def forward(self, views: torch.Tensor) -> torch.Tensor:
            corner = views[:, :, :8, :8].sum(dim=(1, 2, 3))
            return torch.stack([corner, -corner], dim=1)

    found = saliency([Member(Corner(), SIDE)], np.zeros((2, SIDE, SIDE, 3), np.uint8), np.array([0, 1]))

    assert found.shape == (2, SIDE, SIDE)
    assert found[:, :4, :4].min() > 0.9
    assert found[:, 16:, 16:].max() == 0


def test_a_map_is_brightest_where_a_stack_of_strided_convolutions_looks():
    stack = nn.Sequential(*[nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False) for _ in range(3)])
    for convolution in stack:
        nn.init.constant_(convolution.weight, 1.0)
    picture = torch.zeros(1, 1, 64, 64)
    picture[0, 0, 32, 16] = 1

    found = enlarge_map(stack(picture)[0, 0].detach().numpy(), 64, 64)

    assert found.argmax() == 32 * 64 + 16
