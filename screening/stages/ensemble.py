"""From the answers of the members to one answer."""

from __future__ import annotations

import numpy as np

from screening.errors import ContractError

ENSEMBLE = "ensemble"
"""The name under which the mean stands among the members in the table ``predictions``."""


def average_members(probabilities: np.ndarray) -> np.ndarray:
    """Average the members into one probability per photo and class.

    Args:
        probabilities: shape (members, photos, classes), 0..1, classes sum to 1.

    Returns:
        Shape (photos, classes), 0..1, classes sum to 1.

    Raises:
        ContractError: the classes do not sum to 1, e.g. logits were passed.

    Source: docs/decisions/0005 (one temperature was fitted to this mean).
    """
    sums = probabilities.sum(axis=-1, keepdims=True)
    if not np.allclose(sums, 1.0, atol=1e-3):
        raise ContractError(
            f"probabilities: the classes of a photo must sum to 1, found {sums.min():.4f} to {sums.max():.4f}"
        )
    # The members answer in float32; dividing once makes the float64 rows sum to 1 exactly enough for the audit.
    return np.asarray((probabilities / sums).mean(axis=0))
