"""Where a recipe's members start, when they start from the members of an earlier release."""

from __future__ import annotations

from screening.edges.release import Release, load_release, split_file, weights_file
from screening.errors import ContractError
from screening.taxonomy import TrainingClasses
from screening.training.fit import StartWeights
from screening.training.recipe import EnsembleRecipe
from screening.training.splits import ReleaseSplit


def split_of_start(recipe: EnsembleRecipe, model_repository: str) -> ReleaseSplit | None:
    """The split of the release that the recipe names or its members start from, whose sides must be kept; None: of none."""
    name = recipe.split.as_release or recipe.start_from
    if name is None:
        return None
    release = _release(name, model_repository)
    return ReleaseSplit(release.name, split_file(model_repository, release))


def start_weights(recipe: EnsembleRecipe, classes: TrainingClasses, model_repository: str) -> list[StartWeights | None]:
    """For each member the weights of the release in ``start_from``; None where the recipe starts from its own.

    Args:
        recipe: with the release's name, or ``champion``.
        classes: what the members answer.
        model_repository: where the release is.

    Raises:
        ContractError: the release answers other classes.
        MissingError: there is no such release, or it has no member of that name.
    """
    if recipe.start_from is None:
        return [None] * len(recipe.members)
    release = _release(recipe.start_from, model_repository)
    if not _are_alike(release.classes, classes):
        raise ContractError(
            f"release {release.name} answers {', '.join(release.classes)}, recipe {recipe.name} "
            f"{', '.join(classes.class_ids)}; members can only start from a release of the same classes"
        )
    return [StartWeights(*weights_file(model_repository, release, member.name)) for member in recipe.members]


def _release(name: str, model_repository: str) -> Release:
    return load_release(model_repository, None if name == "champion" else name)


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
