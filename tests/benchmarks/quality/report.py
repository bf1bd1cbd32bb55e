"""The tables on the terminal, and the same as Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.quality.figures import Figure, in_words

_HEAD = ("what", "value", "95 %", "counts", "wanted", "")
Tables = dict[str, list[Figure]]


def print_tables(tables: Tables, console: Console) -> None:
    """One table per group; what was missed is red."""
    for title, figures in tables.items():
        table = Table(*_HEAD, title=title, title_justify="left")
        for figure in figures:
            table.add_row(*_cells(figure), style="red" if figure.is_reached is False else None)
        console.print(table)


def write_tables(tables: Tables, folder: Path, about: str) -> None:
    """Write ``quality.md`` and ``quality.json``; ``about`` says what was run."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# Quality filters\n\n{about}\n"]
    for title, figures in tables.items():
        lines += [f"\n## {title}\n", f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|"]
        lines += [f"| {' | '.join(_cells(figure))} |" for figure in figures]
    (folder / "quality.md").write_text("\n".join(lines) + "\n")
    everything = {"about": about, "tables": {t: [asdict(f) for f in figures] for t, figures in tables.items()}}
    (folder / "quality.json").write_text(json.dumps(everything, indent=1) + "\n")


def _cells(figure: Figure) -> tuple[str, ...]:
    estimate, unit = figure.estimate, figure.unit
    reached = {None: "", True: "reached", False: "missed"}[figure.is_reached]
    interval = f"{in_words(estimate.low, unit)} to {in_words(estimate.high, unit)}"
    return figure.what, in_words(estimate.value, unit), interval, estimate.counts, figure.wanted, reached
