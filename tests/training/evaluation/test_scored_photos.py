"""The table that is evaluated: what it needs, and what it refuses."""

import pandas as pd
import pytest

from screening.errors import ContractError
from screening.training.evaluation.scored_photos import (
    NO_CLASS,
    class_of,
    read_scored_photos,
    score_table,
    write_scored_photos,
)
from tests.training.evaluation.made_up_photos import CLASSES, CUTOFFS, TAXONOMY, some_answers, some_facts, some_scored


def test_a_table_that_was_written_is_read_as_it_was(tmp_path):
    scored = some_scored()
    write_scored_photos(scored, tmp_path / "table.parquet")

    found = read_scored_photos(tmp_path / "table.parquet", TAXONOMY)

    assert (found.probabilities == scored.probabilities).all()
    assert (found.given_grades == scored.given_grades).all()
    assert (found.labels == scored.labels).all()
    assert list(found.patients) == list(scored.patients)


def a_csv(folder, **columns):
    facts = some_facts(6).drop(columns=["sex", "source", "kind", "age_years", "patient"]).assign(**columns)
    answers = pd.DataFrame(some_answers(list(some_facts(6)["disease"])), columns=[f"p_{c}" for c in CLASSES])
    file = folder / "table.csv"
    pd.concat([facts, answers], axis=1).to_csv(file, index=False)
    return file


def test_a_csv_of_photo_disease_and_probabilities_is_enough(tmp_path):
    found = read_scored_photos(a_csv(tmp_path), TAXONOMY)

    assert list(found.patients) == [f"photo-{n}" for n in range(6)]
    assert (found.given_grades == found.grade_scores.argmax(axis=1)).all()


def test_cutoffs_give_the_grades_unless_the_table_does(tmp_path):
    by_cutoffs = read_scored_photos(a_csv(tmp_path), TAXONOMY, CUTOFFS)
    as_given = read_scored_photos(a_csv(tmp_path, grade=["dangerous"] * 6), TAXONOMY, CUTOFFS)

    dangerous = by_cutoffs.grade_scores[:, 2] >= CUTOFFS.dangerous
    assert ((by_cutoffs.given_grades == 2) == dangerous).all()
    assert list(as_given.given_grades) == [2] * 6


def test_a_label_is_known_by_any_of_its_spellings(tmp_path):
    found = read_scored_photos(a_csv(tmp_path, disease=["nv", "NEV", "mel", "bcc", "bkl", "df"]), TAXONOMY)

    assert [CLASSES[label] for label in found.labels][:3] == ["nevus", "nevus", "melanoma"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"photo": ["same"] * 6}, "5 photos stand twice"),
        ({"disease": ["a cold"] * 6}, "a cold"),
        ({"grade": ["awful"] * 6}, "'awful'"),
        ({"disease": ["lesion"] * 6}, "no grade to lesion"),
    ],
)
def test_a_table_that_says_nonsense_is_refused(tmp_path, columns, says):
    with pytest.raises(ContractError, match=says):
        read_scored_photos(a_csv(tmp_path, **columns), TAXONOMY)


def test_a_table_without_answers_is_refused(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("photo\na\n")

    with pytest.raises(ContractError, match="no column disease, p_<class>"):
        read_scored_photos(file, TAXONOMY)


def test_probabilities_that_do_not_sum_to_one_are_refused():
    facts = some_facts(6)
    answers = some_answers(list(facts["disease"]))
    answers[0] *= 2

    with pytest.raises(ContractError, match="of 1 photos do not sum to 1"):
        score_table(facts, answers, CLASSES, TAXONOMY)


def test_no_photo_at_all_is_refused():
    facts = some_facts(6)

    with pytest.raises(ContractError, match="no photo"):
        score_table(facts[:0], some_answers(list(facts["disease"]))[:0], CLASSES, TAXONOMY)


def test_a_disease_belongs_to_the_nearest_class_above_it_or_to_none():
    below = next(d for d in TAXONOMY.diseases if d.id == "melanoma")

    assert class_of("melanoma", ("nevus", "melanoma"), TAXONOMY) == 1
    assert class_of("melanoma", ("nevus", str(below.parent)), TAXONOMY) == 1
    assert class_of("melanoma", ("nevus",), TAXONOMY) == NO_CLASS
