"""Step 4: train one member; killed, it goes on to the same weights."""

from __future__ import annotations

from pathlib import Path

from screening.edges.release import load_release, weights_file
from screening.errors import ContractError, SettingsError
from screening.taxonomy import TrainingClasses
from screening.training.ensemble import TrainingSet, fit_one
from screening.training.fit import StartWeights
from screening.training.networks import Member
from screening.training.retraining.run_folder import Order, RunFolder


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
    start = _start_of(order, number, training_set.classes, model_repository)
    return fit_one(order.recipe, number, training_set, weights_dir, run.members, code_revision, start)


def _start_of(order: Order, number: int, classes: TrainingClasses, model_repository: str) -> StartWeights | None:
    if order.start_from is None:
        return None
    release = load_release(model_repository, order.start_from)
    if not _are_alike(release.classes, classes):
        raise ContractError(
            f"release {release.name} answers {', '.join(release.classes)}, recipe {order.recipe.name} "
            f"{', '.join(classes.class_ids)}; members can only start from a release of the same classes"
        )
    return StartWeights(*weights_file(model_repository, release, order.recipe.members[number].name))


def _are_alike(of_release: tuple[str, ...], classes: TrainingClasses) -> bool:
    """Whether each class is the release's at its place: the same node, or one that was drawn finer or coarser since."""
    if len(of_release) != len(classes.class_ids):
        return False
    taxonomy = classes.taxonomy

    def lineage(disease: str) -> set[str]:
        return {node.id for node in taxonomy.lineage(disease)}

    return all(
        old in lineage(new) or new in lineage(old) for old, new in zip(of_release, classes.class_ids, strict=True)
    )
