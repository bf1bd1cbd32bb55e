"""Agreement of readers, against worked examples that others published."""

import pytest

from screening.stages.agreement import cohen_kappa, fleiss_kappa

# Fleiss 1971, as reworked in textbooks: ten subjects, fourteen raters, five categories; kappa 0.210.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def ratings(counts: list[int]) -> list[int]:
    return [category for category, count in enumerate(counts) for _ in range(count)]


def test_cohens_kappa_of_a_published_example():
    # Two readers of 50 grant proposals: both yes 20, first only 5, second only 10, both no 15; kappa 0.4.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert cohen_kappa(pairs) == pytest.approx(0.4)


def test_fleiss_kappa_of_a_published_example():
    assert fleiss_kappa([ratings(counts) for counts in FLEISS]) == pytest.approx(0.210, abs=0.0005)


def test_readers_who_always_agree_on_different_answers_have_kappa_1():
    assert cohen_kappa([("a", "a"), ("b", "b")]) == 1.0
    assert fleiss_kappa([["a", "a"], ["b", "b", "b"]]) == 1.0


def test_readers_who_never_agree_are_below_chance():
    assert cohen_kappa([("a", "b"), ("b", "a")]) == -1.0


@pytest.mark.parametrize("pairs", [[], [("a", "a"), ("a", "a")]])
def test_cohens_kappa_is_not_defined_where_chance_alone_agrees(pairs):
    assert cohen_kappa(pairs) is None


@pytest.mark.parametrize("answers", [[], [["a"]], [["a", "a"], ["a", "a"]]])
def test_fleiss_kappa_is_not_defined_without_two_readers_or_two_answers(answers):
    assert fleiss_kappa(answers) is None


def test_a_photo_with_one_reader_says_nothing_of_agreement():
    read = [["a", "b"], ["a", "a"], ["b", "b"]]
    assert fleiss_kappa([*read, ["a"]]) == fleiss_kappa(read)
