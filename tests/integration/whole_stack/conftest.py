"""Here the stack is whole: with Airflow and its database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.conftest import RunningStack, running_stack

CHROMIUM = "/usr/bin/chromium"
AIRFLOW_USERS = "admin:admin,val:viewer,dr-lee:user,dr-ray:user,dr-mora:user,sten:op"
"""Somebody of each role, and three readers."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole stack, started once for all tests; who stops a part of it starts it again."""
    with running_stack(tmp_path_factory, STACK_AIRFLOW_USERS=AIRFLOW_USERS) as stack:
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()
