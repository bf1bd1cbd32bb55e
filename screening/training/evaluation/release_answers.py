"""A release's answers to the photos of a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from screening.cutoffs import GradeCutoffs
from screening.edges.release import Release, taxonomy_file
from screening.errors import ContractError
from screening.stages.ensemble import average_members
from screening.taxonomy import Taxonomy, TrainingClasses, load_taxonomy
from screening.training.evaluation.corpus_photos import CorpusPhotos
from screening.training.evaluation.network_answers import Network, answer, open_networks
from screening.training.evaluation.scored_photos import ScoredPhotos, score_table


@dataclass(frozen=True)
class Answered:
    """``features``: of the last hidden layers, shape (photos, n), or None where they are not found."""

    release: Release
    networks: list[Network]
    scored: ScoredPhotos
    features: np.ndarray | None


def classes_of(release: Release, model_repository: Path) -> TrainingClasses:
    """What the release answers, in the tree of diseases that it was frozen with; photos are labelled in the same tree.

    Raises:
        ContractError: the tree is not the one that it was frozen with.
    """
    taxonomy = load_taxonomy(taxonomy_file(str(model_repository), release))
    if taxonomy.version != release.taxonomy_version:
        raise ContractError(
            f"release {release.name}: its taxonomy.yaml is {taxonomy.version}, expected {release.taxonomy_version}"
        )
    return TrainingClasses(taxonomy, release.classes)


def ask_release(release: Release, model_repository: Path, photos: CorpusPhotos, taxonomy: Taxonomy) -> Answered:
    """Ask a release for all photos, which are labelled in its own taxonomy.

    Raises:
        ContractError: a member's weights are not here, or not those of the release.
    """
    networks = open_networks(model_repository, release)
    probabilities, features = answer(networks, photos.pixels)
    scored = score_table(
        photos.facts,
        average_members(probabilities),
        release.classes,
        taxonomy,
        cutoffs=GradeCutoffs(**release.cutoffs),
        members={n.name: p for n, p in zip(networks, probabilities, strict=True)},
        name=f"release {release.name}",
    )
    return Answered(release, networks, scored, features)
