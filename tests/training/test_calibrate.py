import numpy as np
import pytest

from screening.errors import ContractError
from screening.stages.grading import grade_risk
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.calibrate import (
    WANTED_SENSITIVITY,
    choose_cutoffs,
    ensemble_probabilities,
    fit_temperature,
    kind_weights,
)

CLASSES = load_training_classes("isic8", load_taxonomy())
NUMBER = len(CLASSES)
NEVUS, CARCINOMA, MELANOMA = (CLASSES.class_ids.index(d) for d in ("nevus", "basal_cell_carcinoma", "melanoma"))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def labelled_logits(temperature: float, photos: int = 6000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, shape (photos, classes), of a network that is right as often as its softmax at ``temperature`` says."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2.0, size=(photos, NUMBER)) * temperature
    draws = random.random((photos, 1))
    labels = (softmax(logits / temperature).cumsum(axis=1) < draws).sum(axis=1)
    return logits, labels.clip(0, NUMBER - 1)


def scored_photos(photos: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a middling network, and labels of every class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, NUMBER, photos)
    logits = random.normal(size=(photos, NUMBER))
    logits[np.arange(photos), labels] += 1.5
    return softmax(logits), labels


def one_sure_photo_each() -> tuple[np.ndarray, np.ndarray]:
    return np.eye(NUMBER), np.arange(NUMBER)


# Temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 3.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    logits, labels = labelled_logits(temperature)

    assert fit_temperature(logits[None], labels, np.ones(len(labels))) == pytest.approx(temperature, rel=0.06)


def test_members_that_agree_have_the_temperature_of_one() -> None:
    logits, labels = labelled_logits(1.7, photos=1500)
    weights = np.ones(len(labels))

    alone = fit_temperature(logits[None], labels, weights)

    assert fit_temperature(np.stack([logits] * 3), labels, weights) == pytest.approx(alone, rel=1e-3)


def test_the_temperature_makes_the_mean_of_the_members_most_likely_and_not_one_of_them() -> None:
    sharp, labels = labelled_logits(1.7, photos=1500)
    members = np.stack([sharp, np.random.default_rng(9).normal(scale=2.0, size=sharp.shape)])

    def surprise(temperature: float) -> float:
        of_label = softmax(members / temperature).mean(axis=0)[np.arange(len(labels)), labels]
        return float(-np.log(of_label).mean())

    by_trying = min(np.arange(0.3, 5.0, 0.02), key=surprise)
    assert fit_temperature(members, labels, np.ones(len(labels))) == pytest.approx(by_trying, abs=0.03)


def test_a_photo_counts_as_much_as_its_weight() -> None:
    sharp, sharp_labels = labelled_logits(0.6, photos=3000)
    soft, soft_labels = labelled_logits(2.5, photos=3000, seed=1)
    logits, labels = np.concatenate([sharp, soft])[None], np.concatenate([sharp_labels, soft_labels])

    only_soft = fit_temperature(logits, labels, np.repeat([0.0, 1.0], 3000))

    assert only_soft == pytest.approx(2.5, rel=0.08)


def test_a_calibrated_ensemble_is_the_mean_of_its_members_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 5, NUMBER))

    found = ensemble_probabilities(logits, 1.7)

    assert found == pytest.approx(softmax(logits / 1.7).mean(axis=0))
    assert found.sum(axis=1) == pytest.approx(np.ones(5))


def test_every_kind_of_photo_counts_the_same_whatever_its_number() -> None:
    kinds = np.array(["clinical"] * 10 + ["dermoscopic"] * 300)

    weights = kind_weights(kinds)

    assert weights[:10].sum() == pytest.approx(weights[10:].sum())
    assert len(set(weights[:10])) == 1


# Cut-offs


def at_risk(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(CLASSES.grade_probabilities(probabilities)[:, 1:].sum(axis=1))


def grades_of(labels: np.ndarray) -> np.ndarray:
    return np.asarray(CLASSES.grade_of_class[labels].argmax(axis=1))


def test_the_cutoff_of_high_risk_catches_the_wanted_share_of_those_at_risk_and_is_the_highest_that_does() -> None:
    probabilities, labels = scored_photos()
    scores = at_risk(probabilities)[grades_of(labels) >= 1]

    cutoff = choose_cutoffs(probabilities, labels, np.ones(len(labels)), CLASSES).high_risk

    assert (scores >= cutoff).mean() >= WANTED_SENSITIVITY
    # The cut-off is rounded down to a thousandth.
    assert (scores >= cutoff + 0.002).mean() < WANTED_SENSITIVITY


def test_the_wanted_share_is_reached_in_weights() -> None:
    probabilities, labels = scored_photos()
    kinds = np.where(np.arange(len(labels)) % 10 == 0, "clinical", "dermoscopic")
    probabilities[kinds == "clinical"] = softmax(np.log(probabilities[kinds == "clinical"]) * 0.2)
    weights = kind_weights(kinds)

    cutoff = choose_cutoffs(probabilities, labels, weights, CLASSES).high_risk

    caught = at_risk(probabilities) >= cutoff
    is_at_risk = grades_of(labels) >= 1
    assert np.average(caught[is_at_risk], weights=weights[is_at_risk]) >= WANTED_SENSITIVITY
    assert cutoff != choose_cutoffs(probabilities, labels, np.ones(len(labels)), CLASSES).high_risk


def test_dangerous_photos_that_stand_apart_are_all_caught_and_no_other() -> None:
    labels = np.array([NEVUS] * 50 + [CARCINOMA] * 50 + [MELANOMA] * 50)
    p_melanoma = np.concatenate([np.linspace(0.0, 0.4, 100), np.linspace(0.4567, 0.9, 50)])
    probabilities = np.zeros((150, NUMBER))
    probabilities[:, MELANOMA] = p_melanoma
    probabilities[np.arange(150), np.where(labels == CARCINOMA, CARCINOMA, NEVUS)] = 1 - p_melanoma

    cutoffs = choose_cutoffs(probabilities, labels, np.ones(150), CLASSES)

    assert cutoffs.dangerous == 0.456, "rounded down, so that the photo that set it still reaches it"
    assert [grade_risk(0, p, cutoffs) == "dangerous" for p in p_melanoma] == [False] * 100 + [True] * 50


def test_a_disease_has_a_cutoff_of_its_own() -> None:
    probabilities, labels = scored_photos()

    diseases = choose_cutoffs(probabilities, labels, np.ones(len(labels)), CLASSES).diseases

    assert set(diseases) == set(CLASSES.class_ids)
    for place, disease in enumerate(CLASSES.class_ids):

        def youden(cutoff: float, place: int = place) -> float:
            reached, is_it = probabilities[:, place] >= cutoff, labels == place
            return float(reached[is_it].mean() - reached[~is_it].mean())

        assert youden(diseases[disease]) >= max(youden(c) for c in np.linspace(0, 1, 101)) - 0.01


def test_a_disease_that_no_photo_shows_has_no_cutoff() -> None:
    probabilities, labels = scored_photos()
    labels[labels == MELANOMA] = CLASSES.class_ids.index("squamous_cell_carcinoma")

    diseases = choose_cutoffs(probabilities, labels, np.ones(len(labels)), CLASSES).diseases

    assert set(CLASSES.class_ids) - set(diseases) == {"melanoma"}
    assert all(np.isfinite(list(diseases.values())))


def test_a_disease_that_the_network_sees_everywhere_but_where_it_is_has_the_cutoff_one() -> None:
    probabilities, labels = one_sure_photo_each()
    melanoma, nevus = np.flatnonzero(labels == MELANOMA), np.flatnonzero(labels == NEVUS)
    probabilities[np.concatenate([melanoma, nevus]), MELANOMA] = 0.0
    probabilities[nevus, MELANOMA] = 0.5

    diseases = choose_cutoffs(probabilities, labels, np.ones(len(labels)), CLASSES).diseases

    assert diseases["melanoma"] == 1.0, "not infinity, which the release's JSON could not hold"


@pytest.mark.parametrize("grade", ["low_risk", "high_risk", "dangerous"])
def test_without_a_photo_of_a_grade_no_cutoff_is_chosen(grade: str) -> None:
    probabilities, labels = scored_photos(200)
    shown = np.array([str(CLASSES.grades[label]) != grade for label in labels])

    with pytest.raises(ContractError, match=f"none is {grade}"):
        choose_cutoffs(probabilities[shown], labels[shown], np.ones(shown.sum()), CLASSES)


def test_a_perfect_network_grades_every_photo_right() -> None:
    probabilities, labels = one_sure_photo_each()

    cutoffs = choose_cutoffs(probabilities, labels, np.ones(len(labels)), CLASSES)

    for p, grade in zip(CLASSES.grade_probabilities(probabilities), CLASSES.grades, strict=True):
        assert grade_risk(p[1], p[2], cutoffs) == grade


def test_the_version_of_the_cutoffs_changes_with_their_numbers_only() -> None:
    probabilities, labels = scored_photos()
    others, their_labels = scored_photos(seed=1)
    weights = np.ones(len(labels))
    cutoffs = choose_cutoffs(probabilities, labels, weights, CLASSES)

    assert choose_cutoffs(probabilities, labels, weights, CLASSES).version == cutoffs.version
    assert choose_cutoffs(others, their_labels, weights, CLASSES).version != cutoffs.version
