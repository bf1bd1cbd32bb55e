"""Two nights of photos whose diseases are known, for `make demo-loop`: drawn by the project, or real ones of a data set."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from infra.local.errors import StackError
from infra.local.rendered_photos import LESIONS, RARE_LESIONS, render_night
from infra.local.settings import REPOSITORY
from screening.stages.intake import MANIFEST_COLUMNS, MANIFEST_NAME

_TRAINING_COMMAND = REPOSITORY / ".venv-training" / "bin" / "screening"
_CORPUS = "corpus.parquet"


@dataclass(frozen=True)
class LabelledNight:
    """A folder as a programme uploads it, and what each of its photos shows: file name → id of the disease."""

    folder: Path
    diseases: dict[str, str]


def drawn_nights(folder: Path, first: int, second: int) -> list[LabelledNight]:
    """Two nights of drawn photos, the same every time; each photo stands for a person of its own, who agrees to training."""
    nights = []
    for number, photos in enumerate((first, second)):
        of_night = _emptied(folder / f"night-{number}")
        diseases = render_night(of_night, photos, seed=100 + number, lesions=LESIONS + RARE_LESIONS)
        with (of_night / MANIFEST_NAME).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        with (of_night / MANIFEST_NAME).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            own = {"lesion_id": "lesion", "consent_training": "yes"}
            writer.writerows(row | own | {"patient_id": f"{number}-{row['file']}"} for row in rows)
        nights.append(LabelledNight(of_night, diseases))
    return nights


def nights_of_data_set(data_set: Path, folder: Path, first: int, second: int) -> list[LabelledNight]:
    """Two nights of a published data set's photos, of different people, each with a manifest that gives consent.

    Args:
        data_set: a folder in a layout that `screening corpus build` reads.
        folder: where the nights are put.
        first: photos of the first night, about: nobody's photos are cut apart.
        second: of the second.

    Raises:
        StackError: the data set cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(_TRAINING_COMMAND), "corpus", "build", str(data_set.absolute().parent)]
    command += ["--source", data_set.name, "--out", str(folder / _CORPUS), "--work", str(folder / "measured")]
    if subprocess.run(command, check=False).returncode != 0:
        raise StackError(f"{data_set} cannot be read as a data set; `screening corpus build` says why above")
    rows = pq.read_table(folder / _CORPUS).to_pylist()
    nights, of_people = [], _by_person(rows)
    for number, photos in enumerate((first, second)):
        taken: list[dict[str, Any]] = []
        while len(taken) < photos and (person := next(of_people, None)):
            taken += person
        nights.append(_write_night(taken, data_set.absolute().parent, _emptied(folder / f"night-{number}")))
    return nights


def _by_person(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The photos of one person after the other, in an order that has nothing to do with the data set's."""
    people: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: str(row["photo_id"])):
        people.setdefault(row["patient"], []).append(row)
    yield from people.values()


def _write_night(rows: list[dict[str, Any]], root: Path, folder: Path) -> LabelledNight:
    of_manifest: dict[str, Callable[[dict[str, Any]], object]] = {
        "patient_id": lambda row: row["patient"],
        "lesion_id": lambda row: row["lesion"],
        "captured_at": lambda row: row["captured_at_utc"] and row["captured_at_utc"].isoformat(),
        "consent_training": lambda _: "yes",
    }
    diseases = {}
    with (folder / MANIFEST_NAME).open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(MANIFEST_COLUMNS)
        for row in rows:
            name = Path(row["photo"]).name
            shutil.copyfile(root / row["photo"], folder / name)
            diseases[name] = str(row["disease"])
            facts = [of_manifest.get(column, lambda row, c=column: row[c])(row) for column in MANIFEST_COLUMNS[1:]]
            writer.writerow([name, *("" if fact is None else fact for fact in facts)])
    return LabelledNight(folder, diseases)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
