"""Training runs in an environment of its own, as a child process: the pipeline's environment holds no torch."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from screening import errors
from screening.errors import (
    EXIT_RETRY,
    EXIT_STOP,
    MissingError,
    ProcessEndedError,
    RetryError,
    SettingsError,
    StopError,
)
from screening.settings import Settings

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_EXIT_USAGE = 2  # Click's, for options that it does not know
_PATIENCE_S = 20.0


def run_training(words: list[str], settings: Settings) -> None:
    """Run ``screening <words>`` in the training's environment and pass on what it says, line by line.

    The child ends with this process, however that ends; a SIGTERM to this process reaches it too.

    Raises:
        SettingsError: no environment is named.
        MissingError: it is not there.
        StopError, RetryError: as the command ended; of the very class, where its last line names one of ours.
        RuntimeError: it ended by an error that nobody foresaw.
    """
    python = settings.training_python
    if python is None:
        raise SettingsError(
            "SCREENING_TRAINING_PYTHON is not set; expected the Python of the environment that has torch"
        )
    if not Path(python).is_file():
        raise MissingError(f"SCREENING_TRAINING_PYTHON: {python} does not exist; `make setup-training` installs it")
    parent = os.getpid()

    def die_with_parent() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    command = [python, "-m", "screening", *words]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        preexec_fn=die_with_parent,  # noqa: PLW1509  # the child runs no Python before it becomes the command
    ) as child:
        last = ""
        with _terms_passed_on(child):
            for line in child.stdout or ():
                if text := line.strip():
                    last = text
                    log.info("training %s", text)
        code = child.wait()
    if code:
        raise _error_of(code, last, " ".join(words))


@contextmanager
def _terms_passed_on(child: subprocess.Popen[str]) -> Iterator[None]:
    """A SIGTERM ends the child first; only the main thread may say what a signal does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def end_child(number: int, frame: FrameType | None) -> None:
        child.terminate()
        try:
            child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
        if callable(before):
            before(number, frame)
        else:
            raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end_child)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _error_of(code: int, last_line: str, words: str) -> Exception:
    name, _, message = last_line.partition(": ")
    found = getattr(errors, name, None)
    text = f"screening {words}: {message}"
    if code in (EXIT_STOP, EXIT_RETRY, _EXIT_USAGE):
        wanted: type[Exception] = RetryError if code == EXIT_RETRY else StopError
        is_ours = isinstance(found, type) and issubclass(found, wanted)
        # Without a message of ours the code still tells which way.
        return found(text) if is_ours and found else wanted(f"screening {words}: {last_line}")
    if code < 0:
        return ProcessEndedError(
            f"screening {words} was ended by {signal.Signals(-code).name}; it goes on where it was when tried again"
        )
    return RuntimeError(f"screening {words} ended with {code}: {last_line}")
