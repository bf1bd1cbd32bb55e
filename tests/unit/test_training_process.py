"""The training as a child process: what it says, how it ends, and that it ends with its parent."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from screening.errors import (
    ContractError,
    MissingError,
    ProcessEndedError,
    RetryError,
    SettingsError,
    StopError,
    StoreUnavailableError,
    TrainingError,
)
from screening.settings import Settings
from screening.tasks.training_process import run_training

ROOT = Path(__file__).parents[2]


def a_python(folder: Path, script: str) -> Settings:
    """Settings whose training environment does what the script says."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return Settings(training_python=str(file))


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        ("echo 'ContractError: photo 1 is torn'; exit 1", ContractError, "screening retrain check: photo 1 is torn"),
        ("echo 'TrainingError: the disk is full' >&2; exit 1", TrainingError, "the disk is full"),
        ("echo 'StoreUnavailableError: no answer'; exit 75", StoreUnavailableError, "no answer"),
        ("echo 'Invalid value for --member'; exit 1", StopError, "Invalid value"),
        ("echo 'os: an error of another kind'; exit 75", RetryError, "an error of another kind"),
        ("kill -9 $$", ProcessEndedError, "ended by SIGKILL"),
        ("echo 'KeyError: 3'; exit 70", RuntimeError, "ended with 70: KeyError: 3"),
        ("echo 'No such option'; exit 2", StopError, "No such option"),
    ],
)
def test_how_the_child_ends_becomes_the_error_that_airflow_decides_by(
    tmp_path: Path, script: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as raised:
        run_training(["retrain", "check"], a_python(tmp_path, script))

    assert type(raised.value) is error


def test_each_line_of_the_child_is_a_line_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="screening"):
        run_training(["retrain", "fit"], a_python(tmp_path, "echo $*; echo; echo two >&2"))

    assert [record.getMessage() for record in caplog.records] == ["training -m screening retrain fit", "training two"]


def test_the_command_line_says_by_its_exit_code_what_an_exception_would(tmp_path: Path) -> None:
    # The pipeline's own environment: the command is there, torch is not, and that is told as the error that it is.
    settings = Settings(training_python=sys.executable)
    if "torch" in sys.modules or (Path(sys.prefix).name == ".venv-training"):
        pytest.skip("torch is installed here")

    with pytest.raises(MissingError, match="torch is not installed here"):
        run_training(["retrain", "check", "a-run"], settings)


def test_an_environment_that_nobody_named_or_made_is_told() -> None:
    with pytest.raises(SettingsError, match="SCREENING_TRAINING_PYTHON is not set"):
        run_training([], Settings())
    with pytest.raises(MissingError, match="/nowhere/python does not exist"):
        run_training([], Settings(training_python="/nowhere/python"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_child_ends_with_its_parent_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    a_python(tmp_path, f"echo $$ > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/pid; exec sleep 60")
    code = (
        "from screening.settings import Settings; from screening.tasks.training_process import run_training; "
        f"run_training([], Settings(training_python={str(tmp_path / 'python')!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    child = psutil.Process(int((tmp_path / "pid").read_text()))

    parent.send_signal(number)
    parent.wait(15)

    child.wait(15)
    assert not child.is_running()
