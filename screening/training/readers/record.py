"""What every reader makes of a photo's line, and the small parts that readers share."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.errors import ContractError, MissingError

PHOTO_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".heic"})
"""Files with these endings are taken for photos where a layout names none; what cannot be decoded is said later."""


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo as its source describes it; ids are the source's own, empty where it names none."""

    file: Path
    label: str
    """As the source spells it."""
    where: str
    """File and line, or folder, of the label: for messages."""
    kind: PhotoKind
    strength: LabelStrength
    names: tuple[str, ...] = ()
    """What the taxonomy may know the label by, the first that it knows counts; empty: as it is spelt."""
    patient: str = ""
    lesion: str = ""
    source: str | None = None
    """Only of a corpus table, whose photos keep their first source and the ids that it prefixed."""
    has_other_view_in: str = ""
    captured_at_utc: datetime | None = None
    age_years: int | None = None
    sex: str | None = None
    fitzpatrick: int | None = None
    skin_group: str | None = None
    body_site: str | None = None
    licence: str | None = None
    quality_verdict: str | None = None
    quality_issues: list[str] | None = None
    quality_reason: str | None = None


@dataclass(frozen=True)
class Reading:
    """What a reader found: ``photos`` in the order of the source, ``not_used`` the names of others by why."""

    photos: list[LabelledPhoto]
    not_used: dict[str, list[str]]


@dataclass(frozen=True)
class Row:
    """One line of a CSV file; ``get`` gives the text of a column, empty where the file has no such column."""

    values: dict[str, str]
    where: str

    def get(self, column: str) -> str:
        text = self.values.get(column, "").strip()
        return "" if text.lower() in ("nan", "na", "none", "null", "unknown") else text

    def number(self, column: str, low: int, high: int) -> int | None:
        """A whole number, written as 65 or 65.0; None where there is none.

        Raises:
            ContractError: it is no number, or outside the range.
        """
        text = self.get(column)
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ContractError(
                f"{self.where}: {column} is {text!r}, expected a number from {low} to {high} or nothing"
            )
        return int(number)

    def word(self, column: str, words: Iterable[str]) -> str | None:
        """The text in small letters if it is one of the words, else None: sources say `unknown` in many ways."""
        text = self.get(column).lower()
        return text if text in words else None

    def site(self, column: str) -> str | None:
        return self.get(column).lower() or None


def read_rows(file: Path, needed: Iterable[str]) -> list[Row]:
    """The lines of a CSV file.

    Raises:
        MissingError: there is no such file.
        ContractError: it is no CSV in UTF-8, lacks a column, or has no line.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            columns = reader.fieldnames or []
            if missing := [column for column in needed if column not in columns]:
                raise ContractError(
                    f"{file}: no column {', '.join(missing)}; found {', '.join(columns) or 'an empty file'}: "
                    "is it the data set that was named, as it was published?"
                )
            rows = [
                Row(
                    {name: value for name, value in values.items() if isinstance(name, str)},
                    f"{file}:{reader.line_num}",
                )
                for values in reader
            ]
    except FileNotFoundError as error:
        raise MissingError(f"{file} does not exist; expected one row per photo") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ContractError(f"{file} cannot be read as CSV in UTF-8: {error}") from error
    if not rows:
        raise ContractError(f"{file} has no row; expected one per photo")
    return rows


def photo_finder(folder: Path) -> Callable[[str], Path]:
    """A function from a file's name, with or without its ending, to the photo below the folder.

    A photo that is nowhere gets the path that it should have had: who reads the bytes says so, for all at once.

    Raises:
        ContractError: by the function, when two photos have the name.
    """
    found: dict[str, list[Path]] = {}
    for file in photos_below(folder):
        found.setdefault(file.name.lower(), []).append(file)
        found.setdefault(file.stem.lower(), []).append(file)

    def find(name: str) -> Path:
        files = found.get(Path(name).name.lower(), [])
        if len(files) > 1:
            raise ContractError(f"{name!r} is the name of {files[0]} and of {files[1]}; leave one of them in {folder}")
        return files[0] if files else folder / name

    return find


def photos_below(folder: Path) -> list[Path]:
    """Files that look like photos, in the order of their paths; masks of lesions (``…mask.png``) are none."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in PHOTO_ENDINGS
        and not file.stem.lower().endswith("mask")
        and "masks" not in {part.lower() for part in file.relative_to(folder).parts[:-1]}
    )
