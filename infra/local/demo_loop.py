"""`make demo-loop`: the whole circle on real parts, from a night to a release trained on what people confirmed, and back.

A night is screened; a reader answers some photos in a browser and a laboratory sends the rest as a file; the answers become
the corpus; Airflow retrains, measures challenger against champion, and asks a person; the release that was approved grades
the next night; then it is taken back. Exit code 0 only if every step did what it should.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from infra.local.airflow_run import follow_run, run_dag
from infra.local.browser_reader import picture_question, read_photos
from infra.local.credentials import load_airflow_passwords
from infra.local.demo import NIGHTLY, NIGHTLY_TASKS, PROGRAMME, Stack, open_stack, upload_night
from infra.local.errors import StackError
from infra.local.labelled_nights import LabelledNight, drawn_nights, nights_of_data_set
from infra.local.settings import REPOSITORY, load_settings
from screening.cli import print_error
from screening.contracts import CORPUS, grades_contract_of
from screening.edges import paths
from screening.edges.release import load_release
from screening.edges.tables import read_table
from screening.errors import ScreeningError
from screening.taxonomy import load_taxonomy

INTAKE, RETRAIN = "intake_decisions", "retrain_ensemble"
INTAKE_TASKS = ("anything_new", "apply_withdrawals", "read_inbox", "adjudicate", "build_corpus", "announce", "report")
RETRAIN_TASKS = (
    "decide",
    "snapshot",
    "check",
    "split",
    "fit",
    "assemble",
    "evaluate",
    "gate",
    "approve",
    "take_over",
)
ADMIN, READER, LABORATORY = "admin", "reader", "laboratory"
PHOTOS_TO_READ = 3
# So many that each grade has the ten validation photos that cut-offs take, and the test the people that the gate asks for.
# Drawn nights hold every disease alike; of HAM10000's photos few that are high-risk may leave training.
DRAWN_PHOTOS, DATA_SET_PHOTOS = 600, 2500
FOLDER = "demo-loop"
RECIPES = Path(__file__).with_name("demo_recipes")
ASSET_S = 120.0
console = Console()


@dataclass
class Steps:
    """What was done and shown, with the seconds each took."""

    done: list[tuple[str, str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """A step; what it appends to the list is what it showed."""
        console.rule(f"[bold]{name}[/bold]")
        began = time.monotonic()
        shown: list[str] = []
        yield shown
        self.done.append((name, "; ".join(shown), time.monotonic() - began))
        console.print("; ".join(shown))

    def table(self) -> Table:
        """All steps, for the end of the demo."""
        table = Table("step", "what was seen", "seconds")
        for name, shown, seconds in self.done:
            table.add_row(name, shown, f"{seconds:.0f}")
        return table


def main() -> int:
    """Run the circle; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo_loop", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of a published, labelled data set; else photos are drawn")
    arguments = parser.parse_args()
    # A stack of its own: what is promoted here, and the wide limits of its gate, are nobody else's.
    os.environ.setdefault("STACK_STATE_DIR", str(REPOSITORY / ".local-loop"))
    os.environ["SCREENING_GATE_RULES"] = str(Path(__file__).with_name("demo_gate.yaml"))
    recipe = load_settings().folder(FOLDER) / "recipe.yaml"
    os.environ["SCREENING_RETRAIN_RECIPE"] = str(recipe)
    shutil.copyfile(RECIPES / ("data_set.yaml" if arguments.data else "drawn.yaml"), recipe)
    stack = open_stack()
    nights = _nights(stack, arguments.data)
    for dag in (INTAKE, RETRAIN):
        stack.airflow.unpause(dag)
    before = _champion(stack)
    steps = Steps()
    with steps.step("1  a night is screened") as shown:
        night = _screen(stack, nights[0])
        shown.append(f"night {night} graded by {_releases(stack, night)}")
    with steps.step("2  a reader answers in a browser, a laboratory sends a file") as shown:
        shown.extend(_review(stack, nights[0], night))
    with steps.step("3  the answers become the corpus, and call for a retraining") as shown:
        run = _take_in(stack)
        corpus = read_table(stack.context.results, paths.CORPUS_TABLE, CORPUS)
        shown.append(f"{corpus.num_rows} photos in the corpus; Airflow started {run}")
    with steps.step("4  a challenger is trained, measured, and approved by a person") as shown:
        shown.extend(_retrain(stack, run))
    after = _champion(stack)
    if after == before:
        raise StackError(f"{before} is still the champion: the challenger was refused; its comparison page says why")
    with steps.step("5  the new release grades the next night") as shown:
        second = _screen(stack, nights[1])
        shown.append(f"night {second} graded by {_releases(stack, second)}")
    with steps.step("6  it is taken back") as shown:
        shown.append(_roll_back(stack))
    console.print(steps.table())
    console.print(f"pictures and pages: {stack.settings.folder(FOLDER)}", soft_wrap=True)
    return 0


def _review(stack: Stack, photos: LabelledNight, night: date) -> Iterator[str]:
    diseases = {_photo_id(photos.folder / name): disease for name, disease in photos.diseases.items()}
    password = load_airflow_passwords(stack.settings)[READER]
    names = {disease.id: disease.name for disease in load_taxonomy().diseases}
    spelled = {photo: names[disease] for photo, disease in diseases.items()}
    pictures = stack.settings.folder(FOLDER)
    read = read_photos(stack.airflow.address, READER, password, spelled, PHOTOS_TO_READ, pictures)
    yield f"{read} photos answered by keyboard, blind to the grade"
    yield f"{_send_results(stack, diseases, night)} results of a laboratory"


def _take_in(stack: Stack) -> str:
    known = {str(run["dag_run_id"]) for run in stack.airflow.runs(RETRAIN)}
    if not run_dag(stack.airflow, INTAKE, {"everything": True}, INTAKE_TASKS, console):
        raise StackError(f"the intake failed; Airflow: {stack.airflow.address}")
    return stack.airflow.wait_for_run(RETRAIN, known, ASSET_S)


def _retrain(stack: Stack, run: str) -> Iterator[str]:
    asked: list[str] = []
    pictures, passwords = stack.settings.folder(FOLDER), load_airflow_passwords(stack.settings)

    def answer(states: dict[str, str]) -> None:
        question = stack.airflow.question(RETRAIN, run, "approve") if states.get("approve") and not asked else None
        if question and question["responded_at"] is None:
            asked.append(str(question["body"]).strip())
            path = f"dags/{RETRAIN}/runs/{quote(run)}/tasks/approve"
            picture_question(stack.airflow.address, ADMIN, passwords[ADMIN], path, pictures / "approval.png")
            stack.airflow.answer(RETRAIN, run, "approve", "Approve")

    if not follow_run(stack.airflow, RETRAIN, run, RETRAIN_TASKS, console, meanwhile=answer):
        raise StackError(f"the retraining failed; Airflow: {stack.airflow.address}")
    page = pictures / "comparison.html"
    found = [f.key for objects in stack.context.results.pages(paths.TRAINING_PREFIX) for f in objects]
    if pages := sorted(key for key in found if key.endswith(page.name)):  # their names hold the time
        page.write_bytes(stack.context.results.get(pages[-1]))
    yield from asked or ["nobody was asked"]


def _roll_back(stack: Stack) -> str:
    began = time.monotonic()
    command = [str(Path(sys.executable).with_name("screening")), "release", "rollback"]
    subprocess.run([*command, "--by", "demo", "--why", "to show it"], check=True)
    return f"{_champion(stack)} is the champion again after {time.monotonic() - began:.1f} s"


def _nights(stack: Stack, data: Path | None) -> list[LabelledNight]:
    folder = stack.settings.folder(FOLDER)
    if data is not None:
        return nights_of_data_set(data, folder, DATA_SET_PHOTOS, DATA_SET_PHOTOS // 10)
    console.print(
        "[yellow]No DATA=DIR was given: these photos are drawn by the project itself, not taken of people.[/yellow]"
    )
    return drawn_nights(folder, DRAWN_PHOTOS, DRAWN_PHOTOS // 10)


def _screen(stack: Stack, photos: LabelledNight) -> date:
    night = upload_night(photos.folder, stack)
    if not run_dag(stack.airflow, NIGHTLY, {"night": night.isoformat()}, NIGHTLY_TASKS, console):
        raise StackError(f"night {night} was not published; Airflow: {stack.airflow.address}")
    return night


def _releases(stack: Stack, night: date) -> str:
    """The releases that graded the night's photos, as its published rows say."""
    grades = read_table(stack.context.results, paths.published("grades", PROGRAMME, night), grades_contract_of)
    return ", ".join(f"{name} ({count} photos)" for name, count in Counter(grades["release"].to_pylist()).items())


def _champion(stack: Stack) -> str:
    return load_release(stack.context.settings.model_repository, None).name


def _send_results(stack: Stack, diseases: Mapping[str, str], night: date) -> int:
    """Put a laboratory's file into the inbox: the disease of each photo that was graded; returns its lines."""
    grades = read_table(stack.context.results, paths.published("grades", PROGRAMME, night), grades_contract_of)
    graded = [photo_id for photo_id in grades["photo_id"].to_pylist() if photo_id in diseases]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["photo_id", "programme", "night", "reader", "decided_at", "evidence", "disease"])
    writer.writerows(
        [photo_id, PROGRAMME, night.isoformat(), LABORATORY, now, "histopathology", diseases[photo_id]]
        for photo_id in graded
    )
    stack.context.results.put(f"{paths.INBOX_PREFIX}{LABORATORY}-{night}.csv", text.getvalue().encode())
    return len(graded)


def _photo_id(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:32]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ScreeningError, StackError) as error:
        print_error(error)
        sys.exit(1)
