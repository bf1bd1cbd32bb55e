"""The command `screening recipes`: which training runs there are, and what each of their fields means."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import yaml
from pydantic import BaseModel
from rich.console import Console
from rich.table import Column, Table

from screening.training.recipe import EnsembleRecipe, load_recipe, recipe_names

app = typer.Typer(help="Recipes of training runs: which there are, what their fields mean.")
console = Console()


@app.callback(invoke_without_command=True)
def recipes(
    context: typer.Context,
    fields: Annotated[bool, typer.Option("--fields", help="Say what every field of a recipe means.")] = False,
) -> None:
    """List the recipes; `screening recipes show NAME` prints one in full."""
    if context.invoked_subcommand:
        return
    if fields:
        _print_fields(EnsembleRecipe, "")
        return
    # A name must be readable on a narrow terminal too: it is what one types.
    table = Table(Column("recipe", no_wrap=True), "what it is", box=None, pad_edge=False)
    for name in recipe_names():
        recipe = load_recipe(name)
        table.add_row(name, recipe.about)
    console.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of a recipe, or path of a recipe file.")]) -> None:
    """Print a recipe in full, defaults included, and which of its numbers the paper gives."""
    recipe = load_recipe(name).model_dump(mode="json")
    console.print(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100), markup=False, highlight=False)


def _print_fields(model: type[BaseModel], prefix: str) -> None:
    """One line per field, those of a part behind the part's name."""
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else f" (default {field.get_default(call_default_factory=True)!r})"
        console.print(f"[bold]{prefix}{name}[/bold]: ", end="")
        console.print(f"{field.description}{default}", markup=False, highlight=False, soft_wrap=True)
        for part in parts_of(field.annotation):
            label = f"{prefix}{name}({part.__name__})." if name == "augmentations" else f"{prefix}{name}."
            _print_fields(part, label)


def parts_of(annotation: Any) -> list[type[BaseModel]]:
    """The records that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in getattr(annotation, "__args__", ()) for part in parts_of(inner)]
