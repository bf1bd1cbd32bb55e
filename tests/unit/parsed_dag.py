"""A DAG's file as Airflow reads it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def parse_dag(file: Path, folder: Path, **variables: str) -> dict[str, Any]:
    """What Airflow makes of the file, with these variables in its environment; see describe_dag.py."""
    parsed = subprocess.run(
        [sys.executable, "-m", "tests.unit.describe_dag", str(file), str(folder / "dag.json")],
        cwd=ROOT,
        env=os.environ | {"AIRFLOW_HOME": str(folder), "PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert parsed.returncode == 0, parsed.stdout + parsed.stderr
    assert "could not be imported" not in parsed.stdout + parsed.stderr, "a retry rule names an error that is not there"
    described: dict[str, Any] = json.loads((folder / "dag.json").read_text())
    return described
