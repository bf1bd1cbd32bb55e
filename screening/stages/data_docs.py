"""Turn the site of Great Expectations into pages that ask no other host."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class Suite:
    """What became of the expectations on one table."""

    table: str
    rows: int
    checked: int
    faults: list[str]
    warnings: list[str]


def write_data_docs(site: Path, suites: Sequence[Suite], folder: Path, night: date) -> None:
    """Later."""
    shutil.copytree(site, folder, dirs_exist_ok=True)
