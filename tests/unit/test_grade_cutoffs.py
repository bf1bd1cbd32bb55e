"""A site's own grade cut-offs: choosing them, writing their file, and reading it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from screening.contracts import RiskGrade
from screening.cutoffs import GradeCutoffs
from screening.errors import ContractError, MissingError, SettingsError
from screening.settings import Settings
from screening.stages.grade_cutoffs import site_grade_cutoffs
from screening.stages.grade_cutoffs_fit import LabelledPhoto, ScoredPhoto, fit_grade_cutoffs, read_grade_labels
from screening.tasks.context import grade_cutoffs
from screening.tasks.fit_grade_cutoffs import read_labels_file, write_grade_cutoffs
from tests.unit.made_up_night import RELEASE

OF_RELEASE = GradeCutoffs("g-1", dangerous=0.2, high_risk=0.3, diseases={"nevus": 0.4})
LOW, HIGH, DANGEROUS = RiskGrade.LOW_RISK, RiskGrade.HIGH_RISK, RiskGrade.DANGEROUS


def fields(**changed: Any) -> dict[str, Any]:
    return {"name": "north", "release": "r0001", "cutoffs": {"dangerous": 0.1}} | changed


def photos(dangerous: Sequence[float], low: Sequence[float]) -> list[ScoredPhoto]:
    """Dangerous and low-risk photos with these p_dangerous, each of a person of its own."""
    return [
        ScoredPhoto(LabelledPhoto(f"{grade}-{i}.jpg", f"{grade}-{i}", grade), 0.0, p)
        for grade, scores in ((DANGEROUS, dangerous), (LOW, low))
        for i, p in enumerate(scores)
    ]


def spread(low: float, high: float, count: int = 50) -> list[float]:
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def test_what_a_site_names_is_changed_and_the_rest_stays_the_releases() -> None:
    found = site_grade_cutoffs(fields(), "north.yaml", "r0001", OF_RELEASE)

    assert (found.dangerous, found.high_risk, found.diseases) == (0.1, 0.3, {"nevus": 0.4})
    assert found.version.startswith("north-")


def test_two_sets_of_numbers_never_share_a_version() -> None:
    versions = {
        site_grade_cutoffs(fields(cutoffs={"dangerous": d}), "f", "r0001", of).version
        for d in (0.1, 0.11)
        for of in (OF_RELEASE, replace(OF_RELEASE, version="g-2"))
    }
    assert len(versions) == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "North!"}, "name is 'North!'"),
        ({"release": "r0002"}, "fitted to release 'r0002', but 'r0001' grades; fit them again"),
        ({"cutoffs": {}}, "cutoffs is {}"),
        ({"cutoffs": {"nevus": 0.1}}, "'nevus' is no cut-off, expected dangerous or high_risk"),
        ({"cutoffs": {"dangerous": 0}}, "dangerous is 0, expected a number over 0 and up to 1"),
        ({"cutoffs": {"dangerous": True}}, "dangerous is True"),
        ({"cutoffs": {"high_risk": 1.01}}, "high_risk is 1.01"),
        ({"extra": 1}, "'extra' is unknown"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=r"grade cut-offs north\.yaml: ") as error:
        site_grade_cutoffs(fields(**changed), "north.yaml", "r0001", OF_RELEASE)
    assert said in str(error.value)


def test_the_wanted_share_of_the_dangerous_photos_is_caught_by_the_highest_such_cutoff() -> None:
    given = photos(spread(0.1, 0.9), spread(0.0, 0.5))

    fit = fit_grade_cutoffs(given, 0.9, folds=5)

    caught = [p.p_dangerous >= fit.cutoffs["dangerous"] for p in given if p.label.grade == DANGEROUS]
    assert sum(caught) == 45
    assert fit.same_photos["dangerous"].sensitivity.count == 45


def test_without_a_wanted_share_the_cutoff_parts_the_grades_best() -> None:
    fit = fit_grade_cutoffs(photos(spread(0.4005, 0.9), spread(0.0, 0.39)), None, folds=5)

    assert fit.cutoffs["dangerous"] == 0.4
    assert fit.same_photos["dangerous"].specificity.share == 1


def test_high_risk_photos_count_for_the_lower_cutoff_only() -> None:
    high = [replace(p, p_high_risk=0.6, label=replace(p.label, grade=HIGH)) for p in photos([], spread(0, 0.01, 30))]

    fit = fit_grade_cutoffs([*photos(spread(0.5, 0.9), spread(0.0, 0.1)), *high], 0.95, folds=5)

    assert fit.same_photos["dangerous"].sensitivity.n == 50
    assert fit.same_photos["high_risk"].sensitivity.n == 80


def test_the_figures_are_of_photos_kept_out_of_the_choice() -> None:
    given = photos(spread(0.1, 0.9, 40), spread(0.0, 0.5, 40))

    fit = fit_grade_cutoffs(given, 0.9, folds=40)

    # Those whose absence moves the line above themselves are missed only when they are kept out.
    assert fit.kept_out["dangerous"].sensitivity.count <= fit.same_photos["dangerous"].sensitivity.count
    assert fit.kept_out["dangerous"].sensitivity.n == 40


def test_too_few_photos_choose_nothing_and_say_so(tmp_path: Path) -> None:
    fit = fit_grade_cutoffs(photos(spread(0.5, 0.9, 19), spread(0.0, 0.1)), 0.9, folds=5)

    assert fit.cutoffs == {}
    assert fit.not_fitted["dangerous"] == "19 photos to catch and 50 to pass, expected 20 of either"
    with pytest.raises(ContractError, match="was not written: no cut-off could be chosen"):
        write_grade_cutoffs(fit, "north", RELEASE, tmp_path / "north.yaml", date(2026, 11, 21))
    assert not (tmp_path / "north.yaml").exists()


def test_a_written_file_can_be_graded_by(tmp_path: Path) -> None:
    release = replace(RELEASE, cutoffs={"version": "g-1", "dangerous": 0.2, "high_risk": 0.3, "diseases": {}})
    fit = fit_grade_cutoffs(photos(spread(0.1, 0.9), spread(0.0, 0.5)), 0.9, folds=5)
    out = tmp_path / "new" / "north.yaml"

    version = write_grade_cutoffs(fit, "north", release, out, date(2026, 11, 21))

    found = grade_cutoffs(Settings(grade_cutoffs=str(out)), release)
    assert (found.version, found.dangerous) == (version, fit.cutoffs["dangerous"])
    assert "kept out of the choice (5 folds)" in out.read_text()


def test_without_a_file_the_release_decides() -> None:
    release = replace(RELEASE, cutoffs=json.loads('{"version": "g-1", "dangerous": 0.2, "high_risk": 0.3}'))
    assert grade_cutoffs(Settings(), release) == GradeCutoffs("g-1", 0.2, 0.3)


def test_a_setting_that_names_no_file_is_a_wrong_setting(tmp_path: Path) -> None:
    release = replace(RELEASE, cutoffs={"version": "g-1", "dangerous": 0.2, "high_risk": 0.3})
    with pytest.raises(SettingsError, match=r"SCREENING_GRADE_CUTOFFS: .*cannot be read"):
        grade_cutoffs(Settings(grade_cutoffs=str(tmp_path / "none.yaml")), release)


def test_labels_are_read_with_their_groups() -> None:
    found = read_grade_labels("file,grade,group\na.jpg,dangerous,anna\nb.jpg,low_risk,\n", "l.csv", lambda _: True)

    assert found == [LabelledPhoto("a.jpg", "anna", DANGEROUS), LabelledPhoto("b.jpg", "b.jpg", LOW)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file\na.jpg\n", "column grade is missing"),
        ("file,grade,age\na.jpg,low_risk,3\n", "column 'age' is unknown"),
        ("file,grade\na.jpg,harmless\n", "line 2: grade is 'harmless'"),
        ("file,grade\ngone.jpg,low_risk\n", "line 2: there is no photo 'gone.jpg'"),
        ("file,grade\na.jpg,low_risk\na.jpg,low_risk\n", "line 3: 'a.jpg' stands there twice"),
        ("file,grade\na.jpg\n", "line 2 has another number of cells"),
    ],
)
def test_labels_that_are_not_in_order_are_refused(text: str, said: str) -> None:
    with pytest.raises(ContractError) as error:
        read_grade_labels(text, "l.csv", lambda file: file == "a.jpg")
    assert said in str(error.value)


def test_a_folder_or_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is not a folder"):
        read_labels_file(tmp_path / "none", tmp_path / "l.csv")
    with pytest.raises(MissingError, match=r"l\.csv cannot be read"):
        read_labels_file(tmp_path, tmp_path / "l.csv")
