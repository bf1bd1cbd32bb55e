"""The commands `screening quality …`: what the filters of photo quality do, and cut-offs of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from screening.errors import MissingError, SettingsError
from screening.settings import load_settings

if TYPE_CHECKING:
    from screening.stages.quality.fit import Fit

app = typer.Typer(no_args_is_help=True, help="Photo quality: cut-offs of one's own.")
console = Console()


@app.command()
def fit(
    photos: Annotated[Path, typer.Option(help="Folder of the photos.")],
    labels: Annotated[
        Path, typer.Option(help="CSV: file, perhaps group, and verdict or columns such as blur and hair; see README.")
    ],
    out: Annotated[Path, typer.Option(help="File of cut-offs to write, for SCREENING_QUALITY_CUTOFFS.")],
    target_false_alarm: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Largest share of the photos that should pass, and are hit.")
    ] = 0.05,
    folds: Annotated[int, typer.Option(min=2, max=100, help="Parts of which each is kept out of a fit once.")] = 5,
    name: Annotated[str, typer.Option(help="Name of the cut-offs, part of their version.")] = "site",
) -> None:
    """Fit the quality cut-offs to photos that people rated; the figures are of photos kept out of the fit."""
    from screening.stages.quality.fit import fit_cutoffs
    from screening.stages.quality.site_cutoffs import NAME, NAME_RULE
    from screening.tasks.fit_quality import measure_rated, write_cutoffs

    if not NAME.fullmatch(name):
        raise SettingsError(f"--name {name!r}: expected {NAME_RULE}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("measuring", total=None)
        rated, unread = measure_rated(
            photos, labels, load_settings(), lambda done, total: progress.update(bar, completed=done, total=total)
        )
    fitted = fit_cutoffs(rated, name, target_false_alarm, folds)
    _print_fit(fitted)
    for file, reason in unread.items():
        _say(f"not read: {file!r}: {reason}")
    write_cutoffs(fitted, out, datetime.now(UTC).date())
    _say(f"{fitted.cutoffs.version} written to {out}")


@app.command()
def explain(
    photos: Annotated[list[Path], typer.Argument(help="Photos to look at.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("quality-pictures"),
) -> None:
    """Draw what the filters saw: lesion, skin, ink, hair, blur, and every number beside its cut-offs."""
    from screening.tasks.explain_quality import explain_quality

    for photo, found, picture in explain_quality(photos, out, load_settings()):
        if isinstance(found, str):
            _say(f"{photo.name}: not read: {found}")
        else:
            _say(f"{photo.name}: {found.verdict} {', '.join(found.issues)} -> {picture}")


@app.command()
def train(
    photos: Annotated[Path, typer.Option(help="Folder of the published data sets.")],
    weights_dir: Annotated[Path, typer.Option(help="Folder of ImageNet's weights.")],
    work: Annotated[Path, typer.Option(help="Folder for what is half done.")] = Path("work/quality"),
) -> None:
    """Train what the filters have learnt anew, in place. Needs .venv-training."""
    try:
        from screening.training.quality.train import train_filters
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed here; training runs as .venv-training/bin/screening quality train"
        ) from error
    for file in train_filters(photos, weights_dir, work):
        _say(f"{file} written")


def _print_fit(fitted: Fit) -> None:
    from screening.cutoffs import LINES, QualityCutoffs

    product = QualityCutoffs()
    if fitted.kept_out:
        table = Table("cut-off", box=None, pad_edge=False)
        for title in ("to hit", "sensitivity", "(same)", "to pass", "specificity", "(same)"):
            table.add_column(title, justify="right", no_wrap=True)
        for rule, kept_out in fitted.kept_out.items():
            same, hit, passed = fitted.same_photos[rule], kept_out.sensitivity, kept_out.specificity
            table.add_row(
                rule, str(hit.n), hit.text, f"{same.sensitivity.share:.0%}",
                str(passed.n), passed.text, f"{same.specificity.share:.0%}",
            )  # fmt: skip
        console.print(table)
        _say(f"On photos kept out of the fit ({fitted.folds} folds), with 95 % Wilson intervals.")
        _say("(same): on the photos of the fit themselves, which flatters.")
    for cutoff in LINES:
        was, now = getattr(product, cutoff), getattr(fitted.cutoffs, cutoff)
        if was != now:
            _say(f"changed: {cutoff} from {was:g} to {now:g}" + ("" if cutoff in fitted.kept_out else ", moved along"))
    for rule, reason in fitted.not_fitted.items():
        _say(f"not fitted: {rule}: {reason}")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
