"""The network of the quality filters, ``regions.onnx``, made by `screening quality train`.

It runs in the process that measures: 7 ms a photo leave no time to ask a server (docs/decisions/0010).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime

REGIONS = Path(__file__).with_name("regions.onnx")


def ask_regions(picture: np.ndarray) -> np.ndarray:
    """Probabilities of lesion, skin, ink and hair, shape (4, 64, 64), float32; ``picture``: RGB, (256, 256, 3), uint8."""
    session = _session()
    answer: np.ndarray = session.run(None, {session.get_inputs()[0].name: picture[None]})[0][0]
    return answer


@lru_cache(maxsize=1)
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread: photos are prepared side by side, and a pool inside a pool only fights for the same cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(REGIONS, options, providers=["CPUExecutionProvider"])
