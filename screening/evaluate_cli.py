"""The command `screening evaluate`: how well a release, or any model's answers, do on photos kept out of training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from screening.errors import MissingError, SettingsError

console = Console()


def evaluate(  # noqa: PLR0913, PLR0917  # each is an option of the command
    out: Annotated[Path, typer.Option(help="Folder for evaluation.html, evaluation.json and scored_photos.parquet.")],
    photos: Annotated[Path | None, typer.Option(help="Folder with one folder per data set.")] = None,
    work: Annotated[Path | None, typer.Option(help="Work folder of the training, with its frozen split.")] = None,
    recipe: Annotated[str, typer.Option(help="Recipe of the training: names its data sets.")] = "first_ensemble",
    side: Annotated[str, typer.Option(help="Side of the split.")] = "test",
    release: Annotated[str | None, typer.Option(help="Release, as r0001; else the champion.")] = None,
    model_repository: Annotated[Path, typer.Option(help="Where releases are.")] = Path("model_repository"),
    scored: Annotated[
        Path | None, typer.Option(help="Instead of a release: a table (Parquet, CSV) of photos with answers.")
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="Another release (r0002), or another table, for the same photos.")
    ] = None,
    other: Annotated[
        list[str] | None, typer.Option(help="Another population, NAME=FOLDER of a data set, or NAME=TABLE.")
    ] = None,
    readers: Annotated[
        Path | None,
        typer.Option(help="CSV: reader, target (grade or disease), sensitivity, specificity, perhaps kind."),
    ] = None,
    readers_answers: Annotated[Path | None, typer.Option(help="CSV: reader, photo, and grade or disease.")] = None,
    weights_dir: Annotated[
        Path | None, typer.Option(help="Folder of ImageNet weights: with it, saliency from the checkpoints in --work.")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(help="MLflow's store, for training time against accuracy.")
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric of the runs in that table.")] = "auc",
    price_per_hour: Annotated[float | None, typer.Option(min=0, help="Of the training machine, any currency.")] = None,
    resamples: Annotated[int, typer.Option(min=100, max=10_000, help="Bootstrap resamples.")] = 1000,
    with_photos: Annotated[
        bool, typer.Option("--photos-in-report/--no-photos", help="Whether the report holds photos of patients.")
    ] = True,
) -> None:
    """Measure a release on photos kept out of training: one HTML report and a JSON. Needs .venv-training."""
    try:
        from screening.training.evaluation.whole_report import Request, write_report  # torch is slow to load
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed here; evaluation runs as .venv-training/bin/screening evaluate"
        ) from error
    if (scored is None) == (photos is None or work is None):
        raise SettingsError("evaluate: expected either --photos and --work, or --scored")
    request = Request(
        out=out,
        photos=photos,
        work=work,
        recipe=recipe,
        side=side,
        release=release,
        model_repository=model_repository,
        scored=scored,
        against=tuple(against or ()),
        others=tuple(_named(text) for text in other or ()),
        readers=readers,
        readers_answers=readers_answers,
        weights_dir=weights_dir,
        tracking_uri=tracking_uri,
        metric=metric,
        price_per_hour=price_per_hour,
        resamples=resamples,
        with_photos=with_photos,
    )
    for line in write_report(request, lambda step: console.print(step, markup=False, highlight=False)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise SettingsError(f"--other {text!r}: expected NAME=FOLDER")
    return name, Path(folder)
