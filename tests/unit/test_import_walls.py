"""The walls of ARCHITECTURE.md: who may import whom. An import inside a function counts as one at the top."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Part of the package → the parts that it may import, beside itself. A part is a module or folder below `screening`.
WALLS: dict[str, set[str]] = {
    "errors": set(),
    "cutoffs": set(),
    "contracts": {"errors"},
    "settings": {"errors"},
    "taxonomy": {"contracts", "errors"},
    "stages": {"contracts", "cutoffs", "errors", "taxonomy"},
    "edges": {"contracts", "errors"},
    # A page names the release, its members and what happened to it, so it knows those records, and no other edge.
    "reports": {"contracts", "cutoffs", "errors", "taxonomy", "stages", "edges.release", "edges.release_history"},
    "tasks": {"contracts", "cutoffs", "errors", "taxonomy", "settings", "stages", "edges", "reports"},
    "review": {"contracts", "errors", "taxonomy", "settings", "stages", "edges"},
    "training": {"contracts", "cutoffs", "errors", "taxonomy", "stages", "edges"},
}
ENDS = {
    "__main__",
    "retrain_cli",
    "cli",
    "corpus_cli",
    "cutoffs_cli",
    "evaluate_cli",
    "monitoring_cli",
    "quality_cli",
    "recipes_cli",
    "release_cli",
    "review_cli",
    "shortcuts_cli",
}
"""Imported by nobody else in the package, so they may import all of it."""

# Library → the folders that may import it: each is expensive, or belongs to one side of a wall.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "airflow": ("dags", "infra", "screening/review/plugin.py"),
    "fastapi": ("screening/review",),
    "starlette": ("screening/review",),
    "itsdangerous": ("screening/review",),
    "torch": ("screening/training",),
    "torchvision": ("screening/training",),
    "lightning": ("screening/training",),
    "sklearn": ("screening/training",),
    "scipy": ("screening/training", "screening/stages/missed_lesions.py"),
    "onnxruntime": ("screening/training", "screening/stages/quality/network.py"),
    "boto3": ("screening/edges", "infra"),
    "botocore": ("screening/edges", "infra"),
    "tritonclient": ("screening/edges", "infra"),
    "psycopg2": ("infra",),
    "psutil": ("infra",),
    "captum": ("screening/training",),
    "matplotlib": ("screening/training",),
    "mlflow": ("screening/training",),
    "safetensors": ("screening/training",),
    "timm": ("screening/training",),
    "typer": tuple(f"screening/{end}.py" for end in sorted(ENDS)),
    "jinja2": ("screening/reports", "screening/review", "screening/training/evaluation"),
}


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def imports_of(source: str) -> Iterator[str]:
    """Every module that a source names, e.g. `screening.tasks` for ``from screening import tasks``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the walls are read from absolute imports"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if is_module(name) else node.module for name in names)


def is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def part_of(file: Path) -> str:
    return file.relative_to(ROOT / "screening").parts[0].removesuffix(".py")


def may_import(part: str, imported: str) -> bool:
    """Whether a part may import a dotted name below `screening`."""
    allowed = WALLS[part] | {part}
    return any(imported == name or imported.startswith(name + ".") for name in allowed)


def broken_walls(part: str, source: str) -> list[str]:
    names = [name for name in imports_of(source) if name.split(".")[0] in ("screening", "infra", "dags", "tests")]
    ours = [name.removeprefix("screening.") for name in names if name != "screening"]
    return [name for name in ours if not may_import(part, name)]


PACKAGE = [file for file in python_files("screening") if file != ROOT / "screening/__init__.py"]


@pytest.mark.parametrize("file", PACKAGE, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_only_what_its_part_may(file: Path) -> None:
    if part_of(file) in ENDS:
        assert "dags" not in {name.split(".")[0] for name in imports_of(file.read_text())}
        return
    assert part_of(file) in WALLS, "a new part: say in ARCHITECTURE.md and here what it may import"
    assert broken_walls(part_of(file), file.read_text()) == []


def test_no_wall_lets_an_arrow_back() -> None:
    def reachable(part: str, seen: frozenset[str]) -> set[str]:
        assert part not in seen, f"{part} reaches itself through {sorted(seen)}"
        beyond = {name.split(".")[0] for name in WALLS[part]}
        return beyond.union(*(reachable(name, seen | {part}) for name in beyond))

    for part in WALLS:
        assert part not in reachable(part, frozenset())


@pytest.mark.parametrize(
    ("part", "source", "broken"),
    [
        ("stages", "from screening.edges import paths", ["edges.paths"]),
        ("stages", "from screening.stages.pixels import model_pixels", []),
        ("edges", "def f():\n    from screening import tasks", ["tasks"]),
        ("edges", "import screening.stages.pixels", ["stages.pixels"]),
        ("tasks", "import infra.local.triton", ["infra.local.triton"]),
        ("tasks", "from screening import __version__, cli", ["cli"]),
        ("taxonomy", "if TYPE_CHECKING:\n    from screening.settings import Settings", ["settings"]),
        ("reports", "from screening.edges.release import Release", []),
        ("reports", "from screening.edges.release_notes import x", ["edges.release_notes"]),
        ("reports", "from screening.edges.store import Store", ["edges.store"]),
    ],
)
def test_a_broken_wall_is_found_wherever_the_import_hides(part: str, source: str, broken: list[str]) -> None:
    assert broken_walls(part, source) == broken


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_stays_in_its_part(library: str) -> None:
    allowed = [ROOT / place for place in LIBRARIES[library]]

    outside = [
        str(file.relative_to(ROOT))
        for file in python_files("screening", "infra", "dags")
        if library in {name.split(".")[0] for name in imports_of(file.read_text())}
        and not any(file.is_relative_to(place) for place in allowed)
    ]

    assert outside == []


def test_nothing_in_the_package_but_the_command_line_knows_the_local_stack() -> None:
    knows = {part_of(file) for file in PACKAGE if any(n.startswith("infra") for n in imports_of(file.read_text()))}

    assert knows <= ENDS


def test_the_local_stack_trains_nothing() -> None:
    for file in python_files("infra"):
        assert not [name for name in imports_of(file.read_text()) if name.startswith(("screening.training", "dags"))]


# The names through which a stage would reach the outside, or make a result depend on when it is made.
OUTSIDE = {"socket", "subprocess", "urllib", "http", "requests", "random", "secrets", "uuid", "threading"}
CLOCK = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "time.monotonic", "datetime.datetime.now"}


@pytest.mark.parametrize(
    "file", python_files("screening/stages", "screening/taxonomy"), ids=lambda file: str(file.relative_to(ROOT))
)
def test_a_stage_asks_no_network_no_environment_and_no_clock(file: Path) -> None:
    source = file.read_text()
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}

    assert not {name.split(".")[0] for name in imports_of(source)} & OUTSIDE
    assert not called & CLOCK
    assert "os.environ[" not in source
    assert not called & {"os.getenv", "os.environ.get"}


DAG_FILES = [file for file in python_files("dags") if file.name != "retries.py"]
"""All but what they share."""


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.name)
def test_a_dag_file_imports_nothing_heavy_when_it_is_parsed(file: Path) -> None:
    top = ast.Module([node for node in ast.parse(file.read_text()).body if not isinstance(node, ast.FunctionDef)], [])

    libraries = {name.split(".")[0] for name in imports_of(ast.unparse(top))}

    assert libraries - set(sys.stdlib_module_names) <= {"airflow", "pendulum", "retries"}


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.name)
def test_a_dag_knows_of_the_package_only_its_tasks(file: Path) -> None:
    ours = {name for name in imports_of(file.read_text()) if name.split(".")[0] in ("screening", "infra", "tests")}

    assert ours == {"screening.tasks"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("screening.errors", {"numpy", "pyarrow", "pydantic"}),
        ("screening.settings", {"numpy", "pyarrow", "boto3", "tritonclient"}),
        (
            "screening.cli",
            {"numpy", "pandas", "pyarrow", "cv2", "boto3", "tritonclient", "great_expectations", "torch"},
        ),
        ("screening.edges.store", {"boto3", "pyarrow"}),
        ("screening.tasks", {"torch", "airflow", "sklearn"}),
    ],
)
def test_who_imports_a_module_does_not_wait_for_what_it_does_not_need(module: str, heavy: set[str]) -> None:
    say = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", say],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert not heavy & set(loaded)
