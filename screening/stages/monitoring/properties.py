"""What the photos of a night look like, in few numbers: a mean over the photos that nights are compared by.

A measure becomes the share of photos up to each of a few fixed values, so that the squared difference of two nights is the
Cramér-von Mises distance, the maximum mean discrepancy of the distance kernel (Sejdinovic et al. 2013). The members' answers
become random Fourier features (Rahimi and Recht 2007) of the logarithms of their probabilities, so that it is that of a
Gaussian kernel. Answers see a shift of the photos better than features do (Rabanser et al. 2019; Lipton et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from screening.stages.ensemble import ENSEMBLE

ANSWERS = "answers"

EDGES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "skin_brightness": (0.387, 0.468, 0.514, 0.545, 0.573, 0.596, 0.62, 0.655, 0.678, 0.71, 0.784),
        "skin_ita_deg": (-25.9, 3.5, 19.8, 31.1, 40.3, 50.3, 57.8, 64.7, 72.0, 78.7, 86.1),
        "blur_score": (-5.24, -3.47, -2.31, -1.56, -1.05, -0.53, 0.01, 0.54, 1.2, 2.23, 3.86),
        "motion_share": (0.08, 0.17, 0.25, 0.32, 0.39, 0.45, 0.53, 0.63, 0.73, 0.88, 0.98),
        "detail_grey_levels": (1.41, 1.89, 2.17, 2.48, 2.79, 3.15, 3.58, 4.08, 4.79, 6.03, 8.72),
        "lesion_certainty": (0.5, 0.824, 0.983, 0.994, 0.996, 0.998, 0.999),
        "lesion_diameter_px": (29.0, 56.0, 72.0, 83.0, 92.0, 102.0, 112.0, 124.0, 136.0, 157.0, 204.0),
        "lesion_offset": (0.016, 0.035, 0.055, 0.073, 0.091, 0.112, 0.135, 0.175, 0.24, 0.358, 0.58),
        "skin_fraction": (0.3, 0.5, 0.682, 0.8, 0.9, 0.946, 0.996),
        "dye_certainty": (0.06, 0.09, 0.13, 0.17, 0.22, 0.29, 0.39, 0.51, 0.66, 0.86, 0.97),
        "hair_fraction": (0.0, 0.002, 0.005, 0.011, 0.03, 0.089, 0.361),
        "clipped_bright_fraction": (0.0, 0.001, 0.005, 0.02, 0.1),
        "short_side_px": (300.0, 480.0, 600.0, 720.0, 960.0, 1080.0, 1440.0, 1920.0, 2448.0, 3000.0, 3456.0),
        "outlier_distance": (0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0),
    }
)
"""Values up to which photos are counted. Mostly the 2nd, 10th, 20th … 98th percentile of 1,134 clinical and 300 dermoscopic
photos, kinds counting about the same (PAD-UFES-20, HAM10000); sides as cameras and messengers make them."""

_FREQUENCIES = 64
_LENGTHS = (1.0, 2.0)
"""Of the Gaussian kernels: mean difference of a logarithm of a probability, a factor of 2.7 and of 7.4."""
_LEAST_PROBABILITY = 1e-3
"""Below it, probabilities of a network say nothing of use."""


def measures_of(column: pa.ChunkedArray, name: str) -> tuple[int, list[float]]:
    """Photos that have a value, and the share of them up to each of the edges; no shares without photos."""
    values = pc.drop_null(column).to_numpy().astype(np.float64)
    if not len(values):
        return 0, []
    # Measures are float32: 0.3 as one of them is more than 0.3.
    edges = np.asarray(EDGES[name], np.float32).astype(np.float64)
    return len(values), (np.searchsorted(np.sort(values), edges, side="right") / len(values)).tolist()


def answers_of(predictions: pa.Table) -> tuple[int, list[float]]:
    """Photos with an answer of every member, and the mean of their random Fourier features."""
    members = sorted(set(predictions["member"].to_pylist()) - {ENSEMBLE})
    asked = predictions.filter(pc.field("member") != ENSEMBLE).select(["photo_id", "member", "probabilities"])
    ordered = asked.sort_by([("photo_id", "ascending"), ("member", "ascending")])
    if not ordered.num_rows or ordered.num_rows % len(members):
        return 0, []
    flat = pc.list_flatten(ordered["probabilities"]).to_numpy()
    photos = ordered.num_rows // len(members)
    logs = np.log(np.maximum(flat.reshape(photos, -1), _LEAST_PROBABILITY))
    waves = logs @ _frequencies(logs.shape[1])
    return photos, np.concatenate([np.cos(waves).mean(axis=0), np.sin(waves).mean(axis=0)]).tolist()


@lru_cache
def _frequencies(size: int) -> np.ndarray:
    """Shape (size, _FREQUENCIES), the same wherever and whenever: nights of years are compared by them."""
    draws = np.random.RandomState(2007).standard_normal((size, _FREQUENCIES))  # whose stream is frozen
    lengths = np.repeat(_LENGTHS, _FREQUENCIES // len(_LENGTHS))
    return np.asarray(draws / (lengths * size**0.5))
