"""Whether something is written in the picture: a name, a date or a label, printed by a device or typed on a sticker.

Print is small marks of one colour and height that stand side by side on a line, apart from what is behind them. Marks are
what is brighter or darker than all within a few pixels; a logistic regression (``lettering.json``, made by `screening quality
train`) says from a row of them how likely it is print: hair, scales and reflections stand in rows, too. What is written is
not read. Source: docs/decisions/0027.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from screening.stages.quality.regression import read_regression

LETTERING = Path(__file__).with_name("lettering.json")

# Pixels of a view of 512, and of one of half its size where marks are looked for first.
_STROKE, _HALF_STROKE = np.ones((11, 11), np.uint8), np.ones((5, 5), np.uint8)  # wider than a stroke
_REACH = np.ones((15, 15), np.uint8)  # within which only the strongest are marks: what lies between letters is not
_CELL = 16  # side of the parts that are looked at again
_LEAST_HALF_CONTRAST, _LEAST_HALF_MARKS = 20, 12  # grey levels; pixels
_STANDS_OUT, _NOTHING = (
    5.0,
    3.0,
)  # contrast of the marks in a cell over that of what is around them, plus this many levels
_LEAST_COVER = 0.03  # of a cell by marks
_LEAST_HEIGHT, _MOST_HEIGHT = 5, 60
_LEAST_POINTS = 8  # of an outline
_LEAST_CONTRAST, _STRONG = 30, 0.55  # grey levels; share of the strongest within reach
_LEAST_WIDTH, _MOST_WIDTH = 0.4, 2.5  # of a mark's height: ticks of rulers are narrower, hairs longer
_MOST_GAP, _MOST_OVERLAP = 0.8, 0.25  # between neighbours, of the taller one's height
_LEVEL, _ALIKE = 0.2, 0.55  # their feet or their heads differ by so little of it; the lower one has as much of it
_FEWEST_MARKS = 3
_SAME_SHAPE, _SAME_FILL = 0.12, 0.08  # deviations of width over height, and of the share of its box that a mark fills
_MOST_MARKS, _MOST_ROWS = 300, 6  # of a kind, that are looked at: the tallest, and the longest


@dataclass(frozen=True)
class Row:
    """Marks side by side: where they are in the view, and what the regression is told of them."""

    left: int
    top: int
    right: int
    bottom: int
    features: np.ndarray

    @property
    def score(self) -> float:
        """Log odds that the marks are print."""
        return read_regression(LETTERING).log_odds(self.features)


def measure_lettering(view: np.ndarray) -> float | None:
    """Log odds that the likeliest row of marks is print; None where no marks stand in a row.

    Args:
        view: RGB, uint8, long side at most 512.
    """
    return max((row.score for row in find_rows(view)), default=None)


def find_rows(view: np.ndarray) -> Iterator[Row]:
    """All rows of marks that lie about level: bright, dark, and those that only blue light shows, as yellow on skin."""
    height, width = view.shape[:2]
    whole = cv2.copyMakeBorder(view, 0, -height % _CELL, 0, -width % _CELL, cv2.BORDER_REPLICATE)
    half = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for channel, difference in ((None, cv2.MORPH_TOPHAT), (None, cv2.MORPH_BLACKHAT), (2, cv2.MORPH_BLACKHAT)):
        cells = _cells_with_marks(cv2.morphologyEx(_plane(half, channel), difference, _HALF_STROKE))
        left, top, across, down = cv2.boundingRect(cells)
        if not across:
            continue
        part = slice(top * _CELL, (top + down) * _CELL), slice(left * _CELL, (left + across) * _CELL)
        contrast = cv2.morphologyEx(_plane(whole[part], channel), difference, _STROKE)
        strongest = cv2.convertScaleAbs(cv2.dilate(contrast, _REACH), alpha=_STRONG)
        _, is_clear = cv2.threshold(contrast, _LEAST_CONTRAST, 255, cv2.THRESH_BINARY)
        looked_at = cells[top : top + down, left : left + across]
        is_looked_at = cv2.resize(looked_at, contrast.shape[::-1], interpolation=cv2.INTER_NEAREST)
        is_mark = cv2.min(cv2.min(cv2.compare(contrast, strongest, cv2.CMP_GT), is_clear), is_looked_at)
        marks = _find_marks(is_mark)
        for of_row in _rows_of(marks):
            yield _describe(marks[of_row], whole[part], contrast, is_mark > 0, corner=(left * _CELL, top * _CELL))


def _plane(pixels: np.ndarray, channel: int | None) -> np.ndarray:
    """One channel, or grey."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if channel is None else cv2.extractChannel(pixels, channel)
    return np.asarray(grey)


def _cells_with_marks(contrast: np.ndarray) -> np.ndarray:
    """Cells, and those around them, where few pixels stand out from all others, 0 or 255: most of a photo is out here."""
    _, is_mark = cv2.threshold(contrast, _LEAST_HALF_CONTRAST, 255, cv2.THRESH_BINARY)
    size = (2 * contrast.shape[1] // _CELL, 2 * contrast.shape[0] // _CELL)
    if cv2.countNonZero(is_mark) < _LEAST_HALF_MARKS:
        return np.zeros(size[::-1], np.uint8)
    cover, every, of_marks = (
        cv2.blur(cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32), (3, 3))
        for plane in (is_mark, contrast, cv2.min(contrast, is_mark))
    )
    cover = cover / 255
    around = every - of_marks + _NOTHING * (1 - cover)
    stands_out = (of_marks * (1 - cover) >= _STANDS_OUT * cover * around) & (cover > _LEAST_COVER)
    return np.asarray(cv2.dilate(stands_out.astype(np.uint8) * 255, np.ones((3, 3), np.uint8)))


def _find_marks(is_mark: np.ndarray) -> np.ndarray:
    """Marks as large and as wide as letters, from left to right: shape (marks, 6), left, top, width, height, outline, area."""
    outlines, _ = cv2.findContours(is_mark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = [outline for outline in outlines if len(outline) >= _LEAST_POINTS]
    if not outlines:
        return np.empty((0, 6))
    marks = np.array([(*cv2.boundingRect(o), len(o), cv2.contourArea(o)) for o in outlines])
    width, height = marks[:, 2], marks[:, 3]
    is_high = (height >= _LEAST_HEIGHT) & (height <= _MOST_HEIGHT)
    marks = marks[is_high & (width >= _LEAST_WIDTH * height) & (width <= _MOST_WIDTH * height)]
    tallest = marks[np.argsort(-marks[:, 3], kind="stable")[:_MOST_MARKS]]
    return tallest[np.argsort(tallest[:, 0], kind="stable")]


def _rows_of(marks: np.ndarray) -> list[np.ndarray]:
    """Places of the marks of each row: every mark is followed by the nearest that goes with it."""
    if len(marks) < _FEWEST_MARKS:
        return []
    left, top, width, height = marks[:, :4].T
    bottom, taller = top + height, np.maximum.outer(height, height)
    gap = left - (left + width)[:, None]
    is_level = np.minimum(abs(bottom - bottom[:, None]), abs(top - top[:, None])) <= _LEVEL * taller + 1
    follows = is_level & (gap <= _MOST_GAP * taller) & (gap >= -_MOST_OVERLAP * taller)
    follows &= np.triu(np.minimum.outer(height, height) >= _ALIKE * taller, 1)
    row = np.arange(len(marks))
    for mark, (next_mark, has_next) in enumerate(zip(follows.argmax(axis=1), follows.any(axis=1), strict=True)):
        if has_next:
            row[next_mark] = row[mark]
    counts = np.bincount(row)
    longest = np.argsort(-counts, kind="stable")[:_MOST_ROWS]
    rows = [np.flatnonzero(row == number) for number in longest if counts[number] >= _FEWEST_MARKS]
    return [row for row in rows if not _is_scale(marks[row])]


def _is_scale(marks: np.ndarray) -> bool:
    """Whether all marks are alike, as the ticks of a ruler and what lies between them."""
    _, _, width, height, _, area = marks.T
    return bool((width / height).std() < _SAME_SHAPE and (area / (width * height)).std() < _SAME_FILL)


def _describe(
    marks: np.ndarray, view: np.ndarray, contrast: np.ndarray, is_mark: np.ndarray, corner: tuple[int, int]
) -> Row:
    x, y, width, height, outline, area = marks.T
    left, top, right, bottom = int(x.min()), int(y.min()), int((x + width).max()), int((y + height).max())
    box = slice(top, bottom), slice(left, right)
    strength, inside = contrast[box], is_mark[box]
    mean, behind = float(strength[inside].mean()), float(strength[~inside].mean()) if not inside.all() else 0.0
    colours = view[box][inside & (strength >= mean)]
    shape, fill = width / height, area / (width * height)
    features = [
        np.log(len(marks)),
        np.log(np.median(height)),
        np.log(np.median(shape)),
        fill.mean(),
        fill.std(),
        shape.std(),
        (outline / (width + height)).mean(),
        np.log(mean),
        np.log(mean / (behind + _NOTHING)),
        np.log((colours.std(axis=0).mean() + 1) / mean),
    ]
    return Row(corner[0] + left, corner[1] + top, corner[0] + right, corner[1] + bottom, np.array(features))
