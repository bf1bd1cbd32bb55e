"""Decisions as files: what goes out for clinicians who read elsewhere, and what comes back, line by line. docs/decisions/0018.

A line that cannot be used becomes a ``Reject`` with what was found and what was expected; the others go in.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

from screening.contracts import GRADES
from screening.errors import ContractError
from screening.taxonomy import Taxonomy

CSV_COLUMNS = (
    "photo_id",
    "programme",
    "night",
    "body_site",
    "age_years",
    "sex",
    "fitzpatrick",
    "shown_grade",
    "reader",
    "decided_at",
    "evidence",
    "disease",
    "grade",
    "photo_quality",
    "comment",
)
"""Out and in: the first eight are filled in for the reader, the others by the reader."""
_REQUIRED = ("photo_id", "reader", "decided_at", "disease")
_ANSWER = CSV_COLUMNS[CSV_COLUMNS.index("reader") :]

CANNOT_TELL = "cannot_tell"
QUALITIES = ("good", "acceptable", "unusable")
MAX_COMMENT = 2000
"""As the contract says."""
MAX_READER = 200
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a reader's clock may be ahead."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters with which a spreadsheet takes a cell for a formula (OWASP, CSV injection)."""
_SHOWN = 80  # characters of a value in a reject


@dataclass(frozen=True)
class Line:
    """A line of a file; ``number`` as an editor counts, or the task of Label Studio. ``seconds``: that reading took."""

    number: int
    values: Mapping[str, str]
    seconds: float | None = None


@dataclass(frozen=True)
class Reject:
    """Why a line, or with line 0 the whole file, was not taken."""

    line: int
    column: str
    found: str
    expected: str


@dataclass(frozen=True)
class GradedPhoto:
    """A photo that a decision may be about."""

    photo_id: str
    programme: str
    night: date
    grade: str
    release: str


FindPhoto = Callable[[str, str | None, date | None], GradedPhoto | None]
"""The photo with an id, in a programme and a night where they are given; None when no such photo was graded."""


class _RejectedError(Exception):
    """One value of a line cannot be used."""

    def __init__(self, column: str, found: str, expected: str) -> None:
        super().__init__(column)
        self.column, self.found, self.expected = column, found, expected


def read_csv_lines(body: bytes) -> tuple[list[Line], list[Reject]]:
    """The answered lines of a CSV file, and why others cannot be read; lines in which nobody has answered are left out.

    The file is in UTF-8 with or without a mark, its cells separated by commas or, as some spreadsheets do, semicolons.
    """
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in body:
        return [], [Reject(0, "", "UTF-16, or bytes that are no text", "a CSV file in UTF-8")]
    text = body.decode("utf-8-sig", errors="surrogateescape")
    first, _, _ = text.partition("\n")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[Line] = []
    rejects: list[Reject] = []
    header: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            number, start = start, reader.line_num + 1
            if header is None:
                header = [name.strip() for name in cells]
                faults = list(_header_faults(header))
                rejects += [fault for fault, _ in faults]
                if any(is_fatal for _, is_fatal in faults):
                    return [], rejects
            elif any(cell.strip() for cell in cells):
                fault = _cells_fault(cells, header, number)
                values = dict(zip(header, (cell.strip(" ") for cell in cells), strict=False))
                if fault:
                    rejects.append(fault)
                elif any(values.get(name) for name in _ANSWER):
                    lines.append(Line(number, values))
    except csv.Error as error:
        rejects.append(Reject(start, "", f"no CSV from here on: {error}", "quotes that are closed and doubled inside"))
    if header is None:
        rejects.append(Reject(0, "", "an empty file", f"a header with {', '.join(_REQUIRED)}"))
    return lines, rejects


def _header_faults(header: Sequence[str]) -> Iterator[tuple[Reject, bool]]:
    """Each with whether nothing of the file can be used."""
    for name in _REQUIRED:
        if name not in header:
            yield Reject(1, name, f"columns {', '.join(map(_shown, header))}", f"a column {name}"), True
    for name in CSV_COLUMNS:
        if header.count(name) > 1:
            yield Reject(1, name, f"{header.count(name)} columns {name}", "each column once"), True
    for name in header:
        if name and name not in CSV_COLUMNS:
            expected = f"one of {', '.join(CSV_COLUMNS)}; the column is not read"
            yield Reject(1, _shown(name), f"column {_shown(name)}", expected), False


def _cells_fault(cells: Sequence[str], header: Sequence[str], number: int) -> Reject | None:
    if any(cell.strip() for cell in cells[len(header) :]):
        found = f"{len(cells)} fields under {len(header)} columns"
        return Reject(number, "", found, "commas inside a field in quotes")
    for name, cell in zip(header, cells, strict=False):
        if not cell.isascii() and (byte := next((c for c in cell if "\udc80" <= c <= "\udcff"), None)):
            return Reject(
                number, name, f"byte 0x{ord(byte) - 0xDC00:02X}, perhaps of Windows-1252", "a file saved as UTF-8"
            )
        if name in CSV_COLUMNS and cell.lstrip(" ").startswith(_FORMULA):
            return Reject(number, name, _shown(cell), "a cell that no spreadsheet takes for a formula")
    return None


def read_label_studio(body: bytes) -> tuple[list[Line], list[Reject]]:
    """The answers of Label Studio's JSON export of tasks that ``label_studio_tasks`` made; ``Line.number`` is the task's.

    Annotations that were cancelled are left out. The reader is the annotator's e-mail address where the export names it,
    ``label-studio:<number>`` otherwise.
    """
    try:
        tasks = json.loads(body)
    except (ValueError, RecursionError) as error:
        return [], [Reject(0, "", f"no JSON: {type(error).__name__}", "an export of Label Studio as JSON")]
    if not isinstance(tasks, list):
        return [], [Reject(0, "", type(tasks).__name__, "a list of tasks, Label Studio's export as JSON")]
    lines: list[Line] = []
    rejects: list[Reject] = []
    for place, task in enumerate(tasks, 1):
        number = place
        try:
            number = int(task.get("id", place))
            given = [annotation for annotation in task["annotations"] if not annotation.get("was_cancelled")]
            lines += [_annotation(number, task["data"], annotation) for annotation in given]
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            rejects.append(Reject(number, "", f"no task that can be read: {type(error).__name__}", "data, annotations"))
    return lines, rejects


def _annotation(number: int, task: Mapping[str, Any], annotation: Mapping[str, Any]) -> Line:
    values = {name: str(task.get(name) or "") for name in ("photo_id", "programme", "night", "shown_grade")}
    by = annotation["completed_by"]
    values["reader"] = str(by["email"]) if isinstance(by, dict) else f"label-studio:{by}"
    values["decided_at"] = str(annotation.get("updated_at") or annotation["created_at"])
    for result in annotation["result"]:
        name, value = str(result["from_name"]), result["value"]
        if name in _ANSWER:
            values[name] = str(_only(value))
    took = annotation.get("lead_time")
    return Line(number, values, float(took) if took is not None else None)


def _only(value: Mapping[str, Any]) -> Any:
    """The last part of the first choice: of a taxonomy, the whole way to it is listed."""
    chosen = next(value[kind] for kind in ("taxonomy", "choices", "text") if kind in value)
    first = chosen[0] if isinstance(chosen, list) else chosen
    return first[-1] if isinstance(first, list) else first


def decisions_of(
    lines: Iterable[Line],
    *,
    source: str,
    taxonomy: Taxonomy,
    known_readers: AbstractSet[str],
    recorded_at: datetime,
    find_photo: FindPhoto,
) -> tuple[list[dict[str, object]], list[Reject]]:
    """Rows of ``DECISIONS`` of the lines that are in order, and why the others are not.

    Args:
        lines: of one file.
        source: ``csv`` or ``label_studio``.
        taxonomy: knows the diseases by id, name or label.
        known_readers: whose decisions are taken; everybody's when empty.
        recorded_at: when the file was first read (UTC); nothing can have been decided after it.
        find_photo: see ``FindPhoto``.
    """
    rows: list[dict[str, object]] = []
    rejects: list[Reject] = []
    line_of: dict[object, int] = {}
    check = _Check(source, taxonomy, known_readers, recorded_at, find_photo)
    for line in lines:
        try:
            row = check.row(line)
        except _RejectedError as fault:
            rejects.append(Reject(line.number, fault.column, fault.found, fault.expected))
            continue
        if (first := line_of.get(row["decision_id"])) is not None:
            rejects.append(Reject(line.number, "", f"the same decision as line {first}", "each decision once"))
        else:
            line_of[row["decision_id"]] = line.number
            rows.append(row)
    return rows, rejects


@dataclass(frozen=True)
class _Check:
    source: str
    taxonomy: Taxonomy
    known_readers: AbstractSet[str]
    recorded_at: datetime
    find_photo: FindPhoto

    def row(self, line: Line) -> dict[str, object]:
        values = line.values
        photo = self._photo(values)
        decided_at = self._decided_at(values)
        disease = self._disease(values)
        shown = _word(values, "shown_grade", tuple(map(str, GRADES)))
        row: dict[str, object] = {
            "photo_id": photo.photo_id,
            "programme": photo.programme,
            "night": photo.night,
            "reader": self._reader(values),
            "decided_at_utc": decided_at,
            "source": self.source,
            "evidence": _word(values, "evidence", ("reading", "adjudication", "histopathology")) or "reading",
            "answer": "cannot_tell" if disease is None else "disease",
            "disease": disease,
            "grade": _word(values, "grade", tuple(map(str, GRADES))),
            "photo_quality": _word(values, "photo_quality", QUALITIES),
            "comment": _comment(values),
            "was_blind": shown is None,
            "seconds": line.seconds if line.seconds is None or line.seconds >= 0 else None,
            "corrects": None,
            "shown_grade": shown,
            "release": photo.release if shown else None,
        }
        return row | {"decision_id": decision_id_of(row), "recorded_at_utc": self.recorded_at}

    def _photo(self, values: Mapping[str, str]) -> GradedPhoto:
        photo_id = values.get("photo_id", "")
        night: date | None = None
        if text := values.get("night", ""):
            try:
                night = date.fromisoformat(text)
            except ValueError:
                raise _RejectedError("night", _shown(text), "a date as 2026-11-20") from None
        programme = values.get("programme") or None
        found = self.find_photo(photo_id, programme, night)
        if found is None:
            place = f" of programme {programme!r}" if programme else ""
            raise _RejectedError(
                "photo_id", _shown(photo_id), f"a graded photo{place}{f' of {night}' if night else ''}"
            )
        return found

    def _reader(self, values: Mapping[str, str]) -> str:
        reader = values.get("reader", "")
        if not reader or len(reader) > MAX_READER:
            raise _RejectedError("reader", _shown(reader), f"who decided, in 1 to {MAX_READER} characters")
        if self.known_readers and reader not in self.known_readers:
            raise _RejectedError("reader", _shown(reader), "one of the readers of the review rules")
        return reader

    def _decided_at(self, values: Mapping[str, str]) -> datetime:
        text = values.get("decided_at", "")
        try:
            moment = datetime.fromisoformat(text)
            utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            expected = "a day or a time as 2026-11-21 or 2026-11-21T08:30:00+01:00; without a zone it is UTC"
            raise _RejectedError("decided_at", _shown(text), expected) from None
        if utc > self.recorded_at + CLOCK_TOLERANCE:
            raise _RejectedError(
                "decided_at", _shown(text), f"a time that is past, at most {self.recorded_at:%Y-%m-%d %H:%M} UTC"
            )
        return utc

    def _disease(self, values: Mapping[str, str]) -> str | None:
        text = values.get("disease", "")
        if text.lower().replace(" ", "_") == CANNOT_TELL:
            return None
        try:
            return self.taxonomy.of_label(text).id
        except ContractError:
            expected = f"an id, name or label of the taxonomy, or {CANNOT_TELL}"
            raise _RejectedError("disease", _shown(text), expected) from None


def decision_id_of(row: Mapping[str, object]) -> str:
    """32 hex digits over all that a line says: the same line read again is the same decision."""
    said = [str(row[name]) for name in sorted(row) if name not in ("decision_id", "recorded_at_utc")]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()[:32]


def _word(values: Mapping[str, str], column: str, words: tuple[str, ...]) -> str | None:
    text = values.get(column, "")
    if text and text not in words:
        raise _RejectedError(column, _shown(text), f"{', '.join(words)}, or nothing")
    return text or None


def _comment(values: Mapping[str, str]) -> str | None:
    text = values.get("comment", "")
    if len(text) > MAX_COMMENT:
        raise _RejectedError("comment", f"{len(text):,} characters", f"at most {MAX_COMMENT:,} characters")
    return text or None


def _shown(text: str) -> str:
    """A value of a file in a message: short, on one line, in quotes."""
    return repr(text[:_SHOWN].encode(errors="replace").decode()) + ("…" if len(text) > _SHOWN else "")


def rejects_csv(rejects: Iterable[Reject]) -> bytes:
    """The rejects as CSV, by line; UTF-8 with a mark, which spreadsheets need."""
    ordered = sorted(rejects, key=lambda reject: (reject.line, reject.column))
    return _csv(("line", "column", "found", "expected"), [(r.line, r.column, r.found, r.expected) for r in ordered])


def export_csv(queue: Iterable[Mapping[str, Any]], *, is_blind: bool) -> bytes:
    """Photos of a review queue as lines for readers to fill in, ``CSV_COLUMNS``; ``is_blind`` leaves out the grade."""
    filled = ({**row, "shown_grade": "" if is_blind else row["grade"], "grade": ""} for row in queue)
    rows = [[row.get(name) if name not in _ANSWER else "" for name in CSV_COLUMNS] for row in filled]
    return _csv(CSV_COLUMNS, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([neutralised(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def neutralised(cell: object) -> str:
    """The cell as text that no spreadsheet runs: an apostrophe before what would be a formula."""
    text = "" if cell is None else str(cell)
    return "'" + text if text.startswith(_FORMULA) else text


def label_studio_tasks(queue: Iterable[Mapping[str, Any]], image_of: Callable[[str], str], *, is_blind: bool) -> bytes:
    """Photos of a review queue as Label Studio's JSON for importing tasks.

    Args:
        queue: rows of ``REVIEW_QUEUE``.
        image_of: photo_id to the address of its working copy; Label Studio needs access of its own to it.
        is_blind: leave out the model's grade.
    """
    facts = ("photo_id", "programme", "night", "body_site", "age_years", "sex", "fitzpatrick")
    tasks = [
        {
            "data": {name: _plain(row[name]) for name in facts if row[name] is not None}
            | {"image": image_of(str(row["photo_id"]))}
            | ({} if is_blind else {"shown_grade": str(row["grade"])})
        }
        for row in queue
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1).encode()


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def label_studio_config(taxonomy: Taxonomy) -> str:
    """The labelling configuration of a Label Studio project whose answers ``read_label_studio`` understands."""
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="photo", value="$image", zoom="true")
    diseases = ET.SubElement(view, "Taxonomy", name="disease", toName="photo", required="true", maxUsages="1")
    ET.SubElement(diseases, "Choice", value=CANNOT_TELL)
    nodes: dict[str, ET.Element] = {}
    for disease in taxonomy.diseases:  # parents come before their children
        above = nodes[disease.parent] if disease.parent else diseases
        nodes[disease.id] = ET.SubElement(above, "Choice", value=disease.name)
    for name, words in (("photo_quality", QUALITIES), ("grade", tuple(map(str, GRADES)))):
        choices = ET.SubElement(view, "Choices", name=name, toName="photo", choice="single")
        for word in words:
            ET.SubElement(choices, "Choice", value=word)
    ET.SubElement(view, "TextArea", name="comment", toName="photo", maxSubmissions="1")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")
