"""An answer for a few photos at once, without stores or tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from screening.contracts import RiskGrade, Verdict
from screening.edges.model_server import ModelServer
from screening.edges.release import Release
from screening.errors import PhotoError
from screening.settings import Settings
from screening.stages.ensemble import average_members
from screening.stages.grading import WARNINGS, grade_photo
from screening.stages.pixels import PhotoLimits, decode_photo, encode_working_copy, model_pixels
from screening.stages.quality import judge_quality, measure_quality
from screening.stages.referral import ACTIONS
from screening.stages.refusals import NOT_GRADED_ADVICE, advice_for
from screening.tasks.context import answer_limits, grade_cutoffs, release_classes
from screening.tasks.quality_rules import load_quality_rules
from screening.taxonomy import TrainingClasses


def grade_files(
    files: Iterable[Path], settings: Settings, release: Release, server: ModelServer
) -> Iterator[dict[str, object]]:
    """One answer per file, in their order: verdict, and grade, advice and differential if it could be graded."""
    rules = load_quality_rules(settings)
    classes = release_classes(settings, release)
    limits = PhotoLimits(settings.max_photo_pixels, settings.max_photo_bytes)
    for file in files:
        answer: dict[str, object] = {"photo": str(file), "verdict": str(Verdict.REFUSED), "grade": None}
        try:
            decoded = decode_photo(file.read_bytes(), limits)
        except OSError as error:
            yield answer | {
                "verdict": "failed",
                "reason": "unreadable_file",
                "found": str(error.strerror),
                "advice": NOT_GRADED_ADVICE,
            }
            continue
        except PhotoError as error:
            yield answer | {"reason": error.reason, "found": str(error), "advice": advice_for(error.reason)}
            continue
        judged = judge_quality(measure_quality(decoded), rules.cutoffs, settings.quality_mode, rules.messages)
        answer |= {
            "verdict": str(judged.verdict),
            "reason": judged.reason,
            "issues": list(judged.issues),
            "advice": judged.advice,
        }
        if judged.verdict == Verdict.REFUSED:
            yield answer
            continue
        pixels = model_pixels(encode_working_copy(decoded.pixels), release.input_shape[0])
        inferred = next(iter(server.infer([(str(file), pixels)])))
        if inferred.probabilities is None:
            yield answer | {
                "verdict": "failed",
                "reason": "inference_error",
                "found": inferred.error,
                "advice": NOT_GRADED_ADVICE,
            }
        else:
            graded = _graded(
                np.asarray(inferred.probabilities, dtype=np.float64), inferred.distances, settings, release, classes
            )
            yield answer | graded | ({"verdict": str(Verdict.FLAGGED)} if graded["warnings"] else {})


def _graded(
    members: np.ndarray, distances: np.ndarray | None, settings: Settings, release: Release, classes: TrainingClasses
) -> dict[str, object]:
    ensemble = average_members(members[:, None, :])[0]
    graded = grade_photo(
        ensemble,
        members,
        classes,
        grade_cutoffs(settings, release),
        limits=answer_limits(release),
        outlier_distance=None if distances is None else float(distances.astype(np.float64).mean()),
    )
    return {
        "grade": str(graded.grade),
        "disease": graded.disease,
        "referral": ACTIONS[RiskGrade(graded.grade)][1],
        "p_low_risk": graded.p_low_risk,
        "p_high_risk": graded.p_high_risk,
        "p_dangerous": graded.p_dangerous,
        "member_spread": graded.member_spread,
        "differential": list(graded.differential),
        "prediction_set": None if graded.prediction_set is None else list(graded.prediction_set),
        "outlier_distance": graded.outlier_distance,
        "is_outlier": graded.is_outlier,
        "warnings": [WARNINGS[code] for code in graded.warnings],
        "probabilities": dict(zip(classes.class_ids, ensemble.tolist(), strict=True)),
        "release": release.name,
    }
