"""Write a calibrated member as ONNX, with the two Triton configurations beside it.

``export_member`` writes the network; ``finish_member`` adds what the release learnt about it and what Triton needs.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from screening.edges.release import MemberOfRelease
from screening.errors import ContractError
from screening.stages.pixels import MODEL_SIDE
from screening.training.networks import CalibratedMember, Member
from screening.training.onnx_outputs import DISTANCE, HEAT_MAPS, PROBABILITIES, add_outputs
from screening.training.outliers import OutlierModel

OPSET = 18
MAX_BATCH = 32
TOLERANCE = 1e-4
"""Largest difference of a probability between torch and onnxruntime, float32 both: rounding of about 100 layers."""
TRITON_FILES = Path(__file__).parent / "triton"


def member_file(name: str, version: int, repository: Path) -> Path:
    """Where a member's network lies in a model repository."""
    return repository / name / str(version) / "model.onnx"


def export_member(
    member: Member, temperature: float, name: str, version: int, repository: Path, side: int = MODEL_SIDE
) -> Path:
    """Write ``<repository>/<name>/<version>/model.onnx``.

    Input ``pixels``: shape (photos, side, side, 3), uint8. Output ``probabilities``: shape (photos, classes), float32.

    Raises:
        ContractError: onnxruntime does not answer as torch does.
    """
    network = CalibratedMember(member, temperature).eval()
    file = member_file(name, version, repository)
    file.parent.mkdir(parents=True, exist_ok=True)
    example = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(
        network,
        (example,),
        file,
        input_names=["pixels"],
        output_names=[PROBABILITIES],
        dynamic_shapes={"pixels": {0: torch.export.Dim("photos", min=1, max=MAX_BATCH)}},
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    _check_same_answer(network, file, side)
    return file


def finish_member(name: str, version: int, repository: Path, outliers: OutlierModel) -> MemberOfRelease:
    """Add the distance and the heat maps to an exported member, write what Triton needs, and pin it as it is now."""
    file = member_file(name, version, repository)
    has_heat_maps = add_outputs(file, outliers)
    write_triton_files(name, version, repository)
    return MemberOfRelease(
        name=name,
        version=str(version),
        weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        output=f"{PROBABILITIES}_{name}",
        distance_output=f"{DISTANCE}_{name}",
        heat_maps_output=f"{HEAT_MAPS}_{name}" if has_heat_maps else None,
    )


def write_triton_files(name: str, version: int, repository: Path) -> None:
    """Write both configurations of a member, of the input and outputs that its file has, and the runner."""
    file = member_file(name, version, repository)
    side, shapes = member_shapes(file)
    outputs = ",\n  ".join(
        f'{{ name: "{output}" data_type: TYPE_FP32 dims: [ {", ".join(map(str, shape))} ] }}'
        for output, shape in shapes.items()
    )
    for source, target in (("member.pbtxt", "config.pbtxt"), ("member_cpu.pbtxt", "configs/cpu.pbtxt")):
        text = (TRITON_FILES / source).read_text().format(name=name, side=side, outputs=outputs, max_batch=MAX_BATCH)
        (repository / name / target).parent.mkdir(exist_ok=True)
        (repository / name / target).write_text(text)
    shutil.copyfile(TRITON_FILES / "onnx_runner.py", file.with_name("model.py"))


def member_shapes(file: Path) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Side of the pixels that an exported member takes, and what it answers for one photo: output to shape."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    side = int(session.get_inputs()[0].shape[1])
    answers = session.run(None, {"pixels": np.zeros((1, side, side, 3), np.uint8)})
    return side, {o.name: answer.shape[1:] for o, answer in zip(session.get_outputs(), answers, strict=True)}


def export_release_model(model: str, members: Sequence[MemberOfRelease], repository: Path) -> None:
    """Write the Triton ensemble of a release: its name is the release's, so its members' versions never change."""
    folder = repository / model
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "1" / ".keep").touch()
    outputs, steps = [], []
    for member in members:
        side, shapes = member_shapes(member_file(member.name, int(member.version), repository))
        names = {
            PROBABILITIES: member.output,
            DISTANCE: member.distance_output,
            HEAT_MAPS: member.heat_maps_output,
        }
        answered = {own: of_release for own, of_release in names.items() if of_release}
        outputs += [
            f'{{ name: "{of_release}" data_type: TYPE_FP32 dims: [ {", ".join(map(str, shapes[own]))} ] }}'
            for own, of_release in answered.items()
        ]
        steps.append(
            f'{{ model_name: "{member.name}" model_version: {member.version} '
            'input_map { key: "pixels" value: "pixels" } '
            + " ".join(f'output_map {{ key: "{own}" value: "{to}" }}' for own, to in answered.items())
            + " }"
        )
    text = (TRITON_FILES / "release.pbtxt").read_text()
    (folder / "config.pbtxt").write_text(
        text.format(
            name=model, side=side, max_batch=MAX_BATCH, outputs=",\n  ".join(outputs), steps=",\n    ".join(steps)
        )
    )


def _check_same_answer(network: CalibratedMember, file: Path, side: int = MODEL_SIDE) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    for photos in (1, 3):
        pixels = random.integers(0, 256, (photos, side, side, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = network(torch.from_numpy(pixels)).numpy()
        found = session.run([PROBABILITIES], {"pixels": pixels})[0]
        gap = float(np.abs(expected - found).max())
        if gap > TOLERANCE:
            raise ContractError(
                f"{file.name}: onnxruntime differs from torch by {gap:.2g}, expected at most {TOLERANCE}"
            )
