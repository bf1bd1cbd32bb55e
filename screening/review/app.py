"""The routes of the review pages; ``create_app`` makes the application that Airflow mounts below ``/review``.

Every route names who may use it. Routes are plain functions, so that a wait for the store holds a thread and not the
event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from screening.edges import paths
from screening.errors import MissingObjectError, ScreeningError
from screening.review.access import (
    EVERYBODY,
    READS_AUDIT,
    READS_COMPARISONS,
    READS_PHOTOS,
    READS_REPORTS,
    Role,
    User,
    WithSecurityHeaders,
    is_own_origin,
)
from screening.review.access import Form as SignedForm
from screening.review.answers import Answer
from screening.review.desk import ANSWER, HISTOPATHOLOGY, Desk
from screening.review.filters import Filters
from screening.review.pages import (
    STATIC_FILES,
    agreement_page,
    audit_page,
    diseases_for_search,
    error_page,
    inbox_page,
    overview_page,
    photo_page,
    queue_page,
)
from screening.review.queue_index import QueueEntry

log = logging.getLogger(__name__)
router = APIRouter()
"""What takes a user."""
open_router = APIRouter()

PHOTO_CACHE = "private, max-age=300"
"""Long enough to show the photo that was fetched ahead; a shared tablet keeps no photo for longer."""
COMPARISON_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""That page is one file with its own styles and figures, and no script."""
INBOX = "inbox"
"""Purpose of the form that takes a file."""
MAX_INBOX_BYTES = 20_000_000
"""A file of 100,000 rows has some 15 MB."""


# The dependencies of all routes wait for nothing. FastAPI takes one that is not async to a thread and back, which costs
# each request more than what it does.


async def current_user(request: Request) -> User:
    """Who asks, as ``create_app``'s dependency found out before."""
    user: User = request.state.review_user
    return user


class AnswerFields(BaseModel):
    """The fields of the forms on a photo's page, as a browser sends them."""

    form: str = ""
    disease: str = ""
    answer: str = ""
    grade: str = ""
    photo_quality: str = ""
    comment: str = ""


def _needs(roles: frozenset[Role]) -> Callable[[User], Awaitable[User]]:
    async def check(user: Annotated[User, Depends(current_user)]) -> User:
        if user.role not in roles:
            raise HTTPException(403, f"Your role ({user.role}) may not see this page.")
        return user

    return check


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk()
    return desk


Anybody = Annotated[User, Depends(_needs(EVERYBODY))]
Reader = Annotated[User, Depends(_needs(READS_PHOTOS))]
ReportReader = Annotated[User, Depends(_needs(READS_REPORTS))]
ComparisonReader = Annotated[User, Depends(_needs(READS_COMPARISONS))]
Admin = Annotated[User, Depends(_needs(READS_AUDIT))]
OpenDesk = Annotated[Desk, Depends(_desk)]
Fields = Annotated[AnswerFields, Form()]
Text = Annotated[str, Form()]


def _entry(desk: Desk, photo_id: str) -> QueueEntry:
    entry = desk.entry(photo_id)
    if entry is None:
        raise HTTPException(404, "This photo is not in the review queue, or no longer.")
    return entry


def _form(request: Request, desk: Desk, user: User, token: str, purpose: str) -> SignedForm:
    """The form that comes back, or 403: forged, somebody else's, or too old."""
    form = desk.forms.take(token, user, purpose) if is_own_origin(request.headers) else None
    if form is None:
        raise HTTPException(403, "This form is too old or was not made for you. Open the page again and repeat it.")
    return form


def _log_sight(desk: Desk, user: User, action: str, photo_id: str | None = None) -> None:
    """Nobody sees a photo without a line in the access log."""
    try:
        desk.audit.write(user, action, photo_id)
    except ScreeningError as error:
        log.warning("review: the access log cannot be written: %s", error)
        raise HTTPException(
            503, "The access log cannot be written, so nothing of patients is shown. Try again in a minute."
        ) from error


@router.get("/")
def overview(request: Request, user: Anybody, desk: OpenDesk) -> Response:
    """How far the review is, in counts."""
    return overview_page(request, user, desk)


@router.get("/queue")
def queue(request: Request, user: Reader, desk: OpenDesk) -> Response:
    """The photos that match the filters."""
    return queue_page(request, user, desk, Filters.of(request.query_params), _number(request, "page"))


@router.get("/next")
def next_photo(request: Request, user: Reader, desk: OpenDesk) -> Response:
    """Go to the next photo that waits for this reader."""
    return _to_next(request, user, desk, Filters.of(request.query_params), but=request.query_params.get("but", ""))


@router.get("/photos/{photo_id}")
def photo(request: Request, user: Reader, desk: OpenDesk, photo_id: str) -> Response:
    """One photo, with the form for its answer."""
    entry = _entry(desk, photo_id)
    _log_sight(desk, user, "opened", photo_id)
    return photo_page(request, user, desk, entry, Filters.of(request.query_params))


@router.post("/photos/{photo_id}")
def save_answer(
    request: Request, user: Reader, desk: OpenDesk, photo_id: str, tasks: BackgroundTasks, fields: Fields
) -> Response:
    """Keep an answer and go on to the next photo; one that cannot be kept comes back with what is wrong."""
    signed = _form(request, desk, user, fields.form, ANSWER)
    entry = _own_entry(desk, signed, photo_id)
    said = Answer.of({**fields.model_dump(), "cannot_tell": fields.answer == "cannot_tell"})
    filters = Filters.of(request.query_params)
    if problems := said.problems(desk.taxonomy):
        _log_sight(desk, user, "opened", photo_id)
        return photo_page(request, user, desk, entry, filters, said=said, problems=problems)
    desk.save(signed, said, entry, user)
    if desk.has_draft(photo_id, user):
        tasks.add_task(_drop_draft, desk, photo_id, user)
    return _to_next(request, user, desk, filters, but=photo_id, saved=photo_id)


@router.post("/photos/{photo_id}/histopathology")
def save_result(request: Request, user: Reader, desk: OpenDesk, photo_id: str, fields: Fields) -> Response:
    """Keep a laboratory's result and show the photo again."""
    signed = _form(request, desk, user, fields.form, HISTOPATHOLOGY)
    entry = _own_entry(desk, signed, photo_id)
    said = Answer.of({"disease": fields.disease, "comment": fields.comment})
    filters = Filters.of(request.query_params)
    if problems := said.problems(desk.taxonomy):
        _log_sight(desk, user, "opened", photo_id)
        return photo_page(request, user, desk, entry, filters, result=said, result_problems=problems)
    desk.save(signed, said, entry, user)
    return _redirect(request, f"photos/{photo_id}", filters.address(saved=photo_id))


@router.put("/photos/{photo_id}/draft")
def keep_draft(request: Request, user: Reader, desk: OpenDesk, photo_id: str, fields: dict[str, Any]) -> Response:
    """Keep an answer that is not finished."""
    signed = _form(request, desk, user, request.headers.get("x-review-form", ""), ANSWER)
    entry = _own_entry(desk, signed, photo_id)
    said = Answer.of(fields)
    if "comment" in said.problems(desk.taxonomy):
        raise HTTPException(422, "The comment is too long to be kept.")
    desk.keep_draft(signed, said)
    return JSONResponse({"kept": entry.photo_id})


@router.get("/photos/{photo_id}/photo.jpg")
def photo_file(user: Reader, desk: OpenDesk, photo_id: str) -> Response:
    """The working copy."""
    entry = _entry(desk, photo_id)
    return _picture(desk, user, paths.working_copy(entry.run_id, photo_id), "photo", photo_id)


@router.get("/photos/{photo_id}/heat-map.jpg")
def heat_map_file(user: Reader, desk: OpenDesk, photo_id: str) -> Response:
    """Where the networks looked; not for somebody who still reads blind."""
    entry = _entry(desk, photo_id)
    if not desk.may_see_the_answer(entry, user):
        raise HTTPException(403, "The heat map is shown once you have answered.")
    return _picture(desk, user, paths.heat_map(entry.run_id, photo_id), "heat map", photo_id)


@router.get("/diseases.json")
def diseases(user: Reader, desk: OpenDesk) -> Response:  # noqa: ARG001  # naming the user is what keeps others out
    """All diseases, for the search on the page."""
    return JSONResponse(diseases_for_search(desk.taxonomy), headers={"Cache-Control": "private, max-age=3600"})


@router.get("/inbox")
def inbox(request: Request, user: Reader, desk: OpenDesk) -> Response:
    """Where a file of decisions is handed in."""
    return inbox_page(request, user, desk, desk.forms.new(user, INBOX))


@router.post("/inbox")
def take_file(
    request: Request, user: Reader, desk: OpenDesk, file: UploadFile | None = None, form: Text = ""
) -> Response:
    """Put a file of decisions where `intake_decisions` finds it."""
    signed = _form(request, desk, user, form, INBOX)
    body = file.file.read(MAX_INBOX_BYTES + 1) if file else b""
    problem = None
    if not body.strip():
        problem = "Choose a CSV file that is not empty."
    elif len(body) > MAX_INBOX_BYTES:
        problem = f"The file is larger than {MAX_INBOX_BYTES // 1_000_000} MB. Split it."
    elif b"\0" in body:
        problem = "This is no CSV file. Save the spreadsheet as CSV (UTF-8)."
    if problem:
        return inbox_page(request, user, desk, desk.forms.new(user, INBOX), problem=problem)
    name = f"{signed.opened:%Y%m%dT%H%M%S}-{signed.decision_id}.csv"
    _log_sight(desk, user, f"sent a file of decisions: {name}")
    # The name is the form's, so that a file that is sent twice lies there once.
    desk.store.put(paths.review_inbox(name), body, only_if_new=True)
    return _redirect(request, "inbox", f"sent={name}")


@router.get("/agreement")
def agreement(request: Request, user: ReportReader, desk: OpenDesk) -> Response:
    """How well the readers agree."""
    return agreement_page(request, user, desk)


@router.get("/comparisons/{run_id}")
def comparison(user: ComparisonReader, desk: OpenDesk, run_id: str) -> Response:  # noqa: ARG001  # the user is checked
    """The page that a person reads before a release may take over, as the retraining wrote it."""
    try:
        page = desk.store.get(paths.training(run_id, paths.COMPARISON_PAGE))
    except MissingObjectError as error:
        raise HTTPException(404, "There is no comparison of this run.") from error
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": COMPARISON_POLICY})


@router.get("/audit")
def audit(request: Request, user: Admin, desk: OpenDesk) -> Response:
    """Who saw and said what on a day."""
    try:
        day = date.fromisoformat(request.query_params.get("day", ""))
    except ValueError:
        day = datetime.now(UTC).date()
    return audit_page(request, user, desk, day)


@open_router.get("/static/review.css")
def stylesheet() -> Response:
    """The one thing that anybody gets: the page that asks to log in is laid out with it."""
    return _static("review.css")


@router.get("/static/{name}")
def static_file(user: Anybody, name: str) -> Response:  # noqa: ARG001  # as above
    """What the pages load."""
    return _static(name)


def _static(name: str) -> Response:
    if name not in STATIC_FILES:
        raise HTTPException(404, "There is no such file.")
    body, kind = STATIC_FILES[name]
    return Response(body, media_type=kind, headers={"Cache-Control": "private, max-age=86400"})


def _own_entry(desk: Desk, form: SignedForm, photo_id: str) -> QueueEntry:
    if form.photo_id != photo_id:
        raise HTTPException(403, "This form belongs to another photo. Open the page again.")
    return _entry(desk, photo_id)


def _picture(desk: Desk, user: User, key: str, what: str, photo_id: str) -> Response:
    try:
        body = desk.store.get(key)
    except MissingObjectError as error:
        raise HTTPException(404, f"The {what} is no longer kept.") from error
    _log_sight(desk, user, what, photo_id)
    # Airflow would spend more time on packing a JPEG once more than all the rest takes, were its encoding not named.
    headers = {"Cache-Control": PHOTO_CACHE, "Content-Encoding": "identity"}
    return Response(body, media_type="image/jpeg", headers=headers)


def _drop_draft(desk: Desk, photo_id: str, user: User) -> None:
    with contextlib.suppress(ScreeningError):  # what is left is overwritten by the next draft
        desk.drop_draft(photo_id, user)


def _to_next(  # who, what, and from where to where
    request: Request, user: User, desk: Desk, filters: Filters, *, but: str = "", saved: str = ""
) -> Response:
    entry = desk.next_photo(filters, user, but)
    if entry is None:
        return _redirect(request, "queue", filters.address(saved=saved, end="1"))
    desk.reading_now.open(entry.photo_id, user.name)
    return _redirect(request, f"photos/{entry.photo_id}", filters.address(saved=saved))


def _redirect(request: Request, path: str, query: str) -> Response:
    return RedirectResponse(f"{request.scope['root_path']}/{path}" + (f"?{query}" if query else ""), status_code=303)


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 7 else 1


def create_app(
    open_desk: Callable[[], Desk],
    user_dependency: Callable[..., Any],
    login_url: Callable[[Request], str] | None = None,
) -> FastAPI:
    """The application.

    Args:
        open_desk: makes the state, once, when it is first needed.
        user_dependency: a FastAPI dependency that returns the ``User`` or refuses the caller.
        login_url: where a caller who is not known may log in, to come back to this request.
    """
    # No page that describes the routes: it would be one more route to guard.
    app = FastAPI(title="Review", openapi_url=None, docs_url=None, redoc_url=None, lifespan=_warm_up)
    app.state.desk = _Once(open_desk)
    # Not an override of `current_user`: FastAPI inspects overrides anew in each request, a tenth of a request's cost.
    known_user = Depends(user_dependency)

    async def remember_user(request: Request, user: User = known_user) -> None:
        request.state.review_user = user

    app.include_router(open_router)
    app.include_router(router, dependencies=[Depends(remember_user)])
    app.add_middleware(WithSecurityHeaders)

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> HTMLResponse:
        url = login_url(request) if login_url and error.status_code == 401 else None
        return error_page(request, error.status_code, str(error.detail), url)

    @app.exception_handler(ScreeningError)
    async def failed(request: Request, error: ScreeningError) -> HTMLResponse:
        log.error("review: %s %s: %s", request.method, request.url.path, error)
        code = secrets.token_hex(4)
        log.error("review: shown to the reader as error %s", code)
        return error_page(
            request, 503, f"The store did not give what this page needs. Try again in a minute (error {code}).", None
        )

    return app


class _Once:
    """Makes a desk at the first call; a failure is tried again at the next."""

    def __init__(self, make: Callable[[], Desk]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._desk: Desk | None = None

    def __call__(self) -> Desk:
        with self._lock:
            if self._desk is None:
                self._desk = self._make()
            return self._desk


@contextlib.asynccontextmanager
async def _warm_up(app: FastAPI) -> AsyncIterator[None]:
    """Read the queue and the decisions before the first reader comes; Airflow does not wait for it."""

    def read() -> None:
        try:
            desk = app.state.desk()
            desk.counts()
        except ScreeningError as error:  # the first page says so again
            log.warning("review: the queue cannot be read yet: %s", error)

    warming = asyncio.get_running_loop().run_in_executor(None, read)
    yield
    await asyncio.wait({warming}, timeout=5)
