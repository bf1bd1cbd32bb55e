"""The gate: what is worse is refused, what is not may pass, and what cannot be shown counts against the challenger."""

import html
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from screening.errors import SettingsError
from screening.training.evaluation.compared import Answers, Compared, age_bands
from screening.training.evaluation.comparison import comparison_page
from screening.training.evaluation.gate import Verdict, judge_challenger, people_needed
from screening.training.evaluation.gate_rules import GateRules, load_gate_rules
from tests.benchmarks.gate import made_up

RULES = GateRules()
CUTOFFS = {"dangerous": 0.2, "high_risk": 0.3}


def both(truth: list[int], champion: list[int], challenger: list[int], **changes: object) -> Compared:
    """One photo of each person, and the grades that two releases gave."""
    grades = np.array(truth)

    def answers(release: str, given: list[int]) -> Answers:
        zero = np.full(len(grades), 0.5)
        return Answers(
            release, np.array(given), zero, zero, np.arange(len(grades)) % 5 > 0, zero + 0.3, CUTOFFS, 30.0, 10_000
        )

    names = np.arange(len(grades)).astype(str)
    made = Compared(
        names, names, grades, pd.DataFrame(index=range(len(grades))), answers("r0001", champion), answers("r0002", challenger)
    )  # fmt: skip
    return replace(made, **changes)


def judge(compared: Compared, rules: GateRules = RULES) -> Verdict:
    return judge_challenger(compared, rules, resamples=400)


def failed(verdict: Verdict) -> list[str]:
    return [c.name for c in (*verdict.checks, *verdict.subgroups) if c.is_passed is False]


MANY = [2] * 200 + [1] * 200 + [0] * 400


def test_a_challenger_that_answers_as_the_champion_passes():
    verdict = judge(both(MANY, MANY, MANY))

    assert verdict.passed
    assert verdict.reason.startswith("passed, r0002 against r0001: dangerous lesions graded dangerous 1.000 → 1.000")


@pytest.mark.parametrize("difference", [-0.10, -0.20])
def test_of_worse_challengers_none_passes_on_several_seeds(difference):
    assert [seed for seed in range(10) if judge(made_up(seed, difference, 1)).passed] == []


def test_better_challengers_pass_on_nearly_all_seeds():
    assert sum(judge(made_up(seed, 0.08, 1)).passed for seed in range(10)) >= 9


def test_one_that_misses_more_dangerous_lesions_is_refused_whatever_else_it_does_better():
    better_elsewhere = [2] * 180 + [1] * 20 + [1] * 200 + [0] * 400
    champion = [2] * 200 + [0] * 20 + [1] * 180 + [1] * 40 + [0] * 360

    verdict = judge(both(MANY, champion, better_elsewhere))

    assert failed(verdict) == ["dangerous lesions graded dangerous"]
    assert verdict.reason.startswith("refused, r0002 against r0001: dangerous lesions graded dangerous: 1.000 → 0.900")


def test_too_few_dangerous_lesions_prove_nothing():
    few = [2] * 58 + [1] * 200 + [0] * 200

    verdict = judge(both(few, few, few))

    assert failed(verdict) == ["dangerous lesions graded dangerous"]
    assert "too few to prove anything: 58 people, expected 59 or more" in verdict.reason


def test_as_many_people_are_needed_as_let_none_lost_prove_the_margin():
    needed = people_needed(0.05)

    assert 0.95**needed <= 0.05 < 0.95 ** (needed - 1)


def test_many_photos_of_few_people_are_few():
    verdict = judge(both(MANY, MANY, MANY, patients=np.array([str(i % 40) for i in range(len(MANY))])))

    assert "dangerous lesions graded dangerous" in failed(verdict)


@pytest.mark.parametrize(
    "cutoffs", [{}, {"high_risk": 0.3}, {"dangerous": 1.0, "high_risk": 0.3}, CUTOFFS | {"dangerous": None}]
)
def test_without_cutoffs_nothing_is_promoted(cutoffs):
    compared = both(MANY, MANY, MANY)

    verdict = judge(replace(compared, challenger=replace(compared.challenger, cutoffs=cutoffs)))

    assert failed(verdict) == ["cut-offs"]


def test_referring_many_more_harmless_lesions_is_refused():
    verdict = judge(both(MANY, MANY, [2] * 200 + [1] * 200 + [1] * 80 + [0] * 320))

    assert failed(verdict) == ["low-risk lesions graded low risk"]


def test_a_loss_in_one_subgroup_is_refused_though_all_together_gain():
    groups = pd.DataFrame({"programme": ["south" if i % 200 < 40 else "north" for i in range(800)]})
    champion = [2] * 150 + [1] * 50 + MANY[200:]
    challenger = [1] * 30 + [2] * 170 + MANY[200:]

    verdict = judge(both(MANY, champion, challenger, groups=groups))

    assert failed(verdict) == ["programme: south"]
    assert verdict.checks[1].difference == pytest.approx(0.10)


def test_a_small_subgroup_is_called_too_few_and_refuses_nobody():
    groups = pd.DataFrame({"skin types": ["V-VI" if i < 10 else "I-II" for i in range(800)]})

    verdict = judge(both(MANY, MANY, [1] * 3 + [2] * 197 + MANY[200:], groups=groups))

    small = [c for c in verdict.subgroups if c.name == "skin types: V-VI"]
    assert [(c.is_passed, c.people) for c in small] == [(None, 10), (None, 10)]
    assert verdict.passed


def test_a_photo_whose_group_is_unknown_is_in_none():
    verdict = judge(both(MANY, MANY, MANY, groups=pd.DataFrame({"sex": [None] * 800})))

    assert verdict.subgroups == ()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"ms_per_photo": 46.0}, "time of a photo"),
        ({"size_bytes": 20_001}, "size of the networks"),
        ({"certainty": np.full(800, 0.5)}, "calibration"),
    ],
)
def test_what_is_slower_larger_or_worse_calibrated_is_refused(change, name):
    compared = both(MANY, MANY, MANY)

    assert failed(judge(replace(compared, challenger=replace(compared.challenger, **change)))) == [name]


def test_a_site_may_set_its_own_margins_and_a_slip_is_told_by_its_name(tmp_path):
    own = tmp_path / "strict.yaml"
    own.write_text("dangerous_margin: 0.02\n")
    slip = tmp_path / "slip.yaml"
    slip.write_text("dangerous_margins: 0.02\n")

    assert load_gate_rules(own) == GateRules(name="strict", dangerous_margin=0.02)
    with pytest.raises(SettingsError, match=r"slip.yaml: dangerous_margins"):
        load_gate_rules(slip)


def test_ages_fall_into_bands_and_unknown_ones_into_none():
    bands = age_bands(pd.Series([39, 40, 64, 65, None]))

    assert bands[:4].tolist() == ["under 40", "40 to 64", "40 to 64", "65 and over"]
    assert bands.isna().tolist() == [False] * 4 + [True]


def test_the_page_says_the_gates_reason_names_who_lost_and_asks_no_other_host():
    champion, challenger = MANY, [0, *MANY[1:]]
    compared = both(MANY, champion, challenger, photo_ids=np.array([f"photo-{i}" for i in range(800)]))
    verdict = judge(compared)

    page = comparison_page(compared, verdict, "run-1", "<b>drift</b>")

    assert verdict.reason[1:] in html.unescape(page)
    assert "<code>photo-0</code>" in page
    assert "<code>photo-1</code>" not in page
    assert "&lt;b&gt;drift" in page
    assert "http" not in page.replace("http-equiv", "")
