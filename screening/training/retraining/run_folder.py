"""The folder of one retraining: what was ordered, and where each step leaves its result."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from screening.errors import ContractError, MissingError, SettingsError
from screening.training.disk import write_whole
from screening.training.recipe import EnsembleRecipe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Order:
    """What a run does, fixed by its first step.

    ``recipe``: all its fields, with only the members that were asked for. ``champion``: the release in use then, which
    the challenger is measured against. ``start_from``: the release whose members the new ones start from, or None.
    ``made_on``: the day, as ISO. ``release``: name of the challenger, once it has one.
    """

    run_id: str
    recipe: EnsembleRecipe
    champion: str
    start_from: str | None
    made_on: str
    reason: str
    is_dry_run: bool
    release: str | None = None


@dataclass(frozen=True)
class RunFolder:
    """``path`` is ``<training folder>/<run_id>``."""

    path: Path

    @classmethod
    def named(cls, training_folder: Path, run_id: str) -> RunFolder:
        """The folder of a run, which need not exist yet.

        Raises:
            SettingsError: the name could lead elsewhere.
        """
        if not _NAME.fullmatch(run_id):
            raise SettingsError(f"run {run_id!r}: expected letters, digits, points, dashes and underscores")
        return cls(training_folder / run_id)

    @property
    def photos(self) -> Path:
        """Root of the paths of the snapshot."""
        return self.path / "photos"

    @property
    def snapshot(self) -> Path:
        return self.path / "snapshot.parquet"

    @property
    def groups(self) -> Path:
        """Number of the component of each photo of the snapshot."""
        return self.path / "groups.npy"

    @property
    def leaks(self) -> Path:
        return self.path / "leaks.json"

    @property
    def split(self) -> Path:
        return self.path / "split.parquet"

    @property
    def members(self) -> Path:
        """Checkpoints of each member, and MLflow's store."""
        return self.path / "members"

    @property
    def release(self) -> Path:
        """A model repository with the challenger alone; there only once it is whole."""
        return self.path / "release"

    @property
    def answers(self) -> Path:
        """What champion and challenger said of the test photos."""
        return self.path / "answers.parquet"

    @property
    def costs(self) -> Path:
        """Time and size of both."""
        return self.path / "costs.json"

    @property
    def gate(self) -> Path:
        return self.path / "gate.json"

    @property
    def comparison(self) -> Path:
        return self.path / "comparison.html"

    def order(self) -> Order:
        """What was ordered.

        Raises:
            MissingError: the first step was not run.
            ContractError: the file is no order.
        """
        file = self._order_file
        try:
            fields: dict[str, Any] = json.loads(file.read_text())
            return Order(**fields | {"recipe": EnsembleRecipe.model_validate(fields["recipe"])})
        except FileNotFoundError as error:
            raise MissingError(f"{file} does not exist; `screening retrain snapshot` begins a run") from error
        except (ValueError, TypeError, KeyError) as error:
            raise ContractError(f"{file} holds no order of a retraining: {error}") from error

    def write_order(self, order: Order) -> None:
        """Fix the order."""
        fields = asdict(order) | {"recipe": order.recipe.model_dump(mode="json")}
        text = (json.dumps(fields, indent=1) + "\n").encode()
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self._order_file, text)

    def has_order(self) -> bool:
        return self._order_file.is_file()

    def forget_photos(self) -> None:
        """Remove copies of photos and their pixels: a person who takes back consent is not left in old folders."""
        shutil.rmtree(self.photos, ignore_errors=True)
        for file in self.path.glob("pixels-*.npy"):
            file.unlink()

    @property
    def _order_file(self) -> Path:
        return self.path / "order.json"
