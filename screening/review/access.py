"""Who may do what: roles, the signed token of a form, and the headers that keep a browser from doing more."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Role(StrEnum):
    """What a person is here, by what Airflow calls them."""

    VIEWER = "viewer"
    READER = "reader"
    STEWARD = "steward"
    ADMIN = "admin"


AIRFLOW_ROLES: Mapping[str, Role] = MappingProxyType(
    {"viewer": Role.VIEWER, "user": Role.READER, "op": Role.STEWARD, "admin": Role.ADMIN}
)
EVERYBODY = frozenset(Role)
READS_PHOTOS = frozenset({Role.READER, Role.ADMIN})
"""May see photos of patients and decide."""
READS_REPORTS = frozenset({Role.READER, Role.STEWARD, Role.ADMIN})
READS_COMPARISONS = frozenset({Role.STEWARD, Role.ADMIN})
"""May see what networks answer to vetted photos; readers stay blind."""
READS_AUDIT = frozenset({Role.ADMIN})

FORM_LASTS_S = 12 * 3600
"""A form that was opened longer ago is refused: a working day, after which nobody knows who sits at the tablet."""


@dataclass(frozen=True)
class User:
    """Who is logged in."""

    name: str
    role: Role


def role_of(airflow_roles: tuple[str, ...]) -> Role | None:
    """The strongest of the roles that Airflow names; None when none of them is ours."""
    ours = [AIRFLOW_ROLES[name.lower()] for name in airflow_roles if name.lower() in AIRFLOW_ROLES]
    return max(ours, key=list(Role).index, default=None)


@dataclass(frozen=True)
class Form:
    """A form that the server gave to one person for one purpose; what it says cannot be changed by the browser.

    ``decision_id`` makes a form that is sent twice one decision. ``evidence`` is fixed when the page is shown, since it
    tells what the reader saw: a reading is made without knowledge of the others'. ``opened_at_utc`` in ISO 8601.
    """

    user: str
    purpose: str
    decision_id: str
    opened_at_utc: str
    photo_id: str = ""
    evidence: str = ""
    was_blind: bool = False

    @property
    def opened(self) -> datetime:
        return datetime.fromisoformat(self.opened_at_utc)


class Forms:
    """Signs forms and takes them back; the token of a form is also its protection against forged requests (CSRF).

    Another site can neither read a token nor make one, and a token works for the person it was made for alone.
    """

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="screening.review.form")

    def new(self, user: User, purpose: str, **said: object) -> Form:
        now = datetime.now(UTC).isoformat()
        return Form(user.name, purpose, secrets.token_hex(16), now, **said)  # type: ignore[arg-type]

    def sign(self, form: Form) -> str:
        return self._signer.dumps(asdict(form))

    def take(self, token: str, user: User, purpose: str) -> Form | None:
        """The form, if we signed it for this person and purpose and it is not too old; else None."""
        try:
            form = Form(**self._signer.loads(token, max_age=FORM_LASTS_S))
        except (BadData, TypeError):
            return None
        return form if (form.user, form.purpose) == (user.name, purpose) else None


def is_own_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that one of our own pages sent this; what is no browser sends neither header.

    ``Sec-Fetch-Site`` comes first, since a proxy may have changed ``Host``.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site == "same-origin"
    return origin is None or urlsplit(origin).netloc == headers.get("host")


SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        # Airflow shows the pages in a frame of its own, so `self` may frame them and nobody else.
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        # With `no-referrer` browsers would send `Origin: null` with our own forms.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
)


class WithSecurityHeaders:
    """ASGI middleware: every answer carries the headers, unless its route has other ones, and no browser keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store"}.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
