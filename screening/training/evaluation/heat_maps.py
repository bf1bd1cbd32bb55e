"""Which photos are shown with heat maps, and the panels of the report that show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from screening.training.evaluation import figures
from screening.training.evaluation.report import HeatMapRow
from screening.training.evaluation.scored_photos import NO_CLASS, ScoredPhotos

PER_CASE = 4
"""Photos of each case and kind: enough to see what repeats."""

HeatMaps = Callable[[np.ndarray, np.ndarray], np.ndarray | None]
"""Pixels (photos, side, side, 3) and the class asked for (photos,) to heat, 0..1 (photos, side, side)."""


@dataclass(frozen=True)
class ShownPhoto:
    """A photo, why it is shown, and the class whose evidence is drawn."""

    row: int
    title: str
    class_place: int


def choose_photos(scored: ScoredPhotos, per_case: int = PER_CASE) -> list[ShownPhoto]:
    """The worst misses, the worst false alarms and the surest finds of each kind, always the same ones.

    Of a miss the true disease is drawn, of an alarm the one that was answered.
    """
    truth, given = scored.true_grades, scored.given_grades
    at_risk = scored.grade_scores[:, 1:].sum(axis=1)
    answered = scored.probabilities.argmax(axis=1)
    known = scored.labels != NO_CLASS
    kinds = scored.facts["kind"].fillna("all").to_numpy()
    shown: list[ShownPhoto] = []
    for kind in sorted(set(kinds)):
        here = known & (kinds == kind)
        for title, chosen, order, asked in (
            (f"Missed, {kind}", here & (truth == 2) & (given == 0), at_risk, scored.labels),
            (f"False alarm, {kind}", here & (truth == 0) & (given == 2), -at_risk, answered),
            (f"Found, {kind}", here & (truth == 2) & (given == 2), -at_risk, scored.labels),
        ):
            rows = np.flatnonzero(chosen)
            first = rows[np.argsort(order[rows], kind="stable")][:per_case]
            shown.extend(ShownPhoto(int(row), title, int(asked[row])) for row in first)
    return shown


def heat_map_rows(
    scored: ScoredPhotos,
    pixels: np.ndarray,
    shown: Sequence[ShownPhoto],
    layers: Sequence[tuple[str, HeatMaps]],
) -> list[HeatMapRow]:
    """The panels of the photos: the photo and one heat map per layer (its caption and how it is made).

    Args:
        scored: all photos.
        pixels: shape (photos, side, side, 3), in the order of ``scored``.
        shown: of these photos.
        layers: a layer that returns None is left out.
    """
    if not shown:
        return []
    rows, classes = np.array([s.row for s in shown]), np.array([s.class_place for s in shown])
    made = [(caption, heat(pixels[rows], classes)) for caption, heat in layers]
    panels = []
    for place, photo in enumerate(shown):
        answered = int(scored.probabilities[photo.row].argmax())
        truth = scored.class_names[scored.labels[photo.row]]
        said = f"{scored.class_names[answered]} {scored.probabilities[photo.row, answered]:.2f}"
        asked = scored.class_names[photo.class_place]
        pictures = [("the photo", figures.thumbnail(pixels[photo.row], f"{photo.title}: {truth}, answered {said}"))]
        pictures += [
            (f"{caption} for {asked}", figures.heat_map(pixels[photo.row], heat[place], f"{caption} for {asked}"))
            for caption, heat in made
            if heat is not None
        ]
        panels.append(HeatMapRow(photo.title, f"Truth: {truth}. Answer: {said}.", pictures))
    return panels
