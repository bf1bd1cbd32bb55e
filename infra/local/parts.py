"""What the supervisor knows about one part of the stack."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from infra.local.errors import StackError


@dataclass(frozen=True)
class Command:
    """A process to start; ``environment`` is added to the supervisor's own."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Part:
    """One process of the stack, in the order of its life.

    ``prepare`` runs before each start and may run again after a failure; ``command`` is asked at each start, so that a
    restart sees what has changed. ``check`` gets the time of the start (seconds since the epoch) and raises
    ``NotReadyError`` until the part works. ``finish`` runs once it does. Parts start when all that they need are
    ready, and stop before those. A part that may fail while its process lives on is checked again every ``recheck_s``.
    """

    name: str
    title: str
    command: Callable[[], Command]
    check: Callable[[float], None]
    needs: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    prepare: Callable[[], None] = _nothing
    finish: Callable[[], None] = _nothing
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 20.0
    recheck_s: float | None = None


def run_tool(
    words: Sequence[str], stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 120.0
) -> str:
    """Run a tool to its end and return what it printed.

    Raises:
        StackError: it failed or took too long; the message ends with its last words.
    """
    try:
        done = subprocess.run(
            words, input=stdin, env=env, timeout=timeout_s, check=False, capture_output=True, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"{words[0]}: {error}") from error
    if done.returncode != 0:
        last_words = " / ".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise StackError(f"{words[0]} {words[1] if len(words) > 1 else ''} ended with {done.returncode}: {last_words}")
    return done.stdout
