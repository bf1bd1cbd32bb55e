"""The CSV beside a folder of photos in which a site says what it knows of them."""

from __future__ import annotations

from pathlib import Path

from screening.errors import ContractError, MissingError


def read_labels_text(photos: Path, labels: Path) -> str:
    """The text of a labels file, without the mark that spreadsheets put before it.

    Raises:
        MissingError: the folder or the file does not exist.
        ContractError: the file is no UTF-8 text.
    """
    if not photos.is_dir():
        raise MissingError(f"{photos} is not a folder; expected one with photos")
    try:
        return labels.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MissingError(f"labels {labels} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ContractError(f"labels {labels}: expected UTF-8 text") from error
