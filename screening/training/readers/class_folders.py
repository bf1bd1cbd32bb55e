"""A folder per class: the plain layout of tutorials, and the published ones of MED-NODE and Dermofit."""

from __future__ import annotations

from pathlib import Path

from screening.contracts import LabelStrength, PhotoKind
from screening.errors import ContractError, MissingError
from screening.training.readers.record import LabelledPhoto, Reading, photos_below

_SIDES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
"""Folders that hold folders of classes once more; the sides that they name are not taken over (they may leak)."""

DERMOFIT_CLASSES = {
    "AK": "actinic keratosis",
    "BCC": "basal cell carcinoma",
    "ML": "melanocytic nevus",
    "SK": "seborrheic keratosis",
    "SCC": "squamous cell carcinoma",
    "IEC": "intraepithelial carcinoma",
    "PYO": "pyogenic granuloma",
    "VASC": "haemangioma",
    "DF": "dermatofibroma",
    "MEL": "malignant melanoma",
}
"""The ten folders of the Dermofit Image Library (Ballerini et al. 2013), and what they stand for."""


def read(folder: Path, kind: PhotoKind = PhotoKind.CLINICAL) -> Reading:
    """Read ``<class>/…/<photo>`` or ``<train, test …>/<class>/…/<photo>``; a label is the name of its folder.

    Photos of several classes often bear the same name, so a lesion's name has the folders in it.

    Raises:
        MissingError: there is no folder of a class.
        ContractError: a class has no photo.
    """
    return Reading(
        [
            LabelledPhoto(
                file,
                of_class.name,
                str(of_class),
                kind,
                LabelStrength.UNKNOWN,
                lesion=file.relative_to(folder).with_suffix("").as_posix(),
            )
            for of_class, files in _classes(folder)
            for file in files
        ],
        {},
    )


def read_med_node(folder: Path) -> Reading:
    """MED-NODE (Giotis et al. 2015): ``melanoma/`` and ``naevus/``, close-ups by a camera."""
    return read(folder)


def read_dermofit(folder: Path) -> Reading:
    """Dermofit: ``<class>/<lesion>/<lesion>.png`` beside its mask; labels agreed on by two experts."""
    return Reading(
        [
            LabelledPhoto(
                file,
                of_class.name,
                str(of_class),
                PhotoKind.CLINICAL,
                LabelStrength.CONSENSUS,
                names=(DERMOFIT_CLASSES[of_class.name.upper()], of_class.name),
                lesion=f"{of_class.name}/{file.stem if file.parent == of_class else file.parent.name}",
            )
            for of_class, files in _classes(folder)
            if of_class.name.upper() in DERMOFIT_CLASSES
            for file in files
        ],
        {},
    )


def class_names(folder: Path) -> set[str]:
    """Names of the folders of classes, whatever is in them."""
    return {of_class.name for of_class in _class_folders(folder)}


def _class_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise MissingError(f"{folder} is not a folder; expected one with a folder per class")
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    sides = [path for path in inside if path.name.lower() in _SIDES]
    if sides and len(sides) == len(inside):
        return [of_class for side in sides for of_class in _class_folders(side)]
    return inside


def _classes(folder: Path) -> list[tuple[Path, list[Path]]]:
    classes = [(of_class, photos_below(of_class)) for of_class in _class_folders(folder)]
    if not classes:
        raise MissingError(f"{folder} has no folder in it; expected one per class, as benign/ and malignant/")
    if empty := [str(of_class) for of_class, files in classes if not files]:
        raise ContractError(f"{', '.join(empty)}: no photo in the folder of this class; fill it, or remove the folder")
    return classes
