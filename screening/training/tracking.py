"""MLflow: each member's training is a run. SQLite in the work folder, or the server of MLFLOW_TRACKING_URI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from screening.training.disk import write_whole
from screening.training.recipe import MemberRecipe

# Before mlflow is imported, which reads it then: it would report to its makers which functions are called.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from lightning.pytorch.loggers import MLFlowLogger
from mlflow.tracking import MlflowClient

RUN_ID = "mlflow_run.txt"


def track_member(experiment: str, recipe: MemberRecipe, folder: Path, tags: Mapping[str, str]) -> MLFlowLogger:
    """The logger of a member's run; a member that was killed goes on in the run that it began.

    Args:
        experiment: name of the ensemble's recipe.
        recipe: becomes the run's parameters, one for each field.
        folder: of the member; SQLite and artefacts lie beside it.
        tags: such as the code's revision and the split's version.
    """
    tracking_uri = os.environ.get("MLFLOW_TRACKING_URI") or _own_database(folder.parent.absolute())
    known = folder / RUN_ID
    address, _, run_id = known.read_text().partition("\n") if known.is_file() else ("", "", "")
    logger = MLFlowLogger(
        experiment,
        run_name=recipe.name,
        tracking_uri=tracking_uri,
        tags={**tags, "member": recipe.name},
        artifact_location=None
        if os.environ.get("MLFLOW_TRACKING_URI")
        else (folder.parent / "mlflow").absolute().as_uri(),
        run_id=run_id if address == tracking_uri else None,
    )
    if address != tracking_uri:
        logger.log_hyperparams(flat(recipe.model_dump(mode="json")))
        write_whole(known, f"{tracking_uri}\n{logger.run_id}".encode())
    return logger


def _own_database(folder: Path) -> str:
    """The address of MLflow's tables in a folder. They have their name only when all of them are there.

    Making them takes MLflow seconds, and it cannot go on with tables of which some are missing.
    """
    file, part = folder / "mlflow.db", folder / "mlflow.db.part"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(f"{part.name}*"):  # SQLite's journal too
            left_over.unlink()
        MlflowClient(f"sqlite:///{part}")  # makes the tables
        part.replace(file)
    return f"sqlite:///{file}"


def flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields as dotted names, the parts of a list by their number."""
    leaves: dict[str, Any] = {}
    for name, value in fields.items():
        is_list = isinstance(value, list) and value and isinstance(value[0], Mapping)
        parts = {str(number): part for number, part in enumerate(value)} if is_list else value
        leaves |= flat(parts, f"{prefix}{name}.") if isinstance(parts, Mapping) else {f"{prefix}{name}": parts}
    return leaves
