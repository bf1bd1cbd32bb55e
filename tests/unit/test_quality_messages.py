"""The retake advice in every language: one message for each issue, never a silent fallback."""

import pytest

from screening.edges.yaml_file import read_mapping
from screening.errors import ContractError
from screening.stages.quality.messages import ENGLISH, ISSUES, LANGUAGES, check_messages


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_one_short_sentence_for_each_issue(language):
    messages = check_messages(read_mapping(LANGUAGES[language]), language)

    assert list(messages) == [issue.code for issue in ISSUES], "in the order of the issues, to compare two languages"
    assert all(text.endswith(".") and len(text) < 140 for text in messages.values())


def test_the_package_speaks_english_and_spanish():
    assert list(LANGUAGES) == ["en", "es"]
    assert read_mapping(LANGUAGES["es"])["too_dark"].startswith("La foto está demasiado oscura")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ({c: t for c, t in ENGLISH.items() if c not in ("dim", "glare")}, "no message for dim, glare"),
        ({**ENGLISH, "too_drak": "Take it again."}, "no such issue: too_drak"),
        ({**ENGLISH, "dim": ""}, "dim is '', expected one line of text"),
        ({**ENGLISH, "dim": None}, "dim is None, expected one line of text"),
        ({**ENGLISH, "dim": "Take it\nagain."}, r"dim is 'Take it\nagain.', expected one line of text"),
    ],
)
def test_messages_that_do_not_fit_the_issues_are_refused(messages, told):
    with pytest.raises(ContractError) as refused:
        check_messages(messages, "ours.yaml")

    assert str(refused.value) == f"messages ours.yaml: {told}"
