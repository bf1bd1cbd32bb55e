"""Fitting the networks of the quality filters: what is learnt from, and what is not."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision

from screening.errors import ContractError
from screening.stages.quality.regions import CELLS
from screening.training.quality.export import export_regions
from screening.training.quality.fit_regions import regions_loss, to_cells
from screening.training.quality.regions_network import RegionsNetwork
from screening.training.quality.scenes import HAIR, LESION

WEIGHTS = torch.ones(4, 1, 1)


def test_what_is_not_known_is_not_learnt():
    truth, known = torch.rand(2, 4, 64, 64), torch.ones(2, 4, 64, 64)
    known[:, LESION] = 0
    logits = torch.zeros(2, 4, 16, 16)
    other = logits.clone()
    other[:, LESION] = 9.0

    losses = [float(regions_loss(answer, *to_cells(truth, known), WEIGHTS)) for answer in (logits, other)]

    assert losses[0] == pytest.approx(losses[1])


def test_a_lesion_that_is_missed_costs_more_than_one_that_is_found():
    truth, known = torch.zeros(1, 4, 64, 64), torch.ones(1, 4, 64, 64)
    truth[:, LESION, 16:48, 16:48] = 1
    found = torch.full((1, 4, 16, 16), -6.0)
    missed = found.clone()
    found[:, LESION, 4:12, 4:12] = 6.0

    assert regions_loss(found, *to_cells(truth, known), WEIGHTS) < 0.1
    assert regions_loss(missed, *to_cells(truth, known), WEIGHTS) > 1.0


def test_a_cell_that_a_thin_hair_crosses_has_it():
    truth, known = torch.zeros(1, 4, 64, 64), torch.ones(1, 4, 64, 64)
    truth[:, HAIR, :, 32] = 1
    cells, certain = to_cells(truth, known)

    assert (cells[0, HAIR, :, 8] > 0.5).all()
    assert float(cells[0, HAIR, :, 9].max()) == 0
    assert (certain == 1).all()


@pytest.fixture
def network(tmp_path: Path) -> RegionsNetwork:
    """As it is before training, on weights that nobody trained."""
    torch.manual_seed(0)
    torch.save(torchvision.models.mobilenet_v2(weights=None).state_dict(), tmp_path / "mobilenet_v2_imagenet.pt")
    return RegionsNetwork(tmp_path).eval()


def test_the_exported_network_answers_as_torch_does_for_every_cell(tmp_path, network):
    session = onnxruntime.InferenceSession(export_regions(network, tmp_path / "regions.onnx"))
    [given] = session.get_inputs()

    assert (given.name, given.shape) == ("picture", [1, 256, 256, 3])
    assert [answer.shape for answer in session.get_outputs()] == [[1, 4, CELLS, CELLS], [1, 96, 16, 16]]


def test_an_exported_network_that_answers_otherwise_is_refused(tmp_path, monkeypatch, network):
    class Deaf:
        def __init__(self, *_: object, **__: object) -> None: ...

        def run(self, *_: object) -> list[np.ndarray]:
            return [np.full((1, 4, CELLS, CELLS), 7.0, np.float32), np.zeros((1, 96, 16, 16), np.float32)]

    monkeypatch.setattr("onnxruntime.InferenceSession", Deaf)

    with pytest.raises(ContractError, match="onnxruntime differs from torch"):
        export_regions(network, tmp_path / "regions.onnx")
