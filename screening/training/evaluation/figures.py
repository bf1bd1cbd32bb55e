"""Pictures of the report: each an ``<img>`` of its own, so that a page of them reads on a phone, with what it says in words.

Colours are of Okabe and Ito's set, told apart by every kind of colour vision; lines also differ in their strokes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

INK, FAINT, MODEL, BAND, READER, OTHER = "#1a1d21", "#5a626c", "#0072b2", "#cfe3f1", "#8a8f98", "#d55e00"
GRADE_COLOURS: Mapping[str, str] = {"low_risk": "#56b4e9", "high_risk": "#e69f00", "dangerous": "#8c1d40"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evaluation",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
THUMBNAIL = 160
"""Side in px of a photo in the report."""


def roc_curve(question: Mapping[str, Any], kind: str) -> Markup:
    """Sensitivity against 1 − specificity, with the band of the interval, the cut-offs and the readers."""
    curve, area = question["curve"], question["auc"]

    def draw(axes: Axes) -> None:
        band = np.array(curve["band"])
        if len(band):
            axes.fill_between(
                1 - band[:, 0], band[:, 1], band[:, 2], color=BAND, lw=0, step="mid", label="95 % interval"
            )
        axes.plot([0, 1], [0, 1], color="#c5cbd2", lw=1, ls=":")
        axes.plot(1 - np.array(curve["specificity"]), curve["sensitivity"], color=MODEL, lw=1.8, label="model")
        _draw_decisions(axes, question)
        _draw_readers(axes, question["readers"])
        _unit_square(axes, "1 − specificity", "sensitivity")
        axes.legend(loc="lower right")

    words = f"ROC curve of {question['title']}, {kind} photos: AUC {_words(area)}. {_decisions_in_words(question)}"
    return drawn(draw, words)


def _draw_decisions(axes: Axes, question: Mapping[str, Any]) -> None:
    for name, label, marker, face in (
        ("own", "cut-off of the release", "s", MODEL),
        ("youden", "Youden", "o", "white"),
    ):
        decision = question[name]
        if decision:
            axes.plot(
                1 - decision["specificity"]["value"], decision["sensitivity"]["value"], ls="", marker=marker, ms=7,
                mec=MODEL, mfc=face, mew=1.5, label=label, zorder=4,
            )  # fmt: skip


def _draw_readers(axes: Axes, readers: Mapping[str, Any] | None) -> None:
    if not readers:
        return
    points = np.array([(p["sensitivity"], p["specificity"]) for p in readers["points"]])
    axes.plot(1 - points[:, 1], points[:, 0], ls="", marker="x", ms=5, color=READER, label=f"readers ({len(points)})")
    sd = [value or 0.0 for value in readers["sd"]]
    axes.errorbar(
        1 - readers["mean"][1], readers["mean"][0], xerr=sd[1], yerr=sd[0], marker="D", ms=6, color=OTHER,
        capsize=3, ls="", label="their mean ± sd", zorder=5,
    )  # fmt: skip


def precision_recall_curve(question: Mapping[str, Any], kind: str) -> Markup:
    """Precision against recall; the dotted line is the share of the photos that have it, what guessing would give."""
    curve, base = question["curve"], question["yes"] / question["photos"]

    def draw(axes: Axes) -> None:
        axes.axhline(base, color=FAINT, lw=1, ls=":", label=f"share of the photos {base:.2f}")
        axes.plot(curve["sensitivity"], curve["precision"], color=MODEL, lw=1.8, label="model", drawstyle="steps-post")
        _unit_square(axes, "recall (sensitivity)", "precision")
        axes.legend(loc="best")

    words = (
        f"Precision-recall curve of {question['title']}, {kind} photos: "
        f"average precision {_words(question['average_precision'])}; guessing would give {base:.3f}."
    )
    return drawn(draw, words)


def cutoff_curve(question: Mapping[str, Any], kind: str) -> Markup:
    """Sensitivity and specificity against the cut-off."""
    curve = question["curve"]

    def draw(axes: Axes) -> None:
        cutoffs, sensitivity, specificity = np.array(curve["by_cutoff"]).T
        axes.plot(cutoffs, sensitivity, color=MODEL, lw=1.8, label="sensitivity")
        axes.plot(cutoffs, specificity, color=OTHER, lw=1.8, ls="--", label="specificity")
        own = question["own"]
        if own and own["cutoff"] is not None:
            axes.axvline(own["cutoff"], color=INK, lw=1.2)
            axes.annotate(
                f" of the release: {own['cutoff']:.3f}", (own["cutoff"], 0.02), color=INK, fontsize=8, va="bottom"
            )
        _unit_square(axes, f"cut-off on P({question['title']})", "share")
        axes.legend(loc="best")

    words = f"Sensitivity and specificity for {question['title']} against the cut-off, {kind} photos. "
    return drawn(draw, words + _decisions_in_words(question))


def calibration_curve(calibration: Mapping[str, Any], kind: str) -> Markup:
    """Share that was right against the probability that was said, per bin with its interval and number."""
    bins = [b for b in calibration["bins"] if b["value"] is not None]

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#c5cbd2", lw=1, ls=":", label="perfect")
        for b in bins:
            colour = "#b9c0c8" if b["is_few"] else MODEL
            if b["low"] is not None:
                axes.plot([b["said"]] * 2, [b["low"], b["high"]], color=colour, lw=1.2)
            axes.plot(b["said"], b["value"], ls="", marker="o", ms=4 + 6 * (b["photos"] / max(x["photos"] for x in bins)),
                      color=colour)  # fmt: skip
        _unit_square(axes, f"probability of {calibration['title']}", "share that was right")

    error = calibration["error"]
    said = "; ".join(f"said {b['said']:.2f}, right {b['value']:.2f} of {b['photos']} photos" for b in bins)
    words = f"Calibration of {calibration['title']}, {kind} photos: calibration error {_words(error)}. {said}."
    return drawn(draw, words)


def cost_chart(runs: Sequence[Mapping[str, Any]], metric: str) -> Markup:
    """Accuracy against training time (Mishra et al. 2018 set them side by side)."""

    def draw(axes: Axes) -> None:
        for run in runs:
            axes.plot(run["hours"], run["score"], ls="", marker="o", ms=6, color=MODEL)
            axes.annotate(f" {run['architecture']}", (run["hours"], run["score"]), fontsize=8, color=INK)
        axes.set_xlabel("training time, hours")
        axes.set_ylabel(metric)
        axes.margins(0.15)

    said = "; ".join(f"{r['architecture']} {r['hours']:.2f} h, {r['score']:.3f}" for r in runs)
    return drawn(draw, f"{metric} against training time of {len(runs)} runs: {said}.", size=(5.2, 3.4))


def map_of_photos(places: np.ndarray, grades: Sequence[str], pixels: np.ndarray | None) -> Markup:
    """Photos where t-SNE puts them, framed in the colour of their true grade; dots where photos are left out."""
    side, tile = 1400, 30
    low, high = places.min(axis=0), places.max(axis=0)
    at = ((places - low) / np.maximum(high - low, 1e-9) * (side - tile)).astype(int)
    canvas = Image.new("RGB", (side, side), "white")
    # The most severe are drawn last, so that no harmless neighbour hides them.
    order = np.argsort([list(GRADE_COLOURS).index(g) for g in grades], kind="stable")
    for row in order:
        frame = Image.new("RGB", (tile, tile), GRADE_COLOURS[grades[row]])
        if pixels is not None:
            frame.paste(Image.fromarray(pixels[row]).resize((tile - 6, tile - 6)), (3, 3))
            canvas.paste(frame, (int(at[row, 0]), int(at[row, 1])))
        else:
            canvas.paste(frame.resize((12, 12)), (int(at[row, 0]) + 9, int(at[row, 1]) + 9))
    counts = ", ".join(f"{list(grades).count(g)} {g.replace('_', ' ')}" for g in GRADE_COLOURS)
    return _img(
        _jpeg(canvas),
        "image/jpeg",
        f"Map of {len(grades)} photos: {counts}. Photos that look alike to the networks lie close.",
    )


def thumbnail(pixels: np.ndarray, words: str) -> Markup:
    """A photo in small."""
    return _img(_jpeg(Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL))), "image/jpeg", words)


def heat_map(pixels: np.ndarray, heat: np.ndarray, words: str) -> Markup:
    """A heat map, 0..1, over the photo in grey."""
    grey = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2) / 255
    colour = mpl.colormaps["inferno"](heat)[..., :3]
    opacity = 0.65 * heat[..., None] + 0.05
    mixed = (255 * (grey * (1 - opacity) + colour * opacity)).astype(np.uint8)
    return thumbnail(mixed, words)


def _words(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "not measured"
    between = "" if figure["low"] is None else f" (95 % interval {figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{between}"


def _decisions_in_words(question: Mapping[str, Any]) -> str:
    said = [
        f"At {label} sensitivity {d['sensitivity']['value']:.2f}, specificity {d['specificity']['value']:.2f}."
        for name, label in (("own", "cut-off of the release"), ("youden", "cut-off of Youden"))
        if (d := question[name])
    ]
    readers = question["readers"]
    if readers:
        said.append(
            f"{len(readers['points'])} readers: mean sensitivity {readers['mean'][0]:.2f}, specificity {readers['mean'][1]:.2f}."
        )
    return " ".join(said)


def _unit_square(axes: Axes, across: str, up: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=across, ylabel=up, aspect="equal")


def drawn(draw: Any, words: str, size: tuple[float, float] = (3.4, 3.4)) -> Markup:
    """The picture that ``draw`` makes on its axes, ``size`` in inches; ``words`` are for who cannot see it."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    return _img(file.getvalue(), "image/svg+xml", words)


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    return file.getvalue()


def _img(content: bytes, media_type: str, words: str) -> Markup:
    address = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return Markup('<img src="{}" alt="{}">').format(address, escape(words))
