"""The pages as people meet them, in a real Chromium: they open offline, say what the tables say, and fit a phone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.local.airflow_api import AirflowApi
from tests.integration.nights import distinct, manifest, read_rows, run_screening

pytestmark = pytest.mark.stack

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def screened(stack, photos, tmp_path_factory) -> Path:
    """What `screening screen` wrote for six good photos of three people, a blurred one and a letter."""
    folder, out = (tmp_path_factory.mktemp("pages") / name for name in ("photos", "out"))
    folder.mkdir()
    names = [f"photo-{n}.jpg" for n in range(6)]
    for name, photo in zip(names, photos.good, strict=False):
        (folder / name).write_bytes(distinct(photo, "pages"))
    (folder / "blurred.jpg").write_bytes(distinct(photos.blurred, "pages"))
    (folder / "letter.jpg").write_bytes(b"Dear programme")
    (folder / "manifest.csv").write_bytes(
        manifest([{"file": name, "patient_id": f"Grace Hopper {n // 2}"} for n, name in enumerate(names)])
    )
    triton = {"SCREENING_TRITON_URL": stack.environment["SCREENING_TRITON_URL"]}
    done = run_screening(out.parent, "screen", str(folder), "--out", str(out), **triton)
    assert done.returncode == 0, done.stderr
    return Path(out)


@contextmanager
def opened(browser: Browser, address: str, size: dict[str, int]) -> Iterator[Page]:
    """The page, in a browser that reaches no network and forgives no error."""
    context = browser.new_context(viewport=size, offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("file:") else problems.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert problems == []


def only(folder: Path, name: str) -> Path:
    found = list(folder.rglob(name))
    assert len(found) == 1, found
    return found[0]


def fits(page: Page) -> bool:
    """Nothing is cut off at the right, so nobody scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_report_opens_offline_and_fits(browser, screened, size):
    with opened(browser, only(screened, "report.html").as_uri(), size) as page:
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert fits(page)


def test_the_report_counts_what_the_tables_hold(browser, screened):
    grades = [row for part in (screened / "tables" / "grades").rglob("*.parquet") for row in read_rows(part)]
    with opened(browser, only(screened, "report.html").as_uri(), DESK) as page:
        cells = page.locator("#accounting tbody tr").filter(has_text="folder").locator("td").all_inner_texts()
    listed, graded, refused = cells[2], cells[3], cells[5].split()[0]
    assert (listed, graded, refused) == ("8", str(len(grades)), "2")


def test_a_link_of_the_report_leads_to_its_section(browser, screened):
    with opened(browser, only(screened, "report.html").as_uri(), DESK) as page:
        page.get_by_role("link", name="its limits").click()
        expect(page.locator("#limits")).to_be_in_viewport()


def test_nobody_is_named_on_any_page(browser, screened):
    pages = sorted(screened.rglob("*.html"))
    assert len(pages) >= 8, "the report, the index of the audit and a page per table"
    for file in pages:
        with opened(browser, file.as_uri(), DESK) as page:
            assert "Hopper" not in page.content()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_audits_pages_lead_to_each_other_and_fit(browser, screened, size):
    with opened(browser, only(screened, "index.html").as_uri(), size) as page:
        assert fits(page)
        tables = page.locator("table.index a").all_inner_texts()
        assert "grades" in tables
        for table in tables:
            page.locator("table.index").get_by_role("link", name=table, exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(f"Table {table}")
            assert fits(page), table
            page.go_back()


def test_airflow_shows_the_dag_to_whoever_logs_in(browser, stack):
    """Airflow's own pages are scripts, so only a browser tells whether they work with our authentication."""
    AirflowApi(stack.settings.airflow_url, "admin", stack.airflow_password).unpause("nightly_screening", 120)
    page = browser.new_page(viewport=DESK)
    page.goto(f"{stack.settings.airflow_url}/dags/nightly_screening")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(stack.airflow_password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("nightly_screening").first).to_be_visible(timeout=30_000)
    page.close()
