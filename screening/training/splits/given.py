"""A split that somebody else made, as a CSV file or as our table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from screening.contracts import Side
from screening.errors import ContractError, MissingError
from screening.training.splits.blurred import MEASURED_ON, QUALITY
from screening.training.splits.frozen import read_split

_SPELLINGS = {
    "train": Side.TRAIN,
    "training": Side.TRAIN,
    "val": Side.VALIDATION,
    "valid": Side.VALIDATION,
    "validation": Side.VALIDATION,
    "dev": Side.VALIDATION,
    "test": Side.TEST,
    "testing": Side.TEST,
    "left_out": Side.LEFT_OUT,
}


@dataclass(frozen=True)
class GivenSplit:
    """``side`` of each photo of the corpus, in its order, ``left_out`` where the file says nothing.

    A fold counts as a side of its own (``fold 3``). ``is_measured_on``: in validation, test, or its fold. ``faults``: what
    is wrong with the file, in plain words.
    """

    side: pd.Series
    is_measured_on: pd.Series
    faults: list[str]


def read_given_split(file: Path, corpus: pd.DataFrame) -> GivenSplit:
    """Read a table ``split`` (``.parquet``) or a CSV file with the columns ``photo`` or ``photo_id``, and ``side``.

    ``photo`` is a path as in the corpus, or the file's name where only one photo bears it.

    Raises:
        MissingError: there is no such file.
        ContractError: it has other columns, or a side that is no known word.
    """
    if not file.is_file():
        raise MissingError(f"{file} does not exist; expected a split, as CSV with photo and side, or as Parquet")
    named = _read_table(file) if file.suffix == ".parquet" else _read_csv(file)
    rows = _rows_by_name(corpus)
    side: list[str | None] = [None] * len(corpus)
    measured_on = [False] * len(corpus)
    faults = []
    for name, of_name, is_measured_on in named:
        row = rows.get(name)
        if row is None:
            faults.append(f"{name}: not in the corpus, or the name of several of its photos")
        elif side[row] not in (None, of_name):
            faults.append(f"{name}: stands on two sides, {side[row]} and {of_name}")
        else:
            side[row], measured_on[row] = of_name, is_measured_on
    if nowhere := [corpus["photo"].iloc[row] for row, of_row in enumerate(side) if of_row is None]:
        faults.append(f"{len(nowhere)} photos of the corpus have no side, the first is {nowhere[0]}")
    sides = [name or str(Side.LEFT_OUT) for name in side]
    return GivenSplit(pd.Series(sides, index=corpus.index), pd.Series(measured_on, index=corpus.index), faults)


def _read_table(file: Path) -> list[tuple[str, str, bool]]:
    """Photo, side, and whether it is measured on."""
    return [
        (row["photo_id"], row["side"], row["side"] in MEASURED_ON)
        if row["fold"] is None
        else (row["photo_id"], f"fold {row['fold']}", row["reason"] != QUALITY)
        for row in read_split(file).to_pylist()
    ]


def _read_csv(file: Path) -> list[tuple[str, str, bool]]:
    """As ``_read_table``."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            columns = reader.fieldnames or []
            name = next((column for column in ("photo_id", "photo") if column in columns), None)
            if name is None or "side" not in columns:
                raise ContractError(f"{file}: columns {', '.join(columns)}; expected photo or photo_id, and side")
            rows = [(row[name].strip(), row["side"].strip().lower()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ContractError(f"{file} cannot be read as CSV in UTF-8: {error}") from error
    if unknown := sorted({side for _, side in rows} - _SPELLINGS.keys()):
        raise ContractError(f"{file}: side {unknown[0]!r}; expected one of {', '.join(_SPELLINGS)}")
    return [(photo, str(of_photo := _SPELLINGS[side]), of_photo in MEASURED_ON) for photo, side in rows]


def _rows_by_name(corpus: pd.DataFrame) -> dict[str, int]:
    """Photo ids and paths, and file names that only one photo bears."""
    rows: dict[str, int] = {}
    files = [PurePosixPath(photo).name for photo in corpus["photo"]]
    once = pd.Series(files).value_counts()
    for row, (photo_id, photo, file) in enumerate(zip(corpus["photo_id"], corpus["photo"], files, strict=True)):
        rows |= {photo_id: row, photo: row}
        if once[file] == 1:
            rows.setdefault(file, row)
    return rows
