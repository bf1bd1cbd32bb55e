import ast
import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import screening
from screening import errors
from screening.errors import PhotoError, RetryError, ScreeningError, StopError

ONE_PAGE = Path(errors.__file__)
EVERY_ERROR = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, ScreeningError)]
ANSWERS = [e for e in EVERY_ERROR if e is not ScreeningError]


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_an_error_survives_pickling(error: type[ScreeningError]) -> None:
    before = error("photo 3f2a: found 0 bytes, expected a photo")

    after = pickle.loads(pickle.dumps(before))  # noqa: S301 - our own bytes

    assert type(after) is error
    assert str(after) == "photo 3f2a: found 0 bytes, expected a photo"
    assert after.args == before.args


@pytest.mark.parametrize("carry", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])  # noqa: S301
def test_a_photo_error_keeps_its_reason_through_pickling_and_copying(carry: Callable[[PhotoError], PhotoError]) -> None:
    after = carry(PhotoError("the file has 0 bytes", "empty_file"))

    assert (str(after), after.reason) == ("the file has 0 bytes", "empty_file")


def test_a_photo_error_without_a_reason_is_undecodable() -> None:
    assert PhotoError("a broken stream").reason == "undecodable"


@pytest.mark.parametrize("error", ANSWERS)
def test_an_error_says_whether_a_retry_may_help_or_concerns_one_photo(error: type[ScreeningError]) -> None:
    assert [issubclass(error, answer) for answer in (StopError, RetryError, PhotoError)].count(True) == 1


@pytest.mark.parametrize("error", ANSWERS)
def test_an_error_says_in_its_docstring_what_happened(error: type[ScreeningError]) -> None:
    # Not the docstring that a class without one inherits.
    assert error.__dict__.get("__doc__")


def test_only_what_lies_outside_may_be_retried() -> None:
    assert {e.__name__ for e in ANSWERS if issubclass(e, RetryError)} == {
        "RetryError",
        "StoreUnavailableError",
        "ModelServerUnavailableError",
        "ProcessEndedError",
    }


def test_every_error_of_the_package_stands_on_the_one_page() -> None:
    names = {e.__name__ for e in EVERY_ERROR}
    elsewhere = [
        f"{file.name}: {node.name}"
        for file in Path(screening.__file__).parent.rglob("*.py")
        if file != ONE_PAGE
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and {ast.unparse(base).rsplit(".", 1)[-1] for base in node.bases} & names
    ]

    assert elsewhere == []
