from pathlib import Path

import pytest

import screening
from screening.stages.refusals import ADVICE, NOT_GRADED_ADVICE, advice_for

PIPELINE = [
    file.read_text()
    for folder in ("stages", "tasks")
    for file in (Path(screening.__file__).parent / folder).rglob("*.py")
    if file.name != "refusals.py"
]


@pytest.mark.parametrize("reason", ADVICE)
def test_a_reason_with_advice_is_given_somewhere(reason: str) -> None:
    assert any(f'"{reason}"' in source for source in PIPELINE), "advice for what never happens"


@pytest.mark.parametrize("reason", ADVICE)
def test_advice_says_what_happened_and_what_comes_next(reason: str) -> None:
    assert advice_for(reason) == ADVICE[reason]
    assert advice_for(reason).count(".") >= 2
    assert reason not in advice_for(reason), "a code is not plain words"


def test_nothing_but_the_refusal_is_said_of_the_lesion() -> None:
    for advice in (*ADVICE.values(), NOT_GRADED_ADVICE):
        assert not {"benign", "harmless", "fine", "low"} & set(advice.lower().replace(".", " ").split())


@pytest.mark.parametrize("reason", ["inference_error", "working_copy_broken", "prepare_error", "never heard of"])
def test_a_fault_of_ours_sends_the_person_to_a_clinician(reason: str) -> None:
    assert advice_for(reason) == NOT_GRADED_ADVICE
    assert "have a clinician look at the lesion" in advice_for(reason)
