"""Where photos lie for the networks: t-SNE (van der Maaten and Hinton 2008) of the last hidden layer."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

FEWEST_PHOTOS = 10
"""Fewer make no map."""


def places_of(features: np.ndarray) -> np.ndarray:
    """Places of the photos, shape (photos, 2), no unit; the same features give the same places.

    Args:
        features: shape (photos, n). Reduced to 50 principal components first, as the authors advise.
    """
    parts = min(50, *features.shape)
    reduced = PCA(parts, random_state=0).fit_transform(features)
    perplexity = min(30.0, (len(features) - 1) / 3)
    return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced))
