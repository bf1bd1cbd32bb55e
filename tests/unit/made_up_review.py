"""A made-up review: published queues with their photos, and people in front of the pages."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import Cookie, HTTPException
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from screening.contracts import PHOTOS, REVIEW_QUEUE, grades_contract
from screening.edges import paths
from screening.edges.store import Store
from screening.edges.tables import write_table
from screening.review.access import Role, User
from screening.review.app import create_app
from screening.review.desk import Desk
from screening.stages.review_rules import ReviewRules, SiteReviewRules
from screening.taxonomy import load_taxonomy
from tests.unit.made_up_night import CLASSES, NIGHT, Upload, night_of

RUN = "night-made-up"
SECRET = "a secret of the tests"
OPEN_PROGRAMME = "hills"
"""A programme that reads with the model's answer in sight."""
RULES = SiteReviewRules(programmes={OPEN_PROGRAMME: ReviewRules(blind=False)})

Row = dict[str, Any]


def queue_row(grade: Mapping[str, Any], night: date = NIGHT, **changed: Any) -> Row:
    """The queue's row of a row of grades."""
    shared = ("photo_id", "programme", "grade", "disease", "differential", "p_low_risk", "p_high_risk", "p_dangerous",
              "member_spread", "verdict", "release", "patient", "lesion")  # fmt: skip
    severe = {"dangerous": 0, "high_risk": 1, "low_risk": 9}[grade["grade"]]
    return {
        **{name: grade[name] for name in shared},
        "night": night,
        "run_id": RUN,
        "reasons": [{0: "dangerous", 1: "high_risk", 9: "random_sample"}[severe]],
        "priority": severe,
        "inclusion_probability": 1.0,
        "readers_wanted": 1,
        "body_site": "back",
        "age_years": 61,
        "sex": "female",
        "fitzpatrick": 2,
        "has_training_consent": True,
    } | changed


def publish(store: Store, *uploads: Upload, night: date = NIGHT, **changed: Any) -> list[str]:
    """Publish a night with these uploads, all of them in the queue; returns their ids, most urgent first."""
    made = night_of(*uploads)
    grades = made.tables["grades"].to_pylist()
    rows = [queue_row(row, night, **changed) for row in grades]
    for programme in {row["programme"] for row in rows}:
        of_programme = [row for row in rows if row["programme"] == programme]
        write_table(
            store, paths.published("review_queue", programme, night), REVIEW_QUEUE.table(of_programme), REVIEW_QUEUE
        )
        for name, contract in (("grades", grades_contract(CLASSES.class_ids)), ("photos", PHOTOS)):
            table = made.tables[name]
            kept = [row for row in table.to_pylist() if row["programme"] == programme]
            write_table(store, paths.published(name, programme, night), contract.table(kept), contract)
    for row in rows:
        store.put(paths.working_copy(RUN, row["photo_id"]), lesion_picture())
        store.put(paths.heat_map(RUN, row["photo_id"]), lesion_picture("#c04030"))
    return [row["photo_id"] for row in sorted(rows, key=lambda r: (r["priority"], r["photo_id"]))]


@functools.cache
def lesion_picture(colour: str = "#5a3524") -> bytes:
    """A drawn lesion on skin, as JPEG."""
    image = Image.new("RGB", (512, 384), "#d9a98c")
    ImageDraw.Draw(image).ellipse((190, 120, 330, 260), fill=colour)
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


def make_desk(store: Store) -> Desk:
    return Desk(store, SECRET, load_taxonomy(), RULES)


def user_of_cookie(who: Annotated[str, Cookie()] = "") -> User:
    """Stands in for Airflow's log-in: the cookie says who and what somebody is."""
    if not who:
        raise HTTPException(401, "not logged in")
    name, _, role = who.partition(":")
    return User(name, Role(role))


def person(desk: Desk, name: str, role: str = "reader") -> TestClient:
    """Somebody in front of the pages; all people of one desk share its process."""
    return TestClient(
        create_app(lambda: desk, user_of_cookie, lambda _: "/auth/login"),
        cookies={"who": f"{name}:{role}"} if name else {},
        follow_redirects=False,
    )


def token_of(page: str, nth: int = 0) -> str:
    """The signed form of a page: 0 is that of the answer, 1 that of a laboratory's result."""
    found: Sequence[str] = re.findall(r'name="form" value="([^"]+)"', page)
    return found[nth]


def decide(who: TestClient, photo_id: str, disease: str = "melanoma", **fields: str) -> Any:
    """Open a photo's page and save an answer."""
    page = who.get(f"/photos/{photo_id}")
    assert page.status_code == 200, page.text
    return who.post(f"/photos/{photo_id}", data={"form": token_of(page.text), "disease": disease, **fields})
