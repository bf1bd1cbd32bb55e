"""Pretrained weights: what is read, what is refused and how it is told."""

import pickle
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from screening.errors import ContractError, MissingError, SettingsError
from screening.training.networks import build_backbone, build_member, last_layer
from screening.training.packaged_weights import PACKAGED, as_timm_names
from screening.training.recipe import load_recipe
from screening.training.weights import find_weights, normalisation_of, read_weights


def resnet18_file(folder: Path, name: str = "resnet18.pt") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torchvision.models.resnet18(weights=None).state_dict()
    if name.endswith(".safetensors"):
        save_file(state, folder / name)
    else:
        torch.save(state, folder / name)
    return state


@pytest.mark.parametrize("name", ["resnet18.pt", "resnet18.pth", "resnet18.safetensors"])
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_weights_are_found_by_the_name_of_the_architecture(tmp_path, library, name):
    state = resnet18_file(tmp_path, name)

    backbone = build_backbone(f"{library}:resnet18", 5, tmp_path, dropout=0.0)

    mine = backbone.state_dict()
    assert all(torch.equal(mine[key], state[key]) for key in state if not key.startswith("fc."))
    assert mine["fc.weight"].shape == (5, 512)


def test_weights_of_another_architecture_are_refused_with_both_names(tmp_path):
    resnet18_file(tmp_path)

    with pytest.raises(
        ContractError, match=r"resnet18\.pt: not the weights of timm:resnet50: .*missing, the first is .*layer1\.0\.bn3"
    ):
        build_backbone("timm:resnet50", 5, tmp_path, "resnet18.pt")


def test_weights_of_another_width_are_refused(tmp_path):
    state = resnet18_file(tmp_path)
    state["conv1.weight"] = torch.zeros(64, 4, 7, 7)
    torch.save(state, tmp_path / "resnet18.pt")

    with pytest.raises(ContractError, match=r"conv1\.weight is \(64, 4, 7, 7\), expected \(64, 3, 7, 7\)"):
        build_backbone("torchvision:resnet18", 5, tmp_path)


class RunsCode:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_checkpoint_with_pickled_code_is_refused_and_the_code_does_not_run(tmp_path, how):
    checkpoint = {"state_dict": RunsCode(tmp_path / "it_ran")}
    if how == "torch":
        torch.save(checkpoint, tmp_path / "evil.pt")
    else:
        (tmp_path / "evil.pt").write_bytes(pickle.dumps(checkpoint))

    with pytest.raises(ContractError, match=r"evil\.pt: the file holds more than tensors"):
        build_backbone("timm:resnet18", 5, tmp_path, "evil.pt")
    assert not (tmp_path / "it_ran").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.safetensors", b"\x10\0\0\0\0\0\0\0{", "no weights can be read"),
        ("cut.pt", b"PK\x03\x04 half of a file", "no weights can be read"),
    ],
)
def test_a_broken_file_is_told(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ContractError, match=rf"{name}: {message}"):
        read_weights(tmp_path / name)


def test_a_file_with_other_things_than_tensors_is_told(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "odd.pt")

    with pytest.raises(ContractError, match=r"odd\.pt: expected a state dict, tensors by name; found dict"):
        read_weights(tmp_path / "odd.pt")


def test_missing_weights_are_not_fetched_but_told_with_the_names_looked_for(tmp_path):
    (tmp_path / "vgg16.pt").touch()

    with pytest.raises(
        MissingError, match=r"resnet152\.safetensors does not exist; .*resnet152\.pt or .* found vgg16\.pt.*download"
    ):
        find_weights("timm:resnet152", "imagenet", tmp_path)


@pytest.mark.parametrize("architecture", ["timm:resnet1202", "torchvision:resnet1202", "keras:resnet50"])
def test_an_unknown_architecture_is_refused(tmp_path, architecture):
    with pytest.raises(SettingsError, match=f"architecture '{architecture}'"):
        build_backbone(architecture, 5, tmp_path, "none")


@pytest.mark.parametrize(
    ("architecture", "weights", "mean"),
    [
        ("torchvision:mobilenet_v2", "imagenet", 128 / 255),
        ("torchvision:mobilenet_v2", "download", 0.485),
        ("timm:inception_v3", "imagenet", 0.5),
        ("timm:legacy_xception", "imagenet", 0.5),
        ("timm:resnet152", "imagenet", 0.485),
        ("torchvision:vgg16", "imagenet", 0.485),
    ],
)
def test_pixels_are_normalised_as_the_weights_were_made(architecture, weights, mean):
    assert normalisation_of(architecture, weights).mean[0] == pytest.approx(mean)


def test_a_recipe_may_say_another_normalisation(tmp_path):
    member = load_recipe("transfer_resnet50").members[0]
    member = member.model_copy(update={"weights": "none", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)})

    grey = build_member(member, 3, tmp_path).normalise(torch.full((1, 64, 64, 3), 51, dtype=torch.uint8))

    assert float(grey.mean()) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "architecture",
    ["torchvision:resnet18", "torchvision:densenet121", "torchvision:efficientnet_b0", "torchvision:convnext_tiny",
     "torchvision:vit_b_16", "torchvision:swin_t", "torchvision:inception_v3", "timm:resnet18", "timm:mobilenetv3_small_050",
     "timm:vit_tiny_patch16_224", "timm:convnext_atto"],
)  # fmt: skip
def test_the_head_of_every_family_is_replaced(tmp_path, architecture):
    with torch.device("meta"):
        backbone = build_backbone(architecture, 7, tmp_path, "none", dropout=0.2)

    assert backbone.get_submodule(last_layer(backbone)).out_features == 7
    assert not any(p.shape[0] == 1000 for p in backbone.parameters())


def test_the_extra_outputs_of_inception_are_left_out(tmp_path):
    state = timm.create_model("inception_v3", pretrained=False, aux_logits=True).state_dict()
    assert any(name.startswith("AuxLogits.") for name in state)
    torch.save(state, tmp_path / "inception_v3.pt")

    backbone = build_backbone("timm:inception_v3", 5, tmp_path)

    assert torch.equal(backbone.state_dict()["Mixed_5b.branch1x1.conv.weight"], state["Mixed_5b.branch1x1.conv.weight"])


@pytest.mark.parametrize("architecture", sorted(PACKAGED))
def test_packaged_weights_fill_every_layer_of_their_network(tmp_path, architecture):
    file = find_weights(architecture, "imagenet", tmp_path)
    network = timm.create_model(architecture.removeprefix("timm:"))

    state = as_timm_names(network, read_weights(file))

    own = network.state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {name: own[name].shape for name in own}
    assert normalisation_of(architecture, "imagenet").mean == (127 / 255,) * 3


def test_packaged_weights_answer_as_with_the_epsilon_that_they_were_made_with(tmp_path):
    architecture = "timm:efficientnet_lite0"
    source = read_weights(find_weights(architecture, "imagenet", tmp_path))
    as_made = timm.create_model("efficientnet_lite0", bn_eps=1e-3).eval()
    as_made.load_state_dict(dict(zip(as_made.state_dict(), source.values(), strict=True)))
    network = timm.create_model("efficientnet_lite0").eval()
    network.load_state_dict(as_timm_names(network, source))
    views = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1

    with torch.no_grad():
        torch.testing.assert_close(network(views), as_made(views), atol=1e-3, rtol=1e-3)


def test_a_file_of_the_weights_folder_goes_before_a_package(tmp_path):
    own = timm.create_model("efficientnet_lite0").state_dict()
    torch.save(own, tmp_path / "efficientnet_lite0.pt")

    backbone = build_backbone("timm:efficientnet_lite0", 3, tmp_path)

    assert torch.equal(backbone.state_dict()["conv_stem.weight"], own["conv_stem.weight"])


def test_packaged_weights_are_what_a_backbone_starts_from(tmp_path):
    backbone = build_backbone("timm:efficientnet_lite0", 3, tmp_path)

    source = read_weights(find_weights("timm:efficientnet_lite0", "imagenet", tmp_path))
    assert torch.equal(backbone.state_dict()["conv_stem.weight"], source["_conv_stem.weight"])
    assert backbone.state_dict()["classifier.weight"].shape == (3, 1280)
