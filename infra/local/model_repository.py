"""The stack's own model repository: the releases of this checkout, and those that were trained and promoted here."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from infra.local.errors import StackError
from infra.local.settings import SHIPPED_MODELS

_CHAMPION = "champion"
_HISTORY = "history"


def bring_shipped_models(repository: Path, say: Callable[[str], None], shipped: Path = SHIPPED_MODELS) -> None:
    """Copy what the stack's repository lacks of the shipped releases; the champion is the shipped one only at first.

    Raises:
        StackError: a release or a member of this name is there already, with other content.
    """
    if repository.resolve() == shipped.resolve():
        return
    # A release comes after its members, and the champion after its release: what is named is there.
    # What happened here is another history than what happened to the shipped releases: its numbers would collide.
    has_history = (repository / _HISTORY).is_dir()
    brought = {f for f in _files(shipped) if not (has_history and f.parts[0] == _HISTORY)}
    missing = [f for f in sorted(brought, key=_members_first) if not (repository / f).is_file()]
    for name in brought - set(missing) - {Path(_CHAMPION)}:
        if not filecmp.cmp(shipped / name, repository / name, shallow=False):
            raise StackError(
                f"{repository / name} differs from the file of this version in {shipped.name}/: a name stands for one "
                "release only; move the folder away to take the shipped one, or rename the shipped one"
            )
    for name in missing:
        copy = repository / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        half = copy.with_name(f".{copy.name}.{os.getpid()}")
        shutil.copyfile(shipped / name, half)
        half.replace(copy)
    if missing:
        say(f"{len(missing)} files of the shipped releases brought to {repository}")


def _files(folder: Path) -> set[Path]:
    return {f.relative_to(folder) for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts}


def _members_first(file: Path) -> tuple[bool, bool, Path]:
    return file == Path(_CHAMPION), file.parts[0].startswith("lesion_ensemble_"), file
