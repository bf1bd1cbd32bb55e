"""The figures of docs/benchmarks.md: ``make bench BENCH_ARGS="screen|scale|night|promotion|review|intake"``.

Each benchmark prints ratios of things measured in one run, alternating, because the machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from infra.local.triton import start_triton
from tests.benchmarks.photo_sets import phone_photos, small_photos
from tests.benchmarks.processes import Cost, run_measured

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "model_repository"
BENCH_PYTHON = REPOSITORY / ".venv-bench" / "bin" / "python"
SCREENING = REPOSITORY / ".venv" / "bin" / "screening"
CORES = 2
"""The figures are for two cores; on a larger machine run under ``taskset -c 0,1``."""
console = Console()


def main() -> int:
    """Run the named benchmarks; the exit code is 0 whatever the figures are."""
    benchmarks = {
        "screen": screen,
        "scale": scale,
        "night": night,
        "promotion": promotion,
        "review": review,
        "intake": intake,
    }
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=list(benchmarks), default=["screen"])
    parser.add_argument("--photos", type=int, help="photos (screen: 500, scale: 20000, night: 5000, intake: 50000)")
    parser.add_argument("--rounds", type=int, default=2, help="times that each side is run; the best counts")
    parser.add_argument("--entries", type=int, default=50_000, help="review: photos in the queue")
    parser.add_argument("--without-ray", action="store_true")
    parser.add_argument("--scratch", type=Path, default=REPOSITORY / "work" / "bench")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        benchmarks[name](arguments)
    return 0


def screen(arguments: argparse.Namespace) -> None:
    """`screening screen` on phone-size photos against the bare sum, the plain script and Ray Data."""
    count = arguments.photos or 500
    folder = phone_photos(arguments.scratch / f"phone-{count}", count)
    out = arguments.scratch / "out"
    costs: dict[str, list[Cost]] = {"screening screen": [], "plain script": [], "ray data": []}
    with start_triton() as ports:
        server = _server_at(ports.grpc)
        for _ in range(arguments.rounds):
            costs["screening screen"].append(_screen(folder, out, ports.url, server))
            costs["plain script"].append(_script("plain_script", folder, arguments.scratch / "plain.csv"))
            if not arguments.without_ray:
                shutil.rmtree(arguments.scratch / "ray", ignore_errors=True)
                costs["ray data"].append(_script("ray_script", folder, arguments.scratch / "ray"))
    bare_text = os.popen(f"{BENCH_PYTHON} -m tests.benchmarks.bare_costs {folder} {MODELS}").read()  # noqa: S605 - our own paths
    bare = json.loads(bare_text)
    total = sum(bare.values())
    best = {name: min(c.wall_s for c in runs) for name, runs in costs.items() if runs}
    cpu = min(c.cpu_s for c in costs["screening screen"]) / count * 1000
    table = Table(
        "what",
        "value",
        title=f"{count} photos of 12 MP, best of {arguments.rounds}, {datetime.now(UTC):%Y-%m-%d}",
    )
    for name, milliseconds in bare.items():
        table.add_row(f"bare {name}, CPU", f"{milliseconds:.1f} ms")
    table.add_row("bare sum", f"{total:.1f} ms")
    for name, wall in best.items():
        table.add_row(f"{name}, photos per second", f"{count / wall:.1f}")
    table.add_row("screening screen, CPU per photo", f"{cpu:.1f} ms")
    table.add_row("CPU per photo / bare sum (at most 1.3)", f"{cpu / total:.2f}")
    wall = best["screening screen"] / count * 1000
    table.add_row("wall per photo / (bare sum / cores) (at most 1.35)", f"{wall / (total / CORES):.2f}")
    table.add_row(
        "photos per second / plain script (at least 1.7)", f"{best['plain script'] / best['screening screen']:.2f}"
    )
    if costs["ray data"]:
        table.add_row("photos per second / ray data (at least 3)", f"{best['ray data'] / best['screening screen']:.2f}")
    console.print(table)


def scale(arguments: argparse.Namespace) -> None:
    """Cost and memory of many photos against few."""
    large = arguments.photos or 20_000
    out = arguments.scratch / "out"
    rows: dict[int, Cost] = {}
    with start_triton() as ports:
        server = _server_at(ports.grpc)
        for count in (1_000, large):
            folder = small_photos(arguments.scratch / f"small-{count}", count)
            rows[count] = _screen(folder, out, ports.url, server)
    table = Table(
        "photos",
        "photos per second",
        "CPU per photo",
        "peak memory",
        title=f"small photos, {datetime.now(UTC):%Y-%m-%d}",
    )
    for count, cost in rows.items():
        table.add_row(
            f"{count:,}",
            f"{count / cost.wall_s:.1f}",
            f"{cost.cpu_s / count * 1000:.2f} ms",
            f"{cost.peak_bytes / 1e6:.0f} MB",
        )
    console.print(table)
    few, many = (rows[n].cpu_s / n for n in rows)
    console.print(f"CPU per photo at {large:,} / at 1,000 (at most 1.05): {many / few:.3f}")


def night(arguments: argparse.Namespace) -> None:
    """Airflow's share of a night on the local stack: the time in which no task works."""
    from tests.benchmarks.airflow_night import run_airflow_night

    count = arguments.photos or 5_000
    figures = run_airflow_night(small_photos(arguments.scratch / f"small-{count}", count))
    _print_figures(f"a night of {count:,} small photos in Airflow", figures)


def promotion(arguments: argparse.Namespace) -> None:
    """Releases that take over and are rolled back while requests go on."""
    from tests.benchmarks.promotion_under_load import change_under_load

    figures = change_under_load(arguments.scratch / "promotion", rounds=max(arguments.rounds, 2), requests=2_000)
    _print_figures("promotion and rollback under load", figures)


def review(arguments: argparse.Namespace) -> None:
    """The review pages: the queue opens, and twenty readers answer at once."""
    from tests.benchmarks.review_pages import run_review_pages

    _print_figures("review pages in Airflow, on Ceph", run_review_pages(arguments.entries, answers=20))


def intake(arguments: argparse.Namespace) -> None:
    """What two readers said of many photos, in a file, becomes decisions, vetted photos and a corpus."""
    from tests.benchmarks.intake import run_intake_of

    figures = run_intake_of(arguments.photos or 50_000, arguments.scratch / "intake")
    _print_figures("intake of decisions, in a plain folder", figures)


def _print_figures(title: str, figures: dict[str, str]) -> None:
    table = Table("what", "value", title=f"{title}, {datetime.now(UTC):%Y-%m-%d}")
    for name, value in figures.items():
        table.add_row(name, value)
    console.print(table)


def _screen(folder: Path, out: Path, triton_url: str, server: psutil.Process) -> Cost:
    shutil.rmtree(out, ignore_errors=True)
    environment = {"SCREENING_TRITON_URL": triton_url, "SCREENING_MODEL_REPOSITORY": str(MODELS)}
    return run_measured(
        [str(SCREENING), "screen", str(folder), "--out", str(out), "--quality-mode", "observe"], environment, server
    )


def _script(name: str, folder: Path, out: Path) -> Cost:
    return run_measured([str(BENCH_PYTHON), "-m", f"tests.benchmarks.{name}", str(folder), str(MODELS), str(out)], {})


def _server_at(port: int) -> psutil.Process:
    """The process of ours that listens on a port."""
    for process in psutil.Process().children(recursive=True):
        if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in process.net_connections()):
            return process
    raise SystemExit(f"no process listens on {port}")


if __name__ == "__main__":
    sys.exit(main())
