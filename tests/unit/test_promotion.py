"""What a promotion refuses before it asks a server, and the record that it leaves. With a server: tests/integration."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from screening.edges.release import load_release
from screening.edges.release_history import ReleaseEvent, read_champion, read_events
from screening.errors import ContractError, MissingError
from screening.reports.change_record import change_record
from screening.settings import Settings
from screening.tasks import end_shadow, install_release, promote, reject, rollback, start_shadow
from tests.second_release import build_second_release, repository_of_r0001

WHO = {"by": "ada", "why": "a test"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a repository with r0001 and r0002; its server does not exist, so a test that gets that far fails."""
    repository = repository_of_r0001(tmp_path / "repository")
    settings = Settings(model_repository=str(repository), triton_url="127.0.0.1:9", triton_attempts=1)
    install_release(build_second_release(tmp_path / "built", dangerous=0.05), settings)
    return settings


def evidence(folder: Path, **fields: Any) -> str:
    file = folder / "gate.json"
    file.write_text(json.dumps(fields))
    return str(file)


def test_the_champion_is_not_promoted_again(settings):
    with pytest.raises(ContractError, match="r0001 was not promoted, r0001 stays in use: it is the champion already"):
        promote("r0001", **WHO, settings=settings)


def test_a_release_that_does_not_exist_is_not_promoted(settings):
    with pytest.raises(MissingError, match="r0009 was not promoted, r0001 stays in use"):
        promote("r0009", **WHO, settings=settings)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"passed": False, "reason": "sensitivity is worse"}, "did not pass: sensitivity is worse"),
        ({"challenger": "r0003", "passed": True}, "is of 'r0003', expected 'r0002'"),
        ({"champion": "r0000", "passed": True}, "compares with 'r0000', but r0001 is in use by now"),
    ],
)
def test_evidence_that_speaks_against_a_promotion_stops_it(settings, tmp_path, fields, said):
    with pytest.raises(ContractError, match=said):
        promote("r0002", **WHO, evidence=evidence(tmp_path, **fields), settings=settings)
    assert read_champion(settings.model_repository) == "r0001"


@pytest.mark.parametrize(("text", "said"), [("not json", "is no JSON"), ("[1]", "expected a JSON object")])
def test_evidence_that_cannot_be_read_stops_a_promotion(settings, tmp_path, text, said):
    (tmp_path / "gate.json").write_text(text)
    with pytest.raises(ContractError, match=said):
        promote("r0002", **WHO, evidence=str(tmp_path / "gate.json"), settings=settings)


def test_evidence_that_is_not_there_stops_a_promotion(settings, tmp_path):
    with pytest.raises(MissingError, match="does not exist"):
        promote("r0002", **WHO, evidence=str(tmp_path / "gate.json"), settings=settings)


def test_a_site_whose_own_cutoffs_were_fitted_to_the_old_release_must_fit_them_first(settings, tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text("name: north-1\nrelease: r0001\ncutoffs:\n  dangerous: 0.2\n")
    with pytest.raises(ContractError, match="fitted to release 'r0001', but 'r0002' grades"):
        promote("r0002", **WHO, settings=settings.model_copy(update={"grade_cutoffs": str(file)}))


def test_the_history_takes_no_nameless_change(settings):
    with pytest.raises(ContractError, match="'why' is empty"):
        reject("r0002", by="ada", why=" ", settings=settings)


def test_a_challenger_that_never_came_may_be_rejected(settings):
    event = reject("r0007", by="gate", why="worse", evidence="gate.json", settings=settings)
    assert read_events(settings.model_repository)[-1] == event
    assert (event.event, event.release, event.champion_before, event.weights_sha256) == (
        "rejected", "r0007", "r0001", None,
    )  # fmt: skip


def test_a_refusal_that_is_recorded_again_by_a_task_that_was_killed_counts_once(settings):
    said = {"by": "gate", "why": "worse", "evidence": "run-1/gate.json"}
    assert reject("r0007", **said, settings=settings) == reject("r0007", **said, settings=settings)
    reject("r0007", **(said | {"evidence": "run-2/gate.json"}), settings=settings)
    assert [e.evidence for e in read_events(settings.model_repository) if e.event == "rejected"] == [
        "run-1/gate.json",
        "run-2/gate.json",
    ]


def test_the_first_champion_cannot_be_rolled_back(settings):
    with pytest.raises(MissingError, match="r0001 is the first champion"):
        rollback(**WHO, settings=settings)


def test_a_shadow_needs_nights_and_a_server(settings):
    with pytest.raises(ContractError, match="r0002 was not made the shadow: 0 nights"):
        start_shadow("r0002", 0, **WHO, settings=settings)


def test_a_shadow_that_does_not_run_cannot_be_ended(settings):
    with pytest.raises(ContractError, match="no shadow runs"):
        end_shadow(**WHO, settings=settings)


# The change record.


def record(settings: Settings, compared: dict[str, Any] | None = None, **changed: Any) -> str:
    fields: dict[str, Any] = {"event": "promoted", "release": "r0002", "champion_before": "r0001", "by": "ada"}
    at = datetime(2026, 11, 22, 6, tzinfo=UTC)
    event = ReleaseEvent(**({**fields, "at_utc": at, "why": "sees | more", "code_revision": "0.1.0"} | changed))
    new, old = (load_release(settings.model_repository, name) for name in ("r0002", "r0001"))
    return change_record(event, new, old, compared)


def test_a_change_record_says_what_changed_how_it_was_judged_and_what_follows(settings):
    text = record(settings)
    assert text.startswith("# Change of the release in use: r0001 → r0002\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## What changed",
        "## Protocol",
        "## Impact",
    ]
    assert "| taxonomy | t-9bee07e27896 | the same |" in text
    assert "dangerous 0.05, high_risk 0.259 |" in text
    assert "Other cut-offs" in text
    assert r"| why | sees \| more |" in text


def test_a_change_without_a_comparison_says_so(settings):
    assert "**No comparison with the release in use was given.**" in record(settings)
    assert "- Comparison with the release in use: https://here/page" in record(settings, evidence="https://here/page")


def test_a_change_record_quotes_the_gate(settings):
    compared = {
        "passed": True,
        "margin": 0.02,
        "checks": [{"name": "sensitivity", "difference": 0.0123456}, {"name": "size", "limit": 3}],
        "test_set": {"photos": 120},
        "subgroups": ["I-II", "III-IV"],
    }
    text = record(settings, compared, evidence="gate.json")
    assert "- passed: True\n- margin: 0.02" in text
    assert "### Checks\n\n| name | difference | limit |\n| --- | --- | --- |\n| sensitivity | 0.01235 | – |" in text
    assert "### Test set\n\n| photos |\n| --- |\n| 120 |" in text
    assert "- subgroups: I-II, III-IV" in text


def test_the_record_of_a_rollback_says_that_nothing_was_compared(settings):
    text = record(settings, event="rolled_back", release="r0001", champion_before="r0002")
    assert "A rollback is not compared again" in text
