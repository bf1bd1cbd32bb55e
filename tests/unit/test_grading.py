import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.contracts import EVERYBODY, GRADES, RiskGrade
from screening.cutoffs import AnswerLimits, GradeCutoffs, PredictionSets
from screening.stages.grading import (
    OTHERS,
    UNKNOWN_DISEASE,
    UNLIKE_TRAINING,
    GradedPhoto,
    grade_photo,
    grade_risk,
)
from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes

CLASSES = load_training_classes("isic8", load_taxonomy())
PROBABILITY = st.floats(0.0, 1.0)


def cutoffs(dangerous: float = 0.25, high_risk: float = 0.5, diseases: dict[str, float] | None = None) -> GradeCutoffs:
    return GradeCutoffs("test", dangerous=dangerous, high_risk=high_risk, diseases=diseases or {})


def an_answer(**p: float) -> np.ndarray:
    """Probabilities in taxonomy order; what is not named shares the rest evenly."""
    rest = (1.0 - sum(p.values())) / (len(CLASSES) - len(p))
    assert set(p) <= set(CLASSES.class_ids)
    return np.array([p.get(disease, rest) for disease in CLASSES.class_ids])


def graded(answer: np.ndarray, *members: np.ndarray, given_cutoffs: GradeCutoffs | None = None) -> GradedPhoto:
    return grade_photo(answer, np.stack(members or (answer,)), CLASSES, given_cutoffs or cutoffs())


@pytest.mark.parametrize(
    ("p_dangerous", "grade"), [(np.nextafter(0.25, 0), "low_risk"), (0.25, "dangerous"), (1.0, "dangerous")]
)
def test_dangerous_starts_exactly_at_its_cutoff(p_dangerous: float, grade: str) -> None:
    assert grade_risk(0.0, p_dangerous, cutoffs()) == grade


@pytest.mark.parametrize(
    ("p_high_risk", "grade"), [(np.nextafter(0.5, 0), "low_risk"), (0.5, "high_risk"), (1.0, "high_risk")]
)
def test_high_risk_starts_exactly_at_its_cutoff(p_high_risk: float, grade: str) -> None:
    assert grade_risk(p_high_risk, 0.0, cutoffs()) == grade


@pytest.mark.parametrize(("p_high_risk", "grade"), [(0.374, "low_risk"), (0.375, "high_risk")])
def test_doubt_between_high_risk_and_dangerous_does_not_add_up_to_low_risk(p_high_risk: float, grade: str) -> None:
    assert grade_risk(p_high_risk, 0.125, cutoffs()) == grade


def test_the_more_severe_grade_wins_where_both_cutoffs_are_reached() -> None:
    assert grade_risk(0.7, 0.3, cutoffs()) is RiskGrade.DANGEROUS


@given(PROBABILITY, PROBABILITY, PROBABILITY, PROBABILITY, PROBABILITY)
def test_more_danger_never_gives_a_milder_grade(
    p_high_risk: float, p_dangerous: float, more: float, at_dangerous: float, at_high_risk: float
) -> None:
    limits = cutoffs(at_dangerous, at_high_risk)
    milder = GRADES.index(grade_risk(p_high_risk, p_dangerous, limits))

    assert GRADES.index(grade_risk(p_high_risk, p_dangerous + more, limits)) >= milder
    assert GRADES.index(grade_risk(p_high_risk + more, p_dangerous, limits)) >= milder


@given(st.lists(PROBABILITY, min_size=8, max_size=8).filter(lambda p: sum(p) > 0.01))
def test_the_grades_of_any_photo_share_out_all_its_probability(p: list[float]) -> None:
    photo = graded(np.array(p) / sum(p))

    assert photo.p_low_risk + photo.p_high_risk + photo.p_dangerous == pytest.approx(1.0)
    assert photo.grade == grade_risk(photo.p_high_risk, photo.p_dangerous, cutoffs())
    assert CLASSES.taxonomy.grade_of(photo.disease) == photo.grade


def test_the_probability_of_a_grade_is_the_sum_of_its_diseases() -> None:
    photo = graded(an_answer(melanoma=0.2, squamous_cell_carcinoma=0.1, basal_cell_carcinoma=0.3, nevus=0.4))

    assert (photo.p_dangerous, photo.p_high_risk, photo.p_low_risk) == pytest.approx((0.3, 0.3, 0.4))


def test_the_disease_is_the_likeliest_of_the_grade_even_when_a_milder_one_is_likelier() -> None:
    photo = graded(an_answer(nevus=0.6, melanoma=0.2, squamous_cell_carcinoma=0.1))

    assert (photo.grade, photo.disease) == ("dangerous", "melanoma")


def test_the_differential_holds_the_diseases_at_or_over_their_own_cutoff_likeliest_first() -> None:
    limits = cutoffs(diseases={"melanoma": 0.125, "nevus": 0.5, "dermatofibroma": 0.25, "vascular_lesion": 0.001})
    answer = an_answer(melanoma=0.125, nevus=0.5, dermatofibroma=np.nextafter(0.25, 0), vascular_lesion=0.01)

    assert graded(answer, given_cutoffs=limits).differential == ("nevus", "melanoma", "vascular_lesion")


def test_a_disease_without_a_cutoff_is_in_the_differential_only_when_certain() -> None:
    assert graded(an_answer(nevus=0.999)).differential == ()
    assert graded(an_answer(nevus=1.0)).differential == ("nevus",)


def test_diseases_that_are_equally_likely_stand_in_the_order_of_the_classes() -> None:
    limits = cutoffs(diseases=dict.fromkeys(CLASSES.class_ids, 0.1))

    assert graded(an_answer(), given_cutoffs=limits).differential == CLASSES.class_ids


def test_the_spread_is_the_largest_difference_of_two_members_in_what_is_at_risk() -> None:
    members = (an_answer(nevus=0.9), an_answer(nevus=0.2, melanoma=0.8), an_answer(nevus=0.4, melanoma=0.6))
    at_risk = [1 - float(CLASSES.grade_probabilities(m[None])[0, 0]) for m in members]

    spread = graded(np.mean(members, axis=0), *members).member_spread

    assert spread == pytest.approx(max(at_risk) - min(at_risk))


def test_members_that_differ_only_between_dangerous_diseases_do_not_spread() -> None:
    members = (an_answer(nevus=0.4, melanoma=0.6), an_answer(nevus=0.4, squamous_cell_carcinoma=0.6))

    assert graded(np.mean(members, axis=0), *members).member_spread == pytest.approx(0.0)


def test_one_member_alone_does_not_spread() -> None:
    assert graded(an_answer(melanoma=0.4)).member_spread == 0.0


# The limits of an answer

SETS = PredictionSets(
    0.9,
    {
        EVERYBODY: {"low_risk": 0.3, "high_risk": 0.2, "dangerous": 0.05},
        "V-VI": {"low_risk": 0.1, "high_risk": 0.1, "dangerous": 0.01},
    },
)


def limited(answer: np.ndarray, distance: float | None = None, fitzpatrick: int | None = None) -> GradedPhoto:
    limits = AnswerLimits(outlier_cutoff=3.0, prediction_sets=SETS)
    return grade_photo(
        answer, answer[None], CLASSES, cutoffs(), limits=limits, outlier_distance=distance, fitzpatrick=fitzpatrick
    )


@pytest.mark.parametrize(("distance", "is_outlier"), [(np.nextafter(3.0, 0), False), (3.0, True), (90.0, True)])
def test_a_photo_is_unlike_the_training_photos_exactly_from_the_cutoff_on(distance: float, is_outlier: bool) -> None:
    photo = limited(an_answer(nevus=0.9), distance)

    assert photo.is_outlier is is_outlier
    assert photo.warnings == ((UNLIKE_TRAINING,) if is_outlier else ())


def test_a_photo_that_is_unlike_the_training_photos_keeps_its_grade() -> None:
    assert limited(an_answer(melanoma=0.9), 90.0).grade is RiskGrade.DANGEROUS


def test_a_release_that_does_not_say_what_it_does_not_know_gives_no_warning() -> None:
    photo = graded(an_answer(nevus=0.9))

    assert (photo.is_outlier, photo.outlier_distance, photo.prediction_set, photo.warnings) == (None, None, None, ())


@pytest.mark.parametrize(("p_melanoma", "is_in"), [(np.nextafter(0.05, 0), False), (0.05, True)])
def test_a_disease_is_in_the_prediction_set_exactly_from_the_limit_of_its_grade_on(
    p_melanoma: float, is_in: bool
) -> None:
    found = limited(an_answer(nevus=0.6, melanoma=p_melanoma, basal_cell_carcinoma=0.199)).prediction_set

    assert found == (("nevus", "melanoma") if is_in else ("nevus",))


def test_the_likeliest_disease_is_always_in_the_prediction_set() -> None:
    assert limited(an_answer(nevus=0.2)).prediction_set is not None
    assert limited(an_answer(nevus=0.2)).prediction_set[0] == "nevus"  # type: ignore[index]


@pytest.mark.parametrize(("fitzpatrick", "is_in"), [(None, False), (1, False), (6, True)])
def test_a_skin_type_with_limits_of_its_own_is_judged_by_them(fitzpatrick: int | None, is_in: bool) -> None:
    found = limited(an_answer(nevus=0.9, melanoma=0.02), fitzpatrick=fitzpatrick).prediction_set

    assert found is not None
    assert ("melanoma" in found) is is_in


WITH_OTHERS = TrainingClasses(load_taxonomy(), ("nevus", "melanoma", OTHERS))


def test_a_disease_that_the_release_does_not_know_is_never_low_risk_and_needs_a_person() -> None:
    answer = np.array([0.3, 0.05, 0.65])

    photo = grade_photo(answer, answer[None], WITH_OTHERS, cutoffs(high_risk=0.99))

    assert (photo.grade, photo.disease) == (RiskGrade.HIGH_RISK, OTHERS)
    assert photo.warnings == (UNKNOWN_DISEASE,)


def test_an_unknown_disease_that_is_not_the_likeliest_warns_of_nothing() -> None:
    answer = np.array([0.9, 0.02, 0.08])

    photo = grade_photo(answer, answer[None], WITH_OTHERS, cutoffs())

    assert (photo.grade, photo.warnings) == (RiskGrade.LOW_RISK, ())
