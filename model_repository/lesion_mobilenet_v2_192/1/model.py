"""Triton python backend: runs the model.onnx of this version folder, as the onnxruntime backend does on a GPU server."""

import json
import time
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton

# What the layers hand on for this many photos stays in a core's cache: a sixth less time than 16 photos at once
# (docs/benchmarks.md).
PHOTOS_AT_ONCE = 2


class TritonPythonModel:
    """Triton calls these methods by their names."""

    def initialize(self, args):
        threads = json.loads(args["model_config"])["parameters"]["threads"]["string_value"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(threads)
        # A spinning thread would take the core from the task that prepares the next batch.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        responses = []
        for request in requests:
            # Judged request by request: one that fails takes no other down.
            try:
                pixels = triton.get_input_tensor_by_name(request, "pixels").as_numpy()
                parts = [pixels[i : i + PHOTOS_AT_ONCE] for i in range(0, len(pixels), PHOTOS_AT_ONCE)]
                answer = np.concatenate([self.session.run(["probabilities"], {"pixels": part})[0] for part in parts])
                responses.append(triton.InferenceResponse([triton.Tensor("probabilities", answer.astype(np.float32))]))
            except Exception as error:
                # Triton 2.51 can lock up for good when a step of an ensemble fails within a millisecond.
                time.sleep(0.2)
                responses.append(triton.InferenceResponse(error=triton.TritonError(str(error))))
        return responses
