"""Which photos of a night come before a clinician, and why."""

import hashlib
from datetime import date

import pytest

from screening.contracts import REVIEW_QUEUE
from screening.cutoffs import GradeCutoffs
from screening.edges import paths
from screening.edges.withdrawals import record_withdrawal
from screening.errors import ContractError, SettingsError
from screening.settings import Settings
from screening.stages.review_queue import QueuedNight, Reason, audit_probability, queue_rows, reasons_of, sampling_place
from screening.stages.review_rules import ReviewRules, site_review_rules
from screening.tasks.review_rules import load_review_rules
from tests.unit.made_up_night import Upload, photo_id_of, pseudonym
from tests.unit.review_site import DAY, ReviewSite, some_uploads

CUTOFFS = GradeCutoffs("c-test", dangerous=0.2, high_risk=0.3)
NIGHT = date(2026, 11, 20)
RULES = ReviewRules(margin=0.05, spread=0.5, audit_share=0.0, audit_minimum=0.0)
ABOUT = QueuedNight(NIGHT, "night-2026-11-20", CUTOFFS, b"key")


def a_grade(name="mole", **changed):
    return {
        "photo_id": hashlib.sha256(name.encode()).hexdigest()[:32],
        "programme": "north",
        "patient": None,
        "lesion": None,
        "grade": "low_risk",
        "disease": "nevus",
        "differential": [],
        "p_low_risk": 1.0,
        "p_high_risk": 0.0,
        "p_dangerous": 0.0,
        "member_spread": 0.0,
        "is_outlier": False,
        "warnings": [],
        "verdict": "usable",
        "release": "r0001",
    } | changed


def a_photo(grade):
    facts = dict.fromkeys(("body_site", "age_years", "sex", "fitzpatrick"))
    return {"photo_id": grade["photo_id"], "outcome": "graded", "has_training_consent": True} | facts


def queued(grades, rules=RULES, **options):
    rows = queue_rows(grades, [a_photo(grade) for grade in grades], rules, ABOUT, **options)
    return REVIEW_QUEUE.table(rows).to_pylist()


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({"grade": "dangerous", "p_dangerous": 0.9}, ["dangerous"]),
        ({"grade": "high_risk", "p_high_risk": 0.9}, ["high_risk"]),
        ({"p_dangerous": 0.15}, ["near_cutoff"]),
        ({"p_dangerous": 0.149}, []),
        ({"p_high_risk": 0.25}, ["near_cutoff"]),
        ({"p_high_risk": 0.249}, []),
        # Sums that floating point cannot hold exactly.
        ({"p_high_risk": 0.1, "p_dangerous": 0.15}, ["near_cutoff"]),
        ({"grade": "dangerous", "p_dangerous": 0.25}, ["dangerous", "near_cutoff"]),
        ({"member_spread": 0.5}, ["member_spread"]),
        ({"member_spread": 0.499}, []),
        ({"is_outlier": True}, ["outlier"]),
        ({"is_outlier": None}, []),
        ({"warnings": ["unlike_training"]}, ["warning"]),
        ({"verdict": "flagged"}, []),
        ({"verdict": "flagged", "member_spread": 0.6}, ["member_spread", "flagged"]),
        ({"verdict": "flagged", "p_dangerous": 0.2}, ["near_cutoff", "flagged"]),
        ({}, []),
    ],
)
def test_a_photo_comes_for_the_reasons_that_hold_weightiest_first(changed, reasons):
    assert [str(reason) for reason in reasons_of(a_grade(**changed), RULES, CUTOFFS)] == reasons


def test_a_night_before_releases_told_their_limits_is_queued_too():
    old = {name: value for name, value in a_grade(grade="dangerous").items() if name not in ("is_outlier", "warnings")}
    assert list(reasons_of(old, RULES, CUTOFFS)) == [Reason.DANGEROUS]


def test_a_photo_that_a_challenger_grades_otherwise_comes_too():
    grade = a_grade()
    [row] = queued([grade], shadow_differences={grade["photo_id"]})
    assert row["reasons"] == ["shadow_difference"]


def test_the_queue_begins_with_the_most_suspicious():
    grades = [
        a_grade("edge", p_high_risk=0.29),
        a_grade("risky", grade="high_risk", p_high_risk=0.9),
        a_grade("bad", grade="dangerous", p_dangerous=0.5),
        a_grade("worse", grade="dangerous", p_dangerous=0.9),
    ]
    order = [row["photo_id"] for row in queued(grades)]
    assert order == [grades[i]["photo_id"] for i in (3, 2, 1, 0)]
    assert [row["priority"] for row in queued(grades)] == [0, 0, 1, 3]


@pytest.mark.parametrize(
    ("photos", "share", "minimum", "probability"),
    [(1000, 0.02, 5, 0.02), (100, 0.02, 5, 0.05), (3, 0.02, 5, 1.0), (0, 0.02, 5, 1.0), (100, 0.0, 0, 0.0)],
)
def test_the_sample_is_a_share_of_the_night_and_at_least_so_many(photos, share, minimum, probability):
    assert audit_probability(photos, ReviewRules(audit_share=share, audit_minimum=minimum)) == probability


def test_each_low_risk_photo_is_drawn_with_the_probability_that_its_row_tells():
    grades = [a_grade(f"photo {i}") for i in range(20_000)]
    rows = queued(grades, ReviewRules(audit_share=0.05, audit_minimum=0.0))
    assert {(tuple(row["reasons"]), row["inclusion_probability"]) for row in rows} == {(("audit_sample",), 0.05)}
    assert len(rows) == pytest.approx(1000, abs=4 * 31)  # four standard deviations of the binomial


def test_the_same_night_draws_the_same_photos_and_another_key_others():
    names = [f"photo {i}" for i in range(500)]
    rules = ReviewRules(audit_share=0.1)
    first, again = (queued([a_grade(name) for name in order], rules) for order in (names, names[::-1]))
    assert first == again
    places = [sampling_place(photo_id_of(name), b"another key") for name in names]
    assert places != [sampling_place(photo_id_of(name), b"key") for name in names]
    assert all(0.0 <= place < 1.0 for place in places)


def test_a_larger_share_keeps_the_photos_that_a_smaller_one_drew():
    grades = [a_grade(f"photo {i}") for i in range(500)]
    few, more = (
        {row["photo_id"] for row in queued(grades, ReviewRules(audit_share=share, audit_minimum=0))}
        for share in (0.05, 0.2)
    )
    assert few < more


def test_a_photo_with_a_reason_of_its_own_is_certain_and_not_part_of_the_sample():
    grades = [a_grade("bad", grade="dangerous"), *(a_grade(f"photo {i}") for i in range(10))]
    rows = queued(grades, ReviewRules(audit_share=0.0, audit_minimum=5))
    chances = {row["inclusion_probability"] for row in rows if row["reasons"] == ["audit_sample"]}
    assert rows[0]["inclusion_probability"] == 1.0
    assert chances == {0.5}  # of ten, not of eleven


def test_the_night_publishes_a_queue_for_each_programme_also_an_empty_one(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish([*some_uploads(), Upload("text.jpg", "refused", reason="x", is_decoded=False, programme="hills")])
    assert [row["reasons"][0] for row in site.queue()] == ["dangerous", "dangerous", "high_risk", "audit_sample"]
    assert {row["readers_wanted"] for row in site.queue()} == {1}
    assert site.queue("hills") == []


def test_who_withdrew_is_not_queued_when_the_night_runs_again(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish(some_uploads())
    for patient in (pseudonym("p", "anna"), f"photo:{photo_id_of('nobody.jpg')}"):
        row = {"programme": "coast", "patient": patient, "recorded_by": "me", "withdrawn_at_utc": DAY}
        record_withdrawal(site.store, row)
    site.publish(some_uploads())
    assert [row["photo_id"] for row in site.queue()] == [photo_id_of("bert.jpg")]


def test_a_programmes_own_rules_apply_to_it_alone():
    rules = site_review_rules(
        {"default": {"margin": 0.1}, "programmes": {"north": {"readers_wanted": 2, "blind": False}}, "readers": ["a "]},
        "rules.yaml",
    )
    assert rules.of("north") == ReviewRules(margin=0.1, readers_wanted=2, blind=False)
    assert rules.of("south") == ReviewRules(margin=0.1)
    assert rules.readers == {"a"}
    assert rules.version("north") != rules.version("south") == rules.version("west")


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ({"defaults": {}}, "'defaults' is unknown"),
        ({"default": {"margins": 1}}, "margins is no rule"),
        ({"default": {"margin": 1.5}}, "margin is 1.5, expected a number from 0 to 1"),
        ({"default": {"margin": True}}, "margin is True"),
        ({"default": {"audit_minimum": float("inf")}}, "audit_minimum is inf"),
        ({"default": {"readers_wanted": 2.0}}, "readers_wanted is 2.0, expected a number from 1 to 3"),
        ({"default": {"readers_wanted": 4}}, "readers_wanted is 4"),
        ({"default": {"blind": "yes"}}, "blind is 'yes', expected true or false"),
        ({"default": {"kind": "x-ray"}}, "kind is 'x-ray', expected clinical or dermoscopic"),
        ({"default": []}, "default is [], expected rules"),
        ({"programmes": ["north"]}, "programmes holds no names"),
        ({"readers": "dr-lee"}, "readers is 'dr-lee', expected a list"),
    ],
)
def test_rules_that_cannot_be_meant_are_told(entries, found):
    with pytest.raises(ContractError) as raised:
        site_review_rules(entries, "rules.yaml")
    assert found in str(raised.value)


def test_the_file_of_the_setting_is_read_and_a_missing_one_is_told(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text("programmes: {north: {readers_wanted: 3}}")
    assert load_review_rules(Settings(review_rules=str(file))).of("north").readers_wanted == 3
    assert load_review_rules(Settings()).of("north") == ReviewRules()
    with pytest.raises(SettingsError, match="SCREENING_REVIEW_RULES"):
        load_review_rules(Settings(review_rules=str(tmp_path / "none.yaml")))


def test_the_queue_stands_where_pages_look_for_it(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish(some_uploads())
    [row] = [row for row in site.queue() if row["photo_id"] == photo_id_of("anna-1.jpg")]
    assert site.store.exists(paths.working_copy(row["run_id"], row["photo_id"]))
