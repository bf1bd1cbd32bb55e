"""Every task of both DAGs of the loop is killed with -9 and run again: the result is that of a run that nobody disturbed.

Here are the intake, on a real store, and the ends of a retraining; its steps are killed in
tests/training/test_retraining.py, and a challenger that takes over in
tests/integration/single_parts/test_promotion.py.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from screening import tasks
from screening.contracts import CORPUS
from screening.edges import paths
from screening.edges.release_history import read_events
from screening.edges.tables import read_table, write_table
from screening.edges.withdrawals import record_withdrawal
from screening.settings import Settings
from screening.stages.retraining_reason import Decided
from screening.tasks.retraining import GATE_FILE
from tests.integration.nights import PRELOADED, Site, do_until_killed, read_rows
from tests.kill_points import DECIDE, INTAKE, INTAKE_TASKS, REFUSAL, RETRAINING_TASKS
from tests.killed import KILLED, run_until_killed
from tests.unit.made_up_night import NIGHT, Upload, photo_id_of, pseudonym
from tests.unit.parsed_dag import ROOT, parse_dag
from tests.unit.review_site import DAY, ReviewSite, some_uploads

NEXT_NIGHT = NIGHT + timedelta(days=1)
STARTED_BY_LABELS = functools.partial(tasks.retraining_due, "labels", 1)


def test_every_task_of_both_dags_is_among_those_that_are_killed(tmp_path):
    intake, retraining = (
        parse_dag(ROOT / "dags" / f"{name}.py", tmp_path)["tasks"] for name in ("intake_decisions", "retrain_ensemble")
    )
    assert set(intake) == set(INTAKE)
    # The question to a person is no process of ours: it waits in Airflow's database.
    assert set(retraining) == RETRAINING_TASKS | {"approve"}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The objects of a site after a first intake, with all that a second one can meet: key to bytes.

    A person who withdrew, with photos in the corpus and in the queues of two nights; decisions of the pages; two files of
    decisions, of which a line is wrong and one stands in both; corrected and contradicting readers.
    """
    site = ReviewSite(tmp_path_factory.mktemp("start"))
    site.publish([*some_uploads(), Upload("dora.jpg", patient="dora"), Upload("emil.jpg", patient="emil")])
    later = [Upload("cora.jpg", patient="cora"), Upload("anna-3.jpg", patient="anna", grade="dangerous")]
    site.publish(later, night=NEXT_NIGHT)
    for name in ("anna-1.jpg", "anna-2.jpg"):
        site.decide(name)
    mistaken = site.decide("bert.jpg", "melanoma")
    tasks.run_intake(site.context)
    anna = {"programme": "coast", "patient": pseudonym("p", "anna"), "withdrawn_at_utc": DAY, "recorded_by": "steward"}
    record_withdrawal(site.store, anna)
    site.decide("bert.jpg", "nevus", corrects=mistaken)
    site.decide("anna-3.jpg", night=NEXT_NIGHT)
    site.decide("dora.jpg", "melanoma", evidence="histopathology", reader="lab")
    lines = {
        "a.csv": [("bert.jpg", "dr-kim", "nevus"), ("cora.jpg", "dr-kim", "nevus"), ("nobody.jpg", "dr-kim", "fever"),
                  ("emil.jpg", "dr-kim", "nevus"), ("emil.jpg", "dr-may", "melanoma")],
        "b.csv": [("cora.jpg", "dr-kim", "nevus"), ("cora.jpg", "dr-may", "nevus")],
    }  # fmt: skip
    for file, decided in lines.items():
        rows = [f"{photo_id_of(name)},{reader},2026-11-21,{disease}" for name, reader, disease in decided]
        site.store.put(f"review/inbox/{file}", "\n".join(["photo_id,reader,decided_at,disease", *rows]).encode())
    return site.objects("")


@dataclass(frozen=True)
class Intake:
    """A site, and what each task of its intake returned at its end; ``exits``: of each process that was to be killed."""

    site: Site
    returned: dict[str, Any]
    exits: list[tuple[str, str, int | None]]

    def news(self) -> dict[str, Any]:
        """All that an intake leaves, but for the moment at which a file was first read and the report written."""
        store = self.site.context().results
        keys = [found.key for page in store.pages("") for found in page if not found.key.startswith("review/state/")]
        left: dict[str, Any] = {}
        for key in keys:
            if key.startswith("tables/decisions/"):
                left[key] = [without(row, "recorded_at_utc") for row in read_rows(store.get(key))]
            elif key.startswith(paths.DECISIONS_PREFIX):
                for line in store.get(key).splitlines():
                    decision = json.loads(line)
                    assert decision["decision_id"] not in left
                    left[decision["decision_id"]] = without(decision, "recorded_at_utc")
            elif key == paths.REVIEW_STATUS:
                left[key] = without(json.loads(store.get(key)), "written_at_utc")
            elif not key.startswith("review/imports/"):
                left[key] = store.get(key)
        return left


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def take_in(site: Site, start: dict[str, bytes], *, is_disturbed: bool) -> Intake:
    """Run the tasks in order; disturbed, each is killed at each of its places and then run to its end."""
    context = site.context()
    for key, body in start.items():
        context.results.put(key, body)
    intake = Intake(site, {}, [])
    for name, task in INTAKE_TASKS.items():
        for request, time in INTAKE[name] if is_disturbed else ():
            # One request at a time: else the next one, too, may be done when the process dies.
            intake.exits.append((name, request, do_until_killed(site, task, request, time, s3_connections=1)))
        intake.returned[name] = task(context)
    return intake


@pytest.fixture(scope="module")
def undisturbed(new_site, start) -> Intake:
    return take_in(new_site("intake-undisturbed"), start, is_disturbed=False)


@pytest.fixture(scope="module")
def killed(new_site, start) -> Intake:
    return take_in(new_site("intake-killed"), start, is_disturbed=True)


@pytest.mark.stack
def test_each_process_of_the_intake_was_killed_where_it_was_meant_to_be(killed):
    assert [place for *place, code in killed.exits if code != KILLED] == []
    assert len(killed.exits) == sum(map(len, INTAKE.values()))


@pytest.mark.stack
def test_an_intake_killed_in_every_task_leaves_what_an_undisturbed_one_leaves(killed, undisturbed):
    expected = undisturbed.news()
    corpus = read_table(undisturbed.site.context().results, paths.CORPUS_TABLE, CORPUS)
    assert corpus["photo_id"].to_pylist() == sorted(map(photo_id_of, ("bert.jpg", "cora.jpg", "dora.jpg")))
    assert killed.news() == expected
    assert killed.returned["announce"] == undisturbed.returned["announce"] == {"photos": 3, "strong_labels": 3}


@pytest.mark.stack
def test_no_decision_counts_twice(killed, undisturbed):
    rows = [row for intake in (killed, undisturbed) for row in intake.site.table("decisions")]
    rows += [row for intake in (killed, undisturbed) for row in intake.site.table("decisions", NEXT_NIGHT)]
    per_intake = len(rows) / 2
    assert len({row["decision_id"] for row in rows}) == per_intake
    # Six of the pages; four lines of a.csv that are right, and of b.csv the one that is not among them.
    assert per_intake == 11
    assert killed.returned["report"]["decisions"] == 11
    kappas = [intake.returned["report"]["programmes"]["coast"]["agreement"] for intake in (killed, undisturbed)]
    assert kappas[0] == kappas[1]


@pytest.mark.stack
def test_after_the_killed_intake_nothing_is_new(killed):
    context = killed.site.context()
    assert not tasks.anything_new(context)
    assert tasks.adjudicate(context) == 0
    assert tasks.corpus_news(context) is None


@pytest.mark.stack
def test_an_announcement_that_came_twice_trains_once(new_site, start):
    site = new_site("announced-twice")
    context = site.context()
    for key, body in start.items():
        context.results.put(key, body)
    for name in ("apply_withdrawals", "read_inbox", "adjudicate", "build_corpus"):
        INTAKE_TASKS[name](context)
    first = tasks.corpus_news(context)
    assert STARTED_BY_LABELS(context).is_due
    corpus = read_table(context.results, paths.CORPUS_TABLE, CORPUS)
    write_table(context.results, paths.snapshot("2026-11-22-0123456789ab"), corpus, CORPUS)  # as the retraining does

    # Announced and not remembered: the report was killed, and Airflow gave up or was stopped before its retry.
    assert do_until_killed(site, tasks.report_intake, *INTAKE["report"][1]) == KILLED
    assert tasks.anything_new(context)
    assert tasks.corpus_news(context) == first

    assert not STARTED_BY_LABELS(context).is_due


@pytest.mark.stack
def test_a_decision_to_train_that_was_killed_is_made_again(killed):
    context = killed.site.context()
    corpus = read_table(context.results, paths.CORPUS_TABLE, CORPUS)
    write_table(context.results, paths.snapshot("2026-11-21-0123456789ab"), corpus.slice(1), CORPUS)
    for request, time in DECIDE["decide"]:
        assert do_until_killed(killed.site, STARTED_BY_LABELS, request, time) == KILLED
    assert STARTED_BY_LABELS(context) == Decided(
        is_due=True, line="1 new strong labels since the last snapshot, 1 are enough"
    )


def refuse(repository: str, training: str) -> None:
    settings = Settings(model_repository=repository, training_folder=training)
    tasks.record_refusal("run-1", "ada", settings, is_dry_run=False)


def test_a_refusal_that_was_killed_while_it_was_recorded_stands_once_in_the_history(tmp_path):
    (tmp_path / "champion").write_text("r0001\n")
    gate = {"passed": True, "reason": "", "challenger": "r0002", "champion": "r0001", "release_folder": "anywhere"}
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / GATE_FILE).write_text(json.dumps(gate))
    again = functools.partial(refuse, str(tmp_path), str(tmp_path))

    for step, time in REFUSAL["record_refusal"]:
        assert run_until_killed(again, before=step, time=time, preload=PRELOADED) == KILLED
    assert run_until_killed(again, before=None, preload=PRELOADED) == 0

    [event] = read_events(str(tmp_path))
    assert (event.event_id, event.event, event.release, event.by) == (1, "rejected", "r0002", "ada")
    assert (event.why, event.evidence) == ("not approved", str(tmp_path / "run-1" / GATE_FILE))
    assert [file.name for file in Path(tmp_path / "history").glob("[!.]*")] == ["00001.json"]
