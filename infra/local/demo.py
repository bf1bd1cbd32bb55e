"""`make demo`: one whole night on real parts, from an empty machine to a published report.

Starts the stack, uploads a folder of photos (or photos that the project draws itself, and says so), triggers the DAG in
Airflow, follows it, and prints what the night published. Exit code 0 only if it was published.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console

from infra.local.airflow_api import AirflowApi
from infra.local.airflow_run import run_dag
from infra.local.credentials import load_airflow_passwords
from infra.local.environment import PIPELINE_FILE, UPLOADS_FILE, read_environment_file
from infra.local.errors import StackError
from infra.local.rendered_photos import render_night
from infra.local.settings import StackSettings, load_settings
from infra.local.stack import start
from infra.local.state import StateFiles
from screening.cli import print_accounting, print_error
from screening.contracts import LEDGER
from screening.edges import paths
from screening.edges.tables import iter_table
from screening.errors import ScreeningError
from screening.stages.accounting import count
from screening.tasks import NightContext, open_context
from screening.tasks.context import run_id_of
from screening.tasks.report import REPORT_NAME, read_timings
from screening.tasks.staged import read_staged

NIGHTLY = "nightly_screening"
NIGHTLY_TASKS = ("open_night", "prepare", "infer", "grade", "audit", "publish", "report", "monitor")
PROGRAMME = "demo"
console = Console()


@dataclass(frozen=True)
class Stack:
    """The running stack as the pipeline sees it."""

    settings: StackSettings
    airflow: AirflowApi
    context: NightContext


def open_stack() -> Stack:
    """Start the stack unless it runs, and connect to its parts."""
    settings = load_settings()
    start(settings, console.print)
    settings = StateFiles(settings).saved_settings()
    user, password = next(iter(load_airflow_passwords(settings).items()))
    os.environ |= read_environment_file(settings.state_dir / PIPELINE_FILE)
    return Stack(settings, AirflowApi(settings.airflow_url, user, password), open_context())


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo", description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photos, with manifest.csv if there is one")
    photos = parser.parse_args().photos
    stack = open_stack()
    if photos is None:
        photos = stack.settings.folder("rendered-photos")
        if not (photos / "manifest.csv").is_file():
            render_night(photos)
        console.print(
            "[yellow]No PHOTOS=DIR was given: these photos are rendered by the project itself, not taken of people.[/yellow]"
        )
    night = upload_night(photos, stack)
    started = time.monotonic()
    published = run_dag(stack.airflow, NIGHTLY, {"night": night.isoformat()}, NIGHTLY_TASKS, console)
    seconds = time.monotonic() - started
    if not published:
        console.print(f"[bold red]night {night} was not published[/bold red]; Airflow: {stack.airflow.address}")
        return 1
    _show(night, stack.context, stack.settings.folder("reports"), seconds)
    return 0


def upload_night(photos: Path, stack: Stack) -> date:
    """Upload a folder as a night of its own, as a programme does it and with a programme's rights; returns the night."""
    night = _free_night(photos, stack.context)
    screening = Path(sys.executable).with_name("screening")
    words = ["upload", str(photos), "--programme", PROGRAMME, "--night", night.isoformat()]
    environment = os.environ | read_environment_file(stack.settings.state_dir / UPLOADS_FILE)
    console.print(f"night {night}")
    subprocess.run([screening, *words], env=environment, check=True)
    return night


def _free_night(photos: Path, context: NightContext) -> date:
    """Today or, where today's night was opened with other photos, the first day after it that is free."""
    files = {
        path.relative_to(photos).as_posix(): path
        for path in photos.rglob("*")
        if path.is_file() and path.name != "manifest.csv"
    }
    night = datetime.now(UTC).date()
    while context.results.exists(paths.ledger(night)):
        claimed = {
            str(row["key"]).removeprefix(paths.upload(PROGRAMME, night, "")): row["etag"]
            for table in iter_table(context.results, paths.ledger(night), LEDGER)
            for row in table.to_pylist()
        }
        if claimed.keys() == files.keys() and all(
            hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == claimed[name]
            for name, path in files.items()
        ):
            break
        night += timedelta(days=1)
    return night


def _show(night: date, context: NightContext, folder: Path, seconds: float) -> None:
    run_id = run_id_of(night)
    tables = read_staged(run_id, context)
    accounting = count(tables["photos"], tables["grades"])
    print_accounting(accounting)
    working = sum(float(str(t["seconds"])) for t in read_timings(run_id, context))
    console.print(
        f"{accounting.listed / seconds:.1f} photos per second ({seconds:.0f} s from trigger to report, {working:.0f} s of tasks)"
    )
    local = folder / f"night-{night}.html"
    local.write_bytes(context.results.get(paths.report(night, REPORT_NAME)))
    console.print(
        f"report: {local} (in the store: {context.results.url(paths.report(night, REPORT_NAME))})", soft_wrap=True
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ScreeningError, StackError) as error:
        print_error(error)
        sys.exit(1)
