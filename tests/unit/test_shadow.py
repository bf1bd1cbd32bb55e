"""What a shadow would have graded: the table, and the report's section. With a server: tests/integration."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from screening.contracts import SHADOW_GRADES
from screening.reports import shadow as of_report
from screening.reports.nightly import nightly_report
from screening.reports.shadow import shadow_night
from screening.stages.accounting import count
from screening.stages.audit import AuditResult
from screening.stages.grading import GradedPhoto, grade_photo
from screening.stages.shadow import shadow_rows
from tests.unit.made_up_night import CLASSES, CUTOFFS, NIGHT, RELEASE, Upload, night_of
from tests.unit.pages import Page

NIGHT_OF_THREE = night_of(
    Upload("a.jpg", grade="low_risk"), Upload("b.jpg", grade="low_risk"), Upload("c.jpg", grade="dangerous")
)
GRADES = NIGHT_OF_THREE.tables["grades"].to_pylist()
TRACED = {"release": "r0002", "code_revision": "c", "weights_sha256": "w", "cutoffs_version": "g"}


def answer(disease: str) -> GradedPhoto:
    """What a shadow says that is sure of a disease."""
    sure = np.full(len(CLASSES.class_ids), 0.01)
    sure[CLASSES.class_ids.index(disease)] = 1 - 0.01 * (len(sure) - 1)
    return grade_photo(sure, sure[None], CLASSES, CUTOFFS)


def rows(*answers: GradedPhoto | str) -> list[dict[str, Any]]:
    given = {grade["photo_id"]: said for grade, said in zip(GRADES, answers, strict=True)}
    traced = (
        TRACED
        if any(isinstance(a, GradedPhoto) for a in answers)
        else {k: TRACED[k] for k in ("release", "code_revision")}
    )
    return shadow_rows(GRADES, given, traced)


def by_grade(grade: str) -> str:
    return next(c for c, g in zip(CLASSES.class_ids, CLASSES.grades, strict=True) if g == grade)


SAME = [answer(by_grade(grade["grade"])) for grade in GRADES]
CALM, ALARMED = answer(by_grade("low_risk")), answer(by_grade("dangerous"))


def test_every_graded_photo_has_a_row_beside_the_champions_answer() -> None:
    table = SHADOW_GRADES.table(rows(*SAME))
    assert table["photo_id"].to_pylist() == [grade["photo_id"] for grade in GRADES]
    assert table["champion_grade"].to_pylist() == [grade["grade"] for grade in GRADES]
    assert set(table["champion"].to_pylist()) == {RELEASE.name}
    assert table["is_different"].to_pylist() == [False, False, False]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_photo_of_another_grade_is_different_in_either_direction(place: int) -> None:
    other = CALM if GRADES[place]["grade"] == "dangerous" else ALARMED
    found = rows(*(other if n == place else same for n, same in enumerate(SAME)))
    assert [row["is_different"] for row in found] == [n == place for n in range(3)]


def test_a_photo_without_an_answer_says_why_and_is_not_called_different() -> None:
    table = SHADOW_GRADES.table(rows(SAME[0], "no answer", SAME[2]))
    row = table.to_pylist()[1]
    assert (row["grade"], row["p_dangerous"], row["is_different"], row["problem"]) == (None, None, False, "no answer")


def page(*answers: GradedPhoto | str) -> dict[str, str]:
    return Page(text(*answers)).sections


def text(*answers: GradedPhoto | str) -> str:
    shadow = shadow_night("r0002", SHADOW_GRADES.table(rows(*answers))) if answers else None
    return nightly_report(
        NIGHT,
        NIGHT_OF_THREE.tables,
        count(NIGHT_OF_THREE.tables["photos"], NIGHT_OF_THREE.tables["grades"]),
        audit=asdict(AuditResult(success=True, faults=[], warnings=[], expectations=1)),
        release=RELEASE,
        classes=CLASSES,
        cutoffs=CUTOFFS,
        code_revision="0.2.0",
        timings=[],
        shadow=shadow,
        earlier_code_revision="0.1.0+old",
    )


def test_a_night_without_a_shadow_says_nothing_of_one() -> None:
    assert shadow_night(None, None) is None
    assert "shadow" not in page()


def test_the_report_counts_the_differences_and_lists_the_severest_first() -> None:
    section = page(ALARMED, SAME[1], CALM)["shadow"]
    assert "It would have given 2 photos of 3 another grade" in section
    first, second = (section.index(GRADES[n]["photo_id"]) for n in (0, 2))
    assert first < second
    assert GRADES[1]["photo_id"] not in section


def test_a_long_list_of_differences_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_report, "SHOWN_ROWS", 1)
    assert "1 more in the table shadow_grades" in page(ALARMED, SAME[1], CALM)["shadow"]


def test_a_shadow_that_answered_nothing_is_told_loudly() -> None:
    section = page(*["it is <broken>"] * 3)["shadow"]
    assert "r0002 answered no photo of this night." in section
    assert "3 photos: it is <broken>" in section
    assert "<broken>" not in text(*["it is <broken>"] * 3)


def test_a_shadow_that_left_some_photos_out_is_told() -> None:
    section = page(SAME[0], "no answer", SAME[2])["shadow"]
    assert "r0002 did not answer 1 photo of 3." in section
    assert "It would have given 0 photos of 2 another grade" in section


def test_a_night_that_other_code_opened_first_says_so() -> None:
    assert "the night was first opened by 0.1.0+old" in page()["footer"]
