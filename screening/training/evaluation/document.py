"""All numbers of an evaluation as one JSON document; the report shows this document and computes nothing.

A figure is an object: ``id`` (unique in the document), ``value``, ``low`` and ``high`` (95 % interval), ``photos`` it is
measured on, ``yes`` how many of them have what is asked for, and ``is_few``: too few to tell, shown in grey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from screening.contracts import GRADES, Verdict
from screening.training.evaluation import measures
from screening.training.evaluation.readers import Answer, Reading
from screening.training.evaluation.resampling import Measured, Resamples, draw_patients, p_of_delong
from screening.training.evaluation.scored_photos import DEADLY, NO_CLASS, ScoredPhotos
from screening.training.evaluation.targets import AT_RISK, DEADLY_CANCER, SPECIFICITY, TARGETS, status_of

FEWEST = 10
"""Photos (or patients) of each answer below which a figure is grey: the interval of a share is then wider than 0.5."""
FEW_PATIENTS = 30
"""Patients below which the report warns: the interval of a share is then wider than 0.3."""
SMALLEST_GROUP = 20
"""Photos below which a subgroup's figures are not shown at all: only its number."""
AGE_BANDS = (0, 30, 45, 60, 75, 200)
"""Left ends of the age bands in years; melanoma and keratinocyte cancers rise steeply from the fifties on."""
SKIN_TYPES = dict(enumerate(("I–II", "I–II", "III–IV", "III–IV", "V–VI", "V–VI"), start=1))
"""Fitzpatrick's types in pairs, as the public sets of dark skin give them (Daneshjou et al. 2022)."""
TOP = (1, 2, 3)
CURVE_POINTS = 41
"""Specificities at which the band of a ROC curve is computed."""
_BAND_RESAMPLES = 200
_CUTOFFS = np.linspace(0, 1, 201)

Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One yes-or-no question to every photo: the truth, the score, what was answered (None: by no cut-off yet)."""

    name: str
    title: str
    truth: np.ndarray
    score: np.ndarray
    answer: np.ndarray | None
    cutoff: float | None


def evaluate(
    scored: ScoredPhotos,
    *,
    resamples: int,
    readings: Sequence[Reading] = (),
    answers: Sequence[Answer] = (),
    others: Mapping[str, ScoredPhotos] | None = None,
    against: Mapping[str, ScoredPhotos] | None = None,
) -> Json:
    """Measure everything.

    Args:
        scored: the photos with their answers.
        resamples: bootstrap resamples.
        readings: readers' sensitivities and specificities.
        answers: what readers said of single photos.
        others: other populations, by name.
        against: other models' answers to the same photos, by name.
    """
    known = scored.only(scored.labels != NO_CLASS)
    unseen = scored.only(scored.labels == NO_CLASS)
    drawn = draw_patients(known.patients, resamples)
    groups = [
        _group(key, known.only(inside), drawn.of(inside), readings, answers) for key, inside in _kinds(known.facts)
    ]
    return {
        "photos": len(known),
        "patients": len(np.unique(known.patients)),
        "resamples": resamples,
        "fewest": FEWEST,
        "smallest_group": SMALLEST_GROUP,
        "targets": _targets(groups),
        "cautions": list(_cautions(known, groups, others or {})),
        "groups": groups,
        "comparisons": [
            _comparison(name, known, other.only(scored.labels != NO_CLASS), drawn)
            for name, other in _rivals(known, scored, against or {})
        ],
        "unseen": _unseen(unseen),
        "others": [_other(name, other, resamples) for name, other in (others or {}).items()],
    }


def _kinds(facts: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    """All photos, then every kind: domains differ in their mix of diseases, so only the figures within one are fair."""
    kinds = sorted(facts["kind"].dropna().unique())
    everyone = ("all", np.full(len(facts), True))
    if len(kinds) < 2:
        return [(kinds[0] if kinds else "all", everyone[1])]
    return [*((str(kind), (facts["kind"] == kind).to_numpy()) for kind in kinds), everyone]


def _questions(scored: ScoredPhotos) -> list[Question]:
    scores, given, truth = scored.grade_scores, scored.given_grades, scored.true_grades
    cutoffs = scored.cutoffs
    deadly = [i for i, c in enumerate(scored.classes) if c in DEADLY]
    of_grade = [
        Question(str(g), str(g).replace("_", " "), truth == i, scores[:, i], given == i, None)
        for i, g in enumerate(GRADES)
    ]
    if cutoffs is not None:
        of_grade[2] = Question(of_grade[2].name, "dangerous", truth == 2, scores[:, 2], given == 2, cutoffs.dangerous)
    at_risk = cutoffs.high_risk if cutoffs is not None else None
    return [
        *of_grade,
        Question(AT_RISK, "high risk or dangerous", truth >= 1, scores[:, 1:].sum(axis=1), given >= 1, at_risk),
        Question(
            DEADLY_CANCER,
            "melanoma or squamous cell carcinoma",
            np.isin(scored.labels, deadly),
            scored.probabilities[:, deadly].sum(axis=1),
            None,
            None,
        ),
    ]


def _diseases(scored: ScoredPhotos) -> list[Question]:
    own = scored.cutoffs.diseases if scored.cutoffs is not None else {}
    return [
        Question(c, name, scored.labels == i, p, p >= own[c] if c in own else None, own.get(c))
        for i, (c, name, p) in enumerate(zip(scored.classes, scored.class_names, scored.probabilities.T, strict=True))
    ]


def _group(
    key: str, scored: ScoredPhotos, drawn: Resamples, readings: Sequence[Reading], answers: Sequence[Answer]
) -> Json:
    questions = _questions(scored)
    wanted = [r for r in readings if r.kind in (None, key)]
    points = [*wanted, *_readings_of_answers(scored, answers)]
    right = scored.probabilities.argmax(axis=1) == scored.labels
    return {
        "key": key,
        "photos": len(scored),
        "patients": len(np.unique(scored.patients)),
        "per_grade": {str(g): int((scored.true_grades == i).sum()) for i, g in enumerate(GRADES)},
        "missed_dangerous": int(((scored.true_grades == 2) & (scored.given_grades == 0)).sum()),
        "questions": [_question(f"{key}/{q.name}", q, drawn, points, with_curves=True) for q in questions],
        "diseases": [_disease(f"{key}/{q.name}", q, scored, drawn, points) for q in _diseases(scored)],
        "top": [
            _share(f"{key}/top-{k}", measures.is_in_top(scored.labels, scored.probabilities, k), None, drawn)
            for k in TOP
        ],
        "grade_accuracy": _share(f"{key}/grade accuracy", scored.given_grades == scored.true_grades, None, drawn),
        "confusion_grades": _matrix(scored.true_grades, scored.given_grades, len(GRADES)),
        "confusion_diseases": _matrix(scored.labels, scored.probabilities.argmax(axis=1), len(scored.classes)),
        "readers_confusion": _readers_confusion(scored, answers),
        "calibration": [
            _calibration(
                f"{key}/calibration/disease", "the likeliest disease", right, scored.probabilities.max(1), drawn
            ),
            *(
                _calibration(f"{key}/calibration/{q.name}", q.title, q.truth, q.score, drawn)
                for q in questions
                if q.name in ("dangerous", AT_RISK)
            ),
        ],
        "subgroups": list(_subgroups(key, scored, drawn)),
    }


def _figure(ident: str, measured: Measured, photos: int, yes: int, *, is_few: bool) -> Json:
    numbers = {name: _finite(getattr(measured, name)) for name in ("value", "low", "high")}
    return {"id": ident, **numbers, "photos": photos, "yes": yes, "is_few": bool(is_few)}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _ranked(ident: str, statistic: measures.Statistic, truth: np.ndarray, drawn: Resamples) -> Json:
    """A figure that sets photos with a yes against those with a no."""
    yes = int(truth.sum())
    few = min(len(np.unique(drawn.patients[side])) for side in (truth, ~truth)) < FEWEST
    return _figure(ident, drawn.measure(statistic), len(truth), yes, is_few=few)


def _share(ident: str, hit: np.ndarray, among: np.ndarray | None, drawn: Resamples) -> Json:
    inside = np.full(len(hit), True) if among is None else among
    few = len(np.unique(drawn.patients[inside])) < FEWEST
    return _figure(ident, drawn.measure_share(hit, inside), int(inside.sum()), int((hit & inside).sum()), is_few=few)


def _decision(ident: str, truth: np.ndarray, answer: np.ndarray, cutoff: float | None, drawn: Resamples) -> Json:
    return {
        "cutoff": cutoff if cutoff is None else _finite(cutoff),
        "sensitivity": _share(f"{ident}/sensitivity", answer, truth, drawn),
        "specificity": _share(f"{ident}/specificity", ~answer, ~truth, drawn),
    }


def _question(ident: str, q: Question, drawn: Resamples, points: Iterable[Reading], *, with_curves: bool) -> Json:
    youden = measures.youden_cutoff(q.truth, q.score)
    found: Json = {
        "name": q.name,
        "title": q.title,
        "photos": len(q.truth),
        "yes": int(q.truth.sum()),
        "auc": _ranked(f"{ident}/auc", measures.auc(q.truth, q.score), q.truth, drawn),
        "average_precision": _ranked(
            f"{ident}/average precision", measures.average_precision(q.truth, q.score), q.truth, drawn
        ),
        "at_specificity": _ranked(
            f"{ident}/sensitivity at specificity {SPECIFICITY}",
            measures.sensitivity_at_specificity(q.truth, q.score, SPECIFICITY),
            q.truth,
            drawn,
        ),
        "youden": None if np.isnan(youden) else _decision(f"{ident}/youden", q.truth, q.score >= youden, youden, drawn),
        "own": None if q.answer is None else _decision(f"{ident}/own", q.truth, q.answer, q.cutoff, drawn),
        "readers": _readers(q.name, points),
        "curve": None,
    }
    if with_curves and not np.isnan(youden):
        found["curve"] = _curve(q, drawn)
    return found


def _disease(ident: str, q: Question, scored: ScoredPhotos, drawn: Resamples, points: Iterable[Reading]) -> Json:
    """A disease with Han's two specificities: how many of the malignant and of the benign others stay below the cut-off."""
    found = _question(ident, q, drawn, points, with_curves=False)
    found["grade"] = str(GRADES[scored.class_grades[scored.classes.index(q.name)]])
    cutoff = q.cutoff if q.cutoff is not None else measures.youden_cutoff(q.truth, q.score)
    for name, others in (("malignant", scored.true_grades > 0), ("benign", scored.true_grades == 0)):
        found[f"specificity_{name}"] = (
            None
            if np.isnan(cutoff)
            else _share(f"{ident}/specificity among {name}", q.score < cutoff, others & ~q.truth, drawn)
        )
    return found


def _curve(q: Question, drawn: Resamples) -> Json:
    cutoffs, sensitivity, specificity = measures.roc_points(q.truth, q.score)
    grid = np.linspace(0, 1, CURVE_POINTS)
    few = Resamples(drawn.weights[:_BAND_RESAMPLES], drawn.patients)
    band = [few.measure(measures.sensitivity_at_specificity(q.truth, q.score, s)) for s in grid]
    caught, called = sensitivity * q.truth.sum(), sensitivity * q.truth.sum() + (1 - specificity) * (~q.truth).sum()
    precision = np.divide(caught, called, out=np.ones_like(caught), where=called > 0)
    thin = _corners(sensitivity, specificity)
    return {
        "sensitivity": [_rounded(v) for v in sensitivity[thin]],
        "specificity": [_rounded(v) for v in specificity[thin]],
        "precision": [_rounded(v) for v in precision[thin]],
        "by_cutoff": [
            [_rounded(c), _rounded(sensitivity[i]), _rounded(specificity[i])]
            for c, i in zip(_CUTOFFS, np.searchsorted(cutoffs, _CUTOFFS), strict=True)
        ],
        "band": [
            [_rounded(s), _rounded(b.low), _rounded(b.high)]
            for s, b in zip(grid, band, strict=True)
            if not np.isnan(b.low)
        ],
    }


def _corners(sensitivity: np.ndarray, specificity: np.ndarray) -> np.ndarray:
    """Row numbers of the points where a staircase turns: the others lie on lines between them."""
    across, up = np.diff(specificity) != 0, np.diff(sensitivity) != 0
    turns = (across[1:] != across[:-1]) | (up[1:] != up[:-1])
    return np.flatnonzero(np.concatenate([[True], turns, [True]]))


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _matrix(truth: np.ndarray, given: np.ndarray, size: int) -> list[list[int]]:
    return [[int(n) for n in row] for row in measures.confusion(truth, given, size)]


def _calibration(ident: str, title: str, right: np.ndarray, said: np.ndarray, drawn: Resamples) -> Json:
    bins = measures.bin_of(said)
    return {
        "title": title,
        "error": _figure(
            f"{ident}/error",
            drawn.measure(measures.calibration_error(right, said)),
            len(said),
            int(right.sum()),
            is_few=len(said) < SMALLEST_GROUP,
        ),
        "by_chance": _rounded(measures.calibration_error_by_chance(said)),
        "bins": [
            {"said": _rounded(said[bins == b].mean())} | _share(f"{ident}/bin {b}", right, bins == b, drawn)
            for b in np.unique(bins)
        ],
    }


def _subgroups(key: str, scored: ScoredPhotos, drawn: Resamples) -> Iterable[Json]:
    facts = scored.facts
    columns = {
        "age": pd.cut(pd.to_numeric(facts["age_years"]), AGE_BANDS, right=False, labels=_band_names()),
        "sex": facts["sex"],
        "skin type": pd.to_numeric(facts["fitzpatrick"]).map(SKIN_TYPES),
        "body site": facts["body_site"],
        "source": facts["source"],
        "kind": facts["kind"],
        "quality verdict": facts["quality_verdict"],
    }
    for title, column in columns.items():
        words = column.astype("object").where(column.notna(), "not recorded")
        values = _ORDERS.get(title) or sorted(map(str, column.dropna().unique()))
        present = [v for v in [*values, "not recorded"] if (words.astype(str) == v).any()]
        if present in ([], ["not recorded"]) or (len(present) == 1 and title in ("kind", "source")):
            continue
        rows = [_subgroup(f"{key}/{title}={v}", v, scored, drawn, (words.astype(str) == v).to_numpy()) for v in present]
        yield {"title": title, "rows": rows, "smallest": min(row["photos"] for row in rows)}


def _band_names() -> list[str]:
    ends = list(pairwise(AGE_BANDS))
    return [f"under {ends[0][1]}", *(f"{low}–{high - 1}" for low, high in ends[1:-1]), f"{ends[-1][0]} and over"]


_ORDERS = {
    "age": _band_names(),
    "skin type": list(dict.fromkeys(SKIN_TYPES.values())),
    "quality verdict": [str(verdict) for verdict in Verdict],
}
"""Values that have an order of their own; the others stand by their letters."""


def _subgroup(ident: str, value: str, scored: ScoredPhotos, drawn: Resamples, inside: np.ndarray) -> Json:
    here, drawn_here = scored.only(inside), drawn.of(inside)
    row: Json = {
        "value": value,
        "photos": len(here),
        "patients": len(np.unique(here.patients)),
        "per_grade": {str(g): int((here.true_grades == i).sum()) for i, g in enumerate(GRADES)},
        "is_shown": len(here) >= SMALLEST_GROUP,
    }
    if row["is_shown"]:
        asked = {q.name: q for q in _questions(here)}
        at_risk, dangerous = asked[AT_RISK], asked["dangerous"]
        row |= {
            "auc_at_risk": _ranked(
                f"{ident}/auc {AT_RISK}", measures.auc(at_risk.truth, at_risk.score), at_risk.truth, drawn_here
            ),
            "auc_dangerous": _ranked(
                f"{ident}/auc dangerous", measures.auc(dangerous.truth, dangerous.score), dangerous.truth, drawn_here
            ),
            "sensitivity": _share(f"{ident}/sensitivity", here.given_grades >= 1, here.true_grades >= 1, drawn_here),
            "specificity": _share(f"{ident}/specificity", here.given_grades == 0, here.true_grades == 0, drawn_here),
        }
    return row


def _readers(question: str, points: Iterable[Reading]) -> Json | None:
    mine = [p for p in points if p.question == question]
    if not mine:
        return None
    pairs = np.array([(p.sensitivity, p.specificity) for p in mine])
    spread = pairs.std(axis=0, ddof=1) if len(mine) > 1 else np.full(2, np.nan)
    return {
        "points": [
            {"reader": p.reader, "sensitivity": _rounded(p.sensitivity), "specificity": _rounded(p.specificity)}
            for p in mine
        ],
        "mean": [_rounded(v) for v in pairs.mean(axis=0)],
        "sd": [_finite(_rounded(v)) for v in spread],
    }


def _answers_by_reader(scored: ScoredPhotos, answers: Sequence[Answer]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reader to the row numbers of the photos read and the grades given."""
    row_of = {photo: row for row, photo in enumerate(scored.facts["photo"].astype(str))}
    found: dict[str, tuple[list[int], list[int]]] = {}
    for answer in answers:
        if answer.photo in row_of:
            rows, grades = found.setdefault(answer.reader, ([], []))
            rows.append(row_of[answer.photo])
            grades.append(answer.grade)
    return {reader: (np.array(rows), np.array(grades)) for reader, (rows, grades) in found.items()}


def _readings_of_answers(scored: ScoredPhotos, answers: Sequence[Answer]) -> list[Reading]:
    found = []
    for reader, (rows, grades) in _answers_by_reader(scored, answers).items():
        truth = scored.true_grades[rows]
        for name, yes, said in (
            *((str(g), truth == i, grades == i) for i, g in enumerate(GRADES)),
            (AT_RISK, truth >= 1, grades >= 1),
        ):
            if yes.any() and not yes.all():
                found.append(Reading(reader, name, float(said[yes].mean()), float((~said[~yes]).mean()), None))
    return found


def _readers_confusion(scored: ScoredPhotos, answers: Sequence[Answer]) -> list[Json]:
    return [
        {
            "reader": reader,
            "photos": len(rows),
            "matrix": _matrix(scored.true_grades[rows], grades, len(GRADES)),
            "model": _matrix(scored.true_grades[rows], scored.given_grades[rows], len(GRADES)),
        }
        for reader, (rows, grades) in sorted(_answers_by_reader(scored, answers).items())
    ]


def _targets(groups: Sequence[Json]) -> list[Json]:
    by_key = {group["key"]: group for group in groups}
    found = []
    for target in TARGETS:
        group = by_key.get(target.kind)
        if group is None:
            continue
        if target.measure == "calibration_error":
            figure = group["calibration"][0]["error"]
        else:
            figure = next(q for q in group["questions"] if q["name"] == target.question)[target.measure]
        goal = {"kind": target.kind, "title": target.title, "goal": target.goal, "is_most": target.is_most}
        found.append(goal | {"figure": figure, "status": status_of(target, figure)})
    return found


def _cautions(scored: ScoredPhotos, groups: Sequence[Json], others: Mapping[str, ScoredPhotos]) -> Iterable[str]:
    """What a reader of the first figures has to know: where they rest on little, and what they say nothing about."""
    for key, inside in _kinds(scored.facts)[: len(groups) - 1 or 1]:
        truth, patients = scored.true_grades[inside], scored.patients[inside]
        for place, grade in enumerate(GRADES):
            people, photos = len(np.unique(patients[truth == place])), int((truth == place).sum())
            if people < FEW_PATIENTS:
                yield (
                    f"Only {photos} {key if key != 'all' else ''} photos of {people} patients are "
                    f"{grade.replace('_', ' ')}: what is said of them is little more than a hint."
                )
    skin = pd.to_numeric(scored.facts["fitzpatrick"]).map(SKIN_TYPES)
    if not skin.notna().any():
        yield "Skin type is not recorded for any photo: nothing is known of how it does on dark skin."
    else:
        dark = int((skin == "V–VI").sum())
        yield f"Skin type is recorded for {int(skin.notna().sum())} of {len(scored)} photos; {dark} of them are of types V and VI."
    if not others:
        yield "No photos of another population were given: elsewhere, expect less."


def _rivals(
    known: ScoredPhotos, scored: ScoredPhotos, against: Mapping[str, ScoredPhotos]
) -> Iterable[tuple[str, ScoredPhotos]]:
    if len(known.members) > 1:
        yield from ((member, scored.answered_by(member)) for member in known.members)
    yield from against.items()


def _comparison(name: str, ours: ScoredPhotos, theirs: ScoredPhotos, drawn: Resamples) -> Json:
    """Ours beside another's answers to the same photos: positive differences mean that ours is better."""
    rows = []
    for key, inside in _kinds(ours.facts):
        pairs = zip(_questions(ours.only(inside)), _questions(theirs.only(inside)), strict=True)
        here = drawn.of(inside)
        for mine, other in pairs:
            if mine.name == AT_RISK or not 0 < mine.truth.sum() < len(mine.truth):
                continue  # the AUC of high risk or dangerous is that of low risk
            ident = f"{key}/{mine.name}/auc against {name}"
            found = here.compare(measures.auc(mine.truth, mine.score), measures.auc(other.truth, other.score))
            figure = _figure(
                ident,
                Measured(found.value, found.low, found.high),
                len(mine.truth),
                int(mine.truth.sum()),
                is_few=min(mine.truth.sum(), (~mine.truth).sum()) < FEWEST,
            )
            rows.append(
                {
                    "kind": key,
                    "question": mine.title,
                    "ours": _rounded(measures.auc(mine.truth, mine.score)(np.ones((1, len(mine.truth))))[0]),
                    "theirs": _rounded(measures.auc(other.truth, other.score)(np.ones((1, len(other.truth))))[0]),
                    "difference": figure,
                    "p_bootstrap": _finite(found.p),
                    "p_delong": _finite(p_of_delong(mine.truth, mine.score, other.score)),
                }
            )
    return {"name": name, "rows": rows}


def _unseen(unseen: ScoredPhotos) -> list[Json]:
    """Diseases without a class: what grade photos of them get (Zhao et al. 2019 asked it of two benign diseases)."""
    found = []
    for disease in sorted(unseen.facts["disease"].unique()):
        here = unseen.only((unseen.facts["disease"] == disease).to_numpy())
        drawn = draw_patients(here.patients)
        found.append(
            {
                "disease": unseen.disease_names[disease],
                "grade": str(GRADES[here.true_grades[0]]),
                "photos": len(here),
                "given": {
                    str(g): _share(f"unseen/{disease}/{g}", here.given_grades == i, None, drawn)
                    for i, g in enumerate(GRADES)
                },
                "certainty": _rounded(here.probabilities.max(axis=1).mean()),
            }
        )
    return found


def _other(name: str, scored: ScoredPhotos, resamples: int) -> Json:
    known = scored.only(scored.labels != NO_CLASS)
    found: Json = {"name": name, "photos": len(known), "unseen": _unseen(scored.only(scored.labels == NO_CLASS))}
    if not len(known):
        return found | {"group": None}
    group = _group(f"other {name}", known, draw_patients(known.patients, resamples), (), ())
    return found | {"group": group}
