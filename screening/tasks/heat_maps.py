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
from screening.stages.pixels import decode_working_copy, encode_working_copy
from screening.tasks.context import NightContext
from screening.taxonomy import TrainingClasses

SHORT_SIDE = 256
"""Pixels at least, what the decoder's own reduction gives: a map has 8 x 8 places at most, so more shows nothing more."""


def save_heat_map(
    run_id: str, answer: Inferred, classes: TrainingClasses, cutoffs: GradeCutoffs, context: NightContext
) -> None:
    """Write the picture beside the working copy, if the photo is graded high risk or dangerous; may run again."""
    if answer.probabilities is None or not answer.heat_maps:
        return
    members = np.asarray(answer.probabilities, np.float64)
    graded = grade_photo(average_members(members[:, None])[0], members, classes, cutoffs)
    if graded.grade == RiskGrade.LOW_RISK:
        return
    place = classes.class_ids.index(graded.disease)
    copy = decode_working_copy(context.results.get(paths.working_copy(run_id, answer.photo_id)), SHORT_SIDE)
    picture = draw_heat_map(copy, [maps[place] for maps in answer.heat_maps])
    context.results.put(paths.heat_map(run_id, answer.photo_id), encode_working_copy(picture))
