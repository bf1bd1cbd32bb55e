"""The bare cost of a photo, piece by piece on one core: reduced decode, measures, forward of every member."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from screening.stages.pixels import PhotoLimits, decode_photo, encode_working_copy, model_pixels
from screening.stages.quality import measure_quality
from tests.benchmarks.plain_script import sessions_of

BATCH = 16
"""Photos per forward: what the pipeline sends."""


def bare_costs(folder: Path, repository: Path, photos: int = 40) -> dict[str, float]:
    """CPU milliseconds per photo of the three pieces that no pipeline can do without."""
    bodies = [path.read_bytes() for path in sorted(folder.iterdir())[:photos]]
    limits = PhotoLimits()
    decoded = [decode_photo(body, limits) for body in bodies]
    pixels = np.stack([model_pixels(encode_working_copy(d.pixels)) for d in decoded])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    members = [
        onnxruntime.InferenceSession(s._model_path, options, providers=["CPUExecutionProvider"])
        for s in sessions_of(repository)
    ]

    def forward() -> None:
        for start in range(0, len(pixels), BATCH):
            for member in members:
                member.run(None, {"pixels": pixels[start : start + BATCH]})

    return {
        "reduced decode": _cpu_ms(lambda: [decode_photo(body, limits) for body in bodies]) / photos,
        "measures": _cpu_ms(lambda: [measure_quality(d) for d in decoded]) / photos,
        "forward of the members": _cpu_ms(forward) / photos,
    }


def _cpu_ms(work: Callable[[], object], repeats: int = 3) -> float:
    """The mean of a few runs after the first, as the cost of a night is the mean of its photos."""
    work()
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / repeats * 1000


if __name__ == "__main__":
    import sys

    print(json.dumps(bare_costs(Path(sys.argv[1]), Path(sys.argv[2]))))
