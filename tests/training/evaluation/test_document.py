"""What is measured of scored photos, and what of it is said to rest on too little."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from screening.training.evaluation.document import FEWEST, SMALLEST_GROUP, evaluate
from screening.training.evaluation.measures import auc
from screening.training.evaluation.readers import Answer, Reading
from screening.training.evaluation.scored_photos import ScoredPhotos, score_table
from screening.training.evaluation.targets import TARGETS, Target, status_of
from tests.training.evaluation.made_up_photos import CLASSES, CUTOFFS, TAXONOMY, some_answers, some_facts, some_scored


def evaluated(scored: ScoredPhotos, **more: Any) -> dict[str, Any]:
    return evaluate(scored, resamples=100, **more)


def group_of(document: dict[str, Any], key: str) -> dict[str, Any]:
    return next(g for g in document["groups"] if g["key"] == key)


def question(group: dict[str, Any], name: str) -> dict[str, Any]:
    return next(q for q in group["questions"] if q["name"] == name)


def figures(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        if "id" in found:
            yield found
        for value in found.values():
            yield from figures(value)
    elif isinstance(found, list):
        for value in found:
            yield from figures(value)


@pytest.fixture(scope="module")
def scored():
    return some_scored()


@pytest.fixture(scope="module")
def document(scored):
    return evaluated(scored, against={"chance": some_scored(skill=0.0, seed=3)})


def test_every_kind_is_measured_for_itself_and_then_all_together(document):
    assert [(g["key"], g["photos"]) for g in document["groups"]] == [
        ("clinical", 60),
        ("dermoscopic", 60),
        ("all", 120),
    ]


def test_no_two_figures_of_a_document_differ_under_one_id(document):
    found: dict[str, Any] = {}
    for figure in figures(document):
        assert found.setdefault(figure["id"], figure) == figure


def test_a_document_is_json_without_nan(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_figure_lies_in_its_interval(document):
    measured = [f for f in figures(document) if f["low"] is not None and "calibration" not in f["id"]]

    assert len(measured) > 100
    assert all(f["low"] - 1e-9 <= f["value"] <= f["high"] + 1e-9 for f in measured)


def test_the_releases_own_figures_are_those_of_its_grades(document, scored):
    own = question(group_of(document, "all"), "at_risk")["own"]
    referred, at_risk = scored.given_grades >= 1, scored.true_grades >= 1

    assert own["cutoff"] == CUTOFFS.high_risk
    assert own["sensitivity"]["value"] == pytest.approx(referred[at_risk].mean())
    assert own["specificity"]["value"] == pytest.approx((~referred)[~at_risk].mean())


def test_hans_specificities_divide_the_others_into_malignant_and_benign(document, scored):
    melanoma = next(q for q in group_of(document, "all")["diseases"] if q["name"] == "melanoma")
    stays_below = scored.probabilities[:, CLASSES.index("melanoma")] < CUTOFFS.diseases["melanoma"]
    other = scored.labels != CLASSES.index("melanoma")

    malignant, benign = other & (scored.true_grades > 0), scored.true_grades == 0
    assert melanoma["specificity_malignant"]["value"] == pytest.approx(stays_below[malignant].mean())
    assert melanoma["specificity_benign"]["value"] == pytest.approx(stays_below[benign].mean())
    assert melanoma["own"]["specificity"]["value"] == pytest.approx(stays_below[other].mean())


def test_the_curve_against_the_cutoff_passes_through_the_releases_own(document):
    dangerous = question(group_of(document, "all"), "dangerous")
    at = {cutoff: (sensitivity, specificity) for cutoff, sensitivity, specificity in dangerous["curve"]["by_cutoff"]}

    assert at[0.0] == (1.0, 0.0)
    assert at[CUTOFFS.dangerous] == pytest.approx(
        (dangerous["own"]["sensitivity"]["value"], dangerous["own"]["specificity"]["value"]), abs=1e-4
    )


def test_the_corners_of_a_roc_curve_enclose_its_whole_area(document):
    dangerous = question(group_of(document, "all"), "dangerous")
    curve = dangerous["curve"]

    area = np.trapezoid(curve["sensitivity"], curve["specificity"])
    assert area == pytest.approx(dangerous["auc"]["value"], abs=1e-3)


def test_top_k_rises_with_k_and_holds_the_trace_of_the_confusion_matrix(document):
    for group in document["groups"]:
        shares = [t["value"] for t in group["top"]]
        assert shares == sorted(shares)
        assert shares[0] == pytest.approx(np.trace(group["confusion_diseases"]) / group["photos"])


# Few photos


def test_what_rests_on_few_patients_is_marked():
    diseases = ["melanoma"] * (FEWEST - 1) + ["nevus"] * 30
    facts = some_facts(
        len(diseases), disease=diseases, patient=range(len(diseases)), kind="clinical", source="here", sex=None
    )
    scored = score_table(facts, some_answers(diseases), CLASSES, TAXONOMY, cutoffs=CUTOFFS)

    few = question(evaluated(scored)["groups"][0], "dangerous")["auc"]
    enough = question(
        evaluated(replace(scored, true_grades=np.where(np.arange(39) < FEWEST, 2, 0)))["groups"][0], "dangerous"
    )["auc"]

    assert few["is_few"]
    assert not enough["is_few"]


def test_a_subgroup_is_measured_from_the_smallest_number_on():
    sex = ["female"] * SMALLEST_GROUP + ["male"] * (SMALLEST_GROUP - 1)
    scored = some_scored(len(sex), sex=sex, kind="clinical", source="here")

    [by_sex] = [s for s in evaluated(scored)["groups"][0]["subgroups"] if s["title"] == "sex"]
    assert {row["value"]: row["is_shown"] for row in by_sex["rows"]} == {"female": True, "male": False}
    assert by_sex["smallest"] == SMALLEST_GROUP - 1
    assert "sensitivity" not in next(row for row in by_sex["rows"] if row["value"] == "male")


def test_an_age_band_starts_at_its_first_year():
    scored = some_scored(40, age_years=[29, 30] * 20, kind="clinical", source="here", sex=None)

    [by_age] = [s for s in evaluated(scored)["groups"][0]["subgroups"] if s["title"] == "age"]
    assert {row["value"]: row["photos"] for row in by_age["rows"]} == {"under 30": 20, "30–44": 20}


def test_what_nobody_recorded_makes_no_subgroup():
    scored = some_scored(40, kind="clinical", source="here", sex=None, age_years=None)

    assert evaluated(scored)["groups"][0]["subgroups"] == []


def test_a_disease_that_no_photo_shows_has_no_figure():
    scored = some_scored(40, disease=["nevus", "melanoma"] * 20)

    group = group_of(evaluated(scored), "all")
    scc = next(q for q in group["diseases"] if q["name"] == "squamous_cell_carcinoma")
    assert (scc["yes"], scc["auc"]["value"], scc["youden"]) == (0, None, None)
    assert question(group, "high_risk")["curve"] is None


# Readers


def test_readers_stand_beside_the_model_with_their_mean_and_spread(scored):
    readings = [Reading("A", "dangerous", 0.8, 0.7, None), Reading("B", "dangerous", 0.6, 0.9, "clinical")]

    document = evaluated(scored, readings=readings)

    clinical = question(group_of(document, "clinical"), "dangerous")["readers"]
    assert clinical["mean"] == pytest.approx([0.7, 0.8])
    assert clinical["sd"] == pytest.approx([0.1414, 0.1414], abs=1e-4)
    assert [p["reader"] for p in question(group_of(document, "dermoscopic"), "dangerous")["readers"]["points"]] == ["A"]
    assert question(group_of(document, "clinical"), "low_risk")["readers"] is None


def test_readers_answers_are_compared_with_the_model_on_the_same_photos(scored):
    answers = [Answer("A", f"photo-{n}", int(scored.true_grades[n])) for n in range(16)]

    group = group_of(evaluated(scored, answers=answers), "clinical")

    [reader] = group["readers_confusion"]
    assert np.trace(reader["matrix"]) == 16 == np.sum(reader["model"])
    [point] = question(group, "dangerous")["readers"]["points"]
    assert (point["sensitivity"], point["specificity"]) == (1.0, 1.0)


# Others


def test_a_comparison_is_paired_and_above_zero_where_ours_is_better(document):
    [rival] = document["comparisons"]

    dangerous = next(r for r in rival["rows"] if r["kind"] == "all" and r["question"] == "dangerous")
    assert dangerous["difference"]["value"] == pytest.approx(dangerous["ours"] - dangerous["theirs"], abs=2e-4)
    assert dangerous["difference"]["low"] > 0
    assert max(dangerous["p_bootstrap"], dangerous["p_delong"]) < 0.05


def test_a_disease_without_a_class_is_kept_apart_and_told_by_the_grade_that_it_gets():
    known = tuple(c for c in CLASSES if c != "melanoma")
    facts = some_facts(80)
    answers = some_answers(list(facts["disease"]))[:, [CLASSES.index(c) for c in known]]
    scored = score_table(facts, answers / answers.sum(axis=1, keepdims=True), known, TAXONOMY, cutoffs=CUTOFFS)

    document = evaluated(scored)

    [melanoma] = document["unseen"]
    assert (melanoma["grade"], melanoma["photos"]) == ("dangerous", 10)
    assert sum(share["value"] for share in melanoma["given"].values()) == pytest.approx(1)
    assert document["photos"] == 70


def test_another_population_is_measured_like_the_first(scored):
    [other] = evaluated(scored, others={"elsewhere": scored})["others"]

    truth, score = scored.true_grades == 2, scored.grade_scores[:, 2]
    assert question(other["group"], "dangerous")["auc"]["value"] == pytest.approx(
        auc(truth, score)(np.ones((1, 120)))[0]
    )


# Figures to reach


@pytest.mark.parametrize(
    ("low", "value", "high", "status"),
    [
        (0.9, 0.95, 1.0, "reached"),
        (0.89, 0.9, 1.0, "likely"),
        (0.8, 0.89, 0.9, "unlikely"),
        (0.7, 0.8, 0.89, "missed"),
        (None, None, None, "unknown"),
    ],
)
def test_a_figure_stands_for_sure_where_its_interval_lies_on_one_side(low, value, high, status):
    target = Target("clinical", "dangerous", "auc", "AUC", 0.9)

    assert status_of(target, {"low": low, "value": value, "high": high}) == status


def test_of_an_error_less_is_better():
    target = Target("clinical", "", "calibration_error", "error", 0.05, is_most=True)

    assert status_of(target, {"low": 0.01, "value": 0.02, "high": 0.05}) == "reached"
    assert status_of(target, {"low": 0.06, "value": 0.07, "high": 0.08}) == "missed"


def test_every_figure_to_reach_is_looked_up(document):
    assert len(document["targets"]) == len(TARGETS)


def test_what_a_reader_must_keep_in_mind_is_said(document):
    assert any("dangerous" in caution and "clinical" in caution for caution in document["cautions"])
    assert any("Skin type is not recorded" in caution for caution in document["cautions"])
