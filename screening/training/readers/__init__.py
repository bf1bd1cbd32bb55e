"""One reader per published layout; each turns a folder into rows of one kind, and decides nothing about diseases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from screening.contracts import PhotoKind
from screening.errors import ContractError, MissingError
from screening.training.readers import (
    class_folders,
    corpus_table,
    ddi,
    fitzpatrick17k,
    ham10000,
    isic_archive,
    labels_csv,
    pad_ufes,
)
from screening.training.readers.record import LabelledPhoto, Reading

__all__ = ["LAYOUTS", "LabelledPhoto", "Reading", "read_source", "recognise_layout"]

LAYOUTS: dict[str, Callable[[Path], Reading]] = {
    "class_folders": class_folders.read,
    "class_folders_dermoscopic": partial(class_folders.read, kind=PhotoKind.DERMOSCOPIC),
    "corpus": corpus_table.read,
    "ddi": ddi.read,
    "dermofit": class_folders.read_dermofit,
    "fitzpatrick17k": fitzpatrick17k.read,
    "ham10000": ham10000.read,
    "isic_archive": isic_archive.read,
    "med_node": class_folders.read_med_node,
    "pad_ufes_20": pad_ufes.read,
}
"""Name of a layout → its reader. `labels.csv` has no name here: there the folder's name tells the columns."""


_OWN_FILE = {
    corpus_table.TABLE: "corpus",
    ddi.METADATA: "ddi",
    fitzpatrick17k.METADATA: "fitzpatrick17k",
    **dict.fromkeys(ham10000.METADATA, "ham10000"),
}
"""A file that only one layout has → that layout."""


def read_source(folder: Path, layout: str | None = None) -> Reading:
    """Read a folder, in the named layout or the one that its files tell.

    Raises:
        MissingError: the folder, or a file that the layout names, does not exist.
        ContractError: the layout is unknown or cannot be told, or the folder breaks it.
    """
    if not folder.is_dir():
        raise MissingError(f"{folder} does not exist; expected the folder of a data set")
    if layout is None and (folder / labels_csv.LABELS).is_file():
        if folder.name not in labels_csv.SELECTIONS:
            known = ", ".join(labels_csv.SELECTIONS)
            raise ContractError(f"source {folder.name!r} has no columns of labels.csv known here; known are {known}")
        return labels_csv.read_selection(folder, folder.name)
    layout = layout or recognise_layout(folder)
    if layout not in LAYOUTS:
        raise ContractError(f"layout {layout!r} is not known; known are {', '.join(LAYOUTS)}")
    reading = LAYOUTS[layout](folder)
    if not reading.photos:
        raise ContractError(f"{folder}: no labelled photo in it, read as {layout}")
    return reading


def recognise_layout(folder: Path) -> str:
    """The layout of a folder, by the files that only one has.

    Raises:
        ContractError: none fits.
    """
    for file, layout in _OWN_FILE.items():
        if (folder / file).is_file():
            return layout
    if (folder / isic_archive.METADATA).is_file():  # PAD-UFES-20 has a file of this name, too
        header = (folder / isic_archive.METADATA).read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
        return "isic_archive" if "isic_id" in header else "pad_ufes_20"
    classes = class_folders.class_names(folder)
    if not classes:
        raise ContractError(f"{folder}: no layout known here has these files; name one of {', '.join(LAYOUTS)}")
    if classes <= class_folders.DERMOFIT_CLASSES.keys():
        return "dermofit"
    return "med_node" if classes == {"melanoma", "naevus"} else "class_folders"
