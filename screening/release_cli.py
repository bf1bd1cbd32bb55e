"""The commands `screening release …`: freeze trained members, and check that a server answers as they did."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from screening.errors import MissingError
from screening.settings import Settings, load_settings

console = Console()


def release_app(open_triton: Callable[[Settings], AbstractContextManager[Settings]]) -> typer.Typer:
    """The commands; ``open_triton`` gives settings with a Triton that answers."""
    app = typer.Typer(no_args_is_help=True, help="Releases: build one, check one.")
    app.command()(build)

    @app.command()
    def check(name: Annotated[str | None, typer.Argument(help="As r0002; empty: the champion.")] = None) -> None:
        """Compare the weights with their hashes, and Triton's answers to the golden photos with torch's."""
        from screening.tasks.check_release import check_release
        from screening.tasks.context import connect_model_server, servable_release

        settings = load_settings() if name is None else load_settings(release=name)
        with open_triton(settings) as served:
            release = servable_release(served, served.release)
            with connect_model_server(served, release) as server:
                gaps = check_release(served, release, server)
        for member, gap in gaps.items():
            console.print(f"{member}: differs from torch by {gap:.1e} at most", highlight=False)

    return app


def build(
    name: Annotated[str, typer.Argument(help="As r0002.")],
    photos: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    weights_dir: Annotated[Path, typer.Option(help="Folder of ImageNet weights.")],
    work: Annotated[Path, typer.Option(help="Folder of the pixel cache, the frozen split and the trained members.")],
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or path of a recipe file.")] = "first_ensemble",
    model_repository: Annotated[Path, typer.Option(help="Where the release goes.")] = Path("model_repository"),
) -> None:
    """Freeze the members that `screening train` left in --work; one that is not finished is trained on. Needs .venv-training."""
    try:
        from screening.tasks.context import code_revision
        from screening.training.ensemble import fit_ensemble, prepare_training_set
        from screening.training.recipe import load_recipe
        from screening.training.release import build_release
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed here; releases are built by .venv-training/bin/screening release build"
        ) from error
    loaded = load_recipe(recipe)
    training_set = prepare_training_set(loaded, photos, weights_dir, work)
    members = fit_ensemble(loaded, training_set, weights_dir, work, code_revision())
    made_on = datetime.now(UTC).date()
    folder = build_release(name, loaded, training_set, members, model_repository, work, made_on)
    console.print(f"release {name} in {folder}", highlight=False)
