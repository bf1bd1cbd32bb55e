"""The DAG on the real stack: it publishes what it was asked for, costs few tasks, and keeps secrets out of its traces."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date

import pytest

from infra.local.airflow_api import AirflowApi
from infra.local.credentials import load_credentials
from infra.local.object_store import connect, make_buckets
from screening.contracts import Outcome
from screening.edges import paths
from screening.edges.release import load_release
from screening.stages.ensemble import ENSEMBLE
from screening.tasks.context import run_id_of
from tests.integration.nights import MODEL_REPOSITORY, NIGHT, Rows, distinct, manifest, photo_id_of

pytestmark = pytest.mark.stack

DAG = "nightly_screening"
PROGRAMME = "airflow"
EMPTY_NIGHT = date(2001, 1, 1)
REFUSED_NIGHT = date(2026, 11, 22)
PERSON, NAME_IN_A_FILE = "Ada Lovelace", "lovelace"
FILES_PER_BATCH = 8


@pytest.fixture(scope="module")
def airflow(stack):
    api = AirflowApi(stack.settings.airflow_url, "admin", stack.airflow_password)
    api.unpause(DAG, 120)
    return api


@pytest.fixture(scope="module")
def site(new_site):
    """The buckets themselves, where the DAG looks."""
    return new_site("")


@pytest.fixture(scope="module")
def files(photos):
    good = {f"{NAME_IN_A_FILE}-{n}.jpg": distinct(photo, "airflow") for n, photo in enumerate(photos.good[:6])}
    bad = {"blurred.jpg": distinct(photos.blurred, "airflow"), "empty.jpg": b"", "letter.jpg": b"Dear programme"}
    people = [{"file": name, "patient_id": f"{PERSON} {n // 2}"} for n, name in enumerate(good)]
    return good | bad | {"again.jpg": good[f"{NAME_IN_A_FILE}-0.jpg"], "manifest.csv": manifest(people)}


@dataclass(frozen=True)
class Run:
    """A run of the DAG: its id, state and task instances."""

    run: str
    state: str
    instances: Rows
    seconds: float

    def of(self, task: str) -> Rows:
        return [instance for instance in self.instances if instance["task_id"].rsplit(".", 1)[-1] == task]


def run_dag(airflow: AirflowApi, night: date, within_s: float = 240.0) -> Run:
    began = time.monotonic()
    run = airflow.trigger(DAG, {"night": night.isoformat()})
    state = airflow.wait(DAG, run, within_s)
    return Run(run, state, airflow.task_instances(DAG, run), time.monotonic() - began)


@pytest.fixture(scope="module")
def night(airflow, site, files):
    site.upload(files, PROGRAMME)
    return run_dag(airflow, NIGHT)


@pytest.fixture(scope="module")
def photos_of_programme(night, site):
    return [row for row in site.table("photos") if row["programme"] == PROGRAMME]


def test_the_dag_publishes_the_night_it_was_triggered_for(night, photos_of_programme):
    assert night.state == "success"
    assert Counter(row["outcome"] for row in photos_of_programme) == {"graded": 6, "refused": 3, "duplicate": 1}


def test_every_task_succeeds_at_its_first_try(night):
    assert {(instance["state"], instance["try_number"]) for instance in night.instances} == {("success", 1)}


def test_a_night_costs_two_tasks_a_batch_and_at_most_eight_beside(night, site):
    batches = len(site.context().plan(run_id_of(NIGHT)).batch_sizes)
    assert batches == -(-len(site.ledger()) // FILES_PER_BATCH)
    assert batches >= 2
    assert Counter(instance["task_id"] for instance in night.instances if instance["map_index"] >= 0) == {
        "screen_batch.prepare": batches,
        "screen_batch.infer": batches,
    }
    assert len(night.instances) <= 2 * batches + 8


def test_a_graded_row_can_be_traced_to_its_bytes_its_weights_and_its_code(night, site, files, photos_of_programme):
    release = load_release(str(MODEL_REPOSITORY), None)
    bodies = {paths.upload(PROGRAMME, NIGHT, name): body for name, body in files.items()}
    claimed = {row["key"]: row for row in site.ledger()}
    uploaded = {found.key: found.etag for page in site.context().uploads.pages("uploads/") for found in page}
    rows = [row for row in site.table("grades") if row["programme"] == PROGRAMME]
    assert len(rows) == 6
    for row in rows:
        assert row["photo_id"] == photo_id_of(bodies[row["key"]]) == claimed[row["key"]]["photo_id"]
        assert claimed[row["key"]]["etag"] == uploaded[row["key"]]
        assert (row["release"], row["weights_sha256"]) == (release.name, release.weights_sha256)
        assert row["cutoffs_version"] == release.cutoffs["version"]
        assert row["taxonomy_version"] == release.taxonomy_version
        assert re.fullmatch(r"\d+\.\d+\.\d+(\+[0-9a-f]{12}(\.changed)?)?", row["code_revision"])
    [keys_of_graded] = [{row["key"] for row in photos_of_programme if row["outcome"] == Outcome.GRADED}]
    assert {row["key"] for row in rows} == keys_of_graded


def test_a_prediction_names_the_weights_that_triton_serves(night, site):
    served = {
        name: hashlib.sha256((MODEL_REPOSITORY / name / version / "model.onnx").read_bytes()).hexdigest()
        for name, version in {(row["member"], row["member_version"]) for row in site.table("predictions")}
        if name != ENSEMBLE
    }
    found = {row["member"]: row["weights_sha256"] for row in site.table("predictions") if row["member"] != ENSEMBLE}
    assert found == served
    assert set(served) == {member.name for member in load_release(str(MODEL_REPOSITORY), None).members}


def test_the_uploads_are_as_they_were(night, site, files):
    store = site.context().uploads
    prefix = paths.upload(PROGRAMME, NIGHT, "")
    assert {found.key.removeprefix(prefix) for page in store.pages(prefix) for found in page} == files.keys()


def test_the_report_and_the_programmes_results_are_there(night, site):
    store = site.context().results
    assert b"<html" in store.get(paths.report(NIGHT, "report.html"))
    results = store.get(paths.programme_report(NIGHT, PROGRAMME, "results.csv")).decode("utf-8-sig")
    assert len(results.strip().splitlines()) == 1 + 10


def logs_of(stack, run: str) -> str:
    folder = stack.settings.state_dir / "airflow" / "logs"
    logs = [log for log in folder.rglob("*.log") if f"run_id={run}" in str(log)]
    assert logs
    return "\n".join(log.read_text(errors="replace") for log in logs)


def test_the_logs_tell_how_many_and_neither_who_nor_how_to_get_in(night, stack, site, photos_of_programme):
    logs = logs_of(stack, night.run)
    assert "grade run=" in logs  # the tasks' own lines are among them
    patients = {row["patient"] for row in photos_of_programme} - {None}
    secrets = [stack.environment[name] for name in ("AWS_SECRET_ACCESS_KEY", "SCREENING_PSEUDONYM_KEY")]
    telling = [PERSON, "Lovelace", NAME_IN_A_FILE, "X-Amz-Signature", "Signature=", *patients, *secrets]
    assert len(patients) == 3
    assert [word for word in telling if word in logs] == []


def test_what_tasks_hand_to_each_other_is_numbers_and_the_name_of_the_run(night, airflow):
    base = f"/api/v2/dags/{DAG}/dagRuns/{night.run}/taskInstances".replace("+", "%2B")
    values = []
    for entry in airflow._call("GET", f"{base}/~/xcomEntries?limit=1000")["xcom_entries"]:
        place = f"{base}/{entry['task_id']}/xcomEntries/{entry['key']}?map_index={entry['map_index']}"
        values.append(airflow._call("GET", place)["value"])
    plain = [json.loads(value) if isinstance(value, str) and value[:1] in "[{0123456789" else value for value in values]
    assert run_id_of(NIGHT) in plain
    others = [value for value in plain if value != run_id_of(NIGHT)]
    assert others
    assert all(isinstance(n, int) for value in others for n in (value if isinstance(value, list) else [value]))


def test_a_night_without_photos_is_published_empty(night, airflow, site):
    """Whatever lies in the bucket was claimed by the night before."""
    empty = run_dag(airflow, EMPTY_NIGHT)
    assert empty.state == "success"
    assert [instance["state"] for task in ("prepare", "infer") for instance in empty.of(task)] in ([], ["skipped"] * 2)
    assert {i["state"] for task in ("grade", "audit", "publish", "report") for i in empty.of(task)} == {"success"}
    assert site.ledger(EMPTY_NIGHT) == []
    assert b"<html" in site.context().results.get(paths.report(EMPTY_NIGHT, "report.html"))


def test_a_store_that_refuses_our_rights_fails_the_night_at_once_and_says_so(night, airflow, stack):
    credentials = load_credentials(stack.settings)
    owner = connect(stack.settings.s3_endpoint, credentials.uploads_access_key, credentials.uploads_secret_key)
    owner.delete_bucket_policy(Bucket="screening-uploads")
    try:
        refused = run_dag(airflow, REFUSED_NIGHT)
    finally:
        make_buckets(stack.settings.s3_endpoint, credentials)
    assert refused.state == "failed"
    [opened] = refused.of("open_night")
    assert (opened["state"], opened["try_number"]) == ("failed", 1)
    assert {i["state"] for task in ("grade", "audit", "publish", "report") for i in refused.of(task)} == {
        "upstream_failed"
    }
    logs = logs_of(stack, refused.run)
    assert "AccessError" in logs
    assert "the store refuses our credentials or our rights" in logs
