"""The gate on real photos: ``python -m tests.benchmarks.gate_real --photos ../shared/data --work work/gate``.

Features of release r0001's networks, computed once, and a new last layer (logistic regression) for each release that is
compared: small enough for many seeds. Everything else is the product's own: temperature, cut-offs by the validation photos,
grades, and the frozen test photos of r0001's split. Of each seed's training photos

- the champion learns from 150,
- an equal challenger from 150 others,
- a better one from 1,200,
- a worse one from the 1,200 with damaged labels: of the dangerous ones half are called a harmless mole, as when melanomas are
  overlooked, and of the others a quarter are called anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from screening.contracts import GRADES
from screening.cutoffs import GradeCutoffs
from screening.edges.release import load_release, split_file
from screening.stages.grading import grade_risk
from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes
from screening.training.calibrate import choose_cutoffs, ensemble_probabilities, fit_temperature, kind_weights
from screening.training.corpus import read_corpus
from screening.training.evaluation.compared import Answers, Compared, age_bands
from screening.training.evaluation.gate import judge_challenger
from screening.training.evaluation.gate_rules import GateRules
from screening.training.evaluation.network_answers import answer, open_networks
from screening.training.photo_cache import load_pixels
from screening.training.splits import read_split

REPOSITORY = Path(__file__).parents[2] / "model_repository"
SOURCES = ("pad_ufes", "ham10000", "isic9")
POOL = 2_000
"""Training photos whose features are computed; each seed draws its own from them."""
FEW, MANY = 150, 1_200
DAMAGED_DANGEROUS, DAMAGED_OTHERS = 0.5, 0.25


def photos_and_features(photos: Path, work: Path, classes: TrainingClasses) -> tuple[pd.DataFrame, np.ndarray]:
    """Photos with their side in r0001's split, and the features of r0001's networks."""
    release = load_release(str(REPOSITORY), "r0001")
    side = read_split(split_file(str(REPOSITORY), release)).to_pandas().set_index("photo_id")["side"]
    corpus = read_corpus(photos, SOURCES, classes).drop_duplicates("photo_id")
    corpus = corpus.assign(side=corpus["photo_id"].map(side))
    train = corpus[corpus["side"] == "train"].sample(POOL, random_state=0)
    corpus = pd.concat([train, corpus[corpus["side"].isin(["validation", "test"])]]).reset_index(drop=True)
    file = work / "features.npy"
    if not file.is_file():
        _, features = answer(open_networks(REPOSITORY, release), load_pixels(corpus["photo"].tolist(), work))
        np.save(file, features)
    return corpus, np.load(file)


def damage(labels: np.ndarray, classes: TrainingClasses, random: np.random.Generator) -> np.ndarray:
    """Labels as in the description above."""
    is_dangerous = classes.grade_of_class[labels].argmax(axis=1) == 2
    overlooked = is_dangerous & (random.random(len(labels)) < DAMAGED_DANGEROUS)
    confused = ~is_dangerous & (random.random(len(labels)) < DAMAGED_OTHERS)
    labels = np.where(confused, random.integers(0, len(classes), len(labels)), labels)
    return np.where(overlooked, classes.class_ids.index("nevus"), labels)


def answers_of(name: str, corpus: pd.DataFrame, features: np.ndarray, rows: np.ndarray, labels: np.ndarray,
               classes: TrainingClasses) -> Answers:  # fmt: skip
    """Train a last layer, calibrate it and choose its cut-offs as a release does; its answers to the test photos."""
    scale = StandardScaler().fit(features[rows])
    layer = LogisticRegression(C=0.01, max_iter=300).fit(scale.transform(features[rows]), labels)
    truth = corpus["label"].to_numpy()
    validation, test = (np.flatnonzero(corpus["side"] == side) for side in ("validation", "test"))

    def logits(photos: np.ndarray) -> np.ndarray:
        found = np.full((1, len(photos), len(classes)), -20.0)  # of a class that no training photo shows
        found[0][:, layer.classes_] = layer.decision_function(scale.transform(features[photos]))
        return found

    weights = kind_weights(corpus["kind"].to_numpy()[validation])
    temperature = fit_temperature(logits(validation), truth[validation], weights)
    cutoffs = choose_cutoffs(
        ensemble_probabilities(logits(validation), temperature), truth[validation], weights, classes
    )
    probabilities = ensemble_probabilities(logits(test), temperature)
    scores = classes.grade_probabilities(probabilities)
    return Answers(
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


def _grade(high: float, dangerous: float, cutoffs: GradeCutoffs) -> int:
    return list(GRADES).index(grade_risk(high, dangerous, cutoffs))


def compare(
    corpus: pd.DataFrame, features: np.ndarray, seed: int, classes: TrainingClasses
) -> dict[str, tuple[bool, str]]:
    """The gate's word on each kind of challenger."""
    random = np.random.default_rng(seed)
    labels = corpus["label"].to_numpy()
    order = random.permutation(np.flatnonzero(corpus["side"] == "train"))
    few, others, many = order[:FEW], order[FEW : 2 * FEW], order[:MANY]
    test = corpus[corpus["side"] == "test"]
    groups = pd.DataFrame(
        {"programme": test["source"], "skin types": test["skin_group"], "age": age_bands(test["age_years"]), "sex": test["sex"]}
    ).reset_index(drop=True)  # fmt: skip
    true_grades = classes.grade_of_class[test["label"].to_numpy()].argmax(axis=1)
    champion = answers_of("champion", corpus, features, few, labels[few], classes)
    challengers: Sequence[tuple[str, np.ndarray, np.ndarray]] = (
        ("equal", others, labels[others]),
        ("better", many, labels[many]),
        ("worse", many, damage(labels[many], classes, random)),
    )
    said = {}
    for name, rows, learnt in challengers:
        challenger = answers_of(name, corpus, features, rows, learnt, classes)
        compared = Compared(
            test["photo_id"].to_numpy(str), test["patient"].to_numpy(str), true_grades, groups, champion, challenger
        )
        verdict = judge_challenger(compared, GateRules(), resamples=1000)
        said[name] = verdict.passed, verdict.reason
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    classes = load_training_classes("isic8", load_taxonomy())
    corpus, features = photos_and_features(options.photos, options.work, classes)
    passed: dict[str, int] = {}
    for seed in range(options.seeds):
        for name, (is_passed, reason) in compare(corpus, features, seed, classes).items():
            passed[name] = passed.get(name, 0) + is_passed
            print(f"seed {seed:2} {name:7} {reason}", flush=True)
    for name, count in passed.items():
        print(f"{name}: {count} of {options.seeds} passed")


if __name__ == "__main__":
    main()
