"""The figures of docs/benchmarks.md: ``make bench BENCH_ARGS="screen|scale|filters|night|promotion|review|intake"``.

Each benchmark prints ratios of things measured in one run, alternating, because the machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from infra.local.triton import start_triton
from tests.benchmarks.photo_sets import long_side_512_photos, phone_photos, small_photos
from tests.benchmarks.processes import Cost, run_measured

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "model_repository"
BENCH_PYTHON = REPOSITORY / ".venv-bench" / "bin" / "python"
SCREENING = REPOSITORY / ".venv" / "bin" / "screening"
CORES = 2
"""The figures are for two cores; on a larger machine run under ``taskset -c 0,1``."""
SCREENINGS = {"as set": True, "without heat maps": False}
"""How `screening screen` is run, and whether it draws: neither the bare pieces nor the scripts draw heat maps."""
LEAST = {"plain_script": 1.7, "ray_script": 3}
"""How many times as many photos per second `screening screen` should do, though it measures quality and writes every table."""
console = Console()


def main() -> int:
    """Run the named benchmarks; the exit code is 0 whatever the figures are."""
    benchmarks = {
        "screen": screen,
        "scale": scale,
        "filters": filters,
        "night": night,
        "promotion": promotion,
        "review": review,
        "intake": intake,
    }
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=list(benchmarks), default=["screen"])
    parser.add_argument(
        "--photos", type=int, help="photos (screen: 500, scale: 20000, filters: 64, night: 5000, intake: 50000)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is run")
    parser.add_argument("--entries", type=int, default=50_000, help="review: photos in the queue")
    parser.add_argument("--without-ray", action="store_true")
    parser.add_argument("--scratch", type=Path, default=REPOSITORY / "work" / "bench")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        benchmarks[name](arguments)
    return 0


def screen(arguments: argparse.Namespace) -> None:
    """`screening screen` on phone-size photos against the bare sum, the plain script and Ray Data.

    Both cores are busy when the bare costs are measured, as they are in a night, before and after each round: a core of a
    virtual machine is slower while its neighbour works. A figure is the median of those of the rounds.
    """
    count = arguments.photos or 500
    folder = phone_photos(arguments.scratch / f"phone-{count}", count)
    scripts = ("plain_script",) if arguments.without_ray else ("plain_script", "ray_script")
    rounds: list[dict[str, dict[str, float]]] = []
    with start_triton() as ports:
        server = _server_at(ports.grpc)
        for _ in range(arguments.rounds):
            before = _bare_costs(folder)
            costs = {
                name: _screen(folder, arguments.scratch / "out", ports.url, server, heat_maps=heat_maps)
                for name, heat_maps in SCREENINGS.items()
            }
            after = _bare_costs(folder)
            bare = {piece: (before[piece] + after[piece]) / 2 for piece in before}
            rates = {}
            for name in scripts:
                shutil.rmtree(arguments.scratch / name, ignore_errors=True)
                rates[name] = count / _script(name, folder, arguments.scratch / name).wall_s
            rounds.append({name: _figures(cost, count, bare, rates) for name, cost in costs.items()})
    table = Table(
        "what",
        *SCREENINGS,
        title=f"{count} photos of 12 MP, median of {arguments.rounds} (lowest to highest), {datetime.now(UTC):%Y-%m-%d}",
    )
    for figure in rounds[0]["as set"]:
        cells = [sorted(found[name][figure] for found in rounds) for name in SCREENINGS]
        table.add_row(figure, *(f"{median(cell):.2f} ({cell[0]:.2f} to {cell[-1]:.2f})" for cell in cells))
    console.print(table)


def _figures(cost: Cost, count: int, bare: dict[str, float], rates: dict[str, float]) -> dict[str, float]:
    """What one run of `screening screen` is worth beside what was measured around it."""
    bare_ms = sum(bare.values())
    cpu_ms, wall_ms = cost.cpu_s / count * 1000, cost.wall_s / count * 1000
    return {
        **{f"bare {piece}, CPU ms per photo": ms for piece, ms in bare.items()},
        "bare sum, ms": bare_ms,
        "CPU ms per photo, Triton included": cpu_ms,
        "CPU / bare sum (at most 1.3)": cpu_ms / bare_ms,
        "wall / (bare sum / cores) (at most 1.35)": wall_ms / (bare_ms / CORES),
        "photos per second": 1000 / wall_ms,
        **{
            f"photos per second / {name} (at least {LEAST[name]})": 1000 / wall_ms / rate
            for name, rate in rates.items()
        },
    }


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


def filters(arguments: argparse.Namespace) -> None:
    """The quality filters against CleanVision's checks, both from files to findings on all cores."""
    count = arguments.photos or 64
    folders = {
        "12 MP": phone_photos(arguments.scratch / f"phone-{count}", count),
        "512 px": long_side_512_photos(arguments.scratch / f"512-px-{8 * count}", 8 * count),
    }
    table = Table(
        "photos",
        "filters, photos per second",
        "CleanVision, photos per second",
        "filters / CleanVision (12 MP: at least 8)",
        title=f"quality filters, best of {arguments.rounds}, {datetime.now(UTC):%Y-%m-%d}",
    )
    for name, folder in folders.items():
        photos = sum(1 for _ in folder.iterdir())
        runs = [
            (_seconds_of("filters_script", folder), _seconds_of("cleanvision_script", folder))
            for _ in range(arguments.rounds)
        ]
        ours, theirs = (photos / min(seconds) for seconds in zip(*runs, strict=True))
        table.add_row(f"{photos} of {name}", f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}")
    console.print(table)


def _seconds_of(script: str, folder: Path) -> float:
    command = [str(BENCH_PYTHON), "-m", f"tests.benchmarks.{script}", str(folder)]
    without_bars = {**os.environ, "TQDM_DISABLE": "1"}
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=without_bars).stdout)


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


def _screen(folder: Path, out: Path, triton_url: str, server: psutil.Process, *, heat_maps: bool = True) -> Cost:
    shutil.rmtree(out, ignore_errors=True)
    environment = {
        "SCREENING_TRITON_URL": triton_url,
        "SCREENING_MODEL_REPOSITORY": str(MODELS),
        "SCREENING_HEAT_MAPS": str(heat_maps).lower(),
    }
    return run_measured(
        [str(SCREENING), "screen", str(folder), "--out", str(out), "--quality-mode", "observe"], environment, server
    )


def _script(name: str, folder: Path, out: Path) -> Cost:
    return run_measured([str(BENCH_PYTHON), "-m", f"tests.benchmarks.{name}", str(folder), str(MODELS), str(out)], {})


def _bare_costs(folder: Path) -> dict[str, float]:
    """CPU milliseconds per photo of each piece, the mean of a process for each core, all at the same time."""
    command = [str(BENCH_PYTHON), "-m", "tests.benchmarks.bare_costs", str(folder), str(MODELS)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(CORES)]
    found = [json.loads(process.communicate()[0]) for process in processes]
    return {name: sum(costs[name] for costs in found) / CORES for name in found[0]}


def _server_at(port: int) -> psutil.Process:
    """The process of ours that listens on a port."""
    for process in psutil.Process().children(recursive=True):
        if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in process.net_connections()):
            return process
    raise SystemExit(f"no process listens on {port}")


if __name__ == "__main__":
    sys.exit(main())
