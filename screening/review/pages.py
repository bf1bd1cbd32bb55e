"""Makes the pages: what a person may see of the desk goes into a template, and nothing else does.

Blind reading is kept here: a template never gets the model's answer of a photo that its reader has yet to answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from screening.contracts import GRADES
from screening.review.access import READS_AUDIT, READS_PHOTOS, READS_REPORTS, Form, User
from screening.review.agreement import agreement_of
from screening.review.answers import COMMENT_CHARACTERS, QUALITIES, Answer, find_disease
from screening.review.desk import Desk
from screening.review.filters import STANDING_WORDS, STATES, TO_READ, Filters
from screening.review.model_answer import GRADE_WORDS, disease_name, model_answer, reason_words, words
from screening.review.queue_index import QueueEntry
from screening.review.standing import Standing, not_counting, own_current, readers_of
from screening.stages.decision_files import CSV_COLUMNS
from screening.taxonomy import Taxonomy

HERE = Path(__file__).parent
ENTRIES_PER_PAGE = 50
AUDIT_ENTRIES = 500

STATIC_FILES: Mapping[str, tuple[bytes, str]] = {
    file.name: (file.read_bytes(), {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}[file.suffix])
    for file in sorted((HERE / "static").iterdir())
}
"""What the pages load, by name: the body and its kind."""
_VERSION = hashlib.sha256(b"".join(body for body, _ in STATIC_FILES.values())).hexdigest()[:12]

EVIDENCE_WORDS = {"reading": "reading", "adjudication": "adjudication", "histopathology": "histopathology"}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "words": words,
        "reason_words": reason_words,
        "grade_words": lambda grade: GRADE_WORDS.get(grade, words(grade)),
        "percent": lambda p: (
            "–"
            if p is None
            else f"{p * 100:.1f}\N{NO-BREAK SPACE}%"
            if p < 0.1
            else f"{p * 100:.0f}\N{NO-BREAK SPACE}%"
        ),
        "number": lambda n: f"{n:,}",
        "minute": lambda at: f"{at:%Y-%m-%d %H:%M} UTC",
    }
    environment.globals |= {
        "version": _VERSION,
        "state_words": STATES,
        "standing_words": STANDING_WORDS,
        "reads_photos": READS_PHOTOS,
        "reads_reports": READS_REPORTS,
        "reads_audit": READS_AUDIT,
    }
    return environment


def _page(request: Request, template: str, user: User | None, status: int = 200, **shown: Any) -> HTMLResponse:
    page = _environment().get_template(template)
    root = request.scope.get("root_path", "")
    return HTMLResponse(page.render(root=root, user=user, here=template.partition(".")[0], **shown), status)


def error_page(request: Request, status: int, message: str, login_url: str | None) -> HTMLResponse:
    """What went wrong, in words, and where to log in."""
    titles = {401: "Please log in", 403: "Not allowed", 404: "Not found", 503: "Not available now"}
    return _page(
        request, "error.html.j2", None, status,
        title=titles.get(status, "This did not work"), login_url=login_url,
        message="The review pages show photos of patients, so they need Airflow's log-in." if status == 401 else message,
    )  # fmt: skip


def overview_page(request: Request, user: User, desk: Desk) -> HTMLResponse:
    """Counts, for everybody: nothing of any patient."""
    counts = desk.counts()
    total = {state: sum(found[state] for found in counts.values()) for state in Standing}
    nights = [entry.night for entry in desk.queue().entries]
    return _page(
        request, "overview.html.j2", user,
        counts=counts, total=total, standings=list(Standing), photos=len(nights),
        first_night=min(nights, default=None), last_night=max(nights, default=None),
    )  # fmt: skip


def queue_page(request: Request, user: User, desk: Desk, filters: Filters, page: int) -> HTMLResponse:
    """The list of photos that match."""
    found = desk.search(filters, user, (page - 1) * ENTRIES_PER_PAGE, ENTRIES_PER_PAGE)
    queue = desk.queue()
    rows = [_queue_row(desk, user, entry) for entry in found.entries]
    pages = max(1, -(-found.total // ENTRIES_PER_PAGE))
    query = request.query_params
    saved = desk.entry(query.get("saved", ""))
    return _page(
        request, "queue.html.j2", user,
        filters=filters, address=filters.address, rows=rows, total=found.total, hidden=found.hidden,
        page=page, pages=pages, all=len(queue.entries), to_read=TO_READ,
        programmes=sorted({e.programme for e in queue.entries}),
        reasons=sorted({reason for e in queue.entries for reason in e.reasons}),
        grades=list(reversed(GRADES)), saved=saved and saved.photo_id, is_end=query.get("end") == "1",
    )  # fmt: skip


def _queue_row(desk: Desk, user: User, entry: QueueEntry) -> dict[str, Any]:
    decisions = desk.decisions.of(entry.photo_id)
    is_shown = desk.may_see_the_answer(entry, user)
    own = own_current(decisions, user.name)
    return {
        "photo_id": entry.photo_id,
        "programme": entry.programme,
        "night": entry.night,
        "body_site": entry.body_site,
        "standing": desk.standing(entry),
        "readers": len(readers_of(decisions)),
        "readers_wanted": entry.readers_wanted,
        "own": _said(own, desk.taxonomy) if own else None,
        "grade": entry.grade if is_shown else None,
        "reasons": [reason_words(reason) for reason in entry.reasons if reason != entry.grade] if is_shown else None,
    }


def photo_page(  # noqa: PLR0913  # the page is shown again with what was filled in wrongly
    request: Request,
    user: User,
    desk: Desk,
    entry: QueueEntry,
    filters: Filters,
    *,
    said: Answer | None = None,
    problems: Mapping[str, str] | None = None,
    result: Answer | None = None,
    result_problems: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """One photo and the form for its answer."""
    desk.reading_now.open(entry.photo_id, user.name)
    decisions = desk.decisions.of(entry.photo_id)
    own = own_current(decisions, user.name)
    form, result_form = desk.answer_form(entry, user), desk.result_form(entry, user)
    draft = None if said or own else desk.draft(entry, user)
    if said is None:
        said = draft or (_answer_again(own) if own else Answer())
    chosen = find_disease(desk.taxonomy, said.disease) if said.disease else None
    is_shown = desk.may_see_the_answer(entry, user)
    sees_others = own is not None or form.evidence == "adjudication"
    following = desk.next_photo(filters, user, entry.photo_id)
    if following:
        desk.reading_now.open(following.photo_id, user.name)
    saved = desk.entry(request.query_params.get("saved", ""))
    row = entry.row
    photo = desk.tables.row("photos", entry.programme, entry.night, entry.photo_id)
    return _page(
        request, "photo.html.j2", user, 422 if problems or result_problems else 200,
        entry=entry, facts=_facts(row, photo), standing=desk.standing(entry), filters=filters, address=filters.address,
        form=desk.forms.sign(form), evidence=form.evidence, own=own,
        said=said, chosen=chosen, problems=problems or {}, has_draft=draft is not None,
        result=result or Answer(), result_form=desk.forms.sign(result_form), result_problems=result_problems or {},
        model=model_answer(entry, desk.tables, desk.taxonomy) if is_shown else None,
        decisions=_history(decisions, user, desk.taxonomy) if sees_others else _own(decisions, user, desk.taxonomy),
        others_hidden=0 if sees_others else len({d["reader"] for d in decisions} - {user.name}),
        following=following and following.photo_id, saved=saved and saved.photo_id,
        grades=list(reversed(GRADES)), qualities=QUALITIES, most_characters=COMMENT_CHARACTERS,
    )  # fmt: skip


def _facts(row: Mapping[str, Any], photo: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is known of the person and the photo, in words; what is not known says so."""
    captured = photo.get("captured_at_utc")
    shown: list[tuple[str, Any]] = [
        ("Body site", row["body_site"]),
        ("Age", f"{row['age_years']} years" if row["age_years"] is not None else None),
        ("Sex", row["sex"]),
        ("Fitzpatrick type", row["fitzpatrick"]),
        ("Camera", photo.get("device")),
        ("Taken", f"{captured:%Y-%m-%d}" if captured else None),
        ("Night", row["night"]),
        ("Programme", row["programme"]),
        ("Person", row["patient"] and f"{row['patient'][:10]}…"),
    ]
    return [(name, "not known" if value in (None, "") else str(value)) for name, value in shown]


def _said(decision: Mapping[str, Any], taxonomy: Taxonomy) -> str:
    return "cannot tell" if decision["answer"] == "cannot_tell" else disease_name(taxonomy, decision["disease"])


def _answer_again(own: Mapping[str, Any]) -> Answer:
    return Answer.of({**own, "cannot_tell": own["answer"] == "cannot_tell"})


def _history(decisions: Any, user: User, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Decisions for the page, newest first; what a later one corrects is marked."""
    corrected = not_counting(decisions)
    return [
        {
            "said": _said(d, taxonomy),
            "reader": "you" if d["reader"] == user.name else d["reader"],
            "evidence": EVIDENCE_WORDS[d["evidence"]],
            "at": d["decided_at_utc"],
            "grade": d["grade"],
            "photo_quality": d["photo_quality"],
            "comment": d["comment"],
            "was_blind": d["was_blind"],
            "is_corrected": d["decision_id"] in corrected,
        }
        for d in reversed(decisions)
    ]


def _own(decisions: Any, user: User, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    return _history([d for d in decisions if d["reader"] == user.name], user, taxonomy)


def inbox_page(request: Request, user: User, desk: Desk, form: Form, problem: str | None = None) -> HTMLResponse:
    """Where a file of decisions is handed in."""
    return _page(
        request, "inbox.html.j2", user, 422 if problem else 200,
        form=desk.forms.sign(form), problem=problem, sent=request.query_params.get("sent"),
        columns=CSV_COLUMNS,
    )  # fmt: skip


def agreement_page(request: Request, user: User, desk: Desk) -> HTMLResponse:
    """How well the readers agree; a reader sees the whole and their own line, a steward every reader's."""
    figures = agreement_of(desk.queue(), desk.decisions.by_photo(), desk.taxonomy)
    own_only = user.role in READS_PHOTOS - READS_AUDIT
    return _page(request, "agreement.html.j2", user, figures=figures, own_only=own_only)


def audit_page(request: Request, user: User, desk: Desk, day: date) -> HTMLResponse:
    """Who saw and said what on a day (UTC), newest first."""
    sights = [
        {**entry, "at": datetime.fromisoformat(entry["at_utc"])} for entry in desk.audit.entries(day, AUDIT_ENTRIES)
    ]
    said = [
        {
            "at": d["recorded_at_utc"],
            "user": d["reader"],
            "role": "",
            "action": f"decided ({EVIDENCE_WORDS[d['evidence']]}): {_said(d, desk.taxonomy)}",
            "photo_id": d["photo_id"],
        }
        for decisions in desk.decisions.by_photo().values()
        for d in decisions
        if d["recorded_at_utc"].astimezone(UTC).date() == day
    ]
    rows = sorted([*sights, *said], key=lambda row: row["at"], reverse=True)
    return _page(
        request, "audit.html.j2", user, rows=rows[:AUDIT_ENTRIES], more=max(0, len(rows) - AUDIT_ENTRIES), day=day
    )


def diseases_for_search(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Every disease that can be answered, with the words it is found by."""
    return [
        {
            "id": d.id,
            "name": d.name,
            "grade": taxonomy.grade_of(d.id),
            "labels": list(d.labels),
            "parent": taxonomy[d.parent].name,
        }
        for d in taxonomy.diseases
        if d.parent is not None
    ]
