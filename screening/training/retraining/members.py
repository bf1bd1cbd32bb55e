"""Step 4: train one member; killed, it goes on to the same weights."""

from __future__ import annotations

from pathlib import Path

from screening.errors import SettingsError
from screening.training.ensemble import TrainingSet, fit_one
from screening.training.networks import Member
from screening.training.retraining.run_folder import RunFolder


def fit_member_of_run(
    run: RunFolder, number: int, training_set: TrainingSet, model_repository: str, weights_dir: Path, code_revision: str
) -> Member:
    """Train the member of this number (from 0); one that is finished is only loaded.

    Args:
        run: with its split.
        number: of the member in the run's recipe.
        training_set: of the run.
        model_repository: where the release is that members start from.
        weights_dir: of ImageNet's weights, for recipes that start from them.
        code_revision: for MLflow.

    Raises:
        SettingsError: there is no such member.
        ContractError: the release to start from answers other classes.
    """
    order = run.order()
    if not 0 <= number < len(order.recipe.members):
        raise SettingsError(f"member {number}: this run has members 0 to {len(order.recipe.members) - 1}")
    recipe = order.recipe.model_copy(update={"start_from": order.start_from})
    return fit_one(recipe, number, training_set, weights_dir, run.members, code_revision, model_repository)
