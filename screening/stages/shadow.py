"""What a shadow would have graded, beside what the champion did; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from screening.stages.grading import GradedPhoto

Row = dict[str, Any]

_OF_THE_GRADE = ("grade", "disease", "p_low_risk", "p_high_risk", "p_dangerous", "member_spread")


def shadow_rows(
    grades: Iterable[Mapping[str, Any]], answers: Mapping[str, GradedPhoto | str], traced: Mapping[str, str]
) -> list[Row]:
    """One row of ``shadow_grades`` for each graded photo, also for those that the shadow does not answer.

    Args:
        grades: the champion's rows.
        answers: photo to what the shadow would grade, or why it has no answer.
        traced: release, weights, cut-offs and code of the shadow; what a photo without an answer has none of may be left out.
    """
    rows = []
    for grade in grades:
        answer = answers[grade["photo_id"]]
        row: Row = {
            "photo_id": grade["photo_id"],
            "programme": grade["programme"],
            "release": traced["release"],
            "champion": grade["release"],
            "champion_grade": grade["grade"],
            "champion_disease": grade["disease"],
            "is_different": False,
            "code_revision": traced["code_revision"],
        }
        if isinstance(answer, str):
            row["problem"] = answer
        else:
            row |= {name: getattr(answer, name) for name in _OF_THE_GRADE} | dict(traced)
            row |= {"grade": str(answer.grade), "is_different": str(answer.grade) != grade["grade"]}
        rows.append(row)
    return rows
