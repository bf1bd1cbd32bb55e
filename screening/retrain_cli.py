"""The commands `screening retrain …`: the steps from labelled photos to a challenger that the gate has judged.

Each works on the folder of one run and may be run again. They need .venv-training.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from screening.errors import MissingError
from screening.settings import Settings, load_settings

if TYPE_CHECKING:
    from screening.training.ensemble import TrainingSet
    from screening.training.networks import Member
    from screening.training.retraining.run_folder import RunFolder

app = typer.Typer(no_args_is_help=True, help="Retraining, step by step. Needs .venv-training.")
console = Console()

RunId = Annotated[str, typer.Argument(help="Name of the run: its folder below SCREENING_TRAINING_FOLDER.")]


@app.command()
def snapshot(
    run_id: RunId,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or path of a recipe file.")] = "continue_champion",
    member: Annotated[list[str] | None, typer.Option(help="Only these members of the recipe, by name.")] = None,
    reason: Annotated[str, typer.Option(help="Why it is trained; stands on the comparison page.")] = "by hand",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep no snapshot: its labels stay new.")] = False,
) -> None:
    """Begin a run: fix its order, freeze the corpus, bring its photos."""
    settings, run = _open(run_id)
    from screening.edges.release import load_release
    from screening.tasks import open_context
    from screening.training.recipe import load_recipe
    from screening.training.retraining.run_folder import Order
    from screening.training.retraining.snapshot import take_snapshot

    if not run.has_order():
        whole = load_recipe(recipe)
        champion = load_release(settings.model_repository, None).name
        start = champion if whole.start_from == "champion" else whole.start_from
        today = datetime.now(UTC).date().isoformat()
        ordered = whole.only(member or [])
        run.write_order(Order(run_id, ordered, champion, start, today, reason, is_dry_run=dry_run))
    base = Path(settings.base_corpus) if settings.base_corpus else None
    table = take_snapshot(run, open_context(settings).results, base)
    _say(f"{table.num_rows} photos in {run.path}")


@app.command()
def check(run_id: RunId) -> None:
    """Find what must stay together, and what stands on two sides of the champion's split."""
    settings, run = _open(run_id)
    from screening.training.retraining.sides import check_leaks

    for line in check_leaks(run, _champions_split(settings, run), _weights(settings)).lines:
        _say(line)


@app.command()
def split(run_id: RunId) -> None:
    """Give every photo its side; those that were tested on before stay in the test."""
    settings, run = _open(run_id)
    from screening.training.retraining.sides import open_training_set, split_photos

    for line in split_photos(run, _champions_split(settings, run), _weights(settings)):
        _say(line)
    open_training_set(run)  # the pixels, once, before members read them


@app.command()
def fit(run_id: RunId, member: Annotated[int, typer.Option(help="Number of the member, from 0.")]) -> None:
    """Train one member; killed, it goes on to the same weights."""
    settings, run = _open(run_id)
    from screening.training.retraining.sides import open_training_set

    _fit(settings, run, member, open_training_set(run))


@app.command()
def assemble(run_id: RunId) -> None:
    """Calibrate, choose cut-offs and limits, export: a release under the next free name, in the run's folder."""
    settings, run = _open(run_id)
    from screening.training.retraining.assemble import assemble_release
    from screening.training.retraining.sides import open_training_set

    photos = open_training_set(run)
    members = [_fit(settings, run, number, photos) for number in range(len(run.order().recipe.members))]
    _say(f"release {assemble_release(run, photos, members, Path(settings.model_repository))} in {run.release}")


@app.command()
def evaluate(run_id: RunId) -> None:
    """Ask champion and challenger for the same test photos."""
    settings, run = _open(run_id)
    from screening.training.retraining.compare import compare_releases
    from screening.training.retraining.sides import open_training_set

    compare_releases(run, open_training_set(run), Path(settings.model_repository))
    _say(f"answers in {run.answers}")


@app.command()
def gate(run_id: RunId) -> None:
    """Judge the challenger; a refused one is no error. Writes gate.json and comparison.html, also to the results store."""
    settings, run = _open(run_id)
    from screening.tasks import open_context
    from screening.training.evaluation.gate_rules import load_gate_rules
    from screening.training.retraining.gate import pass_gate

    rules = load_gate_rules(Path(settings.gate_rules) if settings.gate_rules else None)
    _say(pass_gate(run, rules, open_context(settings).results).reason)


def _open(run_id: str) -> tuple[Settings, RunFolder]:
    if find_spec("torch") is None:
        raise MissingError("torch is not installed here; retraining runs as .venv-training/bin/screening retrain")
    from screening.training.retraining.run_folder import RunFolder

    settings = load_settings()
    return settings, RunFolder.named(Path(settings.training_folder), run_id)


def _fit(settings: Settings, run: RunFolder, number: int, photos: TrainingSet) -> Member:
    from screening.tasks.context import code_revision
    from screening.training.retraining.members import fit_member_of_run

    return fit_member_of_run(run, number, photos, settings.model_repository, _weights(settings), code_revision())


def _champions_split(settings: Settings, run: RunFolder) -> Path:
    from screening.edges.release import load_release, split_file

    release = load_release(settings.model_repository, run.order().champion)
    return split_file(settings.model_repository, release)


def _weights(settings: Settings) -> Path:
    return Path(settings.training_folder) / "weights"


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
