"""The report of `screening shortcuts`: shortcuts.json, shortcuts.md and one picture with examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from screening.training.shortcuts.drawings import DRAWINGS
from screening.training.shortcuts.measure import (
    DRAWN_INK,
    INK_FROM,
    ORIGINAL,
    WANTED_FLIPS,
    WANTED_MOVE,
    Answers,
    draw_on,
)

EXAMPLE_QUANTILE = 0.9
"""The photo shown for a drawing: nine of ten benign photos move less."""


@dataclass(frozen=True)
class Shortcuts:
    """All figures about one release on one side of the split."""

    release: str
    side: str
    drawings: pd.DataFrame
    aucs: pd.DataFrame
    confounders: pd.DataFrame

    def kept(self) -> list[dict[str, Any]]:
        """Per kind of photo, whether drawn ink stays within what is wanted, by the mean and by the size of its moves."""
        rows = self.drawings[(self.drawings["drawing"] == DRAWN_INK) & (self.drawings["photos"] == "benign")]
        verdicts = []
        for kind, of_kind in rows.groupby("kind"):
            value = of_kind.set_index("measure")["value"]
            verdicts.append(
                {
                    "kind": kind,
                    "move": float(value["move"]),
                    "size_of_move": float(value["size of move"]),
                    "flips": float(value["flips"]),
                    "is_move_kept": bool(abs(value["move"]) < WANTED_MOVE),
                    "is_size_of_move_kept": bool(value["size of move"] < WANTED_MOVE),
                    "is_flips_kept": bool(value["flips"] < WANTED_FLIPS),
                }
            )
        return verdicts


def write_report(shortcuts: Shortcuts, answers: Answers, pixels: np.ndarray, folder: Path) -> list[Path]:
    """Write the three files into the folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("shortcuts.json", "shortcuts.md", "shortcuts.png")]
    files[0].write_text(json.dumps(_as_json(shortcuts), indent=1, allow_nan=False) + "\n")
    files[1].write_text(as_markdown(shortcuts))
    draw_examples(answers, pixels, files[2])
    return files


def _as_json(shortcuts: Shortcuts) -> dict[str, Any]:
    return {
        "release": shortcuts.release,
        "side": shortcuts.side,
        "wanted": {"size_of_move_below": WANTED_MOVE, "flips_below": WANTED_FLIPS},
        "drawn_ink_on_benign": shortcuts.kept(),
        "drawings": _records(shortcuts.drawings),
        "aucs": _records(shortcuts.aucs),
        "confounders": _records(shortcuts.confounders),
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON: what is not a number is null."""
    return [
        {str(k): None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
        for row in table.to_dict("records")
    ]


def as_markdown(shortcuts: Shortcuts) -> str:
    """The figures as tables, one per kind of photo."""
    lines = [f"# Shortcuts of {shortcuts.release}, {shortcuts.side} photos", ""]
    lines += [
        (
            "Moves are of p_high_risk + p_dangerous. Brackets: 95 % intervals, bootstrap over patients. Photos with ink: "
            f"{INK_FROM:.1%} of the frame and more, as the quality filters find it. Of what is painted over, only photos "
            "with ink are counted."
        ),
        "",
        f"Wanted of drawn ink on benign photos: mean size of moves below {WANTED_MOVE}, flips below {WANTED_FLIPS:.0%}.",
        "",
    ]
    for verdict in shortcuts.kept():
        lines.append(
            f"- {verdict['kind']}: mean move {verdict['move']:+.3f} ({_kept(verdict['is_move_kept'])}), mean size "
            f"{verdict['size_of_move']:.3f} ({_kept(verdict['is_size_of_move_kept'])}), flips "
            f"{verdict['flips']:.1%} ({_kept(verdict['is_flips_kept'])})"
        )
    for kind, of_kind in shortcuts.drawings.groupby("kind"):
        lines += ["", f"## Drawings on {kind} photos", ""]
        lines += [
            "| drawing | benign | mean move | mean size | flips up | flips down | malignant | mean move | falls |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for drawing in of_kind["drawing"].unique():
            rows = of_kind[of_kind["drawing"] == drawing].set_index(["photos", "measure"])
            cells = [drawing]
            for group, measures in (
                ("benign", ("move", "size of move", "flips up", "flips down")),
                ("malignant", ("move", "flips down")),
            ):
                if (group, "move") not in rows.index:
                    cells += ["0", *("–" for _ in measures)]
                    continue
                cells.append(str(rows.loc[(group, "move"), "n"]))
                cells += [_cell(rows.loc[(group, m)], is_share="flips" in m) for m in measures]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Answers to the photos as they are", "", "| kind | photos | measure | n | value |"]
    lines.append("|---|---|---|---|---|")
    for row in _records(shortcuts.aucs):
        value = _cell(row, is_share=False, sign="")
        lines.append(f"| {row['kind']} | {row['photos']} | {row['measure']} | {row['n']} | {value} |")
    lines += [
        "",
        "## What ink and the kind of photo tell by themselves, whole corpus",
        "",
        "| kind | measure | n | value |",
    ]
    lines.append("|---|---|---|---|")
    for row in _records(shortcuts.confounders):
        value = _cell(row, is_share=row["measure"].startswith("malignant"), sign="")
        lines.append(f"| {row['kind']} | {row['measure']} | {row['n']} | {value} |")
    return "\n".join(lines) + "\n"


def _kept(is_kept: bool) -> str:
    return "kept" if is_kept else "NOT kept"


def _cell(row: Mapping[str, Any] | pd.Series, *, is_share: bool, sign: str = "+") -> str:
    value, low, high = (float("nan") if row[k] is None else float(row[k]) for k in ("value", "low", "high"))
    if not np.isfinite(value):
        return "–"
    if is_share:
        return f"{100 * value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
    if not np.isfinite(low):
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def draw_examples(answers: Answers, pixels: np.ndarray, file: Path) -> None:
    """One PNG: of each drawing a benign photo before and after, with both answers; a photo that moves more than most."""
    at_risk = {name: grades[:, 1:].sum(axis=1) for name, grades in answers.grades.items()}
    shown = [name for name in answers.grades if name != ORIGINAL and answers.changed[name].any()]
    across = 3
    down = -(-len(shown) // across)
    figure = Figure(figsize=(4.4 * across, 2.6 * down), layout="constrained")
    places = figure.subplots(down, 2 * across, squeeze=False)
    for place in places.ravel():
        place.set_axis_off()
    for i, name in enumerate(shown):
        moves = at_risk[name] - at_risk[ORIGINAL]
        benign = np.flatnonzero((answers.photos["truth"].to_numpy() == 0) & answers.changed[name])
        choice = benign if len(benign) else np.flatnonzero(answers.changed[name])
        order = choice[np.argsort(np.abs(moves[choice]), kind="stable")]
        photo = order[min(len(order) - 1, int(EXAMPLE_QUANTILE * len(order)))]
        row = int(answers.photos["row"].iloc[photo])
        before, after = places[i // across, 2 * (i % across)], places[i // across, 2 * (i % across) + 1]
        before.imshow(pixels[row])
        before.set_title(f"{answers.photos['kind'].iloc[photo]}: {at_risk[ORIGINAL][photo]:.2f}", fontsize=9)
        after.imshow(draw_on(np.array(pixels[row]), row, name, DRAWINGS[name]))
        after.set_title(f"{name}: {at_risk[name][photo]:.2f} ({moves[photo]:+.2f})", fontsize=9)
    figure.suptitle(
        f"p_high_risk + p_dangerous of benign photos that move more than {EXAMPLE_QUANTILE:.0%} do", fontsize=10
    )
    figure.savefig(file, dpi=90)
