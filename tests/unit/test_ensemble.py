import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.errors import ContractError
from screening.stages.ensemble import average_members


def answers(members: int, photos: int, classes: int = 4, seed: int = 0) -> np.ndarray:
    """As the members answer: shape (members, photos, classes), float32, classes sum to 1 but for rounding."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(classes), (members, photos))
    return drawn.astype(np.float32)


def test_the_answer_of_the_ensemble_is_the_mean_of_its_members() -> None:
    sure, unsure = [1.0, 0.0], [0.5, 0.5]

    assert average_members(np.array([[sure], [unsure]])).tolist() == [[0.75, 0.25]]


def test_one_member_alone_is_its_own_ensemble() -> None:
    alone = answers(1, 3).astype(np.float64)

    assert average_members(alone) == pytest.approx(alone[0])


@given(st.integers(1, 5), st.integers(1, 6), st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_the_classes_sum_to_one_and_lie_between_the_members(members: int, photos: int, classes: int, seed: int) -> None:
    given_answers = answers(members, photos, classes, seed).astype(np.float64)

    mean = average_members(given_answers)

    assert mean.shape == (photos, classes)
    # Far closer than what a table of grades may be off by.
    assert mean.sum(axis=1) == pytest.approx(np.ones(photos), abs=1e-12)
    assert (mean >= given_answers.min(axis=0) - 1e-6).all()
    assert (mean <= given_answers.max(axis=0) + 1e-6).all()


def test_a_photo_is_judged_alone() -> None:
    batch = answers(3, 10).astype(np.float64)

    together = average_members(batch)

    for photo in range(10):
        assert (average_members(batch[:, photo : photo + 1])[0] == together[photo]).all()


@pytest.mark.parametrize(("total", "is_accepted"), [(0.9985, False), (0.9995, True), (1.0005, True), (1.0015, False)])
def test_a_sum_may_be_off_by_a_thousandth(total: float, is_accepted: bool) -> None:
    answer = np.array([[[total - 0.25, 0.25]]])
    if is_accepted:
        assert average_members(answer).sum() == pytest.approx(1.0, abs=1e-12)
    else:
        with pytest.raises(ContractError, match="must sum to 1"):
            average_members(answer)


def test_logits_are_refused() -> None:
    with pytest.raises(ContractError, match="the classes of a photo must sum to 1, found"):
        average_members(np.array([[[3.2, -1.1, 0.4]]]))


def test_an_answer_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ContractError, match="found nan"):
        average_members(np.full((1, 1, 3), np.nan))


def test_one_broken_member_is_not_hidden_by_the_others() -> None:
    broken = answers(3, 2)
    broken[1, 0] = 0.0

    with pytest.raises(ContractError, match=r"found 0\.0000 to 1\.0000"):
        average_members(broken)
