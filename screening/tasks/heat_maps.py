"""For each photo that is not graded low risk, a picture of where the networks see the disease that they name."""

from __future__ import annotations

import numpy as np

from screening.contracts import RiskGrade
from screening.cutoffs import GradeCutoffs
from screening.edges import paths
from screening.edges.model_server import Inferred
from screening.stages.ensemble import average_members
from screening.stages.grading import grade_photo
from screening.stages.heat_map import draw_heat_map
from screening.stages.pixels import encode_working_copy
from screening.tasks.context import NightContext
from screening.taxonomy import TrainingClasses


def save_heat_map(
    run_id: str,
    answer: Inferred,
    photo: np.ndarray,
    classes: TrainingClasses,
    cutoffs: GradeCutoffs,
    context: NightContext,
) -> None:
    """Write the picture beside the working copy, if the photo is graded high risk or dangerous; may run again.

    Args:
        run_id: of the night.
        answer: to the photo.
        photo: shape (height, width, 3), uint8, as decoded for the networks: a map has 8 x 8 places, so more shows nothing more.
        classes: of the release.
        cutoffs: of the night.
        context: settings and stores.
    """
    if answer.probabilities is None or not answer.heat_maps:
        return
    members = np.asarray(answer.probabilities, np.float64)
    graded = grade_photo(average_members(members[:, None])[0], members, classes, cutoffs)
    if graded.grade == RiskGrade.LOW_RISK:
        return
    place = classes.class_ids.index(graded.disease)
    picture = draw_heat_map(photo, [maps[place] for maps in answer.heat_maps])
    context.results.put(paths.heat_map(run_id, answer.photo_id), encode_working_copy(picture))
