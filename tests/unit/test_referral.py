from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.contracts import GRADES, REFERRALS, RiskGrade
from screening.stages.referral import ACTIONS, DueDays, JudgedPhoto, make_referrals

NIGHT = date(2026, 11, 20)
DUE = DueDays(low_risk=365, high_risk=30, dangerous=7)

Row = dict[str, object]


def a_photo(
    photo_id: str = "photo-1",
    grade: str = "low_risk",
    patient: str | None = "p-1",
    lesion: str | None = None,
    *,
    programme: str = "north",
    p_dangerous: float = 0.1,
    p_high_risk: float = 0.1,
) -> JudgedPhoto:
    return JudgedPhoto(photo_id, programme, patient, lesion, RiskGrade(grade), p_dangerous, p_high_risk)


def referrals(*photos: JudgedPhoto, night: date = NIGHT, release: str = "r0001") -> list[Row]:
    rows = make_referrals(photos, night, release, DUE)
    REFERRALS.table(rows)  # whatever is referred keeps the contract
    return rows


def the_patient(*photos: JudgedPhoto) -> Row:
    [row] = [r for r in referrals(*photos) if r["subject"] == "patient"]
    return row


ANY_PHOTO = st.builds(
    a_photo,
    photo_id=st.sampled_from(["a", "b", "c", "d"]),
    grade=st.sampled_from([str(g) for g in GRADES]),
    patient=st.sampled_from(["p-1", "p-2", None]),
    lesion=st.sampled_from(["l-1", "l-2", None]),
    programme=st.sampled_from(["north", "south"]),
    p_dangerous=st.sampled_from([0.1, 0.5]),
)


def test_the_most_severe_lesion_decides_for_the_person() -> None:
    rows = referrals(a_photo("1", "low_risk", lesion="l-1"), a_photo("2", "dangerous", lesion="l-2"))

    assert [(r["subject"], r["lesion"], r["grade"]) for r in rows] == [
        ("patient", None, "dangerous"),
        ("lesion", "l-1", "low_risk"),
        ("lesion", "l-2", "dangerous"),
    ]


@pytest.mark.parametrize(("milder", "severer"), [("low_risk", "high_risk"), ("high_risk", "dangerous")])
def test_of_two_photos_of_a_lesion_the_more_severe_wins_whichever_comes_first(milder: str, severer: str) -> None:
    photos = [a_photo("1", milder, lesion="l-1", p_dangerous=0.9), a_photo("2", severer, lesion="l-1", p_dangerous=0.1)]

    for order in (photos, photos[::-1]):
        assert {r["grade"] for r in referrals(*order)} == {severer}


@given(st.lists(ANY_PHOTO, max_size=12))
def test_every_row_has_the_most_severe_grade_of_its_photos_and_counts_them(photos: list[JudgedPhoto]) -> None:
    for row in make_referrals(photos, NIGHT, "r0001", DUE):
        about = [
            p
            for p in photos
            if (p.programme, p.patient or f"photo:{p.photo_id}") == (row["programme"], row["patient"])
            and row["lesion"] in (None, p.lesion)
        ]
        assert row["photos"] == len(about)
        assert row["grade"] == max((p.grade for p in about), key=GRADES.index)


@given(st.lists(ANY_PHOTO, max_size=12))
def test_nobody_is_lost(photos: list[JudgedPhoto]) -> None:
    rows = make_referrals(photos, NIGHT, "r0001", DUE)

    persons = {(r["programme"], r["patient"]) for r in rows if r["subject"] == "patient"}
    assert persons == {(p.programme, p.patient or f"photo:{p.photo_id}") for p in photos}
    assert len({r["referral_id"] for r in rows}) == len(rows)


@given(st.lists(ANY_PHOTO, max_size=8).flatmap(lambda photos: st.tuples(st.just(photos), st.permutations(photos))))
def test_the_order_of_the_photos_changes_nothing(orders: tuple[list[JudgedPhoto], list[JudgedPhoto]]) -> None:
    one, another = orders

    assert make_referrals(one, NIGHT, "r0001", DUE) == make_referrals(another, NIGHT, "r0001", DUE)


def test_a_photo_without_a_person_stands_for_a_person_of_its_own() -> None:
    rows = referrals(a_photo("1", "dangerous", patient=None), a_photo("2", "low_risk", patient=None))

    assert [(r["patient"], r["grade"]) for r in rows] == [("photo:1", "dangerous"), ("photo:2", "low_risk")]


def test_a_lesion_without_a_person_is_referred_with_its_photo() -> None:
    rows = referrals(a_photo("1", "dangerous", patient=None, lesion="l-1"))

    assert [(r["subject"], r["patient"], r["lesion"]) for r in rows] == [
        ("patient", "photo:1", None),
        ("lesion", "photo:1", "l-1"),
    ]


def test_a_photo_without_a_lesion_counts_for_the_person_only() -> None:
    rows = referrals(a_photo("1", lesion="l-1"), a_photo("2"))

    assert [(r["subject"], r["photos"]) for r in rows] == [("patient", 2), ("lesion", 1)]


def test_a_duplicate_counts_among_the_photos() -> None:
    assert the_patient(a_photo("1"), a_photo("1"))["photos"] == 2


def test_two_programmes_never_share_a_person() -> None:
    rows = referrals(a_photo("1", "low_risk", programme="north"), a_photo("2", "dangerous", programme="south"))

    assert [(r["programme"], r["grade"]) for r in rows] == [("north", "low_risk"), ("south", "dangerous")]
    assert rows[0]["referral_id"] != rows[1]["referral_id"]


def test_a_night_without_photos_refers_nobody() -> None:
    assert referrals() == []


@pytest.mark.parametrize(
    ("grade", "action", "due_by"),
    [
        ("low_risk", "keep_monitoring", date(2027, 11, 20)),
        ("high_risk", "visit_nearby_hospital", date(2026, 12, 20)),
        ("dangerous", "pathological_examination_at_once", date(2026, 11, 27)),
    ],
)
def test_a_grade_says_what_to_do_by_when(grade: str, action: str, due_by: date) -> None:
    row = the_patient(a_photo(grade=grade))

    assert (row["action"], row["due_by"], row["state"]) == (action, due_by, "open")
    assert row["advice"] == ACTIONS[RiskGrade(grade)][1]


def test_a_dangerous_lesion_may_be_due_the_same_day() -> None:
    assert DueDays(365, 30, 0).due_by(NIGHT, RiskGrade.DANGEROUS) == NIGHT


def test_the_advice_for_a_low_risk_says_what_to_watch_and_how_to_prevent() -> None:
    advice = ACTIONS[RiskGrade.LOW_RISK][1]

    assert "photograph it again if" in advice
    assert "Protect the skin from the sun" in advice


def test_the_advice_for_a_dangerous_lesion_asks_for_pathology_at_once() -> None:
    assert "superior hospital at once for a pathological examination" in ACTIONS[RiskGrade.DANGEROUS][1]


def test_every_grade_has_its_own_action() -> None:
    assert len({action for action, _ in ACTIONS.values()}) == len(GRADES)


@pytest.mark.parametrize(
    ("other", "decides"),
    [
        (a_photo("2", "dangerous", p_dangerous=0.5), "2"),
        (a_photo("2", "high_risk", p_dangerous=0.9), "1"),
        (a_photo("2", "dangerous", p_dangerous=0.4, p_high_risk=0.3), "2"),
        (a_photo("0", "dangerous", p_dangerous=0.4, p_high_risk=0.2), "1"),
    ],
)
def test_the_key_photo_is_the_most_dangerous_one(other: JudgedPhoto, decides: str) -> None:
    photo = a_photo("1", "dangerous", p_dangerous=0.4, p_high_risk=0.2)

    assert the_patient(photo, other)["key_photo_id"] == decides


def an_id(photo: JudgedPhoto, *, night: date = NIGHT, release: str = "r0001") -> object:
    return referrals(photo, night=night, release=release)[-1]["referral_id"]


def test_the_same_person_lesion_grade_and_night_always_give_the_same_id() -> None:
    # A fixed value: an id that changes with the code would send a referral twice.
    assert an_id(a_photo("1", lesion="l-1")) == "r-a05cb6eca3bb65c2521d2fde"
    assert an_id(a_photo("2", lesion="l-1", p_dangerous=0.3), release="r0002") == an_id(a_photo("1", lesion="l-1"))


@pytest.mark.parametrize(
    ("photo", "night"),
    [
        (a_photo(patient="p-2", lesion="l-1"), NIGHT),
        (a_photo(lesion="l-2"), NIGHT),
        (a_photo(lesion=None), NIGHT),
        (a_photo(lesion="l-1", grade="high_risk"), NIGHT),
        (a_photo(lesion="l-1", programme="south"), NIGHT),
        (a_photo(lesion="l-1"), date(2026, 11, 21)),
    ],
)
def test_another_person_lesion_grade_programme_or_night_gives_another_id(photo: JudgedPhoto, night: date) -> None:
    assert an_id(photo, night=night) != an_id(a_photo(lesion="l-1"))


def test_a_referral_names_its_night_and_release() -> None:
    row = the_patient(a_photo())

    assert (row["night"], row["release"]) == (NIGHT, "r0001")
