"""Write a calibrated member as ONNX, with the two Triton configurations beside it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from screening.errors import ContractError
from screening.stages.pixels import MODEL_SIDE
from screening.training.networks import CalibratedMember, Member

OPSET = 18
MAX_BATCH = 32
TOLERANCE = 1e-4
"""Largest difference of a probability between torch and onnxruntime, float32 both: rounding of about 100 layers."""
TRITON_FILES = Path(__file__).parent / "triton"


def export_member(
    member: Member, temperature: float, name: str, version: int, repository: Path, side: int = MODEL_SIDE
) -> str:
    """Write ``<repository>/<name>/<version>/model.onnx`` and what Triton needs; return the SHA-256 of the file.

    Input ``pixels``: shape (photos, side, side, 3), uint8. Output ``probabilities``: shape (photos, classes), float32.

    Raises:
        ContractError: onnxruntime does not answer as torch does.
    """
    network = CalibratedMember(member, temperature).eval()
    folder = repository / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.onnx"
    example = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(
        network,
        (example,),
        file,
        input_names=["pixels"],
        output_names=["probabilities"],
        dynamic_shapes={"pixels": {0: torch.export.Dim("photos", min=1, max=MAX_BATCH)}},
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    _check_same_answer(network, file, side)
    classes = network(example).shape[1]
    for source, target in (("member.pbtxt", "config.pbtxt"), ("member_cpu.pbtxt", "configs/cpu.pbtxt")):
        text = (TRITON_FILES / source).read_text().format(name=name, side=side, classes=classes, max_batch=MAX_BATCH)
        (repository / name / target).parent.mkdir(exist_ok=True)
        (repository / name / target).write_text(text)
    shutil.copyfile(TRITON_FILES / "onnx_runner.py", folder / "model.py")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def export_release_model(
    model: str, members: list[tuple[str, int]], classes: int, repository: Path, side: int = MODEL_SIDE
) -> None:
    """Write the Triton ensemble of a release: its name is the release's, so its members' versions never change."""
    folder = repository / model
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "1" / ".keep").touch()
    outputs = ",\n  ".join(
        f'{{ name: "probabilities_{m}" data_type: TYPE_FP32 dims: [ {classes} ] }}' for m, _ in members
    )
    steps = ",\n    ".join(
        f'{{ model_name: "{m}" model_version: {v} input_map {{ key: "pixels" value: "pixels" }} '
        f'output_map {{ key: "probabilities" value: "probabilities_{m}" }} }}'
        for m, v in members
    )
    text = (TRITON_FILES / "release.pbtxt").read_text()
    (folder / "config.pbtxt").write_text(
        text.format(name=model, side=side, max_batch=MAX_BATCH, outputs=outputs, steps=steps)
    )


def _check_same_answer(network: CalibratedMember, file: Path, side: int = MODEL_SIDE) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    for photos in (1, 3):
        pixels = random.integers(0, 256, (photos, side, side, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = network(torch.from_numpy(pixels)).numpy()
        found = session.run(None, {"pixels": pixels})[0]
        gap = float(np.abs(expected - found).max())
        if gap > TOLERANCE:
            raise ContractError(
                f"{file.name}: onnxruntime differs from torch by {gap:.2g}, expected at most {TOLERANCE}"
            )
