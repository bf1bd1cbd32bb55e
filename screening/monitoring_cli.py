"""The commands `screening monitoring …`: what a person says about changes that the monitoring found."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Changes of the photos over the nights.")
console = Console()


@app.callback()
def _commands() -> None:
    """Keep `accept` a command of its own: Typer drops the name of an only one."""


@app.command()
def accept(
    programme: Annotated[str, typer.Argument(help="The programme whose photos have changed.")],
    night: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The first night of the new normal.")],
    by: Annotated[str, typer.Option(help="Who says so.")],
    why: Annotated[str, typer.Option(help="Why the change is right, e.g. a new camera.")],
) -> None:
    """Accept that a programme's photos are rightly others from a night on: its charts and its drift begin anew."""
    from screening.tasks import open_context
    from screening.tasks.monitor import accept_level

    word = accept_level(programme, night.date(), by=by, why=why, context=open_context())
    console.print(
        f"{word.programme}: accepted from {word.night} on, by {word.recorded_by}", markup=False, soft_wrap=True
    )
