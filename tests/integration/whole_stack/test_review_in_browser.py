"""The review as clinicians meet it: real Chromium, Airflow's log-in, Ceph; keyboard, tablet, and what a page must not hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date

import httpx
import pytest
from playwright.sync_api import Page, expect

from screening.edges.decision_log import decision_objects, read_decisions
from screening.edges.store import Store
from screening.review.queue_index import LISTED_EVERY_S
from tests.unit.made_up_night import Upload
from tests.unit.made_up_review import publish

pytestmark = [pytest.mark.stack, pytest.mark.browser]

DESK, TABLET, TABLET_UPRIGHT = ({"width": w, "height": h} for w, h in ((1366, 900), (1180, 820), (820, 1180)))
NIGHT = date(2020, 2, 2)
"""No other test has this night, so this one may share the bucket that Airflow's pages read."""
PROGRAMME = "pages-in-review"


@pytest.fixture(scope="module")
def store(new_site) -> Iterator[Store]:
    """The stack's own results; what the tests put there goes again."""
    store = new_site("").context().results
    before = {found.key for page in store.pages("") for found in page}
    yield store
    for key in [found.key for page in store.pages("") for found in page]:
        if key not in before and (key.startswith("review/") or PROGRAMME in key or "night-made-up" in key):
            store.delete(key)


@pytest.fixture(scope="module")
def photos(store, stack) -> list[str]:
    """Six photos that two people must read."""
    names = ("dangerous", "dangerous", "high_risk", "high_risk", "low_risk", "low_risk")
    uploads = [Upload(f"review-{n}.jpg", grade=grade, programme=PROGRAMME) for n, grade in enumerate(names)]
    published = publish(store, *uploads, night=NIGHT, readers_wanted=2)
    reader = httpx.Client(
        base_url=stack.settings.airflow_url, cookies={"_token": token_of(stack, "dr-lee")}, timeout=30
    )
    end = time.monotonic() + 2 * LISTED_EVERY_S
    while published[0] not in reader.get("/review/queue?state=all").text:
        assert time.monotonic() < end, "the pages do not see the published queue"
        time.sleep(0.5)
    return published


@pytest.fixture
def opened(browser, stack, photos) -> Callable[..., AbstractContextManager[Page]]:
    """Somebody's browser, which forgives no error and reaches no other host."""

    @contextmanager
    def open_as(
        user: str, path: str, size: dict[str, int] = DESK, forgives: str = "nothing", **options
    ) -> Iterator[Page]:
        address = stack.settings.airflow_url
        context = browser.new_context(viewport=size, base_url=address, **options)
        context.add_cookies([{"name": "_token", "value": token_of(stack, user), "url": address}])
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(address) else problems.append(r.url))
        page.goto(f"/review{path}")
        yield page
        context.close()
        assert [problem for problem in problems if forgives not in problem] == []

    return open_as


def token_of(stack, user: str) -> str:
    said = {"username": user, "password": stack.password_of(user)}
    answer = httpx.post(f"{stack.settings.airflow_url}/auth/token", json=said, timeout=30)
    return str(answer.raise_for_status().json()["access_token"])


def decisions_on(store: Store, photo: str) -> dict[str, dict]:
    recorded, _ = read_decisions(store, [found.key for found in decision_objects(store)])
    return {str(decision["reader"]): decision for decision in recorded if decision["photo_id"] == photo}


def photo_of(page: Page) -> str:
    return str(page.locator(".desk").get_attribute("data-photo"))


def answer_by_keyboard(page: Page, disease: str) -> None:
    page.wait_for_load_state()  # the keys are the script's
    page.keyboard.press("d")
    page.keyboard.type(disease)
    expect(page.locator("#disease-list [role=option]").first).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("7")
    before = page.url
    page.keyboard.press("s")
    page.wait_for_url(lambda url: url != before)


def test_who_is_not_logged_in_is_asked_to_and_comes_back(browser, stack, photos):
    page = browser.new_page(base_url=stack.settings.airflow_url)
    page.goto("/review/queue?state=all")
    page.get_by_role("link", name="Log in").click()
    page.locator("input[name=username]").fill("dr-lee")
    page.locator("input[name=password]").fill(stack.password_of("dr-lee"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Queue")).to_be_visible(timeout=30_000)
    page.close()


def test_airflows_navigation_leads_to_the_pages(browser, stack, photos):
    context = browser.new_context(viewport=DESK, base_url=stack.settings.airflow_url)
    context.add_cookies([{"name": "_token", "value": token_of(stack, "dr-lee"), "url": stack.settings.airflow_url}])
    page = context.new_page()
    page.goto("/plugin/review")
    expect(page.frame_locator("iframe").get_by_role("heading", name="Overview")).to_be_visible(timeout=30_000)
    page.frame_locator("iframe").get_by_role("link", name="Start reading").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Your answer")).to_be_visible()
    context.close()


def test_two_people_read_by_keyboard_and_a_third_adjudicates(opened, store, photos):
    with opened("dr-lee", "/queue?programme=" + PROGRAMME) as page:
        page.get_by_role("link", name="Read the next photo").click()
        first = photo_of(page)
        expect(page.get_by_text("You read blind.")).to_be_visible()
        assert "heat-map" not in page.content()
        answer_by_keyboard(page, "spitz")
        expect(page.get_by_text("Saved.")).to_be_visible()
        assert photo_of(page) != first
        page.get_by_role("link", name="See the model’s answer").click()  # noqa: RUF001  # as the page spells it
        expect(page.get_by_role("heading", name="The model’s answer")).to_be_visible()  # noqa: RUF001
        page.keyboard.press("h")
        expect(page.get_by_role("button", name="Heat map")).to_have_attribute("aria-pressed", "true")
    with opened("dr-ray", f"/photos/{first}") as page:
        expect(page.get_by_text("Spitz naevus")).to_have_count(0)
        answer_by_keyboard(page, "melanoma")
    with opened("dr-mora", f"/queue?programme={PROGRAMME}&state=needs_adjudication") as page:
        page.get_by_role("link", name=first[:8]).click()
        expect(page.get_by_text("Spitz naevus")).to_be_visible()
        answer_by_keyboard(page, "melanoma")
    said = decisions_on(store, first)
    assert {name: (d["evidence"], d["disease"], d["grade"], d["photo_quality"]) for name, d in said.items()} == {
        "dr-lee": ("reading", "spitz_nevus", "low_risk", "good"),
        "dr-ray": ("reading", "melanoma", "dangerous", "good"),
        "dr-mora": ("adjudication", "melanoma", "dangerous", "good"),
    }


def test_the_next_photo_is_there_before_it_is_asked_for(opened, photos):
    with opened("dr-mora", f"/next?programme={PROGRAMME}") as page:
        following = page.locator(".desk").get_attribute("data-next")
        assert following
        page.wait_for_function("url => performance.getEntriesByName(new URL(url, location).href).length", arg=following)


def test_an_answer_that_was_begun_is_there_again(opened, photos):
    photo = photos[-1]
    with opened("dr-ray", f"/photos/{photo}") as page:
        with page.expect_response(lambda r: r.url.endswith("/draft")) as kept:
            page.locator("#comment").fill("half a thought")
        assert kept.value.status == 200
    with opened("dr-ray", f"/photos/{photo}") as page:
        expect(page.locator("#comment")).to_have_value("half a thought")


def test_an_answer_without_a_disease_is_not_saved_and_the_page_says_why(opened, photos):
    with opened("dr-mora", f"/photos/{photos[3]}", forgives="422") as page:
        page.keyboard.press("s")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page.get_by_role("combobox", name="Disease")).to_have_attribute("aria-invalid", "true")


def test_the_photo_is_enlarged_by_wheel_and_keys(opened, photos):
    with opened("dr-ray", f"/photos/{photos[2]}") as page:
        level = page.locator("[data-level]")
        page.locator("[data-view]").hover()
        page.mouse.wheel(0, -500)
        expect(level).not_to_have_text("100 %")
        page.keyboard.press("0")
        expect(level).to_have_text("100 %")
        page.keyboard.press("+")
        expect(level).to_have_text("150 %")


def test_single_keys_can_be_switched_off(opened, photos):
    with opened("dr-ray", f"/photos/{photos[2]}") as page:
        page.get_by_text("Keyboard", exact=True).click()
        page.get_by_label("Single keys work on this device").uncheck()
        page.locator("[data-view]").focus()
        page.keyboard.press("t")
        expect(page.locator("#cannot-tell")).not_to_be_checked()


@pytest.mark.parametrize("size", [TABLET, TABLET_UPRIGHT], ids=["tablet", "tablet upright"])
@pytest.mark.parametrize("path", ["/", "/queue", "/inbox", "/agreement", "/photos/{photo}"])
def test_a_tablet_shows_every_page_with_room_for_fingers(opened, photos, path, size):
    with opened("dr-mora", path.format(photo=photos[4]), size, has_touch=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nobody scrolls sideways"
        assert page.evaluate(SMALL_TARGETS) == []


SMALL_TARGETS = """() => [...document.querySelectorAll('a[href], button, select, input:not([type=hidden]), textarea, summary')]
  .filter(e => e.checkVisibility({ checkOpacity: false }) && !e.closest('.skip, .flash, p:not(.moves, .do) > small') && !e.matches('.skip'))
  .map(e => { const of = e.labels?.length ? [e, ...e.labels] : [e]; const box = of.map(x => x.getBoundingClientRect());
    return [e.outerHTML.slice(0, 80), Math.max(...box.map(b => b.height)), Math.max(...box.map(b => b.width))]; })
  .filter(([, height, width]) => height < 43.5 || width < 43.5)"""
"""Everything that is tapped and smaller than 44 px either way; a control counts with its label."""

NAMELESS = """() => [...document.querySelectorAll(
    'input:not([type=hidden]), select, textarea, button, a[href], img, [role=listbox], nav')]
  .filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim() || e.alt || e.title))
  .map(e => e.outerHTML.slice(0, 100))"""

PALE = """() => {
  const rgb = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const linear = v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('.hidden, option')) continue;
    const a = light(rgb(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push([e.outerHTML.slice(0, 80), ratio]);
  }
  return found;
}"""
"""Texts whose contrast with their ground is below 4.5 : 1 (WCAG 2.2, 1.4.3)."""


@pytest.mark.parametrize("path", ["/", "/queue?state=all", "/inbox", "/agreement", "/audit", "/photos/{photo}"])
def test_everything_has_a_name_and_can_be_read(opened, photos, path):
    with opened("admin", path.format(photo=photos[0])) as page:
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(PALE) == []
        assert page.locator("h1").count() == page.locator("main").count() == 1
        assert page.locator("html").get_attribute("lang") == "en"


def test_the_focus_is_seen(opened, photos):
    with opened("dr-ray", "/queue") as page:
        for _ in range(4):
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert outline == "3px"


def test_a_viewer_is_refused_photos_and_a_steward_reads_reports(opened, stack, photos):
    for user, path, status in (
        ("val", "/queue", 403),
        ("val", f"/photos/{photos[0]}/photo.jpg", 403),
        ("val", "/", 200),
        ("sten", f"/photos/{photos[0]}", 403),
        ("sten", "/agreement", 200),
    ):
        answer = httpx.get(
            f"{stack.settings.airflow_url}/review{path}", cookies={"_token": token_of(stack, user)}, timeout=30
        )
        assert (user, path, answer.status_code) == (user, path, status)
