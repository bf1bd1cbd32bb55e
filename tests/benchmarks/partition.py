"""Esteva's partition of a tree of 2,032 diseases with 130,000 photos: how long it takes, how large the classes are.

``python -m tests.benchmarks.partition``. The tree is drawn: three first-level and nine second-level nodes as in the paper, below them
each new disease under a random node of at most five levels; photos go to the leaves, evenly or, as in real collections, unevenly.
"""

from __future__ import annotations

import time

import numpy as np

from screening.contracts import RiskGrade
from screening.taxonomy import Disease, Taxonomy, partition_diseases

DISEASES, PHOTOS, LIMIT = 2032, 130_000, 1000
DEEPEST = 5


def drawn_tree(seed: int = 0) -> Taxonomy:
    random = np.random.default_rng(seed)
    parents = [-1, 0, 0, 0, *[1, 1, 1, 2, 2, 2, 2, 3, 3]]
    depth = [0, 1, 1, 1, *[2] * 9]
    while len(parents) < DISEASES:
        parent = int(random.integers(4, len(parents)))
        if depth[parent] < DEEPEST:
            parents.append(parent)
            depth.append(depth[parent] + 1)
    return Taxonomy(
        tuple(
            Disease(f"d{n}", f"D {n}", f"d{parent}" if n else None, RiskGrade.LOW_RISK)
            for n, parent in enumerate(parents)
        )
    )


def drawn_photos(taxonomy: Taxonomy, spread: float, seed: int = 0) -> dict[str, int]:
    """Photos of the leaves; ``spread`` is the standard deviation of the logarithm of their numbers."""
    random = np.random.default_rng(seed)
    leaves = [d.id for d in taxonomy.diseases if not taxonomy.children(d.id)]
    share = random.lognormal(0, spread, len(leaves))
    counts = random.multinomial(PHOTOS, share / share.sum())
    return {leaf: int(number) for leaf, number in zip(leaves, counts, strict=True)}


def main() -> None:
    taxonomy = drawn_tree()
    nine = [f"d{n}" for n in range(4, 13)]
    for spread in (0.0, 1.0):
        photos = drawn_photos(taxonomy, spread)
        for join in (True, False):
            started = time.perf_counter()
            found = partition_diseases(taxonomy, photos, LIMIT, inference=nine, join_small=join)
            seconds = time.perf_counter() - started
            print(
                f"spread {spread}, join_small={join}: {seconds:.2f} s, {len(found.photos)} classes, "
                f"photos in a class: mean {np.mean(found.photos):.0f}, largest {max(found.photos)} of at most {LIMIT}"
            )


if __name__ == "__main__":
    main()
