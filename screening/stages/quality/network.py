"""The networks of the quality filters: ``regions.onnx``, made by `screening quality train`, and that of ``faces``.

They run in the process that measures: some milliseconds a photo leave no time to ask a server (docs/decisions/0010).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime

REGIONS = Path(__file__).with_name("regions.onnx")


def ask_regions(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network says of a picture, RGB, (256, 256, 3), uint8.

    Returns:
        Probabilities of lesion, skin, ink and hair, shape (4, 64, 64), and the encoding from which it says so, shape
        (96, 16, 16); both float32.
    """
    session = open_network(REGIONS)
    maps, encoding = session.run(None, {session.get_inputs()[0].name: picture[None]})
    return maps[0], encoding[0]


@lru_cache
def open_network(file: Path) -> onnxruntime.InferenceSession:
    """The network in a file, loaded once in each process."""
    options = onnxruntime.SessionOptions()
    # One thread: photos are prepared side by side, and a pool inside a pool only fights for the same cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
