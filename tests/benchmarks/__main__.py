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
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

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
    scripts = ("plain_script",) if arguments.without_ray else ("plain_script", "ray_script")
    runs: dict[str, list[Cost]] = {}
    with start_triton() as ports:
        server = _server_at(ports.grpc)
        for _ in range(arguments.rounds):
            for name, heat_maps in SCREENINGS.items():
                runs.setdefault(name, []).append(_screen(folder, out, ports.url, server, heat_maps=heat_maps))
            for name in scripts:
                shutil.rmtree(arguments.scratch / name, ignore_errors=True)
                runs.setdefault(name, []).append(_script(name, folder, arguments.scratch / name))
    bare, both = _bare_costs(folder, at_once=1), _bare_costs(folder, at_once=CORES)
    total = sum(bare.values())
    wall_s = {name: min(cost.wall_s for cost in costs) for name, costs in runs.items()}
    table = Table(
        "what",
        *SCREENINGS,
        title=f"{count} photos of 12 MP, best of {arguments.rounds}, {datetime.now(UTC):%Y-%m-%d}",
    )
    for name, milliseconds in bare.items():
        table.add_row(
            f"bare {name}, CPU: one core, each core while all work", f"{milliseconds:.1f}, {both[name]:.1f} ms"
        )
    table.add_row("bare sum: one core, each core while all work", f"{total:.1f}, {sum(both.values()):.1f} ms")
    for name in scripts:
        table.add_row(f"{name}, photos per second", f"{count / wall_s[name]:.1f}")
    cpu = {name: min(cost.cpu_s for cost in runs[name]) / count * 1000 for name in SCREENINGS}
    wall = {name: wall_s[name] / count * 1000 for name in SCREENINGS}
    rows: dict[str, Callable[[str], str]] = {
        "photos per second": lambda name: f"{count / wall_s[name]:.1f}",
        "CPU per photo, Triton included": lambda name: f"{cpu[name]:.1f} ms",
        "CPU per photo / bare sum of one core (at most 1.3)": lambda name: f"{cpu[name] / total:.2f}",
        "wall per photo / (bare sum of one core / cores) (at most 1.35)": lambda name: (
            f"{wall[name] / (total / CORES):.2f}"
        ),
    }
    for script, least in zip(scripts, (1.7, 3), strict=False):
        rows[f"photos per second / {script} (at least {least})"] = partial(_times_as_fast, wall_s, script)
    for what, figure in rows.items():
        table.add_row(what, *map(figure, SCREENINGS))
    console.print(table)


def _times_as_fast(wall_s: dict[str, float], script: str, name: str) -> str:
    return f"{wall_s[script] / wall_s[name]:.2f}"


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


def _bare_costs(folder: Path, at_once: int) -> dict[str, float]:
    """CPU milliseconds per photo of each piece, the mean of so many processes that measure at the same time."""
    command = [str(BENCH_PYTHON), "-m", "tests.benchmarks.bare_costs", str(folder), str(MODELS)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(at_once)]
    found = [json.loads(process.communicate()[0]) for process in processes]
    return {name: sum(costs[name] for costs in found) / at_once for name in found[0]}


def _server_at(port: int) -> psutil.Process:
    """The process of ours that listens on a port."""
    for process in psutil.Process().children(recursive=True):
        if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in process.net_connections()):
            return process
    raise SystemExit(f"no process listens on {port}")


if __name__ == "__main__":
    sys.exit(main())
