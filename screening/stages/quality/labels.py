"""What people said of photos, from the CSV file that cut-offs are fitted to."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from screening.cutoffs import FILTERS
from screening.errors import ContractError

VERDICT = "verdict"
WORDS: Mapping[str, tuple[str, ...]] = {VERDICT: ("usable", "refused")} | dict.fromkeys(
    FILTERS, ("none", "some", "much")
)
"""What each column may say. ``some`` should be flagged, ``much`` should be refused; empty is not rated."""
_SAID_AT_ONCE = 20


@dataclass(frozen=True)
class Label:
    """One rated photo; ``group`` holds photos of one lesion or person together, ``ratings`` has what was rated."""

    file: str
    group: str
    ratings: Mapping[str, str]


def read_labels(text: str, name: str, is_there: Callable[[str], bool]) -> list[Label]:
    """Every photo that was rated at all.

    Args:
        text: CSV with the columns ``file``, perhaps ``group``, and either ``verdict`` or some of ``FILTERS``.
        name: of the file, for messages.
        is_there: whether there is a photo of that name.

    Raises:
        ContractError: the columns or lines break that; what is wrong is said at once, the first 20 of it.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        columns = list(reader.fieldnames or ())
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise ContractError(f"labels {name}: line {reader.line_num} is no CSV: {error}") from error
    # Lines are read only under columns that can be trusted.
    problems = list(_wrong_columns(columns)) or list(_wrong_lines(lines, is_there))
    if problems:
        more = [f"and {len(problems) - _SAID_AT_ONCE} more"] if len(problems) > _SAID_AT_ONCE else []
        raise ContractError(f"labels {name}: {'; '.join(problems[:_SAID_AT_ONCE] + more)}")
    labels = [
        Label(line["file"], line.get("group") or line["file"], {c: line[c] for c in WORDS if line.get(c)})
        for _, line in lines
    ]
    return [label for label in labels if label.ratings]


def _wrong_columns(columns: list[str]) -> Iterator[str]:
    rated = [column for column in columns if column in WORDS]
    if "file" not in columns:
        yield "column file is missing"
    if not rated:
        yield f"no column is rated, expected verdict or some of {', '.join(FILTERS)}"
    if VERDICT in rated and len(rated) > 1:
        yield f"verdict stands beside {', '.join(c for c in rated if c != VERDICT)}, expected either"
    for column in dict.fromkeys(columns):
        if columns.count(column) > 1:
            yield f"column {column} stands {columns.count(column)} times"
        if column not in ("file", "group", *WORDS):
            yield f"column {column!r} is unknown, expected file, group, verdict, {', '.join(FILTERS)}"


def _wrong_lines(lines: list[tuple[int, dict[str, str]]], is_there: Callable[[str], bool]) -> Iterator[str]:
    first: dict[str, int] = {}
    for number, line in lines:
        if None in line or None in line.values():
            yield f"line {number} has another number of cells than the header"
            continue
        file = line["file"]
        if file in first:
            yield f"line {number}: {file!r} stands in line {first[file]} already"
        elif not file or not is_there(file):
            yield f"line {number}: there is no photo {file!r}"
        first.setdefault(file, number)
        for column, words in WORDS.items():
            if line.get(column) and line[column] not in words:
                yield f"line {number}: {column} is {line[column]!r}, expected {', '.join(words)} or nothing"
