"""Figures of docs/decisions/0022: ``python -m tests.benchmarks.monitoring [charts|drift|night|tone]``.

``charts`` and ``drift`` simulate programmes; ``night`` times the task on made-up tables; ``tone`` measures real photos.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from screening.contracts import SKIN_TYPES
from screening.cutoffs import MONITORING
from screening.stages.monitoring.charts import CHARTS, chart_row
from screening.stages.monitoring.drift import LOOKS_A_YEAR, PROPERTIES, Sketches, find_drift
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality import measure_quality
from screening.stages.quality.skin_tone import ita_group
from screening.tasks.monitor import monitor
from tests.unit.watched_nights import Programme, context_at, night_number, plan_of, stage

SHARES = dict(zip(CHARTS, (0.03, 0.12, 0.18, 0.08, 0.15), strict=True))
"""Dangerous, high risk, referred, refused, flagged."""
SIZES = {"15 photos": (15, 15), "40 photos": (40, 40), "20 to 400 photos": (20, 400), "400 photos": (400, 400)}
CORRELATIONS = (0.0, 0.005, 0.03)
PAD_UFES = Path(__file__).resolve().parents[3] / "shared" / "data" / "pad_ufes"


def states(noise: np.random.Generator, of: np.ndarray, shares: np.ndarray, correlation: float) -> list[str]:
    """State of each night of one chart; ``shares`` are the true ones."""
    rows: list[dict[str, object]] = []
    for number, (n, share) in enumerate(zip(of.tolist(), shares.tolist(), strict=True)):
        scale = (1 - correlation) / correlation if correlation else None
        p = noise.beta(share * scale, (1 - share) * scale) if scale else share
        night = date(2026, 1, 1) + timedelta(days=number)
        row = chart_row("refused", int(noise.binomial(n, p)), n, "r", night, rows)
        rows.append({"score": None, "mean_score": None, "since": None} | row)
    return [str(row["state"]) for row in rows]


def charts(programmes: int = 60) -> None:
    """False alarms of all five charts of a programme, and nights until a doubled refusal rate is seen."""
    for size, (low, high) in SIZES.items():
        for correlation in CORRELATIONS:
            noise = np.random.default_rng(1)
            mornings = begun = 0
            for _ in range(programmes):
                of = noise.integers(low, high + 1, 104)
                found = [states(noise, of, np.full(104, s), correlation) for s in SHARES.values()]
                alarms = np.array([[state in ("above", "below") for state in chart] for chart in found])
                mornings += int(alarms.any(axis=0).sum())
                begun += int((alarms & ~np.pad(alarms, ((0, 0), (1, 0)))[:, :-1]).any(axis=0).sum())
            months = programmes * (104 - MONITORING.chart_learning_nights) / 30
            delays = []
            for _ in range(programmes):
                of = noise.integers(low, high + 1, 75)
                found_states = states(noise, of, np.repeat([0.08, 0.16], [45, 30]), correlation)
                delays.append(next((i for i, s in enumerate(found_states[45:], 1) if s == "above"), 31))
            print(
                f"{size}, correlation {correlation}: alarms that begin in a month {begun / months:.2f}, mornings with one "
                f"{mornings / months:.2f}; doubled refusals seen after {statistics.median(delays):.0f} nights, "
                f"nine of ten after {np.quantile(delays, 0.9):.0f} (31 = not within 30)",
                flush=True,
            )


def drift(years: int = 12) -> None:
    """Alarms of one property in years without a change, as of all of them, and nights until a change is seen."""
    edges = np.array([-2, -1.3, -0.8, -0.5, -0.25, 0, 0.25, 0.5, 0.8, 1.3, 2])

    def nights(noise: np.random.Generator, count: int, between: float, shift: float = 0.0) -> Sketches:
        photos = noise.integers(10, 300, count)
        draws = [np.sort(noise.normal(shift + noise.normal(0, between), 1.0, n)) for n in photos]
        return Sketches(photos, np.array([np.searchsorted(d, edges, side="right") / len(d) for d in draws]))

    for between in (0.0, 0.15, 0.4):
        noise = np.random.default_rng(1)
        looks = alarms = rare = 0
        for _ in range(years):
            reference, year = nights(noise, 28, between), nights(noise, LOOKS_A_YEAR + 6, between)
            for last in range(7, LOOKS_A_YEAR + 7):
                found = find_drift(
                    "blur_score", reference, Sketches(year.photos[last - 7 : last], year.values[last - 7 : last])
                )
                assert found is not None
                looks, alarms, rare = looks + 1, alarms + found.is_drift, rare + (found.p_value <= 0.01)
        print(
            f"nights {between} deviations apart: {alarms} alarms in {years} years of one property, so "
            f"{alarms / years * len(PROPERTIES):.2f} a year of all; p <= 0.01 in {rare / looks:.4f} of the looks",
            flush=True,
        )
        for shift in (0.2, 0.3, 0.5, 1.0):
            delays = []
            for _ in range(15):
                reference, old, new = (
                    nights(noise, 28, between),
                    nights(noise, 6, between),
                    nights(noise, 21, between, shift),
                )
                photos, values = np.append(old.photos, new.photos), np.vstack([old.values, new.values])
                hits = (
                    number
                    for number in range(1, 22)
                    if (
                        f := find_drift(
                            "blur_score",
                            reference,
                            Sketches(photos[number - 1 : number + 6], values[number - 1 : number + 6]),
                        )
                    )
                    and f.is_drift
                )
                delays.append(next(hits, 22))
            print(
                f"  shift of {shift}: seen after {statistics.median(delays):.0f} nights (22 = not within 21)",
                flush=True,
            )


def night(photos: int = 1000) -> None:
    """Seconds of the task after 60 nights of one programme."""
    with tempfile.TemporaryDirectory() as folder:
        context = context_at(Path(folder))
        for number in range(60):
            stage(context, {"north": Programme(photos=40)}, night_number(number))
            monitor(plan_of(night_number(number)).run_id, context)
        for size in (40, photos):
            run = stage(context, {"north": Programme(photos=size)}, night_number(60))
            took = []
            for _ in range(5):
                started = time.perf_counter()
                monitor(run, context)
                took.append(time.perf_counter() - started)
            print(f"{size} photos after 60 nights: {min(took):.2f} s (best of 5)")


def tone() -> None:
    """Skin tone in the photo against the skin type that is recorded, PAD-UFES-20."""
    found = []
    with (PAD_UFES / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            if row["fitspatrick"]:
                body = (PAD_UFES / "images" / row["file"]).read_bytes()
                found.append(
                    (int(float(row["fitspatrick"])), measure_quality(decode_photo(body, PhotoLimits())).skin_ita_deg)
                )
    told = [(skin_type, ita) for skin_type, ita in found if ita is not None]
    types, angles = (_mid_ranks(np.array(values)) for values in zip(*told, strict=True))
    print(f"{len(found)} photos, {len(told)} with an angle; rank correlation {np.corrcoef(types, angles)[0, 1]:.3f}")
    for pair, count in sorted(Counter((SKIN_TYPES[skin_type], ita_group(ita)) for skin_type, ita in told).items()):
        print(f"recorded {pair[0]}, in the photo {pair[1]}: {count}")


def _mid_ranks(values: np.ndarray) -> np.ndarray:
    places = np.unique(values, return_inverse=True)[1]
    counts = np.bincount(places)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[places])


if __name__ == "__main__":
    for name in sys.argv[1:] or ["charts", "drift", "night", "tone"]:
        {"charts": charts, "drift": drift, "night": night, "tone": tone}[name]()
