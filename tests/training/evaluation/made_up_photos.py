"""Tables of scored photos that nobody took."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from screening.cutoffs import GradeCutoffs
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.evaluation.scored_photos import ScoredPhotos, score_table

TAXONOMY = load_taxonomy()
CLASSES = load_training_classes("isic8", TAXONOMY).class_ids
CUTOFFS = GradeCutoffs("g-test", dangerous=0.3, high_risk=0.4, diseases={"melanoma": 0.2, "nevus": 0.3})


def some_facts(photos: int = 120, **columns: Any) -> pd.DataFrame:
    """Two photos a patient, all diseases of the classes in turn, half clinical."""
    diseases = [CLASSES[n % len(CLASSES)] for n in range(photos)]
    facts: dict[str, Any] = {
        "photo": [f"photo-{n}" for n in range(photos)],
        "disease": diseases,
        "patient": [f"patient-{n // 2}" for n in range(photos)],
        "source": ["here", "there"] * (photos // 2),
        "kind": ["clinical"] * (photos // 2) + ["dermoscopic"] * (photos - photos // 2),
        "age_years": [20 + n % 60 for n in range(photos)],
        "sex": ["female", "male", None] * (photos // 3) + ["male"] * (photos % 3),
    }
    return pd.DataFrame(facts | columns)


def some_answers(diseases: list[str], skill: float = 2.0, seed: int = 0) -> np.ndarray:
    """Probabilities that lean to the true disease; a disease without a class gets any."""
    logits = np.random.default_rng(seed).normal(size=(len(diseases), len(CLASSES)))
    for row, disease in enumerate(diseases):
        if disease in CLASSES:
            logits[row, CLASSES.index(disease)] += skill
    odds = np.exp(logits)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def some_scored(photos: int = 120, skill: float = 2.0, seed: int = 0, **columns: Any) -> ScoredPhotos:
    facts = some_facts(photos, **columns)
    answers = some_answers(list(facts["disease"]), skill, seed)
    return score_table(facts, answers, CLASSES, TAXONOMY, cutoffs=CUTOFFS)
