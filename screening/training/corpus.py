"""Read labelled photo folders into one corpus table.

Each folder is ``<root>/<source>/labels.csv`` beside ``<root>/<source>/images/``. The table has one row per photo:
``photo`` (path), ``label`` (class index), ``source``, ``kind`` (clinical or dermoscopic), ``patient`` and ``lesion``
(prefixed by source, never null), ``has_other_view_in`` (a source that may hold the same lesion under an unknown id).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from screening.errors import ContractError, MissingError
from screening.taxonomy import TrainingClasses

CLINICAL = "clinical"
DERMOSCOPIC = "dermoscopic"


@dataclass(frozen=True)
class SourceLayout:
    """How one data set's labels.csv is read."""

    kind: str
    label_column: str = "label"
    finer_label_column: str | None = None
    patient_column: str | None = None
    lesion_column: str | None = None


LAYOUTS = {
    # PAD-UFES-20 (Pacheco et al. 2020): smartphone photos, several lesions a patient.
    "pad_ufes": SourceLayout(CLINICAL, patient_column="patient_id", lesion_column="lesion_id"),
    # HAM10000 (Tschandl et al. 2018); the ISIC archive's finer diagnosis tells squamous cell carcinoma from keratosis.
    "ham10000": SourceLayout(DERMOSCOPIC, finer_label_column="isic_diag9", lesion_column="lesion_id"),
    # A selection of the ISIC archive in nine folders.
    "isic9": SourceLayout(DERMOSCOPIC),
}


def read_corpus(root: Path, sources: list[str], classes: TrainingClasses) -> pd.DataFrame:
    """Read the named sources below ``root`` into one corpus table.

    Raises:
        MissingError: a source, its labels.csv or one of its photos does not exist.
        ContractError: the source has no known layout, or a label is unknown to the taxonomy or in no class.
    """
    return pd.concat([_read_source(root / name, name, classes) for name in sources], ignore_index=True)


def _read_source(folder: Path, name: str, classes: TrainingClasses) -> pd.DataFrame:
    if name not in LAYOUTS:
        raise ContractError(f"source {name!r} has no layout; known are {', '.join(LAYOUTS)}")
    layout = LAYOUTS[name]
    if not (folder / "labels.csv").is_file():
        raise MissingError(f"{folder / 'labels.csv'} does not exist; expected one row per photo")
    rows = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    label = rows[layout.label_column]
    if layout.finer_label_column:
        finer = rows[layout.finer_label_column]
        label = finer.where(finer != "", label)
    photos = [folder / "images" / file for file in rows["file"]]
    if missing := [p.name for p in photos if not p.is_file()]:
        raise MissingError(f"{name}: {len(missing)} photos of labels.csv are missing, the first is {missing[0]}")
    own_id = pd.Series([f"{name}/{p.stem}" for p in photos])
    lesion = _ids(rows, layout.lesion_column, name, own_id)
    return pd.DataFrame(
        {
            "photo": [str(p) for p in photos],
            "label": [classes.class_of_label(text) for text in label],
            "source": name,
            "kind": layout.kind,
            "patient": _ids(rows, layout.patient_column, name, lesion),
            "lesion": lesion,
            "has_other_view_in": ["ham10000" if v == "True" else "" for v in rows["in_ham10000"]]
            if "in_ham10000" in rows
            else "",
        }
    )


def _ids(rows: pd.DataFrame, column: str | None, source: str, otherwise: pd.Series) -> pd.Series:
    """The ids of a column, prefixed by source; where the source names nobody, ``otherwise``: the nameless are not one."""
    if column is None:
        return otherwise
    return (source + "/" + rows[column]).where(rows[column] != "", otherwise)
