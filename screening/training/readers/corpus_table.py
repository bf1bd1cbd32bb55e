"""The project's own corpus: a table ``corpus.parquet`` above its photos."""

from __future__ import annotations

from pathlib import Path

from screening.contracts import CORPUS, LabelStrength, PhotoKind
from screening.edges.folder_store import FolderStore
from screening.edges.tables import read_table
from screening.training.readers.record import LabelledPhoto, Reading

TABLE = "corpus.parquet"


def read(folder: Path) -> Reading:
    """Read a corpus that was built before; its photos keep their sources.

    Raises:
        MissingObjectError: there is no table.
        ContractError: the table breaks its contract.
    """
    rows = read_table(FolderStore(folder), TABLE, CORPUS).to_pylist()
    return Reading([_photo(folder, row) for row in rows], {})


def _photo(folder: Path, row: dict[str, object]) -> LabelledPhoto:
    same = (
        "has_other_view_in",
        "captured_at_utc",
        "age_years",
        "sex",
        "fitzpatrick",
        "skin_group",
        "body_site",
        "licence",
        "quality_verdict",
        "quality_issues",
        "quality_reason",
    )
    return LabelledPhoto(
        file=folder / str(row["photo"]),
        label=str(row["source_label"]),
        where=f"{folder / TABLE}: photo {row['photo_id']}",
        kind=PhotoKind(str(row["kind"])),
        strength=LabelStrength(str(row["label_strength"])),
        names=(str(row["disease"]),),
        patient=str(row["patient"]),
        lesion=str(row["lesion"]),
        source=str(row["source"]),
        **{name: row[name] for name in same},  # type: ignore[arg-type]  # the contract holds their types
    )
