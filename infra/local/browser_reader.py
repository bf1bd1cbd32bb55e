"""People of the demo, with Chromium: a reader who answers photos by keyboard, and one who sees what a release asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from infra.local.errors import StackError

CHROMIUM = Path("/usr/bin/chromium")
_PATIENCE_MS = 30_000


def read_photos(
    address: str, user: str, password: str, diseases: Mapping[str, str], photos: int, pictures: Path
) -> int:
    """Answer the photos that the queue offers, until so many are done; returns how many.

    Args:
        address: of Airflow.
        user: log-in of a reader.
        password: of the user.
        diseases: what each photo shows, by photo_id; a photo that is not among them is answered with "cannot tell".
        photos: how many to answer.
        pictures: folder for a picture of the queue and of the first photo.
    """
    if not CHROMIUM.exists():
        raise StackError(f"{CHROMIUM} is missing; `make browsers` installs it")
    with _page(address) as page:
        page.goto("/review/queue")
        page.get_by_role("link", name="Log in").click()
        _log_in(page, user, password)
        expect(page.get_by_role("heading", name="Queue")).to_be_visible(timeout=_PATIENCE_MS)
        page.screenshot(path=pictures / "queue.png")
        page.get_by_role("link", name="Read the next photo").click()
        answered = 0
        while answered < photos and page.locator(".desk").count():
            if not answered:
                expect(page.locator("[data-picture]")).to_have_js_property("complete", value=True, timeout=_PATIENCE_MS)
                page.screenshot(path=pictures / "photo.png")
            _answer(page, diseases.get(str(page.locator(".desk").get_attribute("data-photo"))))
            answered += 1
        return answered


def picture_question(address: str, user: str, password: str, task: str, picture: Path) -> None:
    """Take a picture of Airflow's page on which a person approves or rejects.

    Args:
        address: of Airflow.
        user: log-in of somebody who may answer.
        password: of the user.
        task: path of the task in Airflow, as ``dags/<dag>/runs/<run>/tasks/<task>``.
        picture: file of the picture.
    """
    with _page(address) as page:
        page.goto(f"/{task}/required_actions")
        _log_in(page, user, password)
        expect(page.get_by_role("button", name="Approve")).to_be_visible(timeout=_PATIENCE_MS)
        page.screenshot(path=picture)


def _log_in(page: Page, user: str, password: str) -> None:
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()


def _answer(page: Page, disease: str | None) -> None:
    if disease is None:
        page.keyboard.press("t")
    else:
        page.keyboard.press("d")
        page.keyboard.type(disease)
        expect(page.locator("#disease-list [role=option]").first).to_be_visible(timeout=_PATIENCE_MS)
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
    page.keyboard.press("7")
    before = page.url
    page.keyboard.press("s")
    page.wait_for_url(lambda url: url != before, timeout=_PATIENCE_MS)


@contextmanager
def _page(address: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser.new_page(base_url=address, viewport={"width": 1366, "height": 900})
        finally:
            browser.close()
