"""A release: the frozen set of members, calibration, cut-offs and taxonomy that a night grades with.

It is read from ``<model repository>/lesion_ensemble_<release>/release.json``, beside which lies the frozen ``taxonomy.yaml``;
the text file ``champion`` in the model repository holds the name of the one in use, so that a rollback changes one line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from screening.contracts import EVERYBODY, GRADES
from screening.errors import ContractError, MissingError, ScreeningError

SPLIT_FILE = "split.parquet"
"""Beside release.json: the side of every photo that the release or one before it knew."""

_NAME = re.compile(r"r[0-9]{4,}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# The name of a folder in the repository, and part of a path: nothing that leads elsewhere.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True)
class MemberOfRelease:
    """One CNN, pinned: ``version`` is its folder, ``output`` the tensor of the ensemble that holds its answer.

    ``distance_output`` holds how far a photo is from those of the training, ``heat_maps_output`` where each disease is
    seen; None where the member does not say so: older releases, and networks without a pooled map of features.
    """

    name: str
    version: str
    weights_sha256: str
    output: str
    distance_output: str | None = None
    heat_maps_output: str | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """All its tensors in the ensemble."""
        return tuple(o for o in (self.output, self.distance_output, self.heat_maps_output) if o)


@dataclass(frozen=True)
class Release:
    """What ``release.json`` says; its keys have these names.

    ``model`` is the Triton ensemble, ``classes`` are nodes of the release's own taxonomy in the order of every member's
    answer, ``model_input`` the version of the function that made the pixels, ``cutoffs`` what the grading stage makes its
    cut-offs of, ``weights_sha256`` the ``digest_of_members``. ``outlier_cutoff`` is the mean distance of the members from
    which on a photo is unlike those of the training, ``prediction_sets`` what the grading stage makes its prediction
    sets of; None in releases that do not know.
    """

    name: str
    model: str
    members: tuple[MemberOfRelease, ...]
    classes: tuple[str, ...]
    taxonomy_version: str
    model_input: str
    input_shape: tuple[int, int, int]
    cutoffs: Mapping[str, Any]
    weights_sha256: str
    outlier_cutoff: float | None = None
    prediction_sets: Mapping[str, Any] | None = None

    @property
    def tells_outliers(self) -> bool:
        """Whether its members say how far a photo is from those of the training."""
        return self.outlier_cutoff is not None

    @property
    def tells_heat_maps(self) -> bool:
        """Whether a member says where it sees a disease."""
        return any(m.heat_maps_output for m in self.members)


def load_release(model_repository: str, name: str | None) -> Release:
    """Read a release by its name, or the champion when the name is None.

    Raises:
        MissingError: there is no champion, or no such release.
        ContractError: its file breaks the rules above.
    """
    repository = Path(model_repository)
    if name is None:
        name = _read(repository / "champion", "champion").strip()
    if not _NAME.fullmatch(name):
        raise MissingError(f"release {name!r}: expected a name such as r0001")
    path = _folder(model_repository, name) / "release.json"
    try:
        fields = json.loads(_read(path, f"release {name}"))
    except ValueError as error:
        raise ContractError(f"release {name}: {path.name} is no JSON: {error}") from error
    release = _parse(fields, name)
    if release.name != name:
        raise ContractError(f"release {name}: {path.name} is of {release.name!r}")
    return release


def all_releases(model_repository: str) -> list[Release]:
    """The releases of a repository that can be read, by name."""
    releases = []
    for folder in sorted(Path(model_repository).glob("lesion_ensemble_*")):
        with suppress(ScreeningError):
            releases.append(load_release(model_repository, folder.name.removeprefix("lesion_ensemble_")))
    return releases


def taxonomy_file(model_repository: str, release: Release) -> Path:
    """The tree of diseases that the release was frozen with; ``taxonomy_version`` is the digest of this very file."""
    return _folder(model_repository, release.name) / "taxonomy.yaml"


def split_file(model_repository: str, release: Release) -> Path:
    """The sides of the photos that the release was made with; releases from elsewhere may lack it."""
    return _folder(model_repository, release.name) / SPLIT_FILE


def weights_file(model_repository: str, release: Release, member: str) -> tuple[Path, str | None]:
    """The weights that later members may start from, and their SHA-256 where the release tells it.

    Args:
        model_repository: where the release is.
        release: which.
        member: name of one of its members, with or without the release's name behind it.

    Raises:
        MissingError: the release has no such member.
    """
    found = next((m for m in release.members if m.name in (member, f"{member}_{release.name}")), None)
    if found is None:
        names = ", ".join(m.name for m in release.members)
        raise MissingError(f"release {release.name}: no member {member} to start from; its members are {names}")
    fields = json.loads(_read(_folder(model_repository, release.name) / "release.json", f"release {release.name}"))
    return (
        Path(model_repository) / found.name / found.version / "weights.safetensors",
        fields.get("safetensors_sha256", {}).get(found.name),
    )


def verify_weights(model_repository: str, release: Release) -> tuple[str, ...]:
    """Compare the members' ONNX files with the release, where the repository has them here.

    Returns:
        The names of the members whose file is here, and is the right one.

    Raises:
        ContractError: a file is another than the release was made with.
    """
    verified = []
    for member in release.members:
        path = Path(model_repository) / member.name / member.version / "model.onnx"
        if not path.is_file():
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != member.weights_sha256:
            raise ContractError(
                f"release {release.name}: weights of {member.name} version {member.version} are {found}, "
                f"expected {member.weights_sha256}"
            )
        verified.append(member.name)
    return tuple(verified)


def digest_of_members(members: Sequence[MemberOfRelease]) -> str:
    """SHA-256 over all members, in order: of one line ``<name> <version> <weights_sha256>`` each."""
    lines = "".join(f"{m.name} {m.version} {m.weights_sha256}\n" for m in members)
    return hashlib.sha256(lines.encode()).hexdigest()


def _folder(model_repository: str, name: str) -> Path:
    return Path(model_repository) / f"lesion_ensemble_{name}"


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"{what}: {path} does not exist") from error
    except UnicodeDecodeError as error:
        raise ContractError(f"{what}: {path} is no UTF-8 text") from error


def _parse(fields: Any, name: str) -> Release:
    file = f"release {name}"
    if not isinstance(fields, dict):
        raise ContractError(f"{file}: expected a JSON object")
    members = tuple(_parse_member(m, file) for m in _list(fields, "members", file))
    classes = tuple(_list(fields, "classes", file))
    input_shape = _list(fields, "input_shape", file)
    if len(input_shape) != 3 or not all(type(n) is int and n > 0 for n in input_shape):
        raise ContractError(f"{file}: input_shape is {input_shape}, expected [height, width, channels]")
    height, width, channels = input_shape
    cutoffs = fields.get("cutoffs")
    if not isinstance(cutoffs, dict) or not cutoffs:
        raise ContractError(f"{file}: cutoffs is {cutoffs!r}, expected an object")
    release = Release(
        name=_text(fields, "name", file, _NAME),
        model=_text(fields, "model", file, _MODEL),
        members=members,
        classes=classes,
        taxonomy_version=_text(fields, "taxonomy_version", file),
        model_input=_text(fields, "model_input", file),
        input_shape=(height, width, channels),
        cutoffs=cutoffs,
        weights_sha256=_text(fields, "weights_sha256", file, _SHA256),
        outlier_cutoff=_outlier_cutoff(fields, members, file),
        prediction_sets=_prediction_sets(fields, file),
    )
    if not all(isinstance(c, str) and c for c in classes) or len(set(classes)) != len(classes) or len(classes) < 2:
        raise ContractError(f"{file}: classes are {list(classes)}, expected at least two different names")
    for column, values in (
        ("name", [m.name for m in members]),
        ("output", [output for m in members for output in m.outputs]),
    ):
        if len(set(values)) != len(values):
            raise ContractError(f"{file}: two members have the same {column}: {values}")
    if release.weights_sha256 != digest_of_members(members):
        raise ContractError(
            f"{file}: weights_sha256 is {release.weights_sha256}, but its members give {digest_of_members(members)}"
        )
    return release


def _parse_member(fields: Any, file: str) -> MemberOfRelease:
    if not isinstance(fields, dict):
        raise ContractError(f"{file}: a member is {fields!r}, expected an object")
    return MemberOfRelease(
        name=_text(fields, "name", file, _MODEL),
        version=_text(fields, "version", file, _VERSION),
        weights_sha256=_text(fields, "weights_sha256", file, _SHA256),
        output=_text(fields, "output", file),
        distance_output=_text(fields, "distance_output", file) if fields.get("distance_output") else None,
        heat_maps_output=_text(fields, "heat_maps_output", file) if fields.get("heat_maps_output") else None,
    )


def _outlier_cutoff(fields: dict[str, Any], members: Sequence[MemberOfRelease], file: str) -> float | None:
    cutoff = fields.get("outlier_cutoff")
    if cutoff is None:
        return None
    if isinstance(cutoff, bool) or not isinstance(cutoff, (int, float)) or not cutoff > 0:
        raise ContractError(f"{file}: outlier_cutoff is {cutoff!r}, expected a number over 0")
    if silent := [m.name for m in members if m.distance_output is None]:
        raise ContractError(f"{file}: outlier_cutoff is {cutoff}, but {', '.join(silent)} has no distance_output")
    return float(cutoff)


def _prediction_sets(fields: dict[str, Any], file: str) -> Mapping[str, Any] | None:
    """Coverage, and limits by group of skin types and grade: those of everybody at least."""
    found = fields.get("prediction_sets")
    if found is None:
        return None
    wanted = f"coverage, and lowest with every grade's probability for {EVERYBODY!r}"
    lowest = found.get("lowest") if isinstance(found, dict) else None
    if not isinstance(lowest, dict) or EVERYBODY not in lowest or set(found) != {"coverage", "lowest"}:
        raise ContractError(f"{file}: prediction_sets is {found!r}, expected {wanted}")
    for of_group in lowest.values():
        numbers = of_group.values() if isinstance(of_group, dict) else ()
        grades = set(of_group) if isinstance(of_group, dict) else set()
        if grades != {str(g) for g in GRADES} or not all(_is_probability(n) for n in (*numbers, found["coverage"])):
            raise ContractError(f"{file}: prediction_sets is {found!r}, expected {wanted}")
    sets: Mapping[str, Any] = found
    return sets


def _is_probability(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _text(fields: dict[str, Any], name: str, file: str, pattern: re.Pattern[str] | None = None) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value or (pattern and not pattern.fullmatch(value)):
        expected = f"text like {pattern.pattern}" if pattern else "text"
        raise ContractError(f"{file}: {name} is {value!r}, expected {expected}")
    return value


def _list(fields: dict[str, Any], name: str, file: str) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list) or not value:
        raise ContractError(f"{file}: {name} is {value!r}, expected a list that is not empty")
    return value
