"""Write the network of the quality filters as ONNX, where the stage reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from screening.errors import ContractError
from screening.stages.pixels import MODEL_SIDE
from screening.training.export import OPSET, TOLERANCE
from screening.training.quality.regions_network import Probabilities, RegionsNetwork


def export_regions(network: RegionsNetwork, file: Path) -> Path:
    """Write the network: one picture (1, 256, 256, 3), uint8, to (1, 4, 64, 64) probabilities and its (1, 96, 16, 16) encoding.

    Raises:
        ContractError: onnxruntime does not answer as torch does.
    """
    answering = Probabilities(network).eval()
    noise = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (1, MODEL_SIDE, MODEL_SIDE, 3), dtype=torch.uint8, generator=noise)
    torch.onnx.export(
        answering,
        (picture,),
        file,
        input_names=["picture"],
        output_names=["maps", "encoding"],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    with torch.inference_mode():
        expected = [answer.numpy() for answer in answering(picture)]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    answers = session.run(None, {"picture": picture.numpy()})
    gap = max(float(np.abs(a - b).max()) for a, b in zip(expected, answers, strict=True))
    if gap > TOLERANCE:
        raise ContractError(f"{file.name}: onnxruntime differs from torch by {gap:.2g}, expected at most {TOLERANCE}")
    return file
