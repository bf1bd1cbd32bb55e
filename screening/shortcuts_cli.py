"""The command `screening shortcuts`: does a release's answer follow the lesion, or ink, hair, rulers and borders?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from screening.errors import MissingError


def shortcuts(  # noqa: PLR0913, PLR0917 — the options of a command
    photos: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    weights_dir: Annotated[Path, typer.Option(help="Folder of ImageNet weights, for a split that is not frozen yet.")],
    work: Annotated[Path, typer.Option(help="Folder with the pixel cache and the frozen split of the training.")],
    out: Annotated[Path, typer.Option(help="Folder for shortcuts.json, shortcuts.md and shortcuts.png.")],
    release: Annotated[str | None, typer.Option(help="Release to measure, as r0001; otherwise the champion.")] = None,
    model_repository: Annotated[Path, typer.Option(help="Where the release is.")] = Path("model_repository"),
    recipe: Annotated[str, typer.Option(help="Recipe whose sources and split are used.")] = "first_ensemble",
    side: Annotated[
        Literal["validation", "test"], typer.Option(help="Which kept-out photos; test only for a final line.")
    ] = "validation",
) -> None:
    """Draw ink, hair, rulers, borders … on kept-out photos and measure how the grade follows. Needs .venv-training."""
    # Here and not at the top: torch loads only for this command, and is not in every environment.
    from screening.edges.release import load_release, split_file

    try:
        from screening.training.ensemble import prepare_training_set
        from screening.training.recipe import load_recipe
        from screening.training.shortcuts.run import measure_shortcuts
        from screening.training.splits import ReleaseSplit
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed here; it runs as .venv-training/bin/screening shortcuts"
        ) from error
    console = Console()
    measured = load_release(str(model_repository), release)
    known_by = ReleaseSplit(measured.name, split_file(str(model_repository), measured))
    training_set = prepare_training_set(load_recipe(recipe), photos, weights_dir, work, known_by)
    for file in measure_shortcuts(measured, model_repository, training_set, side, out):
        console.print(f"{file} written", markup=False, highlight=False, soft_wrap=True)
