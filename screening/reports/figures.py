"""Small pictures for the reports, as inline SVG: they print, need no script, and say in words what they show.

SVG and not coloured boxes, because browsers leave out the background colours of a page that is printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

GRADE_COLOURS: Mapping[str, str] = {"low_risk": "#a9cfe8", "high_risk": "#e08e0b", "dangerous": "#8c1d40"}
"""Blue, orange, dark red, each darker than the one before: told apart by every kind of colour vision, and in grey."""
OUTCOME_COLOURS: Mapping[str, str] = {
    "graded": "#2b7a78",
    "refused": "#8a8f98",
    "failed": "#1c1f24",
    "duplicate": "#cdd3da",
}
VERDICT_COLOURS: Mapping[str, str] = {"usable": "#9ccbc6", "flagged": "#2b7a78", "refused": "#8a8f98"}
INK, FAINT, PAPER = "#1a1d21", "#5a626c", "#ffffff"


@dataclass(frozen=True)
class Part:
    """One part of a whole; ``label`` is in words, ``colour`` is that of its legend."""

    label: str
    count: int
    colour: str


def stacked_bar(
    parts: Sequence[Part], *, width: int, height: int, of: int | None = None, numbers: bool = False
) -> Markup:
    """A bar of the parts side by side.

    Args:
        parts: in order, from the left.
        width: of the picture, in px; the whole of ``of`` fills it.
        height: of the picture, in px.
        of: what the full width stands for; None: the sum of the parts.
        numbers: whether to write each count into its part, where it has room.
    """
    total = sum(part.count for part in parts)
    whole = max(of or total, 1)
    words = ", ".join(f"{part.count:,} {part.label}" for part in parts)
    svg = [_open(width, height, words)]
    if not total:
        svg.append(f'<rect width="{width}" height="{height}" rx="2" fill="none" stroke="#cdd3da"/>')
    x = 0.0
    for part, wide in zip(parts, _widths(parts, whole, width), strict=True):
        if not part.count:
            continue
        gap = 1.5 if wide > 6 else 0.5
        svg.append(f'<rect x="{x:.1f}" width="{wide - gap:.1f}" height="{height}" fill="{part.colour}"/>')
        text = f"{part.count:,}"
        if numbers and wide > 9 * len(text) + 8:
            svg.append(
                f'<text x="{x + 7:.1f}" y="{height / 2 + 5:.1f}" font-size="14" font-weight="600" '
                f'fill="{_on(part.colour)}">{text}</text>'
            )
        x += wide
    return _close(svg)


def _widths(parts: Sequence[Part], whole: int, width: int) -> list[float]:
    """Whatever there is can be seen: one dangerous photo among 20,000 has a line, at the expense of the largest part."""
    wide = [max(part.count / whole * width, 2.0) if part.count else 0.0 for part in parts]
    surplus = sum(wide) - width * sum(part.count for part in parts) / whole
    if surplus > 0:
        wide[wide.index(max(wide))] -= surplus
    return wide


def share_bar(share: float, colour: str, *, width: int = 88, height: int = 9, mark: float | None = None) -> Markup:
    """A share of 0..1 as a bar on a pale track, with a line at ``mark``."""
    filled = min(max(share, 0.0), 1.0) * width
    words = f"{share:.0%}" + (f", cut-off {mark:.0%}" if mark is not None else "")
    svg = [
        _open(width, height, words),
        f'<rect y="1" width="{width}" height="{height - 2}" fill="#eceff2"/>',
        f'<rect y="1" width="{filled:.1f}" height="{height - 2}" fill="{colour}"/>',
    ]
    if mark is not None:
        svg.append(
            f'<line x1="{mark * width:.1f}" x2="{mark * width:.1f}" y2="{height}" stroke="{INK}" stroke-width="1.5"/>'
        )
    return _close(svg)


@dataclass(frozen=True)
class Mark:
    """A cut-off drawn into a histogram: beyond it, photos are ``flag`` or ``refuse``."""

    label: str
    at: float


def histogram(
    series: Sequence[tuple[str, str, np.ndarray]],
    marks: Iterable[Mark] = (),
    *,
    unit: str = "",
    most: float | None = None,
    width: int = 220,
    height: int = 96,
) -> Markup:
    """Stacked histogram of one measure.

    Args:
        series: for each verdict its label, its colour and its values.
        marks: cut-offs.
        unit: written behind the end of the axis.
        most: largest value that there can be; the axis never goes beyond it.
        width: of the picture, in px.
        height: of the picture, in px.
    """
    marks = list(marks)
    everything = np.concatenate([values for _, _, values in series])
    foot, head, bins = 14, 12, 24
    low, high = _span(everything, marks)
    high = high if most is None else min(high, most)
    edges = np.linspace(low, high, bins + 1)
    # What lies outside stands in the first and the last bar, so that the bars add up to the photos.
    counts = [np.histogram(np.clip(values, low, high), edges)[0] for _, _, values in series]
    tallest = max(1, int(np.sum(counts, axis=0).max(initial=0))) if counts else 1
    words = ", ".join(f"{len(values):,} {label}" for label, _, values in series)
    svg = [_open(width, height, words)]
    room, step = height - foot - head, width / bins
    base = np.full(bins, float(height - foot))
    for (_, colour, _), found in zip(series, counts, strict=True):
        tall = found / tallest * room
        # One path for all bars of a colour: a page has a dozen pictures, and stays small.
        path = "".join(
            f"M{i * step + 0.5:.1f} {base[i]:.1f}v{-tall[i]:.1f}h{step - 1:.1f}v{tall[i]:.1f}z"
            for i in np.flatnonzero(tall)
        )
        if path:
            svg.append(f'<path d="{path}" fill="{colour}"/>')
        base -= tall
    svg.append(f'<line x2="{width}" y1="{height - foot}" y2="{height - foot}" stroke="{INK}" stroke-width="1"/>')
    at = [(mark.at - low) / (high - low) * width for mark in marks]
    for mark, x in zip(marks, at, strict=True):
        # A label stands right of its line, or left of it where the next line or the rim is too near for it.
        is_near = any(0 < other - x < 34 for other in [*at, float(width)])
        side, gap = ("end", -3) if is_near else ("start", 3)
        label = "" if is_near and x < 34 else mark.label
        svg.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{height - foot}" stroke="{INK}" stroke-dasharray="3 2"/>'
            f'<text x="{x + gap:.1f}" y="9" font-size="10" fill="{INK}" text-anchor="{side}">{escape(label)}</text>'
        )
    beyond = "≥ " if len(everything) and float(everything.max()) > high else ""
    for x, anchor, text in ((0, "start", figure(low)), (width, "end", beyond + figure(high) + unit)):
        svg.append(
            f'<text x="{x}" y="{height - 2}" font-size="10" fill="{FAINT}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    return _close(svg)


def _span(values: np.ndarray, marks: list[Mark]) -> tuple[float, float]:
    """From 0 (or the least) to where all but one in a hundred lie, with every mark inside."""
    if not len(values):
        return 0.0, max([1.0, *(mark.at * 1.1 for mark in marks)])
    low = min(0.0, float(values.min()))
    high = max([float(np.quantile(values, 0.99)), *(mark.at * 1.15 for mark in marks)])
    return low, high if high > low else low + 1.0


def figure(value: float) -> str:
    """A number with two digits that count: 0.042, 4.2, 42, 4,200."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


@dataclass(frozen=True)
class Lane:
    """One task of the timeline: ``spans`` are starts and ends in seconds."""

    label: str
    spans: tuple[tuple[float, float], ...]


def timeline(lanes: Sequence[Lane], *, width: int, until: float, ticks: Sequence[tuple[float, str]]) -> Markup:
    """When each task ran, a lane per task; tasks side by side overlap and grow darker."""
    left, row, foot = 110, 22, 20
    height = row * len(lanes) + foot
    scale = (width - left) / max(until, 1e-9)
    svg = [_open(width, height, f"{len(lanes)} tasks over {until:.0f} seconds")]
    for at, label in ticks:
        x = left + at * scale
        anchor = "end" if x > width - 30 else "middle"
        svg.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y2="{height - foot}" stroke="#dfe3e7"/>'
            f'<text x="{x:.1f}" y="{height - 5}" font-size="11" fill="{FAINT}" '
            f'text-anchor="{anchor}">{escape(label)}</text>'
        )
    for number, lane in enumerate(lanes):
        y = number * row
        svg.append(f'<text y="{y + 15}" font-size="13" fill="{INK}">{escape(lane.label)}</text>')
        svg.extend(
            f'<rect x="{left + start * scale:.1f}" y="{y + 4}" width="{max((end - start) * scale, 2):.1f}" '
            f'height="{row - 8}" fill="#2b7a78" fill-opacity=".55" stroke="{PAPER}" stroke-width=".75"/>'
            for start, end in lane.spans
        )
    return _close(svg)


@dataclass(frozen=True)
class ChartNight:
    """A night of a control chart, in shares of 0..1; None where there is no photo, or no limit yet."""

    label: str
    share: float | None
    level: float | None = None
    low: float | None = None
    high: float | None = None
    is_alarm: bool = False


def control_chart(nights: Sequence[ChartNight], *, width: int = 300, height: int = 128) -> Markup:
    """The shares of the nights, from left to right, on the band of what earlier nights lead to expect."""
    foot, head, left = 16, 6, 34
    step = (width - left - 6) / max(len(nights) - 1, 1)
    top = min(max([0.02, *(v * 1.1 for n in nights for v in (n.share, n.high) if v is not None)]), 1.0)
    svg = [_open(width, height, f"{len(nights)} nights, {sum(night.is_alarm for night in nights)} with an alarm")]

    def x_of(place: int) -> float:
        return left + place * step

    def y_of(share: float) -> float:
        return head + (height - foot - head) * (1.0 - min(share / top, 1.0))

    svg.extend(
        f'<rect x="{x_of(i) - step / 2:.1f}" y="{y_of(n.high):.1f}" width="{step + 0.3:.1f}" '
        f'height="{max(y_of(n.low) - y_of(n.high), 0.5):.1f}" fill="#e3ecec"/>'
        for i, n in enumerate(nights)
        if n.low is not None and n.high is not None
    )
    levels = [(x_of(i), y_of(n.level)) for i, n in enumerate(nights) if n.level is not None]
    shown = [(x_of(i), y_of(n.share), n.is_alarm) for i, n in enumerate(nights) if n.share is not None]
    svg.append(f'<polyline points="{_points(levels)}" fill="none" stroke="#2b7a78" stroke-dasharray="3 3"/>')
    svg.append(f'<polyline points="{_points([s[:2] for s in shown])}" fill="none" stroke="#8a8f98"/>')
    for x, y, is_alarm in shown:
        radius, colour = (4.0, GRADE_COLOURS["dangerous"]) if is_alarm else (1.8, INK)
        svg.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')
    svg.append(f'<line x1="{left}" x2="{width}" y1="{height - foot}" y2="{height - foot}" stroke="{INK}"/>')
    ends = [(left, "start", nights[0].label), (width, "end", nights[-1].label)] if nights else []
    for x, y, anchor, text in (
        (left - 5, head + 8, "end", f"{100 * top:.0f} %"),
        (left - 5, height - foot, "end", "0 %"),
        *((x, height - 3, anchor, text) for x, anchor, text in ends),
    ):
        svg.append(f'<text x="{x}" y="{y}" font-size="10" fill="{FAINT}" text-anchor="{anchor}">{escape(text)}</text>')
    return _close(svg)


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def interval_bar(value: float, low: float, high: float, *, width: int = 110, height: int = 12) -> Markup:
    """A share of 0..1 as a dot on a line from one end of its interval to the other."""
    y = height / 2
    return _close(
        [
            _open(width, height, f"{value:.0%}, 95 % interval {low:.0%} to {high:.0%}"),
            f'<line x2="{width}" y1="{y}" y2="{y}" stroke="#e3e7ea" stroke-width="6"/>',
            f'<line x1="{low * width:.1f}" x2="{high * width:.1f}" y1="{y}" y2="{y}" stroke="#2b7a78" stroke-width="3"/>',
            f'<circle cx="{value * width:.1f}" cy="{y}" r="4" fill="{INK}"/>',
        ]
    )


def _open(width: int, height: int, words: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(words)}"><title>{escape(words)}</title>'
    )


def _close(svg: list[str]) -> Markup:
    # Every text above is a number or went through `escape`.
    return Markup("".join(svg) + "</svg>")  # noqa: S704


def _on(colour: str) -> str:
    """Ink that is read on a colour: WCAG relative luminance, weights of ITU-R BT.709."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return INK if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.18 else PAPER
