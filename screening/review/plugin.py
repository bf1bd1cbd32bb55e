"""The review pages in Airflow: behind its log-in, with its roles, in its navigation.

Airflow finds this class through ``plugins/review_pages.py``, or through an entry point of the group ``airflow.plugins``.
Every process of Airflow loads its plugins, also each task's, so the pages themselves are imported by the api-server alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

    from screening.review.access import User
    from screening.review.desk import Desk

PAGE_ATTEMPTS = 2
PAGE_TIMEOUT_S = 5.0
"""Somebody waits for a page: better an error after some seconds than an answer after a minute."""
CONNECTIONS = 32
"""As many requests of the pages may talk to the store at once; the thread pool has 40 threads."""


class _Apps:
    """Made when Airflow asks for it, which only its api-server does."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        return [{"app": _review_app(), "url_prefix": "/review", "name": "Review"}]


class ReviewPages(AirflowPlugin):
    """Adds the pages below ``/review`` and a link to them."""

    name = "review_pages"
    fastapi_apps = _Apps()  # gives the list when it is asked for
    external_views = [  # noqa: RUF012  # Airflow reads and changes it as the base class declares it
        {"name": "Review", "href": "review/", "destination": "nav", "category": "browse", "url_route": "review"}
    ]


def _review_app() -> FastAPI:
    from airflow.api_fastapi.app import get_auth_manager  # noqa: PLC0415
    from airflow.api_fastapi.core_api.security import GetUserDep  # noqa: PLC0415
    from fastapi import HTTPException  # noqa: PLC0415  # see the module's docstring, also below

    from screening.review.access import User, role_of  # noqa: PLC0415
    from screening.review.app import create_app  # noqa: PLC0415

    async def airflow_user(user: GetUserDep) -> User:
        role = role_of(_role_names(user))
        if role is None:
            raise HTTPException(403, "Airflow gives you none of the roles viewer, user, op and admin.")
        return User(user.get_name(), role)

    # The annotations of this module are text, which FastAPI cannot look up inside a function.
    airflow_user.__annotations__ = {"user": GetUserDep, "return": User}

    def login_url(request: Request) -> str:
        return get_auth_manager().get_url_login(next_url=str(request.url))

    return create_app(_open_desk, airflow_user, login_url)


def _role_names(user: object) -> tuple[str, ...]:
    """The simple auth manager gives a person one role, that of Flask-AppBuilder several."""
    several = getattr(user, "roles", None) or ()
    return tuple(str(name) for name in (getattr(user, "role", None), *(r.name for r in several)) if name)


def _open_desk() -> Desk:
    from airflow.configuration import conf  # noqa: PLC0415

    from screening.edges.store import open_store  # noqa: PLC0415
    from screening.edges.yaml_file import read_mapping  # noqa: PLC0415
    from screening.review.desk import Desk  # noqa: PLC0415
    from screening.settings import load_settings  # noqa: PLC0415
    from screening.stages.review_rules import SiteReviewRules, site_review_rules  # noqa: PLC0415
    from screening.taxonomy import load_taxonomy  # noqa: PLC0415

    settings = load_settings()
    store = open_store(
        settings.results,
        endpoint=settings.s3_endpoint,
        attempts=PAGE_ATTEMPTS,
        timeout_s=PAGE_TIMEOUT_S,
        connections=CONNECTIONS,
    )
    # As tasks.load_review_rules, without the libraries that the tasks load.
    file = settings.review_rules
    rules = site_review_rules(read_mapping(Path(file)), file) if file else SiteReviewRules()
    return Desk(store, conf.get_mandatory_value("api", "secret_key"), load_taxonomy(), rules)
