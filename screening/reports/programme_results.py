"""The results of a night as a spreadsheet for those who uploaded the photos."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import Outcome, Verdict
from screening.stages.grading import WARNINGS

COLUMNS = (
    "source_name",
    "outcome",
    "verdict",
    "reason",
    "what_was_found",
    "retake_advice",
    "grade",
    "disease",
    "warning",
    "grade_of_lesion",
    "action",
    "due_by",
    "same_photo_as",
    "same_picture_as",
    "night",
)
FORMULA_STARTS = "=+-@\t\r\n"
"""A spreadsheet runs a cell that starts with one of these (OWASP, CSV injection)."""

_Row = Mapping[str, object]
_OF_GRADES = ("photo_id", "grade", "disease", "warnings")


def programme_results(
    programme: str,
    tables: Mapping[str, pa.Table],
    night: date,
    *,
    disease_names: Mapping[str, str],
    earlier_grades: pa.Table | None = None,
) -> bytes:
    """One line per upload of a programme, in plain words, as CSV.

    ``grade`` is the photo's own; ``grade_of_lesion`` and ``action`` are those of its lesion, or of its person where no
    lesion is named, whose most severe photo decides.

    UTF-8 with a byte order mark: without it Excel takes the file for its country's old code page and breaks every name
    with an accent; pandas, DuckDB and LibreOffice read it either way. Lines end as RFC 4180 says.

    Args:
        programme: whose uploads.
        tables: ``photos``, ``quality``, ``grades`` and ``referrals`` of the night and of all programmes: a photo may
            repeat the bytes of another programme's.
        night: the night that graded them.
        disease_names: names by id, of the night's diseases and the earlier nights'.
        earlier_grades: rows of ``grades`` of earlier nights, for the photos that repeat theirs; without them such a
            photo has no grade here, but still its action and its date.
    """
    grades = [tables["grades"], *([earlier_grades] if earlier_grades is not None else [])]
    grade_of: dict[object, _Row] = {
        row["photo_id"]: row
        for table in grades
        for row in table.select([c for c in _OF_GRADES if c in table.column_names]).to_pylist()
    }
    quality = tables["quality"].select(["photo_id", "verdict", "reason", "issues"])
    quality_of: dict[object, _Row] = {row["photo_id"]: row for row in quality.to_pylist()}
    referral_of: dict[object, _Row] = {
        (row["patient"], row["lesion"]): row
        for row in tables["referrals"].filter(pc.field("programme") == programme).to_pylist()
    }
    night_photos = tables["photos"].to_pylist()
    by_upload: dict[object, _Row] = {(row["key"], row["photo_id"]): row for row in night_photos}
    source_names = {row["photo_id"]: row["source_name"] for row in night_photos if row["programme"] == programme}
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    mine = (row for row in night_photos if row["programme"] == programme)
    for photo in sorted(mine, key=lambda row: (str(row["source_name"]), str(row["etag"]))):
        first = by_upload.get((photo["duplicate_of"], photo["photo_id"]))
        judged = first or photo
        quality_row = quality_of.get(photo["photo_id"], {})
        is_judged = photo["outcome"] in (Outcome.GRADED, Outcome.DUPLICATE)
        grade = grade_of.get(photo["photo_id"], {}) if is_judged else {}
        warnings = cast("list[str]", grade.get("warnings") or [])
        patient = photo["patient"] or f"photo:{photo['photo_id']}"
        # Beside a photo that could not be judged, the lesion's "keep watching" would read as that photo's grade.
        referral = referral_of.get((patient, photo["lesion"]), {}) if is_judged else {}
        cells = {
            "source_name": photo["source_name"],
            "outcome": photo["outcome"],
            "verdict": Verdict.FLAGGED if warnings else quality_row.get("verdict"),
            "reason": _words(photo["reason"] or quality_row.get("reason")),
            "what_was_found": _found(photo, quality_row),
            "retake_advice": judged["advice"],
            "grade": _words(grade.get("grade")),
            "disease": disease_names.get(str(grade["disease"]), _words(grade["disease"])) if grade else None,
            "warning": " ".join(WARNINGS[code] for code in warnings),
            "grade_of_lesion": _words(referral.get("grade")),
            "action": referral.get("advice"),
            "due_by": referral.get("due_by"),
            # Another programme's file name is not this one's to read.
            "same_photo_as": first["source_name"] if first and first["programme"] == programme else None,
            "same_picture_as": _sent_before(photo["same_picture_as"], source_names),
            "night": night,
        }
        writer.writerow([_defuse(cells[column]) for column in COLUMNS])
    return text.getvalue().encode("utf-8-sig")


def _words(code: object) -> str | None:
    return str(code).replace("_", " ") if code else None


def _sent_before(photo_id: object, source_names: Mapping[object, object]) -> object:
    """The file of this night that shows the same picture; an earlier night's is known by its id alone."""
    return source_names.get(photo_id, f"photo {photo_id} of an earlier night") if photo_id else None


def _found(photo: _Row, quality_row: _Row) -> str | None:
    """What the photo's own row says; for a photo with a quality verdict, all of its issues in words."""
    issues = quality_row.get("issues")
    is_judged_by_quality = photo["outcome"] == Outcome.GRADED or photo["reason"] == quality_row.get("reason")
    if is_judged_by_quality and isinstance(issues, list) and issues:
        return ", ".join(str(issue).replace("_", " ") for issue in issues)
    return str(photo["reason_text"]) if photo["reason_text"] else None


def _defuse(cell: object) -> str:
    """The text of a cell; one that a spreadsheet might run is marked as text by an apostrophe."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.lstrip(" ").startswith(tuple(FORMULA_STARTS)) else text
