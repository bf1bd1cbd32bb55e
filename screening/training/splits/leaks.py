"""Put any split to the test: who or what stands on two sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from screening.contracts import Side
from screening.errors import ContractError
from screening.training.splits.graph import Evidence, SimilarityGraph


@dataclass(frozen=True)
class Leak:
    """A person, a lesion or a pair of photos on two sides; ``photos`` are rows of the corpus, one or more of each side."""

    evidence: Evidence
    name: str
    photos: tuple[int, ...]


def find_leaks(corpus: pd.DataFrame, graph: SimilarityGraph, side: pd.Series) -> list[Leak]:
    """Every person, lesion and pair of similar photos that straddles; photos that are left out are on no side.

    Args:
        corpus: columns ``patient``, ``lesion`` and ``photo``.
        graph: of the same photos.
        side: of each photo, in the order of ``corpus``.
    """
    sides = side.to_numpy()
    counts = sides != str(Side.LEFT_OUT)
    leaks = []
    for evidence, column in ((Evidence.PATIENT, "patient"), (Evidence.LESION, "lesion")):
        rows = pd.Series(np.flatnonzero(counts))
        for name, of_name in rows.groupby(corpus[column].to_numpy()[counts]):
            if len(set(sides[of_name])) > 1:
                leaks.append(Leak(evidence, str(name), tuple(of_name.tolist())))
    for evidence, pairs in graph.joins.items():
        if evidence in (Evidence.PATIENT, Evidence.LESION):
            continue
        first, second = pairs[:, 0], pairs[:, 1]
        straddles = (sides[first] != sides[second]) & counts[first] & counts[second]
        leaks += [Leak(evidence, _pair_name(corpus, a, b), (a, b)) for a, b in pairs[straddles].tolist()]
    return leaks


def describe_leak(leak: Leak, corpus: pd.DataFrame, side: pd.Series) -> str:
    """One line: what straddles, and the photos on each side."""
    photos = [f"{corpus['photo'].iloc[row]} ({side.iloc[row]})" for row in leak.photos]
    named = f" {leak.name}" if leak.evidence in (Evidence.PATIENT, Evidence.LESION) else ""
    return f"{leak.evidence}{named}: {', '.join(photos)}"


def check_no_leak(corpus: pd.DataFrame, groups: np.ndarray, side: pd.Series) -> None:
    """Raise unless every group, patient and lesion lies on one side; photos that are left out are on none.

    Raises:
        ContractError: with the first group, patient or lesion that straddles.
    """
    counts = (side != str(Side.LEFT_OUT)).to_numpy()
    for name, key in (
        ("group", pd.Series(groups, index=corpus.index)),
        ("patient", corpus["patient"]),
        ("lesion", corpus["lesion"]),
    ):
        sides = side[counts].groupby(key[counts]).nunique()
        if (sides > 1).any():
            straddling = sides.index[sides > 1]
            raise ContractError(f"split: {len(straddling)} {name}s stand on two sides, the first is {straddling[0]}")


def _pair_name(corpus: pd.DataFrame, first: int, second: int) -> str:
    return f"{corpus['photo'].iloc[first]} and {corpus['photo'].iloc[second]}"
