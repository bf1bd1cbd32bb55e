"""The plain script's work as a Ray Data pipeline: ``python ray_script.py FOLDER MODEL_REPOSITORY OUT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import ray

from tests.benchmarks.plain_script import load, sessions_of


class Members:
    """A stateful worker: the members are loaded once."""

    def __init__(self, repository: str) -> None:
        self.sessions = sessions_of(Path(repository))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        pixels = np.stack(list(batch["pixels"]))
        answer = np.mean([s.run(None, {"pixels": pixels})[0] for s in self.sessions], axis=0)
        return {"item": batch["item"], **{f"p{i}": answer[:, i] for i in range(answer.shape[1])}}


def main(folder: str, repository: str, out: str) -> None:
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    photos = ray.data.from_items(sorted(str(p) for p in Path(folder).iterdir()))
    decoded = photos.map(lambda row: {"item": row["item"], "pixels": load(row["item"])})
    graded = decoded.map_batches(
        Members,
        fn_constructor_args=(repository,),
        batch_size=16,
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=1,
    )
    graded.write_csv(out)


if __name__ == "__main__":
    main(*sys.argv[1:4])
