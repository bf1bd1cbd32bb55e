"""What several decisions about one photo come to."""

from datetime import timedelta
from itertools import permutations

import pytest

from screening.stages.adjudication import adjudicate
from screening.taxonomy import load_taxonomy
from tests.unit.review_site import DAY, a_decision

TAXONOMY = load_taxonomy()


def said(reader, disease, *, minutes=0, **changed):
    when = DAY + timedelta(minutes=minutes)
    return a_decision("mole", disease, reader=reader, decided_at_utc=when, recorded_at_utc=when, **changed)


def histology(disease, reader="lab", minutes=0, **changed):
    return said(reader, disease, evidence="histopathology", minutes=minutes, **changed)


def adjudicated(reader, disease, minutes=60):
    return said(reader, disease, evidence="adjudication", minutes=minutes)


def outcome(*decisions, wanted=1):
    found = {adjudicate(order, TAXONOMY, wanted) for order in permutations(decisions)}
    assert len(found) == 1, "the order in which decisions are read changes what they come to"
    [one] = found
    return one.state, one.disease, one.label_strength and str(one.label_strength)


@pytest.mark.parametrize(
    ("diseases", "wanted", "expected"),
    [
        (["melanoma"], 1, ("settled", "melanoma", "single_reader")),
        (["melanoma"], 2, ("needs_second_reader", None, None)),
        (["melanoma", "melanoma"], 2, ("settled", "melanoma", "consensus")),
        (["melanoma", "melanoma"], 3, ("needs_second_reader", None, None)),
        (["melanoma", "nevus"], 2, ("needs_adjudication", None, None)),
        (["melanoma", "nevus"], 1, ("needs_adjudication", None, None)),
        # One is a kind of the other, and of the same grade: what both say holds.
        (["nevus", "dysplastic_nevus"], 2, ("settled", "nevus", "consensus")),
        (["benign", "dysplastic_nevus", "nevus"], 3, ("settled", "benign", "consensus")),
        # Two kinds of the same: neither said what the other did.
        (["blue_nevus", "halo_nevus"], 2, ("needs_adjudication", None, None)),
        # `lesion` has no grade: agreeing on it would settle nothing.
        (["lesion", "nevus"], 2, ("needs_adjudication", None, None)),
        ([None], 1, ("cannot_tell", None, None)),
        ([None, None, "nevus"], 2, ("cannot_tell", None, None)),
        ([None, "nevus"], 2, ("needs_adjudication", None, None)),
        ([None, "nevus", "nevus"], 2, ("settled", "nevus", "consensus")),
    ],
)
def test_readings_settle_when_enough_people_say_the_same(diseases, wanted, expected):
    assert outcome(*(said(f"reader-{i}", d) for i, d in enumerate(diseases)), wanted=wanted) == expected


def test_one_person_who_reads_twice_is_one_reader_and_the_last_word_counts():
    assert outcome(said("a", "nevus"), said("a", "melanoma", minutes=5)) == ("settled", "melanoma", "single_reader")
    assert outcome(said("a", "nevus"), said("a", "nevus", minutes=5), wanted=2)[0] == "needs_second_reader"


def test_a_corrected_decision_does_not_count_however_often_it_was_corrected():
    first = said("a", "nevus")
    second = said("a", "benign", minutes=1, corrects=first["decision_id"])
    third = said("a", "melanoma", minutes=2, corrects=second["decision_id"])
    [counted] = {adjudicate(o, TAXONOMY, 1).decisions for o in permutations([first, second, third])}
    assert counted == (third["decision_id"],)


def test_nobody_corrects_what_another_reader_said():
    first = said("a", "nevus")
    other = said("b", "melanoma", minutes=1, corrects=first["decision_id"])
    assert outcome(first, other, wanted=2)[0] == "needs_adjudication"


def test_two_decisions_that_correct_each_other_do_not_both_vanish():
    one = said("a", "nevus") | {"decision_id": "1" * 32, "corrects": "2" * 32}
    two = said("a", "nevus") | {"decision_id": "2" * 32, "corrects": "1" * 32}
    assert outcome(one, two) == ("settled", "nevus", "single_reader")


def test_histopathology_outranks_readers_and_adjudicators():
    readers = [said(f"reader-{i}", "nevus") for i in range(2)]
    assert outcome(*readers, adjudicated("chief", "nevus"), histology("melanoma")) == (
        "settled", "melanoma", "histopathology",
    )  # fmt: skip


def test_of_two_results_the_finer_one_stands_if_it_is_a_kind_of_the_other():
    assert outcome(histology("nevus"), histology("blue_nevus", "lab-2"))[:2] == ("settled", "blue_nevus")


def test_contradictory_results_are_held_for_a_person():
    assert outcome(histology("nevus"), histology("melanoma", "lab-2"), said("a", "melanoma")) == ("held", None, None)


def test_one_laboratory_that_reports_two_results_is_held_too():
    assert outcome(histology("nevus"), histology("melanoma", minutes=9))[0] == "held"


def test_a_corrected_result_is_not_held_against_the_new_one():
    wrong = histology("nevus")
    assert outcome(wrong, histology("melanoma", minutes=9, corrects=wrong["decision_id"]))[1] == "melanoma"


def test_a_later_adjudication_says_which_of_two_results_stands():
    results = histology("nevus"), histology("melanoma", "lab-2")
    assert outcome(*results, adjudicated("chief", "melanoma")) == ("settled", "melanoma", "histopathology")
    assert outcome(*results, adjudicated("chief", "lentigo"))[0] == "held"
    assert outcome(*results, adjudicated("lab", "melanoma"))[0] == "held"


def test_an_adjudication_made_before_the_second_result_was_known_does_not_choose():
    assert outcome(histology("nevus"), adjudicated("chief", "nevus"), histology("melanoma", minutes=90))[0] == "held"


def test_a_result_that_tells_nothing_leaves_the_readers_word():
    assert outcome(said("a", "nevus"), histology(None)) == ("settled", "nevus", "single_reader")


def test_an_adjudication_outranks_readers_who_disagree():
    readings = said("a", "nevus"), said("b", "melanoma")
    assert outcome(*readings, adjudicated("chief", "melanoma"), wanted=2) == ("settled", "melanoma", "consensus")
    assert outcome(*readings, adjudicated("chief", None), wanted=2)[0] == "cannot_tell"


def test_a_reader_does_not_adjudicate_their_own_case():
    readings = said("a", "nevus"), said("b", "melanoma")
    assert outcome(*readings, adjudicated("a", "nevus"), wanted=2)[0] == "needs_adjudication"


def test_adjudicators_who_disagree_are_held():
    readings = said("a", "nevus"), said("b", "melanoma")
    assert outcome(*readings, adjudicated("c", "nevus"), adjudicated("d", "melanoma"), wanted=2)[0] == "held"


def test_a_disease_that_the_taxonomy_lost_is_held_and_stops_nobody():
    assert outcome(said("a", "green_fever"))[0] == "held"


@pytest.mark.parametrize(
    ("qualities", "is_unusable"), [(["unusable"], True), (["unusable", "good"], False), ([], False)]
)
def test_a_photo_is_unusable_when_most_who_judged_it_say_so(qualities, is_unusable):
    readings = [said(f"r{i}", "nevus", photo_quality=quality) for i, quality in enumerate(qualities)]
    assert adjudicate([*readings, said("z", "nevus")], TAXONOMY, 1).is_unusable is is_unusable


def test_a_settled_photo_is_settled_when_its_last_counting_decision_was_made():
    decisions = [said("a", "nevus"), said("b", "nevus", minutes=30)]
    assert adjudicate(decisions, TAXONOMY, 2).settled_at_utc == DAY + timedelta(minutes=30)
    assert adjudicate(decisions[:1], TAXONOMY, 2).settled_at_utc is None
