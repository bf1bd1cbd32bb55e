"""Cut-offs fitted to rated photos: how far they move, and how honestly they are told."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.cutoffs import FILTERS, LINES, QualityCutoffs
from screening.errors import ContractError
from screening.stages.quality.fit import FEWEST_PHOTOS, RatedPhoto, Share, fit_cutoffs
from screening.stages.quality.labels import Label, read_labels
from screening.stages.quality.site_cutoffs import contradictions
from tests.unit.test_quality_judge import GOOD

PRODUCT = QualityCutoffs()


def rated(column: str, word: str, group: str = "", **measures: object) -> RatedPhoto:
    return RatedPhoto(dataclasses.replace(GOOD, **measures), group or str(measures), {column: word})


def hairy_site(none: int = 20, some: int = 0, much: int = 0) -> list[RatedPhoto]:
    """Bare photos with 0 to 1 % hair, and rated ones with 3 to 4 % and 6 to 7 %."""
    kinds = (("none", none, 0.0), ("some", some, 0.03), ("much", much, 0.06))
    return [
        rated("hair", word, hair_fraction=least + 0.01 * i / count)
        for word, count, least in kinds
        for i in range(count)
    ]


def fitted(photos, false_alarm=0.05, folds=5):
    return fit_cutoffs(photos, "north", false_alarm, folds)


def test_a_cutoff_lies_between_the_photos_to_pass_and_those_to_hit():
    fit = fitted(hairy_site(none=40, some=40, much=40), false_alarm=0.001)

    assert 0.00975 < fit.cutoffs.flag_hair <= 0.03
    assert 0.03975 < fit.cutoffs.refuse_hair <= 0.06
    assert fit.cutoffs.version.startswith("north-")
    assert not fit.not_fitted


def test_a_cutoff_is_the_roundest_number_that_hits_the_same_photos():
    assert fitted(hairy_site(none=40, some=40)).cutoffs.flag_hair == 0.02


@pytest.mark.parametrize(("false_alarm", "passed"), [(0.049, 20), (0.05, 19), (0.099, 19), (0.1, 18)])
def test_no_more_sound_photos_are_hit_than_was_asked_for(false_alarm, passed):
    photos = hairy_site(none=20) + [rated("hair", "some", hair_fraction=v / 2000) for v in range(1, 41)]

    assert fitted(photos, false_alarm).same_photos["flag_hair"].specificity == Share(passed, 20)


@given(
    st.lists(st.floats(0, 1), min_size=20, max_size=30),
    st.lists(st.floats(0, 1), min_size=20, max_size=30),
    st.sampled_from(list(FILTERS)),
    st.floats(0.001, 0.5),
)
def test_whatever_was_rated_the_fit_keeps_its_false_alarm_and_never_contradicts_itself(sound, bad, column, false_alarm):
    flag, refusal = FILTERS[column]
    measures = {LINES[flag].measure, LINES[refusal].measure}
    photos = [
        rated(column, word, group=f"{word}{i}", **dict.fromkeys(measures, value))
        for word, values in (("none", sound), ("much", bad))
        for i, value in enumerate(values)
    ]

    fit = fitted(photos, false_alarm)

    assert list(contradictions(fit.cutoffs)) == []
    for found in fit.same_photos.values():
        assert found.specificity.n - found.specificity.count <= false_alarm * len(sound)


@pytest.mark.parametrize("few", ["none", "some"])
def test_a_cutoff_is_fitted_from_20_photos_of_either_side_on(few):
    enough = {"none": FEWEST_PHOTOS, "some": FEWEST_PHOTOS}

    assert "flag_hair" in fitted(hairy_site(**enough)).kept_out
    too_few = fitted(hairy_site(**enough | {few: FEWEST_PHOTOS - 1}))
    assert "flag_hair" not in too_few.kept_out
    assert "expected 20 of either" in too_few.not_fitted["flag_hair"]
    assert too_few.cutoffs == dataclasses.replace(PRODUCT, name="north")


def test_a_filter_that_nobody_rated_is_not_spoken_of():
    fit = fitted(hairy_site(some=20))

    assert {*fit.kept_out, *fit.not_fitted} == {"flag_hair", "refuse_hair"}


def test_a_measure_that_does_not_see_what_people_see_is_not_fitted():
    blind = [rated("hair", word, group=f"{word}{i}") for word in ("none", "some") for i in range(30)]

    assert fitted(blind).not_fitted["flag_hair"] == "none of the photos to hit is worse than those to pass"


def test_a_low_measure_is_fitted_from_below():
    photos = [
        rated("blur", w, focus_ratio=least + i / 1000) for w, least in (("none", 0.5), ("some", 0.3)) for i in range(40)
    ]

    assert 0.339 < fitted(photos, 0.001).cutoffs.flag_focus_below <= 0.5


def test_a_photo_without_the_measure_is_hit_by_no_line():
    photos = [
        rated("motion", w, motion_ratio=least + i / 1000)
        for w, least in (("none", 0.5), ("some", 0.3))
        for i in range(40)
    ]
    without = [rated("motion", "some", group=f"plain{i}", motion_ratio=None) for i in range(10)]

    assert fitted(photos + without).same_photos["flag_motion_below"].sensitivity == Share(40, 50)


def test_a_refusal_that_nobody_rated_moves_along_with_a_milder_flag():
    hair = [
        rated("hair", w, hair_fraction=least + i / 1000)
        for w, least in (("none", 0.4), ("some", 0.6))
        for i in range(40)
    ]
    fit = fitted(hair)

    assert fit.cutoffs.refuse_hair == fit.cutoffs.flag_hair > PRODUCT.refuse_hair
    assert list(fit.kept_out) == ["flag_hair"]


def test_a_flag_that_nobody_could_fit_moves_along_with_a_stricter_refusal():
    # Of "none" there are too few alone; with "some" they are enough to fit the refusal.
    fit = fitted(
        [rated("hair", w, group=f"{w}{i}", hair_fraction=v) for w, v, n in
         (("none", 0.0, 19), ("some", 0.01, 19), ("much", 0.03, 20)) for i in range(n)]
    )  # fmt: skip

    assert list(fit.kept_out) == ["refuse_hair"]
    assert fit.cutoffs.flag_hair == fit.cutoffs.refuse_hair < PRODUCT.flag_hair


def test_verdicts_alone_move_all_refusals_together():
    photos = [
        rated("verdict", word, group=f"{word}{i}", hair_fraction=value, focus_ratio=0.4 + i / 1000)
        for word, value in (("usable", 0.02), ("refused", 0.2))
        for i in range(40)
    ]
    fit = fitted(photos)

    assert fit.kept_out["verdict"].sensitivity == Share(40, 40)
    assert fit.cutoffs.refuse_hair < PRODUCT.refuse_hair
    assert fit.cutoffs.refuse_focus_below > PRODUCT.refuse_focus_below
    assert fit.cutoffs.refuse_detail_below == PRODUCT.refuse_detail_below, "nobody rates a blank frame"


def test_photos_of_a_group_are_never_on_both_sides_of_a_fit():
    twins = [
        rated("hair", word, group="one lesion", hair_fraction=value + i / 1e4)
        for word, value in (("none", 0.01), ("some", 0.02))
        for i in range(30)
    ]
    fit = fitted(twins)

    assert fit.same_photos["flag_hair"].sensitivity == Share(30, 30)
    # All photos are one group, so they are judged by a fit without any: by the product's own line.
    assert fit.cutoffs.flag_hair < PRODUCT.flag_hair
    assert fit.kept_out["flag_hair"].sensitivity == Share(0, 30)


def test_every_photo_is_kept_out_once():
    found = fitted(hairy_site(none=33, some=27)).kept_out["flag_hair"]

    assert (found.sensitivity.n, found.specificity.n) == (27, 33)


@pytest.mark.parametrize(
    ("share", "low", "high"), [(Share(0, 20), 0.0, 0.161), (Share(10, 20), 0.299, 0.701), (Share(20, 20), 0.839, 1.0)]
)
def test_an_interval_is_wilsons(share, low, high):
    assert share.interval == pytest.approx((low, high), abs=5e-4)


def labels(text: str, there: str = "a.jpg b.jpg c.jpg") -> list[Label]:
    return read_labels(text, "labels.csv", there.split().__contains__)


def test_labels_are_what_was_rated_and_the_rest_is_left_out():
    text = "file,hair,blur,group\na.jpg,some,,lesion-1\nb.jpg,none,much,\nc.jpg,,,\n"

    assert labels(text) == [
        Label("a.jpg", "lesion-1", {"hair": "some"}),
        Label("b.jpg", "b.jpg", {"blur": "much", "hair": "none"}),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "column file is missing; no column is rated"),
        ("photo,hair\n", "column file is missing; column 'photo' is unknown"),
        ("file\na.jpg\n", "no column is rated, expected verdict or some of blur, motion"),
        ("file,hair,hair\n", "column hair stands 2 times"),
        ("file,hairs,hair\n", "column 'hairs' is unknown, expected file, group, verdict, blur"),
        ("file,verdict,hair\n", "verdict stands beside hair, expected either"),
        ("file,hair\na.jpg,lots\n", "line 2: hair is 'lots', expected none, some, much or nothing"),
        ("file,verdict\na.jpg,flagged\n", "line 2: verdict is 'flagged', expected usable, refused or nothing"),
        ("file,hair\na.jpg,none\na.jpg,much\n", "line 3: 'a.jpg' stands in line 2 already"),
        ("file,hair\nd.jpg,none\n", "line 2: there is no photo 'd.jpg'"),
        ("file,hair\n,none\n", "line 2: there is no photo ''"),
        ("file,hair\na.jpg\n", "line 2 has another number of cells than the header"),
        ("file,hair\n\na.jpg,none,much\n", "line 3 has another number of cells than the header"),
        ("file,hair\nd.jpg,none\na.jpg,x\n", "line 2: there is no photo 'd.jpg'; line 3: hair is 'x'"),
        ("file,hair\n" + "x" * 200_000 + ",none\n", "line 1 is no CSV: field larger than"),
    ],
)
def test_labels_that_are_not_in_order_are_told_by_line_all_at_once(text, told):
    with pytest.raises(ContractError, match=r"^labels labels\.csv: ") as refused:
        labels(text)

    assert told in str(refused.value)


@pytest.mark.parametrize(("wrong", "is_cut"), [(20, False), (21, True)])
def test_of_more_than_20_faults_the_first_are_told_and_the_rest_counted(wrong, is_cut):
    with pytest.raises(ContractError) as refused:
        labels("file,hair\n" + "".join(f"{i}.jpg,none\n" for i in range(wrong)))

    assert str(refused.value).count("there is no photo") == 20
    assert str(refused.value).endswith("; and 1 more") == is_cut
