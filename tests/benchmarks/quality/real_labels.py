"""The filters on photos that people rated for hair and ink: ``../shared/data/artefacts``.

One or a few lay raters looked at each photo (hair: their median, ink: one of them), so the ratings themselves err. The set
does not say which photos are dermoscopic; their shape does: all that are 4 : 3 show immersed or polarised skin (HAM10000 and
ISIC are kept so), all others are clinical (PAD-UFES-20 is kept about square). Looked through on contact sheets of both and
confirmed by perceptual hashes: 169 of the clinical ones are in ``pad_ufes``, one of the dermoscopic.

The clinical ratings are lopsided: of 27 photos without hair 26 bear a pen mark, and of 93 without ink 19 have much hair and most
were not rated for it. So a filter that takes ink for hair, or hair for ink, loses more here than it would in a programme.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from screening.stages.pixels import PhotoLimits, decode_photo
from tests.benchmarks.quality.figures import (
    Figure,
    at_least,
    at_most,
    auc,
    limit_for_false_alarms,
    share,
)
from tests.benchmarks.quality.filters import Said, ask_filters

FOLDS = 5
NEAR_IDENTICAL_BITS = 8
"""Of the 64 of a perceptual hash; pairs of photos of one lesion reach it, photos of two people rarely do."""


@dataclass(frozen=True)
class RatedPhoto:
    """A photo's ratings, what the filters say, and the group that stays on one side of a split."""

    file: str
    hair: float | None
    """0 none, 1 some, 2 much."""
    ink: str
    """``marker``, ``none``, ``uncertain`` or empty."""
    is_dermoscopic: bool
    hashes: np.ndarray
    """Perceptual hashes of the eight ways to lay the photo, shape (8, 64), bool."""
    said: Said


def rated_photos(data: Path) -> list[dict[str, str]]:
    """The ratings, one row per photo."""
    with (data / "artefacts" / "labels.csv").open() as table:
        return list(csv.DictReader(table))


def read_rated(folder: Path, row: dict[str, str]) -> RatedPhoto:
    """Read one photo of ``artefacts/images`` and ask the filters about it."""
    photo = decode_photo((folder / row["file"]).read_bytes(), PhotoLimits())
    height, width = photo.pixels.shape[:2]
    return RatedPhoto(
        file=row["file"],
        hair=float(row["hair"]) if row["hair"] else None,
        ink=row["ink"],
        is_dermoscopic=abs(width / height - 4 / 3) < 0.01,
        hashes=perceptual_hashes(photo.pixels),
        said=ask_filters(photo),
    )


def perceptual_hashes(pixels: np.ndarray) -> np.ndarray:
    """Signs of the 64 slowest cosine waves of the photo, laid in all eight ways (Zauner 2010)."""
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    ways = [np.rot90(side, turns) for side in (grey, grey.T) for turns in range(4)]
    waves = [cv2.dct(np.ascontiguousarray(way, np.float32))[:8, :8].ravel() for way in ways]
    return np.array([wave > np.median(wave[1:]) for wave in waves])


def groups_of(photos: list[RatedPhoto]) -> np.ndarray:
    """Number of the group of each photo: near-identical photos, turned or mirrored, share one."""
    group = np.arange(len(photos))
    upright = np.array([p.hashes[0] for p in photos])
    for number, photo in enumerate(photos):
        bits = (photo.hashes[:, None, :] != upright[None]).sum(axis=2).min(axis=0)
        near = np.isin(group, group[bits <= NEAR_IDENTICAL_BITS])
        group[near] = group[number]
    return group


def real_label_figures(photos: list[RatedPhoto]) -> list[Figure]:
    """Hair much against none, clinical and dermoscopic apart; ink marker against none."""
    figures = []
    for kind, is_dermoscopic, least in (("clinical", False, 0.95), ("dermoscopic", True, 0.99)):
        of_kind = [p for p in photos if p.is_dermoscopic == is_dermoscopic and p.hair is not None]
        much = [p for p in of_kind if p.hair is not None and p.hair >= 1.5]
        none = [p for p in of_kind if p.hair == 0]
        figures += _told_apart(f"hair, {kind}: much against none", "hair", much, none, (least, None))
    marked, clean = ([p for p in photos if p.ink == ink] for ink in ("marker", "none"))
    figures += _told_apart("ink, clinical: marker against none", "dye", marked, clean, (0.96, 0.80))
    return figures


def _told_apart(
    what: str, name: str, bad: list[RatedPhoto], good: list[RatedPhoto], wanted: tuple[float, float | None]
) -> list[Figure]:
    least_auc, least_sensitivity = wanted
    both = [*bad, *good]
    scores = np.array([p.said.scores[name] for p in both])
    is_bad = np.arange(len(both)) < len(bad)
    files = np.array([p.file for p in both])
    raised = _raised_across_folds(scores, is_bad, groups_of(both))
    sensitivity, false_alarms = share(raised[is_bad], files[is_bad]), share(raised[~is_bad], files[~is_bad])
    figures = [
        at_least(
            f"{what}: AUC", auc(scores[is_bad], files[is_bad], scores[~is_bad], list(files[~is_bad])), "auc", least_auc
        )
    ]
    label = f"{what}: sensitivity, limit from the other folds at 5 % false alarms"
    figures.append(
        Figure(label, sensitivity, "share")
        if least_sensitivity is None
        else at_least(label, sensitivity, "share", least_sensitivity)
    )
    figures.append(at_most(f"{what}: false alarms of the same limits", false_alarms, "share", 0.05))
    for side, chosen in (("sensitivity", bad), ("false alarms", good)):
        said = [name in p.said.raised for p in chosen]
        figures.append(Figure(f"{what}: {side} as judged", share(said, [p.file for p in chosen]), "share"))
    return figures


def _raised_across_folds(scores: np.ndarray, is_bad: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whether each photo's score passes the limit that the other folds' good photos give; groups are never torn."""
    names = np.unique(groups)
    fold_of_group = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of_group[g] for g in groups])
    raised = np.zeros(scores.size, bool)
    for fold in range(FOLDS):
        limit = limit_for_false_alarms(scores[(folds != fold) & ~is_bad], 0.05)
        raised[folds == fold] = scores[folds == fold] > limit
    return raised
