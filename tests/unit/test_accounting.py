from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from screening.stages.accounting import Accounting, accounting_faults, count, count_by_programme
from tests.unit.made_up_night import (
    CLASSES,
    MEMBERS,
    NIGHT,
    MadeUpNight,
    Upload,
    a_night,
    night_of,
    photo_id_of,
    pseudonym,
    twice,
    with_value,
    without_rows,
)


def faults_of(night: MadeUpNight) -> list[str]:
    return accounting_faults(night.tables, night.ledger, night=NIGHT, members=MEMBERS, classes=CLASSES)


def row_of(table: pa.Table, column: str, value: object) -> int:
    return int(table[column].to_pylist().index(value))


def test_a_night_is_counted_by_outcome_grade_and_reason() -> None:
    tables = a_night().tables
    assert count(tables["photos"], tables["grades"]) == Accounting(
        listed=8,
        graded=4,
        refused=2,
        failed=1,
        duplicate=1,
        per_grade={"low_risk": 1, "high_risk": 1, "dangerous": 2},
        per_reason={"deleted_before_fetch": 1, "not_an_accepted_format": 1, "same_bytes": 1, "too_dark": 1},
    )


def test_listed_is_the_sum_of_the_outcomes() -> None:
    tables = a_night().tables
    assert count(tables["photos"], tables["grades"]).is_balanced
    assert not Accounting(listed=2, graded=1, refused=0, failed=0, duplicate=0, per_grade={}, per_reason={}).is_balanced


def test_each_programme_is_counted_for_itself() -> None:
    tables = a_night().tables
    programmes = count_by_programme(tables["photos"], tables["grades"])
    assert {name: (a.listed, a.graded) for name, a in programmes.items()} == {"coast": (6, 4), "hills": (2, 0)}


def test_an_empty_night_counts_nothing_and_has_every_grade() -> None:
    tables = night_of().tables
    counted = count(tables["photos"], tables["grades"])
    assert counted.listed == 0
    assert counted.per_grade == {"low_risk": 0, "high_risk": 0, "dangerous": 0}


@pytest.mark.parametrize("night", [a_night(), night_of()], ids=["mixed", "empty"])
def test_a_night_that_keeps_its_promises_has_no_fault(night: MadeUpNight) -> None:
    assert faults_of(night) == []


def _lose_a_photo(night: MadeUpNight) -> MadeUpNight:
    return night.changed("photos", lambda t: without_rows(t, 0))


def _invent_a_photo(night: MadeUpNight) -> MadeUpNight:
    return night.changed("photos", lambda t: with_value(t, "etag", "another", [0]))


def _repeat_a_photo(night: MadeUpNight) -> MadeUpNight:
    return night.changed("photos", lambda t: twice(t, 0))


def _of_another_night(night: MadeUpNight) -> MadeUpNight:
    ledger = with_value(night.ledger, "night", date(2026, 11, 19), [0])
    return MadeUpNight(night.tables, ledger)


def _without_reason(night: MadeUpNight) -> MadeUpNight:
    return night.changed("photos", lambda t: with_value(t, "reason", None, [row_of(t, "outcome", "failed")]))


def _graded_without_id(night: MadeUpNight) -> MadeUpNight:
    return night.changed("photos", lambda t: with_value(t, "photo_id", None, [0]))


def _duplicate_of(value: str | None) -> Callable[[MadeUpNight], MadeUpNight]:
    def change(night: MadeUpNight) -> MadeUpNight:
        return night.changed(
            "photos", lambda t: with_value(t, "duplicate_of", value, [row_of(t, "outcome", "duplicate")])
        )

    return change


def _shows(name: str, *others: str) -> Callable[[MadeUpNight], MadeUpNight]:
    def change(night: MadeUpNight) -> MadeUpNight:
        rows = [row_of(night.tables["photos"], "source_name", other) for other in others]
        return night.changed("photos", lambda t: with_value(t, "same_picture_as", photo_id_of(name), rows))

    return change


def _graded_twice(night: MadeUpNight) -> MadeUpNight:
    duplicate = row_of(night.tables["photos"], "outcome", "duplicate")
    return night.changed("photos", lambda t: with_value(t, "outcome", "graded", [duplicate]))


def _without_grade(night: MadeUpNight) -> MadeUpNight:
    return night.changed("grades", lambda t: without_rows(t, 0))


def _two_grades(night: MadeUpNight) -> MadeUpNight:
    return night.changed("grades", lambda t: twice(t, 0))


def _grade_of_a_refused_photo(night: MadeUpNight) -> MadeUpNight:
    return night.changed("grades", lambda t: with_value(t, "photo_id", photo_id_of("dark.jpg"), [0]))


def _without_member(night: MadeUpNight) -> MadeUpNight:
    return night.changed("predictions", lambda t: without_rows(t, 0))


def _without_ensemble(night: MadeUpNight) -> MadeUpNight:
    return night.changed("predictions", lambda t: without_rows(t, row_of(t, "member", "ensemble")))


def _two_answers(night: MadeUpNight) -> MadeUpNight:
    return night.changed("predictions", lambda t: twice(t, 0))


def _unknown_member(night: MadeUpNight) -> MadeUpNight:
    extra = with_value(night.tables["predictions"].slice(0, 1), "member", "stranger")
    return night.changed("predictions", lambda t: pa.concat_tables([t, extra]))


def _answer_for_a_refused_photo(night: MadeUpNight) -> MadeUpNight:
    extra = with_value(night.tables["predictions"].slice(0, 1), "photo_id", photo_id_of("dark.jpg"))
    return night.changed("predictions", lambda t: pa.concat_tables([t, extra]))


def _refused_yet_graded(night: MadeUpNight) -> MadeUpNight:
    at = row_of(night.tables["quality"], "photo_id", photo_id_of("mole.jpg"))
    return night.changed("quality", lambda t: with_value(t, "verdict", "refused", [at]))


def _usable_yet_refused(night: MadeUpNight) -> MadeUpNight:
    at = row_of(night.tables["quality"], "photo_id", photo_id_of("dark.jpg"))
    return night.changed("quality", lambda t: with_value(t, "verdict", "usable", [at]))


def _verdicts_differ(night: MadeUpNight) -> MadeUpNight:
    return night.changed("grades", lambda t: with_value(t, "verdict", "flagged", [0]))


def _unmeasured(night: MadeUpNight) -> MadeUpNight:
    return night.changed("quality", lambda t: without_rows(t, 0))


def _measured_stranger(night: MadeUpNight) -> MadeUpNight:
    return night.changed("quality", lambda t: with_value(t, "photo_id", photo_id_of("stranger"), [0]))


def _grades_do_not_sum(night: MadeUpNight) -> MadeUpNight:
    return night.changed("grades", lambda t: with_value(t, "p_low_risk", 0.5, [0]))


def _grade_is_not_its_diseases(night: MadeUpNight) -> MadeUpNight:
    return night.changed("grades", lambda t: with_value(t, "p_melanoma", 0.5, [0]))


def _disease_of_another_grade(night: MadeUpNight) -> MadeUpNight:
    return night.changed("grades", lambda t: with_value(t, "disease", "nevus", [row_of(t, "grade", "dangerous")]))


def _answer_does_not_sum(night: MadeUpNight) -> MadeUpNight:
    wrong = [0.5] * len(CLASSES)
    return night.changed("predictions", lambda t: with_value(t, "probabilities", wrong, [0]))


def _too_few_probabilities(night: MadeUpNight) -> MadeUpNight:
    return night.changed("predictions", lambda t: with_value(t, "probabilities", [1.0], [0]))


def _ensemble_is_no_mean(night: MadeUpNight) -> MadeUpNight:
    certain = [1.0] + [0.0] * (len(CLASSES) - 1)
    at = row_of(night.tables["predictions"], "member", "ensemble")
    return night.changed("predictions", lambda t: with_value(t, "probabilities", certain, [at]))


def _without_referrals(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: t.slice(0, 0))


def _milder_referral(night: MadeUpNight) -> MadeUpNight:
    at = row_of(night.tables["referrals"], "grade", "dangerous")
    return night.changed("referrals", lambda t: with_value(t, "grade", "low_risk", [at]))


def _severer_referral(night: MadeUpNight) -> MadeUpNight:
    at = row_of(night.tables["referrals"], "grade", "high_risk")
    return night.changed("referrals", lambda t: with_value(t, "grade", "dangerous", [at]))


def _referral_twice(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: twice(t, 0))


def _referral_of_a_stranger(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: with_value(t, "patient", pseudonym("p", "nobody"), [0]))


def _referral_miscounts(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: with_value(t, "photos", 99, [0]))


def _referral_rests_on_another(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: with_value(t, "key_photo_id", photo_id_of("dark.jpg"), [0]))


def _referral_was_due(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: with_value(t, "due_by", date(2026, 11, 1), [0]))


def _referral_of_another_night(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: with_value(t, "night", date(2026, 11, 19), [0]))


@pytest.mark.parametrize(
    ("breaking", "fault"),
    [
        (_lose_a_photo, "1 listed uploads have no row in photos"),
        (_invent_a_photo, "1 rows of photos were not listed by this night"),
        (_repeat_a_photo, "1 listed uploads stand more than once in photos"),
        (_of_another_night, "1 ledger rows belong to another night than 2026-11-20"),
        (_without_reason, "1 photos were not graded and have no reason"),
        (_graded_without_id, "1 graded or duplicate photos have no photo_id"),
        (_duplicate_of(None), "1 duplicates do not name the photo whose grade they share"),
        (_duplicate_of("uploads/coast/nowhere.jpg"), "1 duplicates name a photo that this night does not have"),
        (_duplicate_of("uploads/hills/2026-11-20/again.jpg"), "1 duplicates name a photo that is a duplicate itself"),
        (_duplicate_of("uploads/coast/2026-11-20/spot.jpg"), "1 duplicates name a photo with other bytes"),
        (_shows("mole.jpg", "mole.jpg"), "1 photos are said to show the same picture as themselves"),
        (_shows("spot.jpg", "spot.jpg", "mole.jpg"), "1 photos show the same picture as one that itself repeats"),
        (_graded_twice, "1 photo ids were graded more than once"),
        (_without_grade, "1 graded photos have no row in grades"),
        (_two_grades, "1 photos have more than one row in grades"),
        (_grade_of_a_refused_photo, "1 rows of grades belong to no graded photo"),
        (_without_member, "1 graded photos lack a prediction of one of ensemble, lesion_one, lesion_two"),
        (_without_ensemble, "1 graded photos lack a prediction of one of ensemble, lesion_one, lesion_two"),
        (_two_answers, "1 photos have two predictions of one member"),
        (_unknown_member, "1 photos have a prediction of a member that the release does not have"),
        (_answer_for_a_refused_photo, "1 photos have predictions and were not graded"),
        (_refused_yet_graded, "1 photos have the verdict refused and another outcome"),
        (_usable_yet_refused, "1 photos have the outcome refused and another verdict"),
        (_verdicts_differ, "1 photos have one verdict in quality and another in grades"),
        (_unmeasured, "1 graded photos have no row in quality"),
        (_measured_stranger, "1 rows of quality belong to no photo of this night"),
        (_grades_do_not_sum, "1 rows of grades whose three grade probabilities do not sum to 1"),
        (_grade_is_not_its_diseases, "1 rows of grades where a grade is not the sum of its diseases"),
        (_grade_is_not_its_diseases, "1 rows of grades whose diseases differ from the ensemble's prediction"),
        (_disease_of_another_grade, "1 rows of grades whose disease has another grade"),
        (_answer_does_not_sum, "1 photos have predictions that do not sum to 1"),
        (_too_few_probabilities, "rows of predictions do not all have 8 probabilities"),
        (_ensemble_is_no_mean, "1 photos have an ensemble that is not the mean of its members"),
        (_without_referrals, "persons or lesions with a graded photo have no referral"),
        (_milder_referral, "1 referrals do not have the most severe grade of their photos"),
        (_severer_referral, "1 referrals do not have the most severe grade of their photos"),
        (_referral_twice, "1 referrals are for a person or lesion that has one already"),
        (_referral_of_a_stranger, "1 referrals rest on no graded photo of this night"),
        (_referral_miscounts, "1 referrals count another number of photos than they rest on"),
        (_referral_rests_on_another, "1 referrals name a deciding photo that is not theirs"),
        (_referral_was_due, "1 referrals were due before their night"),
        (_referral_of_another_night, "1 referrals belong to another night"),
    ],
)
def test_a_broken_promise_is_named(breaking: Callable[[MadeUpNight], MadeUpNight], fault: str) -> None:
    assert any(fault in found for found in faults_of(breaking(a_night()))), faults_of(breaking(a_night()))


@pytest.mark.parametrize(("error", "is_fault"), [(0.9e-6, False), (1.1e-6, True)])
def test_sums_may_be_off_by_a_millionth_and_no_more(error: float, is_fault: bool) -> None:
    def shift(table: pa.Table) -> pa.Table:
        for column in ("p_low_risk", "p_nevus"):
            at = table.column_names.index(column)
            table = table.set_column(at, table.schema.field(column), pc.add(table[column], error))
        return table

    sums = [f for f in faults_of(a_night().changed("grades", shift)) if "do not sum to 1" in f]
    assert bool(sums) == is_fault


def test_nan_is_never_a_right_sum() -> None:
    night = a_night().changed("grades", lambda t: with_value(t, "p_low_risk", float("nan"), [0]))
    assert any("do not sum to 1" in fault for fault in faults_of(night))


def test_in_mode_observe_a_bad_photo_may_be_graded() -> None:
    night = _refused_yet_graded(a_night()).changed("quality", lambda t: with_value(t, "quality_mode", "observe"))
    assert faults_of(night) == []


def test_a_photo_that_failed_after_it_was_measured_is_no_fault() -> None:
    night = night_of(Upload("a.jpg"), Upload("b.jpg", outcome="failed", reason="no_answer"))
    measured = with_value(night.tables["quality"], "photo_id", photo_id_of("b.jpg"))
    assert faults_of(night.changed("quality", lambda t: pa.concat_tables([t, measured]))) == []


def test_a_photo_may_show_the_picture_of_another_one_of_this_night_or_an_earlier_one() -> None:
    assert faults_of(night_of(Upload("a.jpg"), Upload("b.jpg", shows="a.jpg"), Upload("c.jpg", shows="old.jpg"))) == []


def test_what_another_programme_sent_makes_no_chain() -> None:
    night = night_of(
        Upload("a.jpg", shows="b.jpg"),
        Upload("b.jpg", shows="c.jpg", programme="hills"),
        Upload("c.jpg", shows="d.jpg"),
    )
    assert faults_of(night) == []


def test_a_photo_of_an_earlier_night_is_shared_and_may_raise_the_grade() -> None:
    earlier = date(2026, 11, 18)
    night = night_of(
        Upload("a.jpg", patient="anna"),
        Upload("b.jpg", outcome="duplicate", same_as="old.jpg", same_as_night=earlier, patient="anna"),
        Upload("c.jpg", outcome="duplicate", same_as="older.jpg", same_as_night=earlier, patient="bert"),
    )
    assert faults_of(night) == []
    raised = night.changed("referrals", lambda t: with_value(t, "grade", "dangerous"))
    assert faults_of(raised) == []


def test_the_copy_of_a_refused_photo_needs_no_referral() -> None:
    night = night_of(
        Upload("dark.jpg", outcome="refused", reason="too_dark"),
        Upload("dark2.jpg", outcome="duplicate", same_as="dark.jpg", patient="anna"),
    )
    assert faults_of(night) == []


def test_a_key_that_was_listed_with_two_contents_is_looked_at_with_both() -> None:
    night = night_of(Upload("a.jpg"), Upload("b.jpg", outcome="duplicate", same_as="a.jpg"), Upload("c.jpg"))
    same_key = "uploads/coast/2026-11-20/a.jpg"
    night = night.changed("photos", lambda t: with_value(t, "key", same_key, [2]))
    night = night.changed("grades", lambda t: with_value(t, "key", same_key))
    assert faults_of(MadeUpNight(night.tables, with_value(night.ledger, "key", same_key, [2]))) == []


def test_a_fault_names_three_photos_and_counts_the_rest() -> None:
    night = night_of(*(Upload(f"{i}.jpg") for i in range(7)))
    (fault,) = (f for f in faults_of(night.changed("grades", lambda t: t.slice(0, 0))) if "no row in grades" in f)
    named = sorted(photo_id_of(f"{i}.jpg") for i in range(7))[:3]
    assert fault == f"7 graded photos have no row in grades: {', '.join(named)} and 4 more"


def test_no_fault_names_a_person_or_breaks_a_line() -> None:
    hostile = "a\nb" + "x" * 1024
    night = night_of(Upload(hostile, patient="anna", lesion="back"), Upload("b.jpg", patient="anna"))
    broken = night.changed("photos", lambda t: t.slice(0, 0)).changed("grades", lambda t: t.slice(0, 0))
    for fault in [*faults_of(broken), *faults_of(_without_referrals(night)), *faults_of(_milder(night))]:
        assert "\n" not in fault
        assert len(fault) < 400
        assert pseudonym("p", "anna") not in fault


def _milder(night: MadeUpNight) -> MadeUpNight:
    return night.changed("referrals", lambda t: with_value(t, "photos", 50))
