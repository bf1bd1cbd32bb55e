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


def soft_site(none: int = 20, some: int = 0, much: int = 0) -> list[RatedPhoto]:
    """Sharp photos with scores of 0 to 1, and rated ones of 3 to 4 and 6 to 7."""
    kinds = (("none", none, 0.0), ("some", some, 3.0), ("much", much, 6.0))
    return [rated("blur", word, blur_score=least + i / count) for word, count, least in kinds for i in range(count)]


def fitted(photos, false_alarm=0.05, folds=5):
    return fit_cutoffs(photos, "north", false_alarm, folds)


def test_a_cutoff_lies_between_the_photos_to_pass_and_those_to_hit():
    fit = fitted(soft_site(none=40, some=40, much=40), false_alarm=0.001)

    assert 0.975 < fit.cutoffs.flag_blur <= 3
    assert 3.975 < fit.cutoffs.refuse_blur <= 6
    assert fit.cutoffs.version.startswith("north-")
    assert not fit.not_fitted


def test_a_cutoff_is_the_roundest_number_that_hits_the_same_photos():
    assert fitted(soft_site(none=40, some=40)).cutoffs.flag_blur == 2.0


@pytest.mark.parametrize(("false_alarm", "passed"), [(0.049, 20), (0.05, 19), (0.099, 19), (0.1, 18)])
def test_no_more_sound_photos_are_hit_than_was_asked_for(false_alarm, passed):
    photos = soft_site(none=20) + [rated("blur", "some", blur_score=v / 20) for v in range(1, 41)]

    assert fitted(photos, false_alarm).same_photos["flag_blur"].specificity == Share(passed, 20)


@given(
    st.lists(st.floats(0, 1), min_size=20, max_size=30),
    st.lists(st.floats(0, 1), min_size=20, max_size=30),
    st.sampled_from(list(FILTERS)),
    st.floats(0.001, 0.5),
)
def test_whatever_was_rated_the_fit_keeps_its_false_alarm_and_never_contradicts_itself(sound, bad, column, false_alarm):
    measures = {LINES[cutoff].measure for cutoff in FILTERS[column]}
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

    assert "flag_blur" in fitted(soft_site(**enough)).kept_out
    too_few = fitted(soft_site(**enough | {few: FEWEST_PHOTOS - 1}))
    assert "flag_blur" not in too_few.kept_out
    assert "expected 20 of either" in too_few.not_fitted["flag_blur"]
    assert too_few.cutoffs == dataclasses.replace(PRODUCT, name="north")


def test_a_filter_that_nobody_rated_is_not_spoken_of():
    fit = fitted(soft_site(some=20))

    assert {*fit.kept_out, *fit.not_fitted} == {"flag_blur", "refuse_blur"}


def test_a_measure_that_does_not_see_what_people_see_is_not_fitted():
    blind = [rated("blur", word, group=f"{word}{i}") for word in ("none", "some") for i in range(30)]

    assert fitted(blind).not_fitted["flag_blur"] == "none of the photos to hit is worse than those to pass"


def test_a_low_measure_is_fitted_from_below():
    photos = [
        rated("distance", w, lesion_diameter_px=least + i / 10)
        for w, least in (("none", 50), ("some", 30))
        for i in range(40)
    ]

    assert 33.9 < fitted(photos, 0.001).cutoffs.flag_diameter_below <= 50


def test_a_refusal_that_nobody_rated_moves_along_with_a_milder_flag():
    soft = [
        rated("blur", w, blur_score=least + i / 100) for w, least in (("none", 40), ("some", 60)) for i in range(40)
    ]
    fit = fitted(soft)

    assert fit.cutoffs.refuse_blur == fit.cutoffs.flag_blur > PRODUCT.refuse_blur
    assert list(fit.kept_out) == ["flag_blur"]


def test_a_flag_that_nobody_could_fit_moves_along_with_a_stricter_refusal():
    # Of "none" there are too few alone; with "some" they are enough to fit the refusal.
    fit = fitted(
        [rated("blur", w, group=f"{w}{i}", blur_score=v) for w, v, n in
         (("none", 0.0, 19), ("some", 0.5, 19), ("much", 1.0, 20)) for i in range(n)]
    )  # fmt: skip

    assert list(fit.kept_out) == ["refuse_blur"]
    assert fit.cutoffs.flag_blur == fit.cutoffs.refuse_blur < PRODUCT.flag_blur


def test_verdicts_alone_move_all_refusals_together():
    photos = [
        rated("verdict", word, group=f"{word}{i}", blur_score=value, lesion_hair_fraction=i / 1000)
        for word, value in (("usable", 0.5), ("refused", 1.5))
        for i in range(40)
    ]
    fit = fitted(photos)

    assert fit.kept_out["verdict"].sensitivity == Share(40, 40)
    assert fit.cutoffs.refuse_blur < PRODUCT.refuse_blur
    assert fit.cutoffs.refuse_hair < PRODUCT.refuse_hair
    assert fit.cutoffs.refuse_detail_below == PRODUCT.refuse_detail_below, "nobody rates a blank frame"


def test_photos_of_a_group_are_never_on_both_sides_of_a_fit():
    twins = [
        rated("blur", word, group="one lesion", blur_score=value + i / 100)
        for word, value in (("none", 0.5), ("some", 1.0))
        for i in range(30)
    ]
    fit = fitted(twins)

    assert fit.same_photos["flag_blur"].sensitivity == Share(30, 30)
    # All photos are one group, so they are judged by a fit without any: by the product's own line.
    assert fit.cutoffs.flag_blur < PRODUCT.flag_blur
    assert fit.kept_out["flag_blur"].sensitivity == Share(0, 30)


def test_every_photo_is_kept_out_once():
    found = fitted(soft_site(none=33, some=27)).kept_out["flag_blur"]

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
        ("file\na.jpg\n", "no column is rated, expected verdict or some of blur, distance"),
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
