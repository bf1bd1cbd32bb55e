"""Lower precision, and the gate that it has to pass: docs/decisions/0016.

``quantise_member`` writes an int8 copy of an exported member; ``accuracy_loss`` says what that costs, with an interval.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.metrics import roc_auc_score

from screening.contracts import GRADES
from screening.taxonomy import TrainingClasses

MOST_AUC_LOSS = 0.002
"""Of the mean AUC of the grades: the upper end of the 95 % interval must stay below."""
RESAMPLES = 500


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Photos one by one, from which the range of every layer's values is read."""

    def __init__(self, pixels: np.ndarray, rows: np.ndarray) -> None:
        self._photos: Iterator[dict[str, np.ndarray]] = ({"pixels": np.asarray(pixels[i : i + 1])} for i in rows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._photos, None)


def quantise_member(file: Path, out: Path, pixels: np.ndarray, rows: np.ndarray) -> None:
    """Write an int8 copy of an exported member, its convolutions per channel.

    Args:
        file: float32 ONNX.
        out: int8 ONNX.
        pixels: shape (all photos, 256, 256, 3), uint8.
        rows: training photos that the ranges are read from.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)
        options: dict[str, Any] = {"per_channel": True, "op_types_to_quantize": ["Conv", "Add"]}
        quantize_static(
            str(prepared),
            str(out),
            _Photos(pixels, rows),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            **options,
        )


@dataclass(frozen=True)
class AccuracyLoss:
    """How much mean AUC of the grades the lower precision costs: ``low`` and ``high`` are its 95 % interval."""

    loss: float
    low: float
    high: float

    @property
    def passes(self) -> bool:
        return bool(self.high < MOST_AUC_LOSS)


def accuracy_loss(
    exact: np.ndarray,
    lower: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: TrainingClasses,
    resamples: int = RESAMPLES,
) -> AccuracyLoss:
    """Compare both answers on the same photos: paired bootstrap over people.

    Args:
        exact: shape (photos, classes), probabilities of the float32 members.
        lower: the same, of the others.
        labels: shape (photos,), class indices.
        groups: shape (photos,), people.
        classes: that were trained.
        resamples: of the bootstrap.
    """
    random = np.random.default_rng(0)
    rows_of = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    truth = classes.grade_of_class[labels] > 0
    scores = [classes.grade_probabilities(p) for p in (exact, lower)]

    def loss(rows: np.ndarray) -> float:
        means = [
            np.mean(
                [roc_auc_score(truth[rows, i], s[rows, i]) for i in range(len(GRADES)) if 0 < truth[rows, i].mean() < 1]
            )
            for s in scores
        ]
        return float(means[0] - means[1])

    drawn = [
        loss(np.concatenate([rows_of[i] for i in random.integers(0, len(rows_of), len(rows_of))]))
        for _ in range(resamples)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return AccuracyLoss(loss(np.arange(len(labels))), float(low), float(high))
