"""A real Triton with tiny members that misbehave on demand, and ways to break the server itself.

The members need no weights: each answers with a softmax of the photo's mean colours, so that two photos differ and a
test can say which answer belongs to which photo. What a photo's first pixel says, the member does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import tritonclient.grpc as triton_grpc

from infra.local.settings import REPOSITORY
from infra.local.triton import TritonPorts, find_free_ports, triton_command
from screening.edges.release import MemberOfRelease, Release, digest_of_members

TRITON_ENVIRONMENT = REPOSITORY / ".venv-triton"

RAISES = 201
ANSWERS_NAN = 202
ANSWERS_LOGITS = 203
TAKES_A_SECOND = 204
FAILS_EVERY_OTHER_TIME = 205

SIDE = 256
CLASSES = ("nevus", "melanoma", "vascular_lesion")
MEMBERS = ("lesion_tiny_a", "lesion_tiny_b")

_MODEL = f"""
import time
import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        self.fails_next = True
        self.sharpness = 1.0 if args["model_name"].endswith("a") else 3.0

    def execute(self, requests):
        return [self.answer(triton.get_input_tensor_by_name(r, "pixels").as_numpy()) for r in requests]

    def answer(self, pixels):
        orders = pixels[:, 0, 0, 0]
        fails = {RAISES} in orders
        if {FAILS_EVERY_OTHER_TIME} in orders:
            fails, self.fails_next = self.fails_next, not self.fails_next
        if fails:
            # Not at once: when a step of an ensemble fails while gRPC still hands out the others, Triton 2.51 stops for
            # good (each of the two threads holds the lock that the other wants).
            time.sleep(0.2)
            return triton.InferenceResponse(error=triton.TritonError("this photo is too much for me"))
        if {TAKES_A_SECOND} in orders:
            time.sleep(1)
        logits = self.sharpness * pixels.mean(axis=(1, 2)).astype(np.float32) / 255
        answer = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        answer[orders == {ANSWERS_NAN}] = np.nan
        answer[orders == {ANSWERS_LOGITS}] = 5.0
        return triton.InferenceResponse([triton.Tensor("probabilities", answer.astype(np.float32))])
"""

_MEMBER_CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: 32
input [ {{ name: "pixels" data_type: TYPE_UINT8 dims: [ {side}, {side}, 3 ] }} ]
output [ {{ name: "probabilities" data_type: TYPE_FP32 dims: [ {classes} ] }} ]
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
version_policy {{ all {{ }} }}
"""

_ENSEMBLE_CONFIG = """
name: "{name}"
platform: "ensemble"
max_batch_size: 32
input [ {{ name: "pixels" data_type: TYPE_UINT8 dims: [ {side}, {side}, 3 ] }} ]
output [ {outputs} ]
ensemble_scheduling {{ step [ {steps} ] }}
"""


def tiny_release() -> Release:
    """The release that ``write_repository`` writes."""
    members = tuple(MemberOfRelease(name, "1", "0" * 64, f"probabilities_{name}") for name in MEMBERS)
    return Release(
        name="r0001",
        model="lesion_ensemble_r0001",
        members=members,
        classes=CLASSES,
        taxonomy_version="tiny",
        model_input="tiny",
        input_shape=(SIDE, SIDE, 3),
        cutoffs={"version": "tiny"},
        weights_sha256=digest_of_members(members),
    )


def write_repository(folder: Path) -> Release:
    """Write a model repository with two tiny members and their ensemble."""
    release = tiny_release()
    for name in MEMBERS:
        version = folder / name / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text(_MODEL)
        (folder / name / "config.pbtxt").write_text(_MEMBER_CONFIG.format(name=name, side=SIDE, classes=len(CLASSES)))
    outputs = ", ".join(
        f'{{ name: "{m.output}" data_type: TYPE_FP32 dims: [ {len(CLASSES)} ] }}' for m in release.members
    )
    steps = ", ".join(
        f'{{ model_name: "{m.name}" model_version: 1 input_map {{ key: "pixels" value: "pixels" }} '
        f'output_map {{ key: "probabilities" value: "{m.output}" }} }}'
        for m in release.members
    )
    ensemble = folder / release.model
    (ensemble / "1").mkdir(parents=True)
    (ensemble / "config.pbtxt").write_text(
        _ENSEMBLE_CONFIG.format(name=release.model, side=SIDE, outputs=outputs, steps=steps)
    )
    (ensemble / "release.json").write_text(json.dumps({"name": release.name}))
    (folder / "champion").write_text(release.name)
    return release


def expected_answer(pixels: np.ndarray) -> np.ndarray:
    """What the tiny members answer, shape (members, classes)."""
    colours = pixels.mean(axis=(0, 1)) / 255
    logits = np.stack([1.0 * colours, 3.0 * colours])
    return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def photo(number: int, order: int = 0) -> np.ndarray:
    """Pixels that no other number has; ``order`` tells the members to misbehave (the constants above)."""
    pixels = np.random.default_rng(number).integers(0, 200, 3, dtype=np.uint8) * np.ones((SIDE, SIDE, 1), np.uint8)
    pixels[0, 0, 0] = order
    return pixels


class TritonUnderTest:
    """One server process on ports of its own, that can be killed and started again on the same ports."""

    def __init__(self, repository: Path, log: Path) -> None:
        self.ports: TritonPorts = find_free_ports()
        self.repository = repository
        self._log = log
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.ports.url

    def start(self) -> None:
        """Start it, without waiting until it is ready."""
        command = triton_command(TRITON_ENVIRONMENT, self.repository, "r0001", self.ports)
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                command.words, env=os.environ | command.environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """As the kernel does when memory runs out: at once, with the processes of its members."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def kill_member(self, name: str) -> None:
        """Kill the python process behind a member; Triton goes on calling it ready."""
        stubs = [stub for stub in self._stubs() if any(f"/{name}/" in word for word in stub.cmdline())]
        assert len(stubs) == 1
        stubs[0].kill()  # Triton never reaps it, so there is no end to wait for

    def seconds_in_queue(self, name: str) -> float:
        """How long requests have waited for a member, all together since its start."""
        client = triton_grpc.InferenceServerClient(self.url)
        try:
            (of_version,) = client.get_inference_statistics(name).model_stats
            return float(of_version.inference_stats.queue.ns) / 1e9
        finally:
            client.close()

    def _stubs(self) -> list[psutil.Process]:
        assert self._server is not None
        children = psutil.Process(self._server.pid).children(recursive=True)
        return [child for child in children if "stub" in child.name()]


@contextlib.contextmanager
def running_triton(folder: Path) -> Iterator[TritonUnderTest]:
    """A server with the tiny members, gone at the end."""
    write_repository(folder / "repository")
    server = TritonUnderTest(folder / "repository", folder / "triton.log")
    server.start()
    try:
        yield server
    finally:
        server.kill()
