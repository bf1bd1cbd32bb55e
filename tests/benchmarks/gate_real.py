"""The gate on real photos: ``python -m tests.benchmarks.gate_real --photos … --weights-dir … --work …``.

ImageNet's features of every photo, computed once, and a new last layer (logistic regression) for each release that is compared:
small enough for many seeds. Everything else is the product's own: temperature, cut-offs by validation photos, grades, gate. Each
seed draws its own sides by person and lesion: 40 % test, 25 % validation. Of the others

- the champion learns from 150,
- an equal challenger from 150 others,
- a better one from all,
- a worse one from all with damaged labels: of the dangerous ones half are called a harmless mole, as when melanomas are
  overlooked, and of the others a quarter are called anything.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from screening.contracts import GRADES
from screening.cutoffs import GradeCutoffs
from screening.stages.grading import grade_risk
from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes
from screening.training.calibrate import choose_cutoffs, ensemble_probabilities, fit_temperature, kind_weights
from screening.training.corpus import read_corpus
from screening.training.evaluation.compared import Answers, Compared, age_bands
from screening.training.evaluation.gate import judge_challenger
from screening.training.evaluation.gate_rules import GateRules
from screening.training.features import cached_features
from screening.training.splits import connect_groups

SOURCES = ("pad_ufes", "ham10000", "isic9")
FEW = 150
TEST_OF_20, VALIDATION_OF_20 = 8, 5
DAMAGED_DANGEROUS, DAMAGED_OTHERS = 0.5, 0.25


def photos_and_features(
    photos: Path, weights_dir: Path, work: Path, classes: TrainingClasses
) -> tuple[pd.DataFrame, np.ndarray]:
    """Every photo once, and ImageNet's features of it."""
    corpus = read_corpus(photos, SOURCES, classes).drop_duplicates("photo_id").reset_index(drop=True)
    return corpus, cached_features(corpus["photo"].tolist(), weights_dir, work)


def draw_sides(corpus: pd.DataFrame, groups: np.ndarray, seed: int) -> np.ndarray:
    """Side of each photo, by the groups that must stay together, with the diseases in proportion."""
    folds = StratifiedGroupKFold(20, shuffle=True, random_state=seed)
    side = np.full(len(corpus), "train", dtype=object)
    for number, (_, rows) in enumerate(folds.split(groups, corpus["label"], groups)):
        if number < TEST_OF_20 + VALIDATION_OF_20:
            side[rows] = "test" if number < TEST_OF_20 else "validation"
    return side


def damage(labels: np.ndarray, classes: TrainingClasses, random: np.random.Generator) -> np.ndarray:
    """Labels as in the description above."""
    is_dangerous = classes.grade_of_class[labels].argmax(axis=1) == 2
    overlooked = is_dangerous & (random.random(len(labels)) < DAMAGED_DANGEROUS)
    confused = ~is_dangerous & (random.random(len(labels)) < DAMAGED_OTHERS)
    labels = np.where(confused, random.integers(0, len(classes), len(labels)), labels)
    return np.where(overlooked, classes.class_ids.index("nevus"), labels)


def answers_of(
    name: str,
    corpus: pd.DataFrame,
    features: np.ndarray,
    learnt: tuple[np.ndarray, np.ndarray],
    classes: TrainingClasses,
    kept_sensitivity: float | None,
) -> tuple[Answers, float]:
    """Train a last layer on rows and labels, calibrate it and choose its cut-offs as a release does.

    Returns:
        Its answers to the test photos, and its sensitivity for dangerous validation photos.
    """
    rows, labels = learnt
    scale = StandardScaler().fit(features[rows])
    layer = LogisticRegression(C=0.01, max_iter=1000).fit(scale.transform(features[rows]), labels)
    truth = corpus["label"].to_numpy()
    validation, test = (np.flatnonzero(corpus["side"] == side) for side in ("validation", "test"))

    def logits(photos: np.ndarray) -> np.ndarray:
        found = np.full((1, len(photos), len(classes)), -20.0)  # of a class that no training photo shows
        found[0][:, layer.classes_] = layer.decision_function(scale.transform(features[photos]))
        return found

    weights = kind_weights(corpus["kind"].to_numpy()[validation])
    temperature = fit_temperature(logits(validation), truth[validation], weights)
    validated = ensemble_probabilities(logits(validation), temperature)
    cutoffs = choose_cutoffs(validated, truth[validation], weights, classes, kept_sensitivity=kept_sensitivity)
    is_dangerous = weights * (classes.grade_of_class[truth[validation]].argmax(axis=1) == 2)
    caught = classes.grade_probabilities(validated)[:, 2] >= cutoffs.dangerous
    probabilities = ensemble_probabilities(logits(test), temperature)
    scores = classes.grade_probabilities(probabilities)
    answers = Answers(
        release=name,
        grade=np.array([_grade(high, dangerous, cutoffs) for _, high, dangerous in scores]),
        p_at_risk=scores[:, 1:].sum(axis=1),
        p_dangerous=scores[:, 2],
        is_right=probabilities.argmax(axis=1) == truth[test],
        certainty=probabilities.max(axis=1),
        cutoffs={"dangerous": cutoffs.dangerous, "high_risk": cutoffs.high_risk},
        ms_per_photo=30.0,
        size_bytes=30_000_000,
    )
    return answers, float((is_dangerous * caught).sum() / is_dangerous.sum())


def _grade(high: float, dangerous: float, cutoffs: GradeCutoffs) -> int:
    return list(GRADES).index(grade_risk(high, dangerous, cutoffs))


def compare(
    corpus: pd.DataFrame, features: np.ndarray, groups: np.ndarray, seed: int, classes: TrainingClasses
) -> dict[str, tuple[bool, str]]:
    """The gate's word on each kind of challenger."""
    random = np.random.default_rng(seed)
    corpus = corpus.assign(side=draw_sides(corpus, groups, seed))
    labels = corpus["label"].to_numpy()
    every = random.permutation(np.flatnonzero(corpus["side"] == "train"))
    few, others = every[:FEW], every[FEW : 2 * FEW]
    test = corpus[corpus["side"] == "test"]
    subgroups = pd.DataFrame(
        {"programme": test["source"], "skin types": test["skin_group"], "age": age_bands(test["age_years"]), "sex": test["sex"]}
    ).reset_index(drop=True)  # fmt: skip
    true_grades = classes.grade_of_class[test["label"].to_numpy()].argmax(axis=1)
    champion, kept = answers_of("champion", corpus, features, (few, labels[few]), classes, None)
    challengers = {
        "equal": (others, labels[others]),
        "better": (every, labels[every]),
        "worse": (every, damage(labels[every], classes, random)),
    }
    said = {}
    for name, learnt in challengers.items():
        challenger, _ = answers_of(name, corpus, features, learnt, classes, kept)
        compared = Compared(
            test["photo_id"].to_numpy(str), test["patient"].to_numpy(str), true_grades, subgroups, champion, challenger
        )
        verdict = judge_challenger(compared, GateRules(), resamples=1000)
        said[name] = verdict.passed, verdict.reason
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    classes = load_training_classes("isic8", load_taxonomy())
    corpus, features = photos_and_features(options.photos, options.weights_dir, options.work, classes)
    groups = connect_groups(corpus, features)
    passed: dict[str, int] = {}
    for seed in range(options.seeds):
        for name, (is_passed, reason) in compare(corpus, features, groups, seed, classes).items():
            passed[name] = passed.get(name, 0) + is_passed
            print(f"seed {seed:2} {name:7} {reason}", flush=True)
    for name, count in passed.items():
        print(f"{name}: {count} of {options.seeds} passed")


if __name__ == "__main__":
    main()
