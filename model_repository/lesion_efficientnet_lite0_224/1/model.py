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
        # Without it onnxruntime works out every output, and hands on those that were asked for.
        self.run_options = onnxruntime.RunOptions()
        self.run_options.only_execute_path_to_fetches = True

    def execute(self, requests):
        responses = []
        for request in requests:
            # Judged request by request: one that fails takes no other down.
            try:
                pixels = triton.get_input_tensor_by_name(request, "pixels").as_numpy()
                wanted = request.requested_output_names()
                parts = [pixels[i : i + PHOTOS_AT_ONCE] for i in range(0, len(pixels), PHOTOS_AT_ONCE)]
                answers = [self.session.run(wanted, {"pixels": part}, self.run_options) for part in parts]
                tensors = [
                    triton.Tensor(name, np.concatenate(of_parts).astype(np.float32))
                    for name, of_parts in zip(wanted, zip(*answers, strict=True), strict=True)
                ]
                responses.append(triton.InferenceResponse(tensors))
            except Exception as error:
                # Triton 2.51 can lock up for good when a step of an ensemble fails within a millisecond.
                time.sleep(0.2)
                responses.append(triton.InferenceResponse(error=triton.TritonError(str(error))))
        return responses
