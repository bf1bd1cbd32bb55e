"""How often the gate refuses what is worse, and lets pass what is not: ``python -m tests.benchmarks.gate``.

Drawn answers on a test set made up as that of release r0001: 138 dangerous, 126 high-risk and 436 low-risk lesions of 607
people, some with several photos. Champion and challenger decide by correlated scores, as two trainings of one network do: they
differ on about one lesion in ten. The challenger's sensitivity is better or worse than the champion's by a known
difference, and everything else about it is the same.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import norm

from screening.training.evaluation.compared import Answers, Compared
from screening.training.evaluation.gate import judge_challenger
from screening.training.evaluation.gate_rules import GateRules

PHOTOS = {2: 138, 1: 126, 0: 436}
PEOPLE_OF_PHOTOS = 607 / 700
CAUGHT = {2: 0.80, 1: 0.93, 0: 0.65}
"""Shares that the champion grades right: dangerous as dangerous, high risk as at risk, low risk as low risk."""
CORRELATION = 0.9
DIFFERENCES = (-0.20, -0.15, -0.10, -0.05, 0.0, 0.05)
SIZES = (1, 2, 4, 8)


def made_up(seed: int, difference: float, times: int) -> Compared:
    """Drawn answers; ``difference`` is added to the challenger's sensitivities, ``times`` is the size of the test."""
    random = np.random.default_rng(seed)
    truth = np.repeat([*PHOTOS], [n * times for n in PHOTOS.values()])
    photos = len(truth)
    people = random.integers(0, int(photos * PEOPLE_OF_PHOTOS * 1.6), photos)
    shared = random.normal(size=photos)
    groups = pd.DataFrame(
        {
            "programme": random.choice(["north", "south", "west"], photos),
            "age": random.choice(["under 40", "40 to 64", "65 and over"], photos),
            "sex": random.choice(["female", "male"], photos),
            "skin types": random.choice(["I-II", "III-IV", "V-VI"], photos, p=[0.6, 0.35, 0.05]),
        }
    )

    def answers(release: str, by: float) -> Answers:
        score = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * random.normal(size=photos)
        share = np.array([min(CAUGHT[g] + (by if g else 0), 0.995) for g in truth])
        is_caught = score < norm.ppf(share)
        # What is not caught is given the next lower grade, or a higher one where it is low risk.
        grade = np.where(is_caught, truth, np.where(truth == 0, 1, truth - 1))
        certainty = random.uniform(0.4, 1, photos)
        return Answers(
            release, grade, norm.cdf(-score), norm.cdf(-score), random.random(photos) < certainty, certainty,
            {"dangerous": 0.2, "high_risk": 0.3}, 30.0, 30_000_000,
        )  # fmt: skip

    names = np.arange(photos).astype(str)
    return Compared(names, people.astype(str), truth, groups, answers("r0001", 0.0), answers("r0002", difference))


def passes(seed: int, difference: float, times: int) -> tuple[bool, bool]:
    """Whether the gate lets it pass, and whether a subgroup was why not."""
    verdict = judge_challenger(made_up(seed, difference, times), GateRules(), resamples=500)
    return verdict.passed, any(check.is_passed is False for check in verdict.subgroups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    print(f"passed of {seeds} seeds (of them refused by a subgroup), by the size of the test set")
    print("difference   " + "".join(f"{700 * times:>14} photos" for times in SIZES))
    with ProcessPoolExecutor(2) as pool:
        for difference in DIFFERENCES:
            cells = []
            for times in SIZES:
                found = list(pool.map(partial(passes, difference=difference, times=times), range(seeds), chunksize=10))
                passed, by_group = (sum(column) for column in zip(*found, strict=True))
                cells.append(f"{passed:>12} ({by_group:>3})    ")
            print(f"{difference:+.2f}        " + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
