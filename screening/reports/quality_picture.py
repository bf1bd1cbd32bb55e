"""What the quality filters saw in one photo, as a picture: regions, blur, the numbers and what they mean."""

from __future__ import annotations

from dataclasses import asdict

import cv2
import numpy as np

from screening.contracts import QUALITY
from screening.cutoffs import LINES, QualityCutoffs
from screening.stages.pixels import VIEW_LONG_SIDE, fit_long_side
from screening.stages.quality.blur import sharpness_map
from screening.stages.quality.faces import Face, find_face
from screening.stages.quality.judge import QualityVerdict
from screening.stages.quality.lettering import Row, find_rows
from screening.stages.quality.measure import QualityMeasures
from screening.stages.quality.regions import find_regions

_GREEN, _CYAN, _MAGENTA, _YELLOW = (0, 200, 0), (0, 190, 210), (220, 0, 200), (255, 210, 0)
_BLUE = (30, 60, 255)
_GREY, _RED, _ORANGE, _BLACK = (110, 110, 110), (200, 20, 20), (200, 110, 0), (0, 0, 0)
_COLOURS = {"refused": _RED, "flagged": _ORANGE, "usable": (0, 130, 0)}
_TEXT_WIDTH_PX, _LINE_PX, _MARGIN_PX = 560, 21, 14
_SHARPEST = 0.6
"""Fine over middling detail that is drawn in the deepest blue."""


def draw_quality(
    pixels: np.ndarray, measures: QualityMeasures, verdict: QualityVerdict, cutoffs: QualityCutoffs
) -> np.ndarray:
    """A picture of three panels, RGB, uint8: what is where, how blurred it is, and every measure with its cut-offs.

    Args:
        pixels: of the photo, RGB, uint8.
        measures: of the same photo.
        verdict: what was made of them.
        cutoffs: by which it was made.
    """
    view = fit_long_side(pixels, VIEW_LONG_SIDE)
    words = _words(measures, verdict, cutoffs)
    height = max(view.shape[0] + 3 * _LINE_PX, len(words) * _LINE_PX + 2 * _MARGIN_PX)
    panels = [
        _panel(
            _draw_regions(view, cutoffs),
            ("lesion", _GREEN),
            ("not skin", _CYAN),
            ("ink", _MAGENTA),
            ("hair", _YELLOW),
            ("print, face", _BLUE),
        ),
        _panel(_draw_sharpness(view), ("fine detail: blue has much, red has none", _BLACK)),
        _write(words),
    ]
    return np.hstack([_pad(panel, height) for panel in panels])


def _draw_regions(view: np.ndarray, cutoffs: QualityCutoffs) -> np.ndarray:
    regions = find_regions(view)
    drawn = view.astype(np.float32)
    for mask, colour in ((~regions.skin_mask, _CYAN), (regions.ink_mask, _MAGENTA), (regions.hair_mask, _YELLOW)):
        share = 0.5 * cv2.resize(mask.astype(np.float32), view.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
        drawn = drawn * (1 - share) + np.array(colour, np.float32) * share
    lesion = cv2.resize(regions.lesion_mask.astype(np.uint8), view.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(lesion, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    picture = cv2.drawContours(drawn.astype(np.uint8), outlines, -1, _GREEN, 2)
    private: list[Row | Face] = [row for row in find_rows(view) if row.score >= cutoffs.flag_lettering]
    face = find_face(view)
    if face.score >= cutoffs.flag_face:
        private.append(face)
    for box in private:
        cv2.rectangle(picture, (round(box.left), round(box.top)), (round(box.right), round(box.bottom)), _BLUE, 2)
    return np.asarray(picture)


def _draw_sharpness(view: np.ndarray) -> np.ndarray:
    sharpness = np.clip(sharpness_map(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)) / _SHARPEST, 0, 1)
    heat = cv2.applyColorMap(((1 - sharpness) * 255).astype(np.uint8), cv2.COLORMAP_JET)
    return np.asarray(0.5 * view + 0.5 * cv2.cvtColor(heat, cv2.COLOR_BGR2RGB)).astype(np.uint8)


def _words(
    measures: QualityMeasures, verdict: QualityVerdict, cutoffs: QualityCutoffs
) -> list[tuple[str, tuple[int, int, int]]]:
    words = [(f"{verdict.verdict}: {', '.join(verdict.issues) or 'no issue'}", _COLOURS[str(verdict.verdict)])]
    words += [(line, _BLACK) for line in _wrapped(verdict.advice or "")] + [("", _BLACK)]
    units = {column.name: column.unit for column in QUALITY.columns}
    for name, value in asdict(measures).items():
        lines = {cutoff: line for cutoff, line in LINES.items() if line.measure == name}
        hit = [cutoff for cutoff, line in lines.items() if line.is_hit(value, getattr(cutoffs, cutoff))]
        colour = _RED if any(c.startswith("refuse") for c in hit) else _ORANGE if hit else _BLACK
        words.append(
            (
                f"{name} {value}" if value is None or isinstance(value, bool) else f"{name} {value:.3g} {units[name]}",
                colour,
            )
        )
        limits = ", ".join(f"{c.split('_')[0]} {line.side} {getattr(cutoffs, c):g}" for c, line in lines.items())
        if limits:
            words[-1] = (f"{words[-1][0]}   ({limits})", colour)
    return [*words, (f"cut-offs {cutoffs.version}", _GREY)]


def _wrapped(text: str, width: int = 68) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += word + " "
    return lines


def _write(words: list[tuple[str, tuple[int, int, int]]]) -> np.ndarray:
    page = np.full((len(words) * _LINE_PX + 2 * _MARGIN_PX, _TEXT_WIDTH_PX, 3), 255, np.uint8)
    for row, (text, colour) in enumerate(words):
        # OpenCV's fonts know ASCII only.
        plain = text.encode("ascii", "replace").decode()
        place = (_MARGIN_PX, _MARGIN_PX + (row + 1) * _LINE_PX - 6)
        cv2.putText(page, plain, place, cv2.FONT_HERSHEY_SIMPLEX, 0.43, colour, 1, cv2.LINE_AA)
    return page


def _panel(picture: np.ndarray, *legend: tuple[str, tuple[int, int, int]]) -> np.ndarray:
    strip = np.full((3 * _LINE_PX, picture.shape[1], 3), 255, np.uint8)
    x, y = _MARGIN_PX, _LINE_PX
    for text, colour in legend:
        if x > _MARGIN_PX and x + 9 * len(text) > picture.shape[1]:  # a narrow photo: go on below
            x, y = _MARGIN_PX, y + _LINE_PX
        cv2.putText(strip, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.43, colour, 1, cv2.LINE_AA)
        x += 9 * len(text) + _MARGIN_PX
    return np.vstack([picture, strip])


def _pad(panel: np.ndarray, height: int) -> np.ndarray:
    return np.pad(panel, ((0, height - panel.shape[0]), (4, 4), (0, 0)), constant_values=255)
