"""Which objects are new, and what the uploader's manifest says of them."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

MANIFEST_NAME = "manifest.csv"
MANIFEST_COLUMNS = (
    "file",
    "patient_id",
    "lesion_id",
    "body_site",
    "age_years",
    "sex",
    "fitzpatrick",
    "captured_at",
    "device",
    "consent_training",
)
MANIFEST_MAX_BYTES = 10_000_000
"""About 100,000 photos a folder: what a task can hold beside its batch."""
_DIGEST = np.dtype("S16")


class KnownKeys:
    """The uploads that nights have claimed: a sorted array of 16-byte digests, 16 MB for a million.

    Bytes changed under the same key are another upload, so the digest is over key and etag.
    """

    def __init__(self, claimed: Iterable[tuple[str, str]]) -> None:
        self._digests = np.sort(np.fromiter((self._digest(key, etag) for key, etag in claimed), dtype=_DIGEST))

    @staticmethod
    def _digest(key: str, etag: str) -> bytes:
        # NumPy drops trailing zero bytes of "S" values; the last byte is never zero.
        return hashlib.blake2b(f"{key}\0{etag}".encode(errors="surrogateescape"), digest_size=15).digest() + b"\x01"

    def __contains__(self, upload: tuple[str, str]) -> bool:
        wanted = self._digest(*upload)
        at = int(np.searchsorted(self._digests, np.array(wanted, dtype=_DIGEST)))
        return at < len(self._digests) and bytes(self._digests[at]) == wanted


def batch_sizes(photos: int, photos_per_batch: int, max_batches: int) -> list[int]:
    """Sizes of the batches of a night, all within one photo of each other; larger ones rather than too many."""
    count = min(max_batches, math.ceil(photos / photos_per_batch))
    return [photos // count + (i < photos % count) for i in range(count)] if count else []


@dataclass(frozen=True)
class Pseudonyms:
    """Keyed pseudonyms of people and lesions: HMAC-SHA-256, so that nobody without the key can find them by trying.

    The programme is part of what is hashed: two programmes may both have a patient 17.
    """

    key: bytes = field(repr=False)

    def patient(self, programme: str, patient_id: str) -> str:
        return "p-" + self._hash("patient", programme, patient_id)

    def lesion(self, programme: str, patient_id: str, lesion_id: str) -> str:
        return "l-" + self._hash("lesion", programme, patient_id, lesion_id)

    def _hash(self, *words: str) -> str:
        return hmac.new(self.key, "\0".join(words).encode(), hashlib.sha256).hexdigest()[:24]


@dataclass(frozen=True)
class ManifestIssue:
    """Something wrong with a manifest; the columns of the table ``manifest_issues``."""

    line: int
    column: str
    issue: str
    found: str
    expected: str


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, file by file, and what is wrong with it.

    ``rows`` maps the file, relative to the manifest's folder, to the columns of the table ``batch`` that it fills;
    ``lines`` maps it to its line, for messages.
    """

    rows: dict[str, dict[str, object]]
    lines: dict[str, int]
    issues: list[ManifestIssue]


def read_manifest(text: bytes, programme: str, pseudonyms: Pseudonyms) -> Manifest:
    """Read a manifest.csv; whatever is wrong becomes an issue, never an exception: the photos are graded all the same.

    A file named on several lines is used from none of them: the lines may name different people. Nor is a column that the
    header names twice, nor a line with more fields than the header, where an unquoted comma has moved the values into
    wrong columns.
    """
    if len(text) > MANIFEST_MAX_BYTES:
        return _broken("unreadable", f"{len(text):,} bytes", f"at most {MANIFEST_MAX_BYTES:,} bytes")
    if not text.strip():
        return _broken("empty", f"{len(text)} bytes and no header", "a header line with at least the column file")
    try:
        decoded = text.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(decoded, newline=""), strict=True)
        lines = [(reader.line_num, _stripped(line), _has_surplus(line)) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        return _broken("unreadable", f"{type(error).__name__}: {error}", "a CSV file in UTF-8")
    header = [name.strip() for name in reader.fieldnames or []]
    issues = [
        ManifestIssue(1, name, "unknown_column", f"column {name!r}", ", ".join(MANIFEST_COLUMNS))
        for name in header
        if name not in MANIFEST_COLUMNS
    ]
    if "file" not in header:
        return Manifest(
            {}, {}, [*issues, ManifestIssue(1, "file", "missing_column", ", ".join(header), "a column file")]
        )
    repeated = {name: count for name, count in Counter(header).items() if count > 1 and name in MANIFEST_COLUMNS}
    issues += [
        ManifestIssue(
            1, name, "duplicate_column", f"{count} columns {name!r}", "each column once; none of them is used"
        )
        for name, count in repeated.items()
    ]
    if "file" in repeated:
        return Manifest({}, {}, issues)
    rows: dict[str, dict[str, object]] = {}
    where: dict[str, int] = {}
    names = Counter(values.get("file", "") for _, values, _ in lines)
    for number, values, has_surplus in lines:
        name = values.get("file", "")
        if not name:
            issues.append(
                ManifestIssue(number, "file", "invalid_value", "no file name", "a file below the manifest's folder")
            )
        elif names[name] > 1:
            issues.append(
                ManifestIssue(
                    number,
                    "file",
                    "duplicate_file",
                    f"a file on {names[name]} lines",
                    "each file once; none of the lines is used",
                )
            )
        elif has_surplus:
            issues.append(
                ManifestIssue(
                    number, "", "invalid_value", "more fields than the header", "commas inside a field in quotes"
                )
            )
        else:
            clear = {column: value for column, value in values.items() if column not in repeated}
            rows[name], wrong = _manifest_row(clear, programme, pseudonyms)
            issues.extend(
                ManifestIssue(number, column, "invalid_value", found, expected) for column, found, expected in wrong
            )
            where[name] = number
    return Manifest(rows, where, issues)


def unknown_files(manifest: Manifest, is_unknown: Callable[[str], bool]) -> Iterator[ManifestIssue]:
    """An issue for each file of the manifest that was never uploaded."""
    for name, number in manifest.lines.items():
        if is_unknown(name):
            yield ManifestIssue(
                number, "file", "unknown_file", "a file that was not uploaded", "a file below the manifest's folder"
            )


def _stripped(line: dict[str | Any, str | Any]) -> dict[str, str]:
    # csv puts the fields beyond the header under None, as a list, and None where a line is too short.
    return {name.strip(): (value or "").strip() for name, value in line.items() if name is not None}


def _has_surplus(line: dict[str | Any, str | Any]) -> bool:
    return any(value.strip() for value in line.get(None, ()))  # a spreadsheet may end its lines with empty fields


def _broken(issue: str, found: str, expected: str) -> Manifest:
    return Manifest({}, {}, [ManifestIssue(0, "", issue, found, expected)])


def _manifest_row(
    values: dict[str, str], programme: str, pseudonyms: Pseudonyms
) -> tuple[dict[str, object], list[tuple[str, str, str]]]:
    wrong: list[tuple[str, str, str]] = []

    def parse(column: str, reader: Callable[[str], object], expected: str) -> object:
        text = values.get(column, "")
        if not text:
            return None
        try:
            return reader(text)
        except (ValueError, KeyError, OverflowError):
            wrong.append((column, repr(text[:40]), expected))
            return None

    patient_id, lesion_id = values.get("patient_id", ""), values.get("lesion_id", "")
    row: dict[str, object] = {
        "patient": pseudonyms.patient(programme, patient_id) if patient_id else None,
        "lesion": pseudonyms.lesion(programme, patient_id, lesion_id) if patient_id and lesion_id else None,
        "body_site": values.get("body_site", "")[:64] or None,
        "age_years": parse("age_years", _age, "a whole number from 0 to 120"),
        "sex": parse("sex", lambda t: _SEX[t.lower()], "female, male or other"),
        "fitzpatrick": parse("fitzpatrick", _fitzpatrick, "1 to 6, or I to VI"),
        "captured_at_utc": parse("captured_at", _instant, "a time as 2026-11-20T14:05:00+00:00"),
        "device": values.get("device", "")[:64] or None,
        # Consent that cannot be read is no consent.
        "has_training_consent": parse("consent_training", lambda t: _YES_NO[t.lower()], "yes or no") is True,
    }
    return row, wrong


_SEX = {"f": "female", "female": "female", "m": "male", "male": "male", "o": "other", "other": "other"}
_YES_NO = {"yes": True, "true": True, "1": True, "y": True, "no": False, "false": False, "0": False, "n": False}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}


def _whole(text: str, low: int, high: int) -> int:
    number = float(text)
    if not number.is_integer() or not low <= number <= high:
        raise ValueError(text)
    return int(number)


def _age(text: str) -> int:
    return _whole(text, 0, 120)


def _fitzpatrick(text: str) -> int:
    return _ROMAN.get(text.lower()) or _whole(text, 1, 6)


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
