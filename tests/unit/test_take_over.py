"""What becomes of a challenger that was refused: one line in the history of releases, and who refused it."""

import json
from pathlib import Path

import pytest

from screening.edges.release_history import read_events
from screening.settings import Settings
from screening.tasks.retraining import GATE_FILE
from screening.tasks.take_over import record_refusal

RUN = "retrain-20261122T020432"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "champion").write_text("r0001\n")
    return Settings(model_repository=str(tmp_path / "repository"), training_folder=str(tmp_path))


def the_gate_said(settings: Settings, *, passed: bool) -> None:
    said = {
        "passed": passed, "reason": "refused, r0002 against r0001: calibration", "challenger": "r0002", "champion": "r0001",
        "release_folder": "anywhere",
    }  # fmt: skip
    folder = Path(settings.training_folder) / RUN
    folder.mkdir()
    (folder / GATE_FILE).write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("passed", "person", "by", "why"),
    [
        (False, None, "gate", "refused, r0002 against r0001: calibration"),
        (True, "ada", "ada", "not approved"),
        (True, None, "nobody answered in time", "not approved"),
    ],
)
def test_a_refusal_stands_in_the_history_with_who_and_why(
    settings: Settings, passed: bool, person: str | None, by: str, why: str
) -> None:
    the_gate_said(settings, passed=passed)

    record_refusal(RUN, person, settings, is_dry_run=False)

    [event] = read_events(settings.model_repository)
    assert (event.event, event.release, event.by, event.why) == ("rejected", "r0002", by, why)
    assert event.evidence == str(Path(settings.training_folder) / RUN / GATE_FILE)


def test_nothing_is_recorded_where_nothing_was_trained_or_nobody_was_asked(settings: Settings) -> None:
    assert record_refusal(RUN, None, settings, is_dry_run=False) is None

    the_gate_said(settings, passed=True)

    assert record_refusal(RUN, None, settings, is_dry_run=True) is None
    assert not read_events(settings.model_repository)
