"""The commands `screening cutoffs …`: grade cut-offs of a site's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from screening.errors import SettingsError
from screening.settings import Settings, load_settings

if TYPE_CHECKING:
    from screening.stages.grade_cutoffs_fit import GradeFit

console = Console()


def cutoffs_app(open_triton: Callable[[Settings], AbstractContextManager[Settings]]) -> typer.Typer:
    """The commands; ``open_triton`` gives settings with a Triton that answers."""
    app = typer.Typer(no_args_is_help=True, help="Grade cut-offs of a site's own.")

    @app.callback()
    def _commands() -> None:
        """Keep `fit` a command of its own: Typer drops the name of an only one."""

    @app.command()
    def fit(  # one option each
        photos: Annotated[Path, typer.Option(help="Folder of the photos.")],
        labels: Annotated[Path, typer.Option(help="CSV: file, grade (low_risk, high_risk, dangerous), perhaps group.")],
        out: Annotated[Path, typer.Option(help="File to write, for SCREENING_GRADE_CUTOFFS.")],
        name: Annotated[str, typer.Option(help="Whose cut-offs; stands in every row of grades.")],
        sensitivity: Annotated[float | None, typer.Option(help="Share to be caught; empty: Youden's index.")] = None,
        folds: Annotated[int, typer.Option(min=2, help="Parts, each kept out of a choice in turn.")] = 5,
    ) -> None:
        """Choose the cut-offs of the grades on a site's own photos, and say how they do on photos kept out."""
        from screening.stages.grade_cutoffs_fit import fit_grade_cutoffs
        from screening.stages.quality.site_cutoffs import NAME, NAME_RULE
        from screening.tasks.context import connect_model_server, servable_release
        from screening.tasks.fit_grade_cutoffs import read_labels_file, score_labelled, write_grade_cutoffs

        if sensitivity is not None and not 0 < sensitivity < 1:
            raise SettingsError(f"--sensitivity {sensitivity}: expected a number over 0 and under 1")
        if not NAME.fullmatch(name):
            raise SettingsError(f"--name {name!r}: expected {NAME_RULE}")
        labelled = read_labels_file(photos, labels)
        with open_triton(load_settings()) as settings:
            release = servable_release(settings, settings.release)
            with connect_model_server(settings, release) as server:
                scored, without = score_labelled(photos, labelled, settings, release, server)
        for file, why in without.items():
            _say(f"not scored: {file!r}: {why}")
        fitted = fit_grade_cutoffs(scored, sensitivity, folds)
        _print_fit(fitted)
        version = write_grade_cutoffs(fitted, name, release, out, datetime.now(UTC).date())
        _say(f"{version} written to {out}")

    return app


def _print_fit(fitted: GradeFit) -> None:
    table = Table("cut-off", box=None, pad_edge=False)
    for title in ("at", "to catch", "sensitivity", "(same)", "to pass", "specificity", "(same)"):
        table.add_column(title, justify="right", no_wrap=True)
    for line, found in fitted.kept_out.items():
        same, caught, passed = fitted.same_photos[line], found.sensitivity, found.specificity
        table.add_row(
            line, f"{fitted.cutoffs[line]:g}", str(caught.n), caught.text, f"{same.sensitivity.share:.0%}",
            str(passed.n), passed.text, f"{same.specificity.share:.0%}",
        )  # fmt: skip
    if fitted.kept_out:
        console.print(table)
        _say(f"On photos kept out of the choice ({fitted.folds} folds), with 95 % Wilson intervals.")
    for line, reason in fitted.not_fitted.items():
        _say(f"not chosen: {line}: {reason}")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
