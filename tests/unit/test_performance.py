"""How well a release does: estimated from its probabilities, measured from labels of a sample that is not random."""

from __future__ import annotations

import numpy as np
import pytest

from screening.contracts import GRADES, RiskGrade
from screening.stages.monitoring.night_figures import COUNTS, EXPECTED
from screening.stages.monitoring.performance import LabelledPhoto, estimated, measured, wilson

LOW, HIGH, DANGEROUS = GRADES


def sums(p_dangerous, grades, p_high=0.0):
    """The sums of ``NIGHT_FIGURES`` of photos with these probabilities."""
    row = dict.fromkeys((*COUNTS, *(f"expected_{n}{s}" for n in EXPECTED for s in ("", "_variance"))), 0.0)
    for p, grade in zip(p_dangerous, grades, strict=True):
        row[str(grade)] += 1
        for name, value, counts in (
            ("dangerous", p, True),
            ("dangerous_found", p, grade == DANGEROUS),
            ("dangerous_sent", p, grade != LOW),
            ("at_risk", p + p_high, True),
            ("at_risk_sent", p + p_high, grade != LOW),
        ):
            row[f"expected_{name}"] += value * counts
            row[f"expected_{name}_variance"] += value * (1 - value) * counts
    return row


def graded(p):
    return [DANGEROUS if q >= 0.3 else HIGH if q >= 0.15 else LOW for q in p]


def test_calibrated_probabilities_foretell_sensitivity_and_precision_within_their_interval():
    inside = np.zeros(3)
    for seed in range(100):
        noise = np.random.default_rng(seed)
        p = noise.beta(0.4, 3.0, 600)
        truth, grades = noise.random(600) < p, np.array(graded(p))
        found = estimated(sums(p, grades))
        is_found, is_sent = grades == DANGEROUS, grades != LOW
        real = (truth[is_found].sum() / truth.sum(), truth[is_sent].sum() / truth.sum(), truth[is_found].mean())
        told = [t for t in (found.dangerous_found, found.dangerous_sent, found.dangerous_precision) if t]
        inside += [share.low <= value <= share.high for share, value in zip(told, real, strict=True)]
    assert (inside >= 90).all()


def test_nothing_graded_gives_no_estimate():
    found = estimated(sums([], []))
    assert (found.dangerous_found, found.dangerous_precision, found.specificity) == (None, None, None)


def population(noise, photos=4000):
    """Grades, truths and who is reviewed: all that is not low risk, and one in ten of the others."""
    truth = noise.choice(GRADES, photos, p=[0.85, 0.1, 0.05])
    grade = np.array(
        [
            noise.choice(GRADES, p={LOW: [0.9, 0.08, 0.02], HIGH: [0.2, 0.7, 0.1], DANGEROUS: [0.1, 0.2, 0.7]}[t])
            for t in truth
        ]
    )
    reviewed = (grade != LOW) | (noise.random(photos) < 0.1)
    return grade, truth, reviewed


def labels(grade, truth, which):
    return [
        LabelledPhoto(RiskGrade(g), RiskGrade(t), g != LOW) for g, t in zip(grade[which], truth[which], strict=True)
    ]


def counts(grade, which=True):
    return {g: int(np.sum((grade == g) & which)) for g in GRADES}


def test_the_review_queue_is_no_random_sample_and_the_measure_knows_it():
    naive, told, inside = [], [], 0
    for seed in range(40):
        noise = np.random.default_rng(seed)
        grade, truth, reviewed = population(noise)
        found = measured(labels(grade, truth, reviewed), counts(grade), counts(grade, grade != LOW))
        assert found
        assert found.dangerous_sent
        told.append(found.dangerous_sent.value)
        is_dangerous = truth[reviewed] == DANGEROUS
        naive.append(np.mean(grade[reviewed][is_dangerous] != LOW))
        inside += found.dangerous_sent.low <= 0.9 <= found.dangerous_sent.high
    assert np.mean(told) == pytest.approx(0.9, abs=0.02)
    assert np.mean(naive) > 0.97
    assert inside >= 36


def test_readers_who_are_behind_do_not_bias_it():
    noise = np.random.default_rng(3)
    grade, truth, reviewed = population(noise, 20_000)
    behind = reviewed & (noise.random(len(grade)) < np.where(grade == LOW, 0.9, 0.3))
    found = measured(labels(grade, truth, behind), counts(grade), counts(grade, grade != LOW))
    assert found
    assert found.dangerous_sent
    assert found.specificity
    assert found.dangerous_sent.value == pytest.approx(0.9, abs=0.04)
    assert found.specificity.value == pytest.approx(0.9, abs=0.02)


def test_a_clean_sample_of_low_risk_photos_does_not_prove_that_none_was_missed():
    photos = [LabelledPhoto(DANGEROUS, DANGEROUS, True)] * 20 + [LabelledPhoto(LOW, LOW, False)] * 30
    found = measured(photos, {LOW: 1000, HIGH: 0, DANGEROUS: 20}, {LOW: 0, HIGH: 0, DANGEROUS: 20})
    assert found
    assert found.dangerous_sent
    assert found.dangerous_sent.value == 1.0
    assert found.dangerous_sent.low < 0.5


def test_without_labels_of_a_grade_nothing_is_known():
    photos = [LabelledPhoto(DANGEROUS, DANGEROUS, True)] * 20
    assert measured(photos, {LOW: 1000, HIGH: 0, DANGEROUS: 20}, {LOW: 0, HIGH: 0, DANGEROUS: 20}) is None


def test_wilsons_interval_is_that_of_the_book():
    # Newcombe 1998, table I: 81 of 263.
    share = wilson(81, 263)
    assert share
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 0) is None
