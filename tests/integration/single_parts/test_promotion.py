"""Releases that take over and come back on a real Triton, while nights and requests go on."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from infra.local.triton import TritonPorts, start_triton
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.model_control import loaded_models, unload_models
from screening.edges.release import load_release
from screening.edges.release_history import (
    attachment,
    current_shadow,
    read_champion,
    read_events,
    releases_to_serve,
    shadow_nights,
)
from screening.errors import ContractError, MissingError, ModelServerUnavailableError, ScreeningError
from screening.settings import Settings
from screening.tasks import (
    NightContext,
    install_release,
    promote,
    rollback,
    run_night,
    shadow,
    shadow_differences,
    start_shadow,
    take_over,
    unload_releases,
)
from screening.tasks.context import connect_model_server, run_id_of
from screening.tasks.promotion import CHANGE_RECORD
from tests.benchmarks.requests_under_change import requests_while
from tests.integration.nights import PRELOADED, Photos, read_rows
from tests.kill_points import PROMOTION, SHADOW
from tests.killed import KILLED, run_until_killed
from tests.second_release import build_second_release, repository_of_r0001

pytestmark = pytest.mark.triton

TODAY = datetime.now(UTC).date()
TOMORROW = TODAY + timedelta(days=1)
WHO = {"by": "ada", "why": "a test"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases as a training run leaves them, each in a folder; both call nearly everything dangerous."""
    folder = tmp_path_factory.mktemp("built")
    for name in ("r0002", "r0003"):
        build_second_release(folder / name, name, version="g-eager", dangerous=0.001)
    return folder


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[tuple[Path, TritonPorts]]:
    """A server on a copy of the model repository with both releases; the tests leave its champion as they like."""
    folder = tmp_path_factory.mktemp("triton")
    repository = repository_of_r0001(folder / "repository")
    settings = Settings(model_repository=str(repository))
    for name in ("r0002", "r0003"):
        install_release(built / name, settings, **WHO)
    with start_triton(repository, log=folder / "triton.log") as ports:
        yield repository, ports


@pytest.fixture
def settings(triton: tuple[Path, TritonPorts]) -> Settings:
    """Of a repository in which r0001 is the champion and r0002 and r0003 were installed, and nothing else happened."""
    repository, ports = triton
    for file in (repository / "history").iterdir():
        if not file.name.startswith(("00001", "00002", "00003")):
            file.unlink()
    (repository / "champion").write_text("r0001\n")
    loaded = loaded_models(ports.url, 10)
    unload_models(ports.url, [m for m in loaded if m.endswith(("r0002", "r0003"))], 10)
    return Settings(model_repository=str(repository), triton_url=ports.url, pseudonym_key="k" * 32, photos_per_batch=4)


@pytest.fixture
def site(settings: Settings, photos: Photos, tmp_path: Path) -> NightContext:
    """Photos of two days in a folder, and a folder for the results."""
    store = FolderStore(tmp_path)
    for day, chosen in ((TODAY, photos.good[:3]), (TOMORROW, photos.good[3:6])):
        for number, photo in enumerate(chosen):
            store.put(paths.upload("north", day, f"photo-{number}.jpg"), photo)
    return NightContext(settings, store, store)


def killed_again_and_again(site: NightContext) -> None:
    """A shadow whose process is killed each time it begins is not begun a third time; the next run of the night tries again."""
    site.results.put(paths.shadow_tries(run_id_of(TODAY)), b"2")
    shadow(run_id_of(TODAY), site)
    rows = read_rows(site.results.get(paths.published("shadow_grades", "north", TODAY)))
    assert all("its process was killed each time" in row["problem"] for row in rows)


def releases_of(context: NightContext, night: date) -> set[str]:
    rows = read_rows(context.results.get(paths.published("grades", "north", night)))
    return {row["release"] for row in rows}


def is_loaded(settings: Settings, release: str) -> bool:
    return f"lesion_ensemble_{release}" in loaded_models(settings.triton_url, 10)


def test_a_promoted_release_takes_over_beside_the_old_one_and_the_history_says_why(settings):
    event = promote("r0002", **WHO, evidence="reports/gate.html", settings=settings)
    assert read_champion(settings.model_repository) == "r0002"
    assert read_events(settings.model_repository)[-1] == event
    assert (event.event, event.champion_before, event.by, event.evidence) == (
        "promoted", "r0001", "ada", "reports/gate.html",
    )  # fmt: skip
    assert is_loaded(settings, "r0001")
    assert is_loaded(settings, "r0002")
    record = attachment(settings.model_repository, event, CHANGE_RECORD).read_text()
    for heading in ("## What changed", "## Protocol", "## Impact"):
        assert heading in record


def test_no_request_fails_while_a_release_takes_over_and_comes_back(settings):
    def change() -> None:
        promote("r0002", **WHO, settings=settings)
        assert rollback(**WHO, settings=settings).problem is None

    answered, failed = requests_while(change, settings, at_least=200)
    assert failed == []
    assert answered >= 200


def test_a_release_that_answers_otherwise_than_torch_is_not_promoted(settings):
    golden = Path(settings.model_repository) / "lesion_ensemble_r0002" / "golden" / "golden.json"
    of_torch = golden.read_text()
    answers = json.loads(of_torch)
    next(iter(answers["photo-0.jpg"].values()))[0] += 0.1
    golden.write_text(json.dumps(answers))
    try:
        with pytest.raises(ContractError, match=r"r0002 was not promoted, r0001 stays in use: .*differs from torch"):
            promote("r0002", **WHO, settings=settings)
    finally:
        golden.write_text(of_torch)
    assert read_champion(settings.model_repository) == "r0001"
    assert [e.event for e in read_events(settings.model_repository)][-1] == "registered"


def test_a_release_that_triton_cannot_load_is_not_promoted(settings):
    config = Path(settings.model_repository) / "lesion_mobilenet_v2_192_r0002" / "configs" / "cpu.pbtxt"
    text = config.read_text()
    config.write_text(text.replace("python", "no_such_backend"))
    try:
        with pytest.raises(MissingError, match=r"r0001 stays in use: .*lesion_mobilenet_v2_192_r0002 cannot be loaded"):
            promote("r0002", **WHO, settings=settings)
    finally:
        config.write_text(text)
    assert read_champion(settings.model_repository) == "r0001"


def test_without_a_server_nothing_is_promoted(settings):
    alone = settings.model_copy(update={"triton_url": "127.0.0.1:9", "triton_attempts": 1})
    with pytest.raises(ModelServerUnavailableError, match="r0002 was not promoted, r0001 stays in use"):
        promote("r0002", **WHO, settings=alone)
    assert read_champion(settings.model_repository) == "r0001"


def test_of_two_promotions_at_once_one_wins_and_the_other_must_compare_again(settings):
    together = threading.Barrier(2)

    def try_to_promote(name: str) -> str | None:
        together.wait()
        try:
            promote(name, **WHO, settings=settings)
        except ScreeningError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(2) as pool:
        problems = list(pool.map(try_to_promote, ("r0002", "r0003")))
    # Where one is through before the other has begun, both are right, one after the other.
    lost = [p for p in problems if p]
    assert all("became champion meanwhile" in p for p in lost)
    promoted = [e for e in read_events(settings.model_repository) if e.event == "promoted" and e.event_id > 1]
    assert len(promoted) == 2 - len(lost)
    assert promoted[-1].release == read_champion(settings.model_repository)
    before = "r0001"
    for event in promoted:
        assert event.champion_before == before
        before = event.release


@pytest.mark.parametrize("is_unloaded", [False, True])
def test_a_rollback_takes_less_than_ten_seconds_also_when_the_old_release_was_unloaded(settings, is_unloaded):
    promote("r0002", **WHO, settings=settings)
    promote("r0003", **WHO, settings=settings)
    if is_unloaded:
        unload_models(
            settings.triton_url, [m for m in loaded_models(settings.triton_url, 10) if m.endswith("r0002")], 10
        )
    done = rollback(**WHO, settings=settings)
    assert (done.event.release, done.event.champion_before, done.problem) == ("r0002", "r0003", None)
    assert read_champion(settings.model_repository) == "r0002"
    assert done.total_s < 10
    assert is_loaded(settings, "r0002")


def test_a_promotion_that_is_asked_for_again_by_a_task_that_was_killed_happens_once(settings):
    start_shadow("r0002", 2, **WHO, settings=settings)
    assert start_shadow("r0002", 2, **WHO, settings=settings) == current_shadow(read_events(settings.model_repository))
    first = promote("r0002", **WHO, evidence="run-1/gate.html", settings=settings)
    happened = read_events(settings.model_repository)
    assert promote("r0002", **WHO, evidence="run-1/gate.html", settings=settings) == first
    assert read_events(settings.model_repository) == happened
    assert [e.event for e in happened[-3:]] == ["shadow_started", "promoted", "shadow_ended"]


def take_it_over(settings: Settings, said: dict[str, str], shadow_nights: int) -> None:
    take_over(said, **WHO, shadow_nights=shadow_nights, settings=settings)


@pytest.fixture
def uninstalled(settings: Settings, built: Path) -> Iterator[dict[str, bytes]]:
    """r0003 as it was before it was installed; the files of the repository with it, but for the history."""
    repository = Path(settings.model_repository)
    files = models_in(repository)
    for folder in repository.glob("lesion_*_r0003"):
        shutil.rmtree(folder)
    (repository / "history" / "00003.json").unlink()
    yield files
    install_release(built / "r0003", settings, **WHO)


def models_in(repository: Path) -> dict[str, bytes]:
    """Every file of every release, but for what Python keeps of a member that Triton has loaded."""
    files = (file for folder in repository.glob("lesion_*") for file in folder.rglob("*.*") if file.is_file())
    return {str(file.relative_to(repository)): file.read_bytes() for file in files if file.suffix != ".pyc"}


def test_a_challenger_whose_take_over_was_killed_at_every_step_takes_over_once(settings, built, uninstalled, tmp_path):
    repository, evidence = Path(settings.model_repository), tmp_path / "gate.json"
    evidence.write_text(json.dumps({"challenger": "r0003", "champion": "r0001", "passed": True}))
    said = {"release_folder": str(built / "r0003"), "evidence": str(evidence)}

    for places, nights in ((SHADOW, 2), (PROMOTION, 0)):  # first beside the champion, then in its place
        again = partial(take_it_over, settings, said, nights)
        for step, time in places["take_over"]:
            assert run_until_killed(again, before=step, time=time, preload=PRELOADED) == KILLED, step
        assert run_until_killed(again, before=None, preload=PRELOADED) == 0

    assert models_in(repository) == uninstalled
    assert read_champion(str(repository)) == "r0003"
    happened = read_events(str(repository))
    assert [(e.event_id, e.event, e.release, e.champion_before) for e in happened[2:]] == [
        (3, "registered", "r0003", "r0001"),
        (4, "shadow_started", "r0003", "r0001"),
        (5, "promoted", "r0003", "r0001"),
        (6, "shadow_ended", "r0003", "r0003"),
    ]
    assert {(e.by, e.why) for e in happened[2:5]} == {tuple(WHO.values())}
    kept = sorted(file.name for file in (repository / "history").glob("[!.]*"))
    assert kept[2:] == ["00003.json", "00004.json", f"00005-{CHANGE_RECORD}", "00005.json", "00006.json"]
    assert not list(repository.glob(".arriving-*"))


def test_a_rollback_needs_no_server_and_says_that_none_confirmed_it(settings):
    promote("r0002", **WHO, settings=settings)
    done = rollback(**WHO, settings=settings.model_copy(update={"triton_url": "127.0.0.1:9"}))
    assert read_champion(settings.model_repository) == "r0001"
    assert done.total_s < 10
    assert "127.0.0.1:9" in str(done.problem)
    with pytest.raises(MissingError, match="first champion"):
        rollback(**WHO, settings=settings)


def test_a_server_that_starts_again_has_the_champion_and_what_a_rollback_leads_to(settings, tmp_path):
    promote("r0002", **WHO, settings=settings)
    start_shadow("r0003", 1, **WHO, settings=settings)
    repository = Path(settings.model_repository)
    with start_triton(repository, log=tmp_path / "log", beside=releases_to_serve(str(repository))) as ports:
        loaded = loaded_models(ports.url, 10)
    assert {f"lesion_ensemble_r000{n}" for n in (1, 2, 3)} <= loaded


@pytest.mark.slow
def test_a_night_keeps_its_release_after_a_promotion_and_the_next_one_has_the_new(site):
    settings = site.settings
    run_night(TODAY, site)
    graded = site.results.get(paths.published("grades", "north", TODAY))
    promote("r0002", **WHO, settings=settings)

    run_night(TOMORROW, site)
    run_night(TODAY, site)

    assert releases_of(site, TOMORROW) == {"r0002"}
    assert site.results.get(paths.published("grades", "north", TODAY)) == graded


@pytest.mark.slow
def test_a_night_whose_release_was_unloaded_has_it_loaded_again(site):
    settings = site.settings
    promote("r0002", **WHO, settings=settings)
    run_night(TODAY, site)
    rollback(**WHO, settings=settings)
    unload_releases(run_id_of(TODAY), site)
    assert not is_loaded(settings, "r0002")

    run_night(TODAY, site)

    assert releases_of(site, TODAY) == {"r0002"}


@pytest.mark.slow
def test_a_night_may_be_graded_with_another_release_when_it_is_told(site):
    run_night(TODAY, site)
    run_night(TODAY, site, release="r0002")
    assert releases_of(site, TODAY) == {"r0002"}
    run_night(TODAY, site)
    assert releases_of(site, TODAY) == {"r0002"}


def test_the_end_of_a_night_unloads_what_is_neither_in_use_nor_before_nor_shadow_nor_in_an_open_plan(site):
    settings = site.settings
    promote("r0002", **WHO, settings=settings)
    promote("r0003", **WHO, settings=settings)
    assert is_loaded(settings, "r0001")
    unloaded = unload_releases(run_id_of(TODAY), site)
    assert "lesion_ensemble_r0001" in unloaded
    assert not is_loaded(settings, "r0001")
    assert is_loaded(settings, "r0002")
    assert is_loaded(settings, "r0003")
    with connect_model_server(settings, load_release(settings.model_repository, "r0001")) as server:
        server.canary(heal=True)  # as a night does
    site.results.put(paths.ledger(TOMORROW), b"")
    site.results.put(paths.run_plan(run_id_of(TOMORROW)), b'{"release": "r0001"}')
    assert unload_releases(run_id_of(TODAY), site) == ()
    assert is_loaded(settings, "r0001")


@pytest.mark.slow
def test_a_shadow_answers_beside_the_champion_changes_no_grade_and_ends_after_its_nights(site):
    settings = site.settings
    run_night(TODAY, site)
    grades, report_without = (
        site.results.get(key) for key in (paths.published("grades", "north", TODAY), paths.report(TODAY, "report.html"))
    )
    for prefix in ("tables/", "runs/"):
        for page in site.results.pages(prefix):
            for found in page:
                site.results.delete(found.key)
    start_shadow("r0002", 2, **WHO, settings=settings)

    run_night(TODAY, site)

    assert site.results.get(paths.published("grades", "north", TODAY)) == grades
    rows = read_rows(site.results.get(paths.published("shadow_grades", "north", TODAY)))
    assert {(row["release"], row["champion"], row["problem"]) for row in rows} == {("r0002", "r0001", None)}
    assert {row["grade"] for row in rows} == {"dangerous"}
    different = {row["photo_id"] for row in rows if row["champion_grade"] != "dangerous"}
    assert different
    assert shadow_differences(run_id_of(TODAY), site) == different
    page = site.results.get(paths.report(TODAY, "report.html")).decode()
    assert "Shadow: what r0002 would have said" in page
    assert "Shadow" not in report_without.decode()

    run_night(TODAY, site)  # the same night counts once
    assert current_shadow(read_events(settings.model_repository)) is not None
    run_night(TOMORROW, site)
    events = read_events(settings.model_repository)
    assert current_shadow(events) is None
    started = next(e for e in events if e.event == "shadow_started")
    assert shadow_nights(events, started) == (TODAY, TOMORROW)
    assert events[-1].event == "shadow_ended"


def test_a_shadow_that_cannot_answer_fails_no_night_and_says_so(site):
    settings = site.settings
    start_shadow("r0002", 1, **WHO, settings=settings)
    folder = Path(settings.model_repository) / "lesion_ensemble_r0002"
    shutil.move(folder, folder.with_name("gone"))
    try:
        _, accounting = run_night(TODAY, site)
    finally:
        shutil.move(folder.with_name("gone"), folder)
    assert accounting.graded == 3
    rows = read_rows(site.results.get(paths.published("shadow_grades", "north", TODAY)))
    assert len(rows) == 3
    assert {row["grade"] for row in rows} == {None}
    assert all("the shadow failed" in row["problem"] for row in rows)
    assert "answered no photo of this night" in site.results.get(paths.report(TODAY, "report.html")).decode()
    assert shadow_differences(run_id_of(TODAY), site) == frozenset()
    killed_again_and_again(site)
    assert current_shadow(read_events(settings.model_repository)) is not None
