"""What every task of a night needs: settings, stores, and the plan that `open_night` wrote."""

from __future__ import annotations

import functools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path

from screening import __version__
from screening.contracts import RiskGrade
from screening.cutoffs import AnswerLimits, GradeCutoffs, PredictionSets, QualityCutoffs
from screening.edges import paths
from screening.edges.model_server import ModelServer
from screening.edges.release import Release, load_release, taxonomy_file
from screening.edges.store import Store, open_store
from screening.edges.yaml_file import read_mapping
from screening.errors import ContractError, MissingError, SettingsError
from screening.settings import Settings, load_settings
from screening.stages.grade_cutoffs import release_grade_cutoffs, site_grade_cutoffs
from screening.stages.grading import OTHERS
from screening.stages.pixels import model_input_version
from screening.taxonomy import TrainingClasses, load_taxonomy


@dataclass(frozen=True)
class Plan:
    """What a run of a night does, fixed when it opens; every later task reads it. ``batch_sizes``: photos of each batch."""

    run_id: str
    night: date
    batch_sizes: list[int]
    release: str
    code_revision: str
    claimed_at_utc: datetime
    quality_cutoffs: QualityCutoffs
    grade_cutoffs: GradeCutoffs
    shadow: str | None = None
    """A release that answers beside, and grades nobody."""
    earlier_code_revision: str | None = None
    """Of the code that opened the night first, where that was another."""

    @property
    def photos(self) -> int:
        return sum(self.batch_sizes)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), default=lambda moment: moment.isoformat(), indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Plan:
        """Read a plan.

        Raises:
            ContractError: code that knows other quality cut-offs, or none of the grades, wrote it.
        """
        plan = json.loads(text)
        night, claimed = date.fromisoformat(plan.pop("night")), datetime.fromisoformat(plan.pop("claimed_at_utc"))
        numbers = plan.pop("quality_cutoffs", {})
        if set(numbers) != {field.name for field in fields(QualityCutoffs)}:
            raise ContractError(
                f"plan of {plan['run_id']}: its quality cut-offs are not this code's; open the night again"
            )
        grading = plan.pop("grade_cutoffs", None)
        if grading is None:
            raise ContractError(f"plan of {plan['run_id']}: it has no grade cut-offs; open the night again")
        return cls(
            night=night,
            claimed_at_utc=claimed,
            quality_cutoffs=QualityCutoffs(**numbers),
            grade_cutoffs=GradeCutoffs(**grading),
            **plan,
        )


@dataclass(frozen=True)
class NightContext:
    """Settings and the two stores; a store's client is safe to share between threads."""

    settings: Settings
    uploads: Store
    results: Store

    def plan(self, run_id: str) -> Plan:
        return Plan.from_json(self.results.get(paths.run_plan(run_id)))

    def release(self, name: str | None) -> Release:
        return servable_release(self.settings, name)

    def classes(self, release: Release) -> TrainingClasses:
        return release_classes(self.settings, release)

    def model_server(self, release: Release, *, with_heat_maps: bool = False) -> ModelServer:
        return connect_model_server(self.settings, release, with_heat_maps=with_heat_maps)

    @contextmanager
    def timed(self, run_id: str, task: str, batch: int | None = None, photos: int = 0) -> Iterator[None]:
        """Write how long a task took, for the report and the benchmarks."""
        started, clock, cpu = datetime.now(UTC), time.monotonic(), time.process_time()
        yield
        line = {
            "task": task,
            "batch": batch,
            "photos": photos,
            "started_at_utc": started.isoformat(),
            "seconds": round(time.monotonic() - clock, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
        }
        self.results.put(paths.timing(run_id, task, batch), json.dumps(line).encode())


def servable_release(settings: Settings, name: str | None) -> Release:
    """The named release, or the champion, if this code can serve it.

    Raises:
        MissingError: there is no such release, or it has no taxonomy.
        ContractError: its taxonomy is not the one that it was frozen with, or lacks its classes; or it was trained on other
            model input than this code makes.
    """
    release = load_release(settings.model_repository, name)
    known = release_classes(settings, release)
    if OTHERS in known.class_ids and known.grades[known.class_ids.index(OTHERS)] == RiskGrade.LOW_RISK:
        raise ContractError(f"release {release.name}: {OTHERS!r} is low risk, expected a grade that sends to a person")
    own_input = model_input_version(release.input_shape[0])
    if release.model_input != own_input:
        raise ContractError(
            f"release {release.name}: made for pixels {release.model_input}, this code makes {own_input}"
        )
    return release


def release_classes(settings: Settings, release: Release) -> TrainingClasses:
    """What the release's members answer, in the tree of diseases that it was frozen with.

    Raises:
        MissingError: the release has no taxonomy.
        ContractError: the taxonomy is not the one that it was frozen with, or lacks its classes.
    """
    taxonomy = load_taxonomy(taxonomy_file(settings.model_repository, release))
    if taxonomy.version != release.taxonomy_version:
        raise ContractError(
            f"release {release.name}: its taxonomy.yaml is {taxonomy.version}, expected {release.taxonomy_version}; "
            "restore the file that the release was made with"
        )
    return TrainingClasses(taxonomy, release.classes)


def connect_model_server(settings: Settings, release: Release, *, with_heat_maps: bool = False) -> ModelServer:
    """A client of the configured Triton for a release; nothing is sent before it is used."""
    return ModelServer(
        settings.triton_url,
        release,
        timeout_s=settings.triton_timeout_s,
        attempts=settings.triton_attempts,
        in_flight=settings.triton_in_flight,
        batch_photos=settings.triton_batch_photos,
        with_heat_maps=with_heat_maps,
    )


def open_context(settings: Settings | None = None) -> NightContext:
    """Settings from the environment and the stores that they name."""
    settings = settings or load_settings()

    def store(url: str) -> Store:
        return open_store(
            url,
            endpoint=settings.s3_endpoint,
            attempts=settings.s3_attempts,
            timeout_s=settings.s3_timeout_s,
            connections=settings.s3_connections,
        )

    return NightContext(settings, store(settings.uploads), store(settings.results))


def grade_cutoffs(settings: Settings, release: Release) -> GradeCutoffs:
    """The site's own cut-offs, or those that the release was frozen with.

    Raises:
        SettingsError: the setting names no file that can be read.
        ContractError: the file or the release's cut-offs break their rules, or the file was fitted to another release.
    """
    of_release = release_grade_cutoffs(release.cutoffs, release.name)
    file = settings.grade_cutoffs
    if file is None:
        return of_release
    try:
        return site_grade_cutoffs(read_mapping(Path(file)), file, release.name, of_release)
    except MissingError as error:
        raise SettingsError(f"SCREENING_GRADE_CUTOFFS: {error}") from error


def answer_limits(release: Release) -> AnswerLimits:
    """What the release knows of the limits of its answers."""
    sets = release.prediction_sets
    return AnswerLimits(release.outlier_cutoff, PredictionSets(**sets) if sets else None)


def run_id_of(night: date) -> str:
    """A night has one run folder: run again, it writes the same objects again."""
    return f"night-{night.isoformat()}"


@functools.cache
def code_revision() -> str:
    """The commit of a checkout, marked when files differ from it; the package's version where there is no checkout."""
    here = Path(__file__).parent
    run: Callable[..., subprocess.CompletedProcess[str]] = functools.partial(
        subprocess.run, cwd=here, capture_output=True, text=True, check=False
    )
    try:
        commit = run(["git", "rev-parse", "--short=12", "HEAD"])
        if commit.returncode == 0:
            changed = run(
                ["git", "status", "--porcelain", "--untracked-files=no", "--", str(here.parent)]
            ).stdout.strip()
            return f"{__version__}+{commit.stdout.strip()}{'.changed' if changed else ''}"
    except OSError:  # no git on this machine
        pass
    return __version__
