"""The review pages under load, on Airflow's api-server and Ceph: how soon the queue opens and an answer is kept."""

from __future__ import annotations

import hashlib
import random
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import httpx

from screening.contracts import PHOTOS, REVIEW_QUEUE, grades_contract
from screening.edges import paths
from screening.edges.decision_log import decision_objects, read_decisions
from screening.edges.store import Store
from screening.edges.tables import write_table
from screening.tasks import open_context
from tests.integration.conftest import RunningStack, make_stack
from tests.unit.made_up_night import CLASSES, Upload, night_of
from tests.unit.made_up_review import RUN, lesion_picture, queue_row

READERS = 20
QUICK_READER_S = (1.0, 3.0)
"""Somebody who decides in one to three seconds, evenly; dermatologists take longer."""
IN_STEP_S = (2.0, 2.0)
"""All begin together and take the same time, so that they also save together."""
NO_PAUSE_S = (0.0, 0.0)
NIGHTS = 50
"""The entries lie in so many published tables."""
FIRST_NIGHT = date(2026, 1, 1)
TOKEN = re.compile(r'name="form" value="([^"]+)"')


def run_review_pages(entries: int, answers: int) -> dict[str, str]:
    """Publish a queue, open it, and let twenty readers answer: at a quick reader's pace, in step, and without a pause.

    Args:
        entries: photos in the queue.
        answers: of each reader, in each of the three rounds.
    """
    figures: dict[str, str] = {}
    with _stack() as stack:
        store = _open_store(stack)
        _publish(store, entries, 3 * READERS * answers)
        stack.succeed("restart", "airflow-api-server")
        readers = [_log_in(stack, f"dr-{n}") for n in range(READERS)]
        opened = [_timed_open(readers[0]) for _ in range(20)]
        figures[f"queue of {entries:,} entries, first page after a restart"] = f"{opened[0] * 1000:.0f} ms"
        figures["queue, median of the next (below 1,000 ms)"] = f"{statistics.median(opened[1:]) * 1000:.0f} ms"
        for at, think_s in (
            ("1 to 3 s at each photo", QUICK_READER_S),
            ("all in step, 2 s", IN_STEP_S),
            ("no pause", NO_PAUSE_S),
        ):
            saves, views, refused = _answer_all(readers, answers, think_s)
            figures[f"{at}: save, median"] = f"{statistics.median(saves) * 1000:.0f} ms"
            figures[f"{at}: save, 95 %"] = f"{statistics.quantiles(saves, n=20)[-1] * 1000:.0f} ms"
            figures[f"{at}: page of the next photo, 95 %"] = f"{statistics.quantiles(views, n=20)[-1] * 1000:.0f} ms"
            figures[f"{at}: answers, refused"] = f"{len(saves)}, {refused}"
        kept, _ = read_decisions(store, (found.key for found in decision_objects(store)), connections=8)
    figures["decisions in the store"] = f"{len(kept)} of {3 * READERS * answers}"
    return figures


@contextmanager
def _stack() -> Iterator[RunningStack]:
    with tempfile.TemporaryDirectory() as folder:
        users = ",".join(f"dr-{n}:user" for n in range(READERS))
        stack = make_stack(Path(folder) / "state", STACK_AIRFLOW_USERS=f"admin:admin,{users}")
        try:
            stack.succeed("up")
            yield stack
        finally:
            stack.run("down")


def _open_store(stack: RunningStack) -> Store:
    import os

    from screening.settings import Settings

    environment = stack.environment
    os.environ |= {name: value for name, value in environment.items() if name.startswith("AWS_")}
    names = ("uploads", "results", "s3_endpoint")
    return open_context(Settings(**{name: environment[f"SCREENING_{name.upper()}"] for name in names})).results


def _publish(store: Store, entries: int, with_pictures: int) -> None:
    """A queue of so many photos, all low risk and therefore equally urgent; the first have pictures and grades."""
    [template] = night_of(Upload("template.jpg")).tables["grades"].to_pylist()
    photo = night_of(Upload("template.jpg")).tables["photos"].to_pylist()[0]
    published: list[str] = []
    for n in range(NIGHTS):
        night = FIRST_NIGHT + timedelta(days=n)
        ids = [hashlib.sha256(f"{n}/{i}".encode()).hexdigest()[:32] for i in range(entries // NIGHTS)]
        rows = [queue_row(template | {"photo_id": photo_id}, night) for photo_id in ids]
        made = (
            (REVIEW_QUEUE, rows),
            (grades_contract(CLASSES.class_ids), [template | {"photo_id": photo_id} for photo_id in ids]),
            (PHOTOS, [photo | {"photo_id": photo_id, "key": photo_id, "etag": photo_id} for photo_id in ids]),
        )
        for contract, found in made:
            key = paths.published(contract.name, str(template["programme"]), night)
            write_table(store, key, contract.table(found), contract)
        published += sorted(ids)
    for photo_id in published[: with_pictures + READERS]:
        store.put(paths.working_copy(RUN, photo_id), lesion_picture())


def _log_in(stack: RunningStack, user: str) -> httpx.Client:
    address = stack.settings.airflow_url
    said = {"username": user, "password": stack.password_of(user)}
    token = httpx.post(f"{address}/auth/token", json=said, timeout=60).raise_for_status().json()["access_token"]
    return httpx.Client(base_url=f"{address}/review", cookies={"_token": token}, timeout=60, follow_redirects=False)


def _timed_open(reader: httpx.Client) -> float:
    started = time.perf_counter()
    page = reader.get("/queue").raise_for_status()
    took = time.perf_counter() - started
    assert "photos." in page.text
    return took


def _answer_all(
    readers: list[httpx.Client], answers: int, think_s: tuple[float, float]
) -> tuple[list[float], list[float], int]:
    """Times of the saves, times of the pages that follow, and how many answers were not taken."""
    saves: list[float] = []
    views: list[float] = []
    lost: list[int] = []
    ready = threading.Barrier(len(readers))

    def read(reader: httpx.Client, chance: random.Random) -> None:
        path = reader.get("/next").headers["location"].removeprefix("/review")
        ready.wait()
        for _ in range(answers):
            started = time.perf_counter()
            page = reader.get(path)
            views.append(time.perf_counter() - started)
            reader.get(path.partition("?")[0] + "/photo.jpg")
            time.sleep(chance.uniform(*think_s))
            found = TOKEN.search(page.text)
            assert found, f"{path}: {page.status_code}"
            started = time.perf_counter()
            saved = reader.post(path, data={"form": found[1], "disease": "nevus", "grade": "low_risk"})
            saves.append(time.perf_counter() - started)
            if saved.status_code != 303:
                lost.append(saved.status_code)
            path = saved.headers["location"].removeprefix("/review")

    threads = [threading.Thread(target=read, args=(reader, random.Random(n))) for n, reader in enumerate(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return saves, views, len(lost)
