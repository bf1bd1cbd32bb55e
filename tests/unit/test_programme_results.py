from __future__ import annotations

import csv
import io
from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

from screening.reports.programme_results import COLUMNS, programme_results
from screening.stages.grading import UNLIKE_TRAINING, WARNINGS
from tests.unit.made_up_night import CLASSES, NIGHT, MadeUpNight, Upload, a_night, night_of, photo_id_of, with_value

NAMES = {disease.id: disease.name for disease in CLASSES.classes}


def rows_of(
    night: MadeUpNight, programme: str = "coast", earlier_grades: pa.Table | None = None
) -> dict[str, dict[str, str]]:
    text = programme_results(programme, night.tables, NIGHT, disease_names=NAMES, earlier_grades=earlier_grades).decode(
        "utf-8-sig"
    )
    return {row["source_name"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


def test_every_upload_of_the_programme_has_one_line_and_no_other_programme_has_any() -> None:
    assert sorted(rows_of(a_night())) == [
        "lost.jpg",
        "mole-closer.jpg",
        "mole.jpg",
        "spot.jpg",
        "text.jpg",
        "unnamed.jpg",
    ]
    assert sorted(rows_of(a_night(), "hills")) == ["again.jpg", "dark.jpg"]


def test_a_graded_photo_says_what_to_do_in_plain_words() -> None:
    row = rows_of(a_night())["spot.jpg"]
    assert row == {
        "source_name": "spot.jpg",
        "outcome": "graded",
        "verdict": "flagged",
        "reason": "soft focus",
        "what_was_found": "soft focus",
        "retake_advice": "",
        "grade": "high risk",
        "disease": "Basal cell carcinoma",
        "warning": "",
        "grade_of_lesion": "high risk",
        "action": "Have a doctor at a nearby hospital examine the lesion.",
        "due_by": "2026-12-20",
        "same_photo_as": "",
        "same_picture_as": "",
        "night": "2026-11-20",
    }


def test_a_photo_unlike_the_training_photos_is_flagged_and_says_so() -> None:
    night = a_night().changed("grades", lambda t: with_value(t, "warnings", [UNLIKE_TRAINING], [0]))

    row = rows_of(night)[night.tables["grades"]["source_name"][0].as_py()]

    assert row["verdict"] == "flagged"
    assert row["warning"] == WARNINGS[UNLIKE_TRAINING]
    assert row["grade"]


def test_the_action_is_that_of_the_lesions_most_severe_photo() -> None:
    row = rows_of(a_night())["mole.jpg"]
    assert row["grade"] == "low risk"
    assert row["grade_of_lesion"] == "dangerous"
    assert "superior hospital at once" in row["action"]


def test_a_photo_that_was_not_judged_has_advice_and_neither_grade_nor_action() -> None:
    rows = rows_of(a_night(), "hills") | rows_of(a_night())
    for name in ("dark.jpg", "text.jpg", "lost.jpg"):
        assert rows[name]["retake_advice"] == "Take the photo again."
        assert {rows[name][c] for c in ("grade", "disease", "grade_of_lesion", "action", "due_by")} == {""}
    assert rows["dark.jpg"]["what_was_found"] == "too dark"
    assert rows["text.jpg"]["what_was_found"] == "found not_an_accepted_format"


def test_a_duplicate_shows_the_grade_that_it_shares() -> None:
    row = rows_of(a_night(), "hills")["again.jpg"]
    assert (row["outcome"], row["grade"], row["disease"]) == ("duplicate", "low risk", "Melanocytic naevus")
    assert "Keep watching" in row["action"]


def test_the_name_of_another_programmes_file_is_not_told() -> None:
    assert rows_of(a_night(), "hills")["again.jpg"]["same_photo_as"] == ""
    same_programme = night_of(Upload("a.jpg"), Upload("b.jpg", outcome="duplicate", same_as="a.jpg"))
    assert rows_of(same_programme)["b.jpg"]["same_photo_as"] == "a.jpg"


def test_a_picture_that_was_sent_before_names_the_file_of_this_night_or_the_id_of_an_earlier_one() -> None:
    rows = rows_of(night_of(Upload("a.jpg"), Upload("b.jpg", shows="a.jpg"), Upload("c.jpg", shows="old.jpg")))
    assert [rows[name]["same_picture_as"] for name in ("a.jpg", "b.jpg", "c.jpg")] == [
        "",
        "a.jpg",
        f"photo {photo_id_of('old.jpg')} of an earlier night",
    ]
    assert rows["b.jpg"]["grade"] == "low risk"


def test_the_copy_of_a_refused_photo_shows_its_advice_and_no_grade() -> None:
    night = night_of(
        Upload("dark.jpg", outcome="refused", reason="too_dark"),
        Upload("dark2.jpg", outcome="duplicate", same_as="dark.jpg"),
    )
    row = rows_of(night)["dark2.jpg"]
    assert (row["verdict"], row["retake_advice"], row["grade"]) == ("refused", "Take the photo again.", "")


def test_a_duplicate_of_an_earlier_night_shows_the_grade_of_that_night() -> None:
    tonight = night_of(Upload("b.jpg", outcome="duplicate", same_as="a.jpg", same_as_night=date(2026, 11, 18)))
    earlier = night_of(Upload("a.jpg", grade="dangerous")).tables["grades"]
    assert rows_of(tonight)["b.jpg"]["grade"] == ""
    assert rows_of(tonight, earlier_grades=earlier)["b.jpg"]["grade"] == "dangerous"


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@x.jpg", "\t=1.jpg", " =1.jpg"])
def test_a_cell_that_a_spreadsheet_would_run_is_marked_as_text(name: str) -> None:
    assert f"'{name}" in rows_of(night_of(Upload(name)))


@pytest.mark.parametrize("name", ["a,b.jpg", 'say "ah".jpg', "two\nlines.jpg", "päivä.jpg", "a=b.jpg", "皮膚.jpg"])
def test_any_other_name_comes_back_as_it_was(name: str) -> None:
    assert name in rows_of(night_of(Upload(name)))


def test_excel_and_pandas_both_read_names_with_accents() -> None:
    csv_bytes = programme_results("coast", night_of(Upload("päivä.jpg")).tables, NIGHT, disease_names=NAMES)
    assert csv_bytes.startswith(b"\xef\xbb\xbf")
    frame = pd.read_csv(io.BytesIO(csv_bytes))
    assert list(frame.columns) == list(COLUMNS)
    assert frame["source_name"].tolist() == ["päivä.jpg"]


def test_a_programme_without_uploads_gets_the_header_alone() -> None:
    assert rows_of(a_night(), "nobody") == {}
