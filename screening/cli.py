"""The command `screening`: thin, over the tasks."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.local.errors import StackError
from screening.corpus_cli import app as corpus_app
from screening.cutoffs_cli import cutoffs_app
from screening.errors import (
    EXIT_RETRY,
    EXIT_STOP,
    EXIT_UNFORESEEN,
    MissingError,
    ModelServerUnavailableError,
    RetryError,
    ScreeningError,
    SettingsError,
)
from screening.evaluate_cli import evaluate
from screening.monitoring_cli import app as monitoring_app
from screening.quality_cli import app as quality_app
from screening.recipes_cli import app as recipes_app
from screening.release_cli import release_app
from screening.retrain_cli import app as retrain_app
from screening.review_cli import app as review_app
from screening.review_cli import withdraw
from screening.settings import ENV_FILE_VARIABLE, PREFIX, Settings, load_settings
from screening.shortcuts_cli import shortcuts

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__ and "Nightly screening of skin-lesion photos."
)
app.add_typer(quality_app, name="quality")
app.add_typer(corpus_app, name="corpus")
app.add_typer(recipes_app, name="recipes")
app.add_typer(retrain_app, name="retrain")
app.add_typer(monitoring_app, name="monitoring")
console = Console()
ENV_FILE, UPLOADS_ENV_FILE = Path(".local/screening.env"), Path(".local/uploads.env")
"""Written by `make up`: addresses and credentials of the local stack; only the second may write uploads."""
_of_local_stack: set[str] = set()
"""Variables that came from the file, not from the caller's environment."""
FOLDER_PROGRAMME = "folder"
"""Programme of the photos of `screening screen`, which come from no programme."""
_OWN_FOLDERS = ("tables", "runs", "reports")


def main() -> None:
    """Run the command; an error of ours is one line on stderr, without a traceback. Exit codes: ``screening/errors.py``."""
    try:
        app()
    except (ScreeningError, StackError) as error:
        print_error(error)
        sys.exit(EXIT_RETRY if isinstance(error, RetryError) else EXIT_STOP)
    except Exception:  # noqa: BLE001  # nobody foresaw it: the traceback is for whoever mends it
        traceback.print_exc()
        sys.exit(EXIT_UNFORESEEN)


def print_error(error: Exception) -> None:
    """Print an error of ours on stderr: one line, or more only where it quotes a part's log."""
    lines = str(error).splitlines() if isinstance(error, StackError) else [str(error)]
    text = "\n".join(map(_printable, lines))
    # Without soft_wrap a message is broken at 80 columns where stderr is a file.
    Console(stderr=True).print(
        f"{type(error).__name__}: {text}", style="bold red", markup=False, highlight=False, soft_wrap=True
    )


def _printable(text: str) -> str:
    """The text on one line that any terminal takes: a file's name may hold line breaks, and bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@app.callback()
def _configure(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="One log line per stage.")] = False,
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("screening").setLevel(logging.INFO if verbose else logging.WARNING)
    _read_env_file(UPLOADS_ENV_FILE if context.invoked_subcommand == "upload" else ENV_FILE)


def _read_env_file(default: Path) -> None:
    """Take KEY=value lines of the local stack for what the environment does not say itself."""
    named = os.environ.get(ENV_FILE_VARIABLE)
    file = Path(named) if named else default
    if named and not file.is_file():
        raise MissingError(f"{ENV_FILE_VARIABLE}: {file} does not exist")
    if file.is_file():
        for line in file.read_text().splitlines():
            name, found, value = line.partition("=")
            if found and not name.startswith("#") and name.strip() not in os.environ:
                os.environ[name.strip()] = value.strip()
                _of_local_stack.add(name.strip())


def _progress() -> Progress:
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _night(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"night {text!r}: expected a date as 2026-11-20") from error


Night = Annotated[str, typer.Option("--night", "--date", help="The night, as yyyy-mm-dd.")]


@app.command()
def upload(
    folder: Annotated[Path, typer.Argument(help="Folder of photos, with manifest.csv if there is one.")],
    programme: Annotated[str, typer.Option(help="Who uploads.")],
    night: Night,
) -> None:
    """Upload a folder of photos for a night; repeated, it sends only what is missing."""
    from screening.tasks import open_context
    from screening.tasks.upload import upload_folder

    with _progress() as progress:
        bar = progress.add_task("uploading", total=None)
        sent, there = upload_folder(
            folder,
            programme,
            _night(night),
            open_context(),
            lambda done, total: progress.update(bar, completed=done, total=total),
        )
    console.print(f"uploaded {sent}, already there {there}")


@app.command()
def night(
    night: Night,
    release: Annotated[
        str | None, typer.Option(help="Grade with it; otherwise with the night's own, or the one in use when it ended.")
    ] = None,
) -> None:
    """Run all tasks of a night in order on the configured stores, without Airflow."""
    from screening.tasks import open_context

    _run(_night(night), open_context(), release)


@app.command()
def screen(
    folder: Annotated[Path, typer.Argument(help="Folder of photos, with manifest.csv if there is one.")],
    out: Annotated[Path, typer.Option(help="Where tables, report and summary.json go.")],
    quality_mode: Annotated[str | None, typer.Option(help="enforce or observe.")] = None,
) -> None:
    """Screen a folder of photos: the night's stages without Airflow or S3."""
    from screening.edges import paths
    from screening.edges.folder_store import FolderStore
    from screening.edges.mounted_store import MountedStore
    from screening.tasks import NightContext
    from screening.tasks.quality_rules import load_quality_rules

    folder, out = folder.resolve(), out.resolve()
    if not folder.is_dir():
        raise MissingError(f"{folder} is not a folder; expected one with photos")
    if out.is_relative_to(folder):
        raise SettingsError(f"--out {out} lies inside {folder}: its files would be screened too")
    load_quality_rules(load_settings())  # a broken file is told before anything is replaced or started
    _make_room(out)
    settings = _settings_for_folder(out, quality_mode)
    today = datetime.now(UTC).date()
    uploads = MountedStore(FolderStore(folder), paths.upload(FOLDER_PROGRAMME, today, ""))
    with _triton(settings) as settings:
        started = time.monotonic()
        run_id, accounting = _run(today, NightContext(settings, uploads, FolderStore(out)))
        seconds = time.monotonic() - started
    release = json.loads((out / "runs" / run_id / "plan.json").read_text())["release"]
    summary = {
        **{name: getattr(accounting, name) for name in ("listed", "graded", "refused", "failed", "duplicate")},
        "per_grade": accounting.per_grade,
        "seconds": round(seconds, 2),
        "photos_per_second": round(accounting.listed / seconds, 2),
        "release": release,
        "night": today.isoformat(),
        "run_id": run_id,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    console.print(f"tables and report in {out}", highlight=False)


def _make_room(out: Path) -> None:
    """Replace an earlier screening in ``out``; refuse a folder that holds anything else."""
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not (out / "runs").is_dir():
        raise SettingsError(f"--out {out} is not empty and holds no earlier screening; expected a new folder")
    for name in _OWN_FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    (out / "summary.json").unlink(missing_ok=True)


def _settings_for_folder(out: Path, quality_mode: str | None) -> Settings:
    """Small batches, so that even a small folder keeps all cores busy, and a pseudonym key kept in ``out``.

    One thread for each process that prepares: a folder lets nobody wait.
    """
    overrides: dict[str, Any] = {"photos_per_batch": 32, "prepare_threads": 1}
    if quality_mode:
        overrides["quality_mode"] = quality_mode
    if PREFIX + "PSEUDONYM_KEY" not in os.environ:
        key_file = out / "pseudonym.key"
        if not key_file.is_file():
            with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_hex(32))
        overrides["pseudonym_key"] = key_file.read_text()
    return load_settings(**overrides)


@contextmanager
def _triton(settings: Settings) -> Iterator[Settings]:
    """The Triton of the settings or, where none is named and none answers, one of our own for as long as it is needed."""
    from screening.tasks.context import connect_model_server, servable_release

    release = servable_release(settings, settings.release)
    try:
        with connect_model_server(settings.model_copy(update={"triton_attempts": 1}), release) as server:
            server.canary()
    except (ModelServerUnavailableError, MissingError):
        # A Triton that somebody named must answer; that of the local stack may be stopped.
        if PREFIX + "TRITON_URL" in os.environ and PREFIX + "TRITON_URL" not in _of_local_stack:
            raise
    else:
        yield settings
        return
    from infra.local.triton import start_triton  # its packages belong to the local stack, not to every installation

    console.print("no Triton answers: starting one")
    with start_triton(Path(settings.model_repository), release.name) as ports:
        yield settings.model_copy(update={"triton_url": ports.url})


def _run(night: date, context: Any, release: str | None = None) -> Any:
    from screening.tasks import run_night

    progress = _progress()
    bars: dict[str, Any] = {}

    def show(task: str, done: int, total: int) -> None:
        progress.start()  # not before the night has forked: this starts a thread
        if task not in bars:
            for earlier in bars.values():
                progress.stop_task(earlier)
            bars[task] = progress.add_task(task, total=total or None)
        progress.update(bars[task], completed=done, total=total or None)

    try:
        run_id, accounting = run_night(night, context, release=release, on_progress=show)
    finally:
        progress.stop()
    print_accounting(accounting)
    return run_id, accounting


def print_accounting(accounting: Any) -> None:
    """The night in five numbers and three grades."""
    table = Table(box=None, pad_edge=False)
    for name in ("listed", "graded", "refused", "failed", "duplicate", *accounting.per_grade):
        table.add_column(name, justify="right")
    numbers = [accounting.listed, accounting.graded, accounting.refused, accounting.failed, accounting.duplicate]
    table.add_row(*map(str, [*numbers, *accounting.per_grade.values()]))
    console.print(table)


@app.command()
def grade(
    photos: Annotated[list[Path], typer.Argument(help="Photos to grade.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per photo and line.")] = False,
) -> None:
    """Say verdict, grade, advice and differential of a few photos."""
    from screening.tasks.context import connect_model_server, release_classes, servable_release
    from screening.tasks.grade_files import grade_files
    from screening.tasks.quality_rules import load_quality_rules

    load_quality_rules(load_settings())  # a broken file is told before Triton is started
    with _triton(load_settings()) as settings:
        release = servable_release(settings, settings.release)
        names = {disease.id: disease.name for disease in release_classes(settings, release).classes}
        with connect_model_server(settings, release) as server:
            for answer in grade_files(photos, settings, release, server):
                if as_json:
                    print(json.dumps(answer))
                else:
                    _print_answer(answer, names)


def _print_answer(answer: dict[str, Any], names: Mapping[str, str]) -> None:
    console.print()
    console.print(_printable(answer["photo"]), style="bold", markup=False, highlight=False, soft_wrap=True)
    verdict = answer["verdict"] + (
        f" ({', '.join(answer.get('issues') or [answer['reason']])})" if answer.get("reason") else ""
    )
    console.print(f"  quality   {verdict}")
    if answer.get("found"):
        console.print(f"  found     {answer['found']}", markup=False)
    if answer.get("advice"):
        console.print(f"  advice    {answer['advice']}")
    if answer["grade"] is None:
        console.print("  grade     not graded")
        return
    console.print(f"  grade     [bold]{answer['grade']}[/bold], most like {names[answer['disease']]}")
    for warning in answer["warnings"]:
        console.print(f"  warning   {warning}", style="yellow")
    console.print(f"  referral  {answer['referral']}")
    likeliest = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    for disease, probability in likeliest:
        mark = "•" if disease in answer["differential"] else " "
        console.print(f"   {mark} {probability:6.1%}  {names[disease]}", highlight=False)
    console.print(
        f"  release   {answer['release']}; • = in the differential. Not a diagnosis: a clinician decides.",
        highlight=False,
    )


@app.command()
def train(
    photos: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    weights_dir: Annotated[Path, typer.Option(help="Folder of ImageNet weights.")],
    work: Annotated[Path, typer.Option(help="Folder for the pixel cache, the frozen split and checkpoints.")],
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or path of a recipe file.")] = "first_ensemble",
    member: Annotated[list[str] | None, typer.Option(help="Only these members of the recipe, by name.")] = None,
    model_repository: Annotated[
        str, typer.Option(help="With the release that a recipe starts from.")
    ] = "model_repository",
) -> None:
    """Train the members of a recipe; killed, it resumes. `screening release build` freezes them. Needs .venv-training."""
    try:
        from screening.tasks.context import code_revision
        from screening.training.ensemble import fit_ensemble, prepare_training_set
        from screening.training.recipe import load_recipe
        from screening.training.start_weights import split_of_start
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed here; training runs as .venv-training/bin/screening train"
        ) from error
    loaded = load_recipe(recipe)
    known_by = split_of_start(loaded, model_repository)
    training_set = prepare_training_set(loaded, photos, weights_dir, work, known_by)
    fit_ensemble(loaded.only(member or []), training_set, weights_dir, work, code_revision(), model_repository)


app.command()(evaluate)
app.command()(shortcuts)
app.command()(withdraw)
app.add_typer(review_app, name="review")
app.add_typer(cutoffs_app(_triton), name="cutoffs")
app.add_typer(release_app(_triton), name="release")
