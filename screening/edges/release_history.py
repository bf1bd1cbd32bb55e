"""Which release was champion when, and why: the table ``releases``, and the file ``champion`` that it tells of.

Each event is a file of its own, ``<model repository>/history/<event_id>.json``, created exclusively and never changed, so
that two writers lose nothing. The champion's name and the event of its switch change together: the event is written down
before the name is replaced, and whoever changes something next finishes or drops what a killed process left (``_recover``).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path

from screening.contracts import RELEASES
from screening.errors import ContractError, MissingError

CHAMPION = "champion"
_HISTORY = "history"
_PENDING = ".pending.json"


@dataclass(frozen=True)
class ReleaseEvent:
    """A row of ``RELEASES``; ``event_id`` is given when it is recorded."""

    event: str
    release: str
    champion_before: str | None
    at_utc: datetime
    by: str
    why: str
    code_revision: str
    evidence: str | None = None
    weights_sha256: str | None = None
    night: date | None = None
    nights: int | None = None
    event_id: int = 1


def read_champion(model_repository: str) -> str | None:
    """The name of the release in use; None when none is named."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return (Path(model_repository) / CHAMPION).read_text(encoding="utf-8").strip() or None
    return None


def read_events(model_repository: str) -> tuple[ReleaseEvent, ...]:
    """All that happened to the releases, oldest first; none where no history was kept.

    Raises:
        ContractError: a file of the history is no event.
    """
    files = sorted((Path(model_repository) / _HISTORY).glob("[0-9]*.json"), key=lambda file: int(file.stem))
    return tuple(_parse(file.read_bytes(), file.name) for file in files)


def champions(events: Sequence[ReleaseEvent]) -> tuple[str, ...]:
    """The champion and those that a rollback leads back to, first to last; a promotion adds one, a rollback takes one."""
    stack: list[str] = []
    for event in events:
        if event.event == "promoted":
            stack.append(event.release)
        elif event.event == "rolled_back":
            while stack and stack[-1] != event.release:
                stack.pop()
            stack = stack or [event.release]
    return tuple(stack)


def previous_champion(model_repository: str) -> str | None:
    """What a rollback leads back to; None when nothing was in use before."""
    now = read_champion(model_repository)
    stack = champions(read_events(model_repository))
    # A name that was written by hand is above the stack.
    before = stack[:-1] if stack and stack[-1] == now else stack
    return before[-1] if before else None


def champion_at(events: Sequence[ReleaseEvent], moment: datetime) -> str | None:
    """The release in use at a moment; None before the history begins."""
    switched = [e for e in events if e.event in ("promoted", "rolled_back") and e.at_utc <= moment]
    return switched[-1].release if switched else None


def current_shadow(events: Sequence[ReleaseEvent]) -> ReleaseEvent | None:
    """The start of the shadow that runs; None when none does."""
    running = None
    for event in events:
        if event.event == "shadow_started":
            running = event
        elif event.event == "shadow_ended":
            running = None
    return running


def shadow_nights(events: Sequence[ReleaseEvent], started: ReleaseEvent) -> tuple[date, ...]:
    """The nights that count for a shadow, as they were recorded."""
    counted = (e for e in events if e.event == "shadow_night" and e.event_id > started.event_id)
    return tuple(e.night for e in counted if e.release == started.release and e.night)


def releases_to_serve(model_repository: str) -> tuple[str, ...]:
    """What a server has loaded at all times: the champion, what a rollback leads back to, and the shadow.

    A history that cannot be read keeps nothing from being served: then it is the champion alone.
    """
    champion = read_champion(model_repository)
    names = [champion]
    with suppress(ContractError):
        names.append(previous_champion(model_repository))
        shadow = current_shadow(read_events(model_repository))
        names.append(shadow.release if shadow else None)
    return tuple(dict.fromkeys(name for name in names if name))


@contextmanager
def changing(model_repository: str) -> Iterator[None]:
    """Nobody else changes champion or history inside the block; waits for whoever does.

    Needs a file system with ``flock``; where two hosts share one without, the exclusive creation of each event still keeps
    both.

    Raises:
        MissingError: there is no such folder.
    """
    folder = Path(model_repository) / _HISTORY
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        raise MissingError(f"model repository {model_repository} does not exist") from error
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _recover(folder)
        yield
    finally:
        os.close(held)


def append_event(model_repository: str, event: ReleaseEvent) -> ReleaseEvent:
    """Record an event that leaves the champion as it is; inside ``changing``."""
    folder = Path(model_repository) / _HISTORY
    written = folder / f".event-{os.getpid()}"
    # A killed process of this number may have left it as a second name of its event, which would be written over.
    written.unlink(missing_ok=True)
    while True:
        event = replace(event, event_id=_next_id(folder))
        _write(written, _to_json(event))
        try:
            os.link(written, _file(folder, event))
        except FileExistsError:  # somebody on whom the lock has no effect was quicker: the next number
            continue
        finally:
            written.unlink()
        _sync(folder)
        return event


def switch_champion(model_repository: str, event: ReleaseEvent, attached: Mapping[str, str]) -> ReleaseEvent:
    """Make the event's release the champion and record it; inside ``changing``.

    Args:
        model_repository: of both.
        event: ``promoted`` or ``rolled_back``.
        attached: texts that stay beside the event, by the end of their file's name (``attachment``).
    """
    repository = Path(model_repository)
    folder = repository / _HISTORY
    event = replace(event, event_id=_next_id(folder))
    pending = folder / _PENDING
    try:
        _write(pending, _to_json(event))
        for name, text in attached.items():
            _write(attachment(model_repository, event, name), text)
        fresh = repository / f".{CHAMPION}-{os.getpid()}"
        _write(fresh, event.release + "\n")
        fresh.replace(repository / CHAMPION)
    except BaseException:
        _recover(folder)
        raise
    _sync(repository)
    _recover(folder)
    return event


def attachment(model_repository: str, event: ReleaseEvent, name: str) -> Path:
    """The file of a text that belongs to an event."""
    return Path(model_repository) / _HISTORY / f"{event.event_id:05d}-{name}"


def _recover(folder: Path) -> None:
    """Record the switch that was under way if the champion's name was replaced; else undo what was prepared for it."""
    pending = folder / _PENDING
    if not pending.exists():
        return
    try:
        event = _parse(pending.read_bytes(), pending.name)
    except ContractError:  # killed while it was written: nothing was switched
        pending.unlink()
        return
    if read_champion(str(folder.parent)) == event.release:
        with suppress(FileExistsError):
            os.link(pending, _file(folder, event))
    else:
        for file in folder.glob(f"{event.event_id:05d}-*"):
            file.unlink()
    pending.unlink()
    _sync(folder)


def _next_id(folder: Path) -> int:
    return max((int(file.stem) for file in folder.glob("[0-9]*.json")), default=0) + 1


def _file(folder: Path, event: ReleaseEvent) -> Path:
    return folder / f"{event.event_id:05d}.json"


def _write(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Make a name that was added or replaced outlive a loss of power."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _to_json(event: ReleaseEvent) -> str:
    row = asdict(event)
    RELEASES.table([row])
    return json.dumps(row, default=lambda moment: moment.isoformat(), ensure_ascii=False, indent=1) + "\n"


def _parse(text: bytes, file: str) -> ReleaseEvent:
    try:
        row = json.loads(text)
        row["at_utc"] = datetime.fromisoformat(row["at_utc"])
        if row.get("night"):
            row["night"] = date.fromisoformat(row["night"])
        event = ReleaseEvent(**row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        names = ", ".join(field.name for field in fields(ReleaseEvent))
        raise ContractError(f"history of the releases: {file} is no event; expected JSON with {names}") from error
    RELEASES.table([asdict(event)])
    return event
