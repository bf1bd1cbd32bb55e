"""What somebody would write in an afternoon: decode and resize with Pillow in two processes, the members in onnxruntime, a CSV.

``python plain_script.py FOLDER MODEL_REPOSITORY OUT.csv``
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def load(path: str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BILINEAR))


def sessions_of(repository: Path) -> list[onnxruntime.InferenceSession]:
    champion = (repository / "champion").read_text().strip()
    release = json.loads((repository / f"lesion_ensemble_{champion}" / "release.json").read_text())
    files = [repository / m["name"] / m["version"] / "model.onnx" for m in release["members"]]
    return [onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in files]


def main(folder: Path, repository: Path, out: Path) -> None:
    photos = sorted(str(p) for p in folder.iterdir())
    sessions = sessions_of(repository)
    with multiprocessing.Pool(2) as pool, out.open("w", newline="") as stream:
        writer = csv.writer(stream)
        batch: list[np.ndarray] = []
        names: list[str] = []
        for name, pixels in zip(photos, pool.imap(load, photos, chunksize=4), strict=True):
            batch.append(pixels)
            names.append(name)
            if len(batch) == 16 or name == photos[-1]:
                answer = np.mean([s.run(None, {"pixels": np.stack(batch)})[0] for s in sessions], axis=0)
                writer.writerows([n, *row] for n, row in zip(names, answer.tolist(), strict=True))
                batch, names = [], []


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]))
