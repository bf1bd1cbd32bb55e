from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from screening.contracts import MANIFEST_ISSUES
from screening.reports import figures, nightly
from screening.reports.nightly import nightly_report
from screening.stages.accounting import count
from screening.stages.audit import AuditResult
from screening.stages.grading import UNLIKE_TRAINING, WARNINGS
from screening.stages.missed_lesions import Stratum, missed_lesions
from tests.unit.made_up_night import (
    CLASSES,
    CUTOFFS,
    NIGHT,
    RELEASE,
    MadeUpNight,
    Upload,
    a_night,
    night_of,
    photo_id_of,
    pseudonym,
    with_value,
)
from tests.unit.pages import Page

PASSED = AuditResult(success=True, faults=[], warnings=[], expectations=187)
OPENED = datetime(2026, 11, 21, 1, tzinfo=UTC)


def timing(task: str, at: float, seconds: float, batch: int | None = None) -> dict[str, object]:
    started = (OPENED + timedelta(seconds=at)).isoformat()
    return {
        "task": task,
        "batch": batch,
        "photos": 8,
        "started_at_utc": started,
        "seconds": seconds,
        "cpu_seconds": 1.0,
    }


TIMINGS = [timing("open_night", 0, 1), timing("prepare", 1, 2, 0), timing("prepare", 1.5, 2, 1), timing("grade", 3, 1)]


def page_of(
    night: MadeUpNight,
    audit: AuditResult = PASSED,
    timings: list[dict[str, object]] | None = None,
    estimates: dict[str, Any] | None = None,
) -> str:
    return nightly_report(
        NIGHT,
        night.tables,
        count(night.tables["photos"], night.tables["grades"]),
        audit=asdict(audit),
        release=RELEASE,
        classes=CLASSES,
        cutoffs=CUTOFFS,
        code_revision="0.1.0+abc123",
        timings=TIMINGS if timings is None else timings,
        missed=estimates,
    )


def sections_of(
    night: MadeUpNight, audit: AuditResult = PASSED, timings: list[dict[str, object]] | None = None
) -> dict[str, str]:
    return Page(page_of(night, audit, timings)).sections


def test_the_page_opens_with_the_people_at_risk_and_the_accounting() -> None:
    sections = sections_of(a_night())
    assert "Friday 20 November 2026" in sections["header"]
    assert "2 people graded dangerous to be examined by 27 November" in sections["cards"]
    assert "3 of 8 photos could not be judged" in sections["cards"]
    for words in (
        "8 listed = 4 graded",
        "2 refused",
        "1 failed",
        "1 duplicate",
        "adds up",
        "2 dangerous",
        "25 % flagged",
    ):
        assert words in sections["glance"]


def test_pictures_that_were_sent_before_are_listed_by_photo_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "SAME_PICTURE_ROWS", 1)
    night = night_of(
        Upload("a.jpg"), Upload("b.jpg", shows="a.jpg"), Upload("c.jpg", shows="old.jpg", programme="hills")
    )
    section = sections_of(night)["same-pictures"]
    assert "2 photos show the same picture" in section
    assert f"coast {photo_id_of('b.jpg')} graded {photo_id_of('a.jpg')}" in section
    assert "1 more in the table photos" in section
    assert "same-pictures" not in sections_of(a_night())


def test_one_person_is_not_people() -> None:
    assert "1 person graded dangerous" in sections_of(night_of(Upload("a.jpg", grade="dangerous")))["cards"]


def test_the_urgent_list_names_pseudonym_lesion_photo_site_disease_and_date_and_no_file() -> None:
    page = page_of(a_night())
    urgent = Page(page).sections["urgent"]
    for words in (
        pseudonym("p", "anna"),
        pseudonym("l", "back"),
        photo_id_of("mole-closer.jpg"),
        "back",
        "Melanoma",
        "27 Nov",
    ):
        assert words in urgent
    assert "not named" in urgent
    assert photo_id_of("unnamed.jpg") in urgent
    assert ".jpg" not in page


def test_dangerous_lesions_stand_before_high_risk_ones_and_low_risk_ones_are_not_listed() -> None:
    urgent = sections_of(a_night())["urgent"]
    assert urgent.index("Pathological examination") < urgent.index("Visit of a nearby hospital")
    assert urgent.index(photo_id_of("mole-closer.jpg")) < urgent.index(photo_id_of("spot.jpg"))
    assert pseudonym("l", "leg") not in urgent


def test_a_person_whose_photo_shows_a_named_lesion_is_listed_once() -> None:
    urgent = sections_of(night_of(Upload("a.jpg", grade="dangerous", patient="anna", lesion="back")))["urgent"]
    assert urgent.count(pseudonym("p", "anna")) == 1


def test_the_likeliest_stands_first() -> None:
    night = night_of(Upload("a.jpg", grade="dangerous"), Upload("b.jpg", grade="dangerous"))
    likelier = night.changed("grades", lambda t: with_value(t, "p_dangerous", 0.99, [1]))
    urgent = sections_of(likelier)["urgent"]
    assert urgent.index(photo_id_of("b.jpg")) < urgent.index(photo_id_of("a.jpg"))


def test_a_long_list_is_cut_and_says_how_many_more_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "URGENT_ROWS", 3)
    urgent = sections_of(night_of(*(Upload(f"{i}.jpg", grade="dangerous") for i in range(8))))["urgent"]
    assert urgent.count("not named") == 3
    assert "5 more in the table referrals" in urgent


def test_programmes_reasons_and_measures_have_their_tables() -> None:
    sections = sections_of(a_night())
    assert "coast" in sections["accounting"]
    assert "hills" in sections["accounting"]
    assert "too dark" in sections["reasons"]
    assert "deleted before fetch" in sections["reasons"]
    assert "soft focus" in sections["reasons"]
    assert "Blur" in sections["quality"]
    assert sections["grades"].index("Melanoma") < sections["grades"].index("Melanocytic naevus")


def test_a_measure_that_the_page_does_not_know_is_shown_as_its_contract_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "shown_measures", lambda _cutoffs: {})
    assert "blur score" in sections_of(a_night())["quality"]


def test_cutoffs_of_another_version_are_not_drawn_over_the_measures() -> None:
    assert "stroke-dasharray" in page_of(a_night())
    old = a_night().changed("quality", lambda t: with_value(t, "cutoffs_version", "quality-old"))
    assert "stroke-dasharray" not in page_of(old)


def test_issues_of_the_manifests_are_counted_by_kind() -> None:
    told = {"issue": "invalid_value", "found": "'214'", "expected": "0 to 120"}
    rows: list[dict[str, object]] = [
        {"programme": "coast", "manifest": "m.csv", "line": line, "column": "age_years", **told} for line in (9, 4)
    ]
    night = a_night().changed("manifest_issues", lambda _: MANIFEST_ISSUES.table(rows))
    manifests = sections_of(night)["manifests"]
    assert "2 entries" in manifests
    assert "coast invalid value age_years 2 line 4 of m.csv" in manifests


def test_the_speed_is_that_from_the_first_task_to_the_last() -> None:
    speed = sections_of(a_night())["speed"]
    assert "2.0 photos per second" in speed
    assert "4.0 s from the first task" in speed
    assert "prepare 2 4.0 s 2.0 s" in speed


def test_the_foot_says_what_graded() -> None:
    foot = sections_of(a_night())["footer"]
    for words in (
        "r0001",
        RELEASE.weights_sha256,
        RELEASE.members[0].weights_sha256,
        "c-test",
        "0.1.0+abc123",
        "2026-11-20",
    ):
        assert words in foot
    assert RELEASE.taxonomy_version in foot


def test_the_limits_are_stated() -> None:
    sections = sections_of(a_night())
    assert "not a medical device" in sections["header"]
    assert "This is not a medical device" in sections["limits"]


def test_a_failed_audit_is_said_first_and_in_full() -> None:
    failed = AuditResult(success=False, faults=["photos.key: 2 of 8 rows break"], warnings=["drift"], expectations=187)
    sections = sections_of(a_night(), audit=failed)
    assert "Audit failed. Nothing of this night was published." in sections["header"]
    assert "photos.key: 2 of 8 rows break" in sections["audit"]
    assert "drift" in sections["audit"]


def test_accounts_that_do_not_add_up_are_said_to() -> None:
    night = a_night()
    accounting = replace(count(night.tables["photos"], night.tables["grades"]), listed=9)
    page = nightly_report(
        NIGHT,
        night.tables,
        accounting,
        audit=asdict(PASSED),
        release=RELEASE,
        classes=CLASSES,
        cutoffs=CUTOFFS,
        code_revision="x",
        timings=[],
    )
    assert "does not add up" in page


def test_an_empty_night_says_so_and_reports_no_figures() -> None:
    sections = sections_of(night_of(), timings=[])
    assert "cards" not in sections
    assert "speed" not in sections
    assert any("No new photo was uploaded" in text for text in sections.values())


def test_a_night_without_grades_never_reads_as_good_news() -> None:
    night = night_of(*(Upload(f"{i}.jpg", outcome="refused", reason="too_dark") for i in range(3)))
    page = page_of(night)
    sections = Page(page).sections
    assert "No photo of this night could be graded" in page
    assert "graded low risk" not in sections["cards"]
    assert "because none could be graded" in sections["urgent"]
    assert "grades" not in sections


def test_a_person_known_by_an_earlier_nights_photo_is_listed() -> None:
    night = night_of(
        Upload("a.jpg", patient="anna", grade="dangerous"),
        Upload("b.jpg", outcome="duplicate", same_as="old.jpg", same_as_night=date(2026, 11, 18), patient="bert"),
    )
    extra = with_value(night.tables["referrals"], "key_photo_id", photo_id_of("old.jpg"))
    extra = with_value(with_value(extra, "patient", pseudonym("p", "bert")), "referral_id", "r-other")
    urgent = sections_of(night.changed("referrals", lambda t: pa.concat_tables([t, extra])))["urgent"]
    assert "the same photo was graded in an earlier night" in urgent


@pytest.mark.parametrize("night", [a_night(), night_of()], ids=["mixed", "empty"])
def test_the_page_asks_no_other_host_and_runs_nothing(night: MadeUpNight) -> None:
    assert Page(page_of(night)).loads == []


def test_a_hostile_name_stays_text() -> None:
    hostile = '"><script>alert(1)</script>'
    night = a_night().changed("photos", lambda t: with_value(t, "programme", hostile))
    night = night.changed("grades", lambda t: with_value(t, "programme", hostile))
    night = night.changed("referrals", lambda t: with_value(t, "programme", hostile))
    night = night.changed("photos", lambda t: with_value(t, "body_site", hostile))
    night = night.changed("photos", lambda t: with_value(t, "advice", hostile))
    failed = AuditResult(success=False, faults=[hostile], warnings=[hostile], expectations=1)
    page = page_of(night, audit=failed)
    assert Page(page).loads == []
    assert "<script" not in page


def test_the_page_of_a_large_night_stays_small() -> None:
    large = night_of(*(Upload(f"{i}.jpg", grade="dangerous", programme=f"p{i}") for i in range(300)))
    assert len(page_of(large)) < 200_000


def _luminance(colour: str) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "colour", [*figures.GRADE_COLOURS.values(), *figures.OUTCOME_COLOURS.values(), *figures.VERDICT_COLOURS.values()]
)
def test_numbers_in_bars_can_be_read_by_everyone(colour: str) -> None:
    """WCAG 2.2 AA asks for 4.5."""
    assert _contrast(colour, figures._on(colour)) >= 4.5


@pytest.mark.parametrize("ink", [figures.INK, figures.FAINT, "#1f6462", "#8c1d40", "#7a4a00"])
def test_text_on_paper_can_be_read_by_everyone(ink: str) -> None:
    assert _contrast(ink, "#ffffff") >= 4.5


def test_grades_are_told_apart_without_colours() -> None:
    """A graphic needs 3:1 to be told apart (WCAG 2.2, 1.4.11); neighbours of a bar also have a white gap and a number."""
    low, high, dangerous = (_luminance(c) for c in figures.GRADE_COLOURS.values())
    assert low > high > dangerous
    assert _contrast(figures.GRADE_COLOURS["high_risk"], figures.GRADE_COLOURS["dangerous"]) >= 3
    assert _contrast(figures.GRADE_COLOURS["low_risk"], figures.GRADE_COLOURS["high_risk"]) >= 1.3


def test_a_single_photo_among_many_is_still_seen_in_a_bar() -> None:
    bar = figures.stacked_bar(
        [figures.Part("a", 20_000, "#2b7a78"), figures.Part("b", 1, "#8c1d40")], width=500, height=10
    )
    width = re.search(r'width="([\d.]+)" height="10" fill="#8c1d40"', bar)
    assert width
    assert float(width[1]) >= 1


def test_a_bar_never_leaves_its_picture() -> None:
    parts = [figures.Part("a", 20_000, "#2b7a78"), *(figures.Part(str(i), 1, "#8c1d40") for i in range(3))]
    bar = figures.stacked_bar(parts, width=100, height=10)
    ends = [float(x) + float(w) for x, w in re.findall(r'<rect x="([\d.]+)" width="([\d.]+)"', bar)]
    assert max(ends) <= 100


def test_a_histogram_of_nothing_or_of_one_value_is_a_picture_too() -> None:
    for values in (np.array([]), np.zeros(5), np.full(3, 7.0)):
        assert "nan" not in figures.histogram([("all", "#2b7a78", values)])


def test_a_share_that_is_there_is_never_nothing() -> None:
    assert nightly._share(1, 1000) == "< 1 %"
    assert nightly._share(999, 1000) == "> 99 %"
    assert nightly._share(0, 1000) == "0 %"
    assert nightly._share(1000, 1000) == "100 %"
    assert nightly._share(1, 0) == "-"


def test_photos_unlike_the_training_photos_are_counted_and_named_beside_their_grade() -> None:
    warned = a_night().changed("grades", lambda t: with_value(t, "warnings", [UNLIKE_TRAINING]))

    page = page_of(warned)

    assert page.count(WARNINGS[UNLIKE_TRAINING]) > 2, "once for the night, and beside each lesion that must be seen"
    assert f"{warned.tables['grades'].num_rows} photos</b> flagged" in page
    assert WARNINGS[UNLIKE_TRAINING] not in page_of(a_night())


def test_a_release_that_cannot_tell_unlike_photos_says_so() -> None:
    assert "cannot tell whether a photo is unlike" in page_of(a_night())


def missed(*strata: Stratum) -> dict[str, Any]:
    estimate = missed_lesions(strata)
    return asdict(estimate) | {"share": estimate.share}


def test_lesions_that_low_grades_missed_are_estimated_with_an_interval_by_programme() -> None:
    north = Stratum(photos=1000, inclusion_probability=0.1, chosen=100, settled=100, found=2)
    unseen = Stratum(photos=40, inclusion_probability=0.1, chosen=4, settled=0, found=0)
    page = page_of(a_night(), estimates={"all": missed(north, unseen), "programme=north": missed(north)})

    section = Page(page).sections["missed"]
    assert "Of 1,000 photos that earlier nights graded low risk, about 20 (2 to 72, 95 % interval)" in section
    assert "Estimated from 100 photos" in section
    assert "leaves out 40 photos of which nobody has looked at any" in section
    assert "north 1,000 100 2 20 2 to 72" in section


@pytest.mark.parametrize(
    "estimates", [None, {"all": missed(), "programme=north": missed()}], ids=["no intake", "nothing looked at"]
)
def test_before_anybody_looked_the_page_says_that_nobody_knows(estimates: dict[str, Any] | None) -> None:
    assert "Nobody knows yet" in Page(page_of(a_night(), estimates=estimates)).sections["missed"]
