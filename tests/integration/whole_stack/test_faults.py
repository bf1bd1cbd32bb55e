"""What fails under a night and comes back costs it time; what a person has to mend stops it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date

import psutil
import pytest
import tritonclient.grpc as triton_grpc

from infra.local.airflow_api import AirflowApi
from infra.local.state import PartState, StateFiles
from screening.edges import paths
from screening.edges.release import load_release
from screening.tasks import audit, grade, infer, monitor, open_night, prepare, publish, report, run_night
from tests.integration.faulty_proxy import FaultyProxy
from tests.integration.nights import (
    MODEL_REPOSITORY,
    Rows,
    Site,
    copy_repository,
    distinct,
    manifest,
    one_line,
    run_screening,
)

pytestmark = pytest.mark.stack

DAG = "nightly_screening"
PROGRAMME = "faults"
FAULT_NIGHT = date(2026, 12, 1)
OUTAGE_S = 60.0


@pytest.fixture(scope="module")
def files(photos):
    good = {f"photo-{n}.jpg": distinct(photo, "faults") for n, photo in enumerate(photos.good[:6])}
    bad = {"blurred.jpg": distinct(photos.blurred, "faults"), "empty.jpg": b"", "letter.jpg": b"Dear programme"}
    people = [{"file": name, "patient_id": f"person-{n // 2}"} for n, name in enumerate(good)]
    return good | bad | {"again.jpg": good["photo-0.jpg"], "manifest.csv": manifest(people)}


@pytest.fixture(scope="module")
def undisturbed(new_site, files):
    site = new_site("faults-undisturbed")
    site.upload(files, PROGRAMME, FAULT_NIGHT)
    assert site.run(FAULT_NIGHT).graded == 6
    return site


def rows_of_programme(site: Site):
    """What the night published for the programme; the buckets themselves hold nights of other tests too.

    Without the code's revision: Airflow's tasks ask git again, and somebody may commit while the tests run.
    """
    return {
        key: [{name: value for name, value in row.items() if name != "code_revision"} for row in rows]
        for key, rows in site.rows().items()
        if f"/programme={PROGRAMME}/" in key
    }


@pytest.fixture(scope="module", autouse=True)
def outage(new_site, undisturbed) -> Iterator[Future[float]]:
    """A night whose store answers 503 for a minute, beside the other tests; its result is how many seconds it took."""
    site = new_site("faults-503", uploads_of=undisturbed)
    with FaultyProxy(str(site.settings().s3_endpoint)) as proxy, ThreadPoolExecutor(1) as thread:

        def break_the_store_once(task: str, done: int, total: int) -> None:
            is_forked.set()
            if task == "prepare and infer" and 0 < done < total and not is_broken.is_set():
                is_broken.set()
                proxy.overloaded_for(OUTAGE_S)

        def night() -> float:
            began = time.monotonic()
            context = site.context(s3_endpoint=proxy.url, photos_per_batch=4)
            run_night(FAULT_NIGHT, context, on_progress=break_the_store_once)
            return time.monotonic() - began

        is_broken, is_forked = threading.Event(), threading.Event()
        outage = thread.submit(night)
        # A fork keeps open what this process has open, also the pipes of a command that a test is just starting: then the
        # test would wait for the end of the night.
        assert is_forked.wait(60)
        yield outage


# What a person has to mend.


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param(
            {"AWS_SECRET_ACCESS_KEY": "wrong" * 8}, "AccessError:*refuses our credentials*", id="wrong-credentials"
        ),
        pytest.param({"SCREENING_UPLOADS": "s3://not-there"}, "MissingError: bucket 'not-there'*", id="no-uploads"),
        pytest.param({"SCREENING_RESULTS": "s3://not-there"}, "MissingError: bucket 'not-there'*", id="no-results"),
        pytest.param({"SCREENING_RELEASE": "r9999"}, "MissingError: release r9999:*does not exist", id="no-release"),
        pytest.param({"SCREENING_MODEL_REPOSITORY": ""}, "MissingError: lesion_ensemble_r0042 at*missing*", id="no-model"),
    ],
)  # fmt: skip
def test_what_a_person_has_to_mend_stops_the_night_within_seconds_with_one_line(
    stack, undisturbed, tmp_path, variables, message
):
    if "SCREENING_MODEL_REPOSITORY" in variables:
        variables = {"SCREENING_MODEL_REPOSITORY": str(copy_repository(tmp_path / "repository", "r0042"))}
    settings = undisturbed.settings()
    of_stack = {name: value for name, value in stack.environment.items() if name.startswith(("SCREENING_", "AWS_"))}
    of_site = {"SCREENING_UPLOADS": settings.uploads, "SCREENING_RESULTS": f"{settings.results}-not-begun"}
    began = time.monotonic()
    done = run_screening(tmp_path, "night", "--date", FAULT_NIGHT.isoformat(), **of_stack | of_site | variables)
    # A failure that may pass is tried again for a minute.
    assert time.monotonic() - began < 30
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert all(part in line for part in message.split("*")), line


# What comes back by itself.


def stubs(stack) -> list[psutil.Process]:
    """The python processes behind the members of the stack's Triton."""
    server = psutil.Process(part_status(stack, "triton").pid)
    return [child for child in server.children(recursive=True) if "stub" in child.name()]


def part_status(stack, part: str):
    return StateFiles(stack.settings).read_status().parts[part]


@contextlib.contextmanager
def frozen_members(stack) -> Iterator[None]:
    """Requests to Triton stay where they are; it calls itself ready all the while."""
    frozen = stubs(stack)
    for stub in frozen:
        stub.suspend()
    try:
        yield
    finally:
        for stub in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                stub.resume()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.005)


def answered_photos(stack) -> int:
    release = load_release(str(MODEL_REPOSITORY), None)
    with contextlib.closing(triton_grpc.InferenceServerClient(stack.environment["SCREENING_TRITON_URL"])) as client:
        statistics = client.get_inference_statistics(release.model, as_json=True)["model_stats"]
    return int(statistics[0]["inference_stats"]["success"].get("count", 0))


def test_a_triton_killed_in_the_middle_of_a_batch_and_started_again_costs_no_row(stack, new_site, undisturbed):
    site = new_site("faults-triton", uploads_of=undisturbed)
    context = site.context(triton_batch_photos=1, triton_in_flight=1)
    run_id = open_night(FAULT_NIGHT, context).run_id
    prepare(run_id, 0, context)
    killed = part_status(stack, "triton").pid
    before = answered_photos(stack)
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(infer, run_id, 0, context)
        wait_until(lambda: answered_photos(stack) > before)
        with frozen_members(stack):
            assert not answers.done()
            os.kill(killed, signal.SIGKILL)
        answers.result(120)
    assert part_status(stack, "triton").pid != killed
    for task in (grade, audit, publish, report, monitor):
        task(run_id, context)
    assert site.rows() == undisturbed.rows()


def test_dead_python_stubs_are_loaded_anew_by_the_night_itself(stack, new_site, undisturbed):
    wait_until(lambda: part_status(stack, "triton").state is PartState.READY)
    server = part_status(stack, "triton").pid
    site = new_site("faults-stub", uploads_of=undisturbed)
    context = site.context()
    stubs(stack)[0].kill()
    run_id = open_night(FAULT_NIGHT, context).run_id
    prepare(run_id, 0, context)
    stubs(stack)[-1].kill()
    infer(run_id, 0, context)
    assert part_status(stack, "triton").pid == server, "the supervisor was faster than the night"
    for task in (grade, audit, publish, report, monitor):
        task(run_id, context)
    assert site.rows() == undisturbed.rows()


@pytest.fixture(scope="module")
def disturbed_dag(stack, new_site, undisturbed, files):
    """A run of the DAG whose task is killed with -9 and whose database is restarted; its end and its task instances."""
    site = new_site("")
    site.upload(files, PROGRAMME, FAULT_NIGHT)
    airflow = AirflowApi(stack.settings.airflow_url, "admin", stack.airflow_password)
    airflow.unpause(DAG, 120)
    run = airflow.trigger(DAG, {"night": FAULT_NIGHT.isoformat()})

    def running(task: str) -> Rows:
        found = airflow.task_instances(DAG, run)
        return [i for i in found if i["task_id"].endswith(task) and i["state"] == "running" and i["pid"]]

    wait_until(lambda: bool(running("prepare")), 90)
    with frozen_members(stack):
        wait_until(lambda: bool(running("infer")), 60)
        victim = running("infer")[0]
        os.kill(victim["pid"], signal.SIGKILL)
    stack.succeed("restart", "postgres")
    state = airflow.run_state(DAG, run)
    assert state == "running", "the night had ended before the database was back"
    return site, airflow.wait(DAG, run, 240), airflow.task_instances(DAG, run), victim


def test_a_task_that_was_killed_is_tried_again_and_the_night_succeeds(disturbed_dag):
    _, state, instances, victim = disturbed_dag
    assert state == "success"
    [again] = [i for i in instances if (i["task_id"], i["map_index"]) == (victim["task_id"], victim["map_index"])]
    assert (again["state"], again["try_number"]) == ("success", victim["try_number"] + 1)


def test_a_night_whose_task_was_killed_and_whose_database_was_restarted_publishes_the_undisturbed_rows(
    disturbed_dag, undisturbed
):
    site, _, _, _ = disturbed_dag
    assert rows_of_programme(site) == rows_of_programme(undisturbed)
    assert paths.published("grades", PROGRAMME, FAULT_NIGHT) in rows_of_programme(site)


def test_a_store_that_answers_503_for_a_minute_costs_the_night_a_minute_and_no_row(new_site, undisturbed, outage):
    seconds = outage.result(180)
    assert seconds > OUTAGE_S
    site = new_site("faults-503", uploads_of=undisturbed)
    assert site.rows() == undisturbed.rows()
