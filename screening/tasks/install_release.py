"""A release that was built elsewhere comes into the model repository: as a whole, or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from screening.edges.release import Release, verify_weights
from screening.edges.release_history import ReleaseEvent, append_event, changing, read_champion, read_events
from screening.errors import ContractError, MissingError
from screening.settings import Settings
from screening.stages.grade_cutoffs import release_grade_cutoffs
from screening.tasks.check_release import golden_answers
from screening.tasks.context import code_revision, servable_release

log = logging.getLogger(__name__)

_ENSEMBLE = "lesion_ensemble_"
_ARRIVING = ".arriving-"


def install_release(
    folder: Path, settings: Settings, *, by: str = "screening", why: str = "built elsewhere and checked"
) -> str:
    """Check a release and copy it into the model repository; it serves nothing before it is promoted.

    Members that are there with the same weights stay. A release that is there with the same files is left as it is.

    Args:
        folder: laid out like a model repository: one release and its members.
        settings: name the repository.
        by: who brings it, for the history.
        why: likewise.

    Returns:
        Its name.

    Raises:
        ContractError: it has no cut-offs, its weights or taxonomy are not those that it was frozen with, it was made for
            other model input, or the repository holds other files under one of its names.
        MissingError: a part of it is missing.
    """
    release = _checked(folder, settings)
    repository = Path(settings.model_repository)
    with changing(settings.model_repository):
        for left_over in repository.glob(f"{_ARRIVING}*"):  # of a process that was killed: nobody else is in here
            shutil.rmtree(left_over)
        champion, events = read_champion(settings.model_repository), read_events(settings.model_repository)
        new = [m.name for m in release.members if not _is_there(folder / m.name, repository / m.name, m.version)]
        if not (repository / release.model).exists():
            new.append(release.model)
        elif _digests(folder / release.model) != _digests(repository / release.model):
            raise ContractError(
                f"release {release.name}: {repository} holds another release of this name; expected a name that is free"
            )
        arriving = repository / f"{_ARRIVING}{release.name}-{os.getpid()}"
        try:
            for name in new:
                shutil.copytree(folder / name, arriving / name, copy_function=_copy_durably)
            for name in new:  # the ensemble last: who sees it sees its members
                (arriving / name).rename(repository / name)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        if not any(e.event == "registered" and e.release == release.name for e in events):
            append_event(
                settings.model_repository,
                ReleaseEvent(
                    event="registered",
                    release=release.name,
                    champion_before=champion,
                    at_utc=datetime.now(UTC),
                    by=by,
                    why=why,
                    code_revision=code_revision(),
                    weights_sha256=release.weights_sha256,
                ),
            )
    log.info("install_release release=%s members=%d new=%d", release.name, len(release.members), len(new))
    return release.name


def _checked(folder: Path, settings: Settings) -> Release:
    """The one release of a folder, if this code can serve it and all of it is there."""
    found = sorted(path.name.removeprefix(_ENSEMBLE) for path in folder.glob(f"{_ENSEMBLE}*"))
    if len(found) != 1:
        raise ContractError(f"{folder}: found the releases {found}, expected one folder {_ENSEMBLE}rNNNN")
    of_folder = settings.model_copy(update={"model_repository": str(folder)})
    release = servable_release(of_folder, found[0])
    if release.model != f"{_ENSEMBLE}{release.name}":
        raise ContractError(f"release {release.name}: its model is {release.model}, expected {_ENSEMBLE}{release.name}")
    release_grade_cutoffs(release.cutoffs, release.name)
    here = verify_weights(str(folder), release)
    if absent := [member.name for member in release.members if member.name not in here]:
        raise MissingError(f"release {release.name}: {folder} has no model.onnx of {', '.join(absent)}")
    for name in (release.model, *here):
        if not (folder / name / "config.pbtxt").is_file():
            raise MissingError(f"release {release.name}: {folder / name / 'config.pbtxt'} does not exist")
    golden_answers(of_folder, release)
    return release


def _is_there(brought: Path, kept: Path, version: str) -> bool:
    """Whether the repository holds a member with the same weights."""
    if not kept.exists():
        return False
    files = [folder / version / "model.onnx" for folder in (brought, kept)]
    if not files[1].is_file() or _digest(files[0]) != _digest(files[1]):
        raise ContractError(
            f"{kept} holds other weights than {brought} version {version}; a member that changes gets another name"
        )
    return True


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _digest(path) for path in folder.rglob("*") if path.is_file()}


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _copy_durably(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    with Path(target).open("rb") as copied:
        os.fsync(copied.fileno())
    return target
