"""How far the answer follows what was drawn beside the lesion, and how much ink and the kind of photo tell by themselves."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
import pandas as pd
from rich.progress import track

from screening.contracts import GRADES
from screening.cutoffs import GradeCutoffs
from screening.stages.grading import grade_risk
from screening.taxonomy import TrainingClasses
from screening.training.corpus import CLINICAL
from screening.training.evaluation.measures import Statistic, auc, mean
from screening.training.evaluation.resampling import RESAMPLES, draw_patients
from screening.training.shortcuts.answers import Answer
from screening.training.shortcuts.drawings import DRAWINGS, INK, PAINTED, Drawing, look_at

ORIGINAL = "original"
DRAWN_INK = "drawn ink"
"""The three drawings of ink taken together: every photo three times."""
INK_FROM = 0.005
"""Share of the frame from which a photo counts as one with ink: 20 cells, a stroke of about a quarter of the side."""
WANTED_MOVE = 0.03
"""Of p_high_risk + p_dangerous, on average over benign photos, by drawn ink: what the project asks for."""
WANTED_FLIPS = 0.02
"""Share of benign photos whose grade drawn ink changes, at most: what the project asks for."""
BATCH = 32


@dataclass(frozen=True)
class Answers:
    """What was answered to the original and to every drawing of the same photos.

    ``photos``: one row per photo: row (in the corpus), kind, patient, truth (index into ``GRADES``), ink (share of the
    frame). ``grades``: of each drawing, shape (photos, 3), probabilities of the grades. ``changed``: of each drawing,
    shape (photos,), bool: whether there was anything to draw.
    """

    photos: pd.DataFrame
    grades: Mapping[str, np.ndarray]
    changed: Mapping[str, np.ndarray]


def ask_about_drawings(
    corpus: pd.DataFrame,
    rows: np.ndarray,
    pixels: np.ndarray,
    answer: Answer,
    classes: TrainingClasses,
    drawings: Mapping[str, Drawing] = DRAWINGS,
    seed: int = 0,
) -> Answers:
    """Draw everything on every photo and ask about it.

    Args:
        corpus: as ``read_corpus`` returns it.
        rows: which photos, as row numbers of ``corpus`` and ``pixels``.
        pixels: shape (photos, 256, 256, 3), uint8.
        answer: gives probabilities of the grades, shape (photos, 3).
        classes: which the labels of ``corpus`` are.
        drawings: name and drawing; each has its own randomness for each photo, whatever else is drawn.
        seed: of all randomness.
    """
    names = (ORIGINAL, *drawings)
    grades: dict[str, list[np.ndarray]] = {name: [] for name in names}
    changed: dict[str, list[bool]] = {name: [] for name in names}
    ink: list[float] = []
    with ThreadPoolExecutor(2) as pool:
        draw = partial(_draw_all, pixels=pixels, drawings=drawings, seed=seed)
        batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
        for batch in track(batches, "asking about drawings", transient=True):
            drawn = list(pool.map(draw, batch))
            ink += [share for share, _ in drawn]
            for i, name in enumerate(names):
                changed[name] += [is_changed[i] for _, (_, is_changed) in drawn]
                asked = np.stack([pictures[i] for _, (pictures, _) in drawn])
                grades[name].append(answer(asked))
    chosen = corpus.iloc[rows]
    photos = pd.DataFrame(
        {
            "row": rows,
            "kind": chosen["kind"].to_numpy(),
            "patient": chosen["patient"].to_numpy(),
            "truth": classes.grade_of_class[chosen["label"].to_numpy()].argmax(axis=1),
            "ink": ink,
        }
    )
    return Answers(
        photos, {n: np.concatenate(g) for n, g in grades.items()}, {n: np.array(c) for n, c in changed.items()}
    )


def draw_on(pixels: np.ndarray, row: int, name: str, drawing: Drawing, seed: int = 0) -> np.ndarray:
    """The picture that ``ask_about_drawings`` asked about, made again."""
    return drawing(look_at(pixels), _random(seed, row, name)).pixels


def _draw_all(
    row: int, pixels: np.ndarray, drawings: Mapping[str, Drawing], seed: int
) -> tuple[float, tuple[list[np.ndarray], list[bool]]]:
    view = look_at(np.array(pixels[row]))
    drawn = [drawing(view, _random(seed, row, name)) for name, drawing in drawings.items()]
    pictures = [view.pixels, *(d.pixels for d in drawn)]
    return float(view.ink.mean()), (pictures, [False, *(bool(d.mask.any()) for d in drawn)])


def _random(seed: int, row: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int(row), zlib.crc32(name.encode())])


def find_ink(pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Share of the frame under ink or dye, as the quality filters find it: shape (rows,)."""
    with ThreadPoolExecutor(2) as pool:
        return np.array(list(pool.map(lambda row: look_at(np.array(pixels[row])).ink.mean(), rows)))


# --- what the drawings did ----------------------------------------------------------------------------------------------


def drawing_table(answers: Answers, cutoffs: GradeCutoffs, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Moves and flips per kind of photo and drawing; of the paintings over, only where there was ink.

    Returns:
        Columns kind, drawing, photos (benign or malignant), measure, n, value, low, high: 95 % interval by patient.
        ``move``: mean of p_high_risk + p_dangerous after less before; ``size of move``: mean of its absolute value;
        ``flips``, ``flips up``, ``flips down``: share of photos with another, a more, a less severe grade.
    """
    severity = {name: _severities(grades, cutoffs) for name, grades in answers.grades.items()}
    at_risk = {name: grades[:, 1:].sum(axis=1) for name, grades in answers.grades.items()}
    parts: dict[str, tuple[str, ...]] = {name: (name,) for name in answers.grades if name != ORIGINAL}
    if drawn_ink := tuple(name for name in INK if name in parts):
        parts = {DRAWN_INK: drawn_ink, **parts}
    patients = answers.photos["patient"].to_numpy()
    has_ink = answers.photos["ink"].to_numpy() >= INK_FROM
    rows = []
    for kind, of_kind in _kinds(answers.photos):
        for name, together in parts.items():
            moves = np.stack([at_risk[part] - at_risk[ORIGINAL] for part in together])
            steps = np.stack([severity[part] - severity[ORIGINAL] for part in together])
            drawn = answers.changed[name] & has_ink if name in PAINTED else np.full(len(of_kind), True)
            for group, in_group in (
                ("benign", answers.photos["truth"].to_numpy() == 0),
                ("malignant", answers.photos["truth"].to_numpy() > 0),
            ):
                here = of_kind & in_group & drawn
                if not here.any():
                    continue
                for measure, values in (
                    ("move", moves),
                    ("size of move", np.abs(moves)),
                    ("flips", steps != 0),
                    ("flips up", steps > 0),
                    ("flips down", steps < 0),
                ):
                    found = draw_patients(patients[here], resamples).measure(mean(values.mean(axis=0)[here]))
                    rows.append((kind, name, group, measure, int(here.sum()), *astuple(found)))
    return pd.DataFrame(rows, columns=["kind", "drawing", "photos", "measure", "n", "value", "low", "high"])


def _severities(grades: np.ndarray, cutoffs: GradeCutoffs) -> np.ndarray:
    return np.array([GRADES.index(grade_risk(float(high), float(d), cutoffs)) for _, high, d in grades])


def _kinds(photos: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    for kind in sorted(photos["kind"].unique()):
        yield kind, (photos["kind"] == kind).to_numpy()


# --- what tells without the lesion --------------------------------------------------------------------------------------


def auc_table(answers: Answers, resamples: int = RESAMPLES) -> pd.DataFrame:
    """AUC of each grade, and of p_high_risk + p_dangerous, within each kind of photo, with and without ink.

    Returns:
        Columns kind, photos (all, with ink, without ink), measure, n, value, low, high.
    """
    photos, scores = answers.photos, answers.grades[ORIGINAL]
    truth, patients = photos["truth"].to_numpy(), photos["patient"].to_numpy()
    has_ink = photos["ink"].to_numpy() >= INK_FROM
    rows = []
    for kind, of_kind in (*_kinds(photos), ("both", np.full(len(photos), True))):
        for part, inside in (("all", of_kind), ("with ink", of_kind & has_ink), ("without ink", of_kind & ~has_ink)):
            here = np.flatnonzero(inside)
            measures: dict[str, tuple[np.ndarray, np.ndarray]] = {
                "auc benign against the rest": (truth > 0, scores[:, 1:].sum(axis=1)),
                "auc dangerous": (truth == 2, scores[:, 2]),
            }
            for measure, (is_case, score) in measures.items():
                found = draw_patients(patients[here], resamples).measure(auc(is_case[here], score[here]))
                rows.append((kind, part, measure, len(here), *astuple(found)))
            benign = here[truth[here] == 0]
            if len(benign):
                found = draw_patients(patients[benign], resamples).measure(mean(scores[benign, 1:].sum(axis=1)))
                rows.append((kind, part, "mean p at risk of benign", len(benign), *astuple(found)))
    return pd.DataFrame(rows, columns=["kind", "photos", "measure", "n", "value", "low", "high"])


def confounder_table(
    corpus: pd.DataFrame, truth: np.ndarray, ink: np.ndarray, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """How well ink alone, and the kind of photo alone, tell malignant photos of a corpus: what a shortcut would be worth.

    Args:
        corpus: columns kind and patient.
        truth: shape (photos,), index into ``GRADES``.
        ink: shape (photos,), share of the frame under ink.

    Returns:
        Columns kind, measure, n, value, low, high.
    """
    patients, is_case = corpus["patient"].to_numpy(), truth > 0
    rows: list[tuple[str, str, int, float, float, float]] = []

    def add(kind: str, measure: str, here: np.ndarray, statistic: Statistic) -> None:
        found = draw_patients(patients[here], resamples).measure(statistic)
        rows.append((kind, measure, int(here.sum()), found.value, found.low, found.high))

    for kind, of_kind in _kinds(corpus):
        add(kind, "auc of ink alone", of_kind, auc(is_case[of_kind], ink[of_kind]))
        for name, part in (("with ink", of_kind & (ink >= INK_FROM)), ("without ink", of_kind & (ink < INK_FROM))):
            if part.any():
                add(kind, f"malignant, {name}", part, mean(is_case[part]))
        add(kind, "malignant", of_kind, mean(is_case[of_kind]))
    everything = np.full(len(corpus), True)
    is_clinical = (corpus["kind"] == CLINICAL).to_numpy().astype(float)
    add("both", "auc of the kind alone", everything, auc(is_case, is_clinical))
    return pd.DataFrame(rows, columns=["kind", "measure", "n", "value", "low", "high"])
