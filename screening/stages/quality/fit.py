"""Fit quality cut-offs to what people said of a site's own photos, and say how well they do. docs/decisions/0009.

A rule holds the cut-offs that one kind of rating decides. Its photos get a score, 1 on the product's lines and higher the
worse the photo; the rule's lines are moved to the score that at most the wanted share of the sound photos reaches.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from screening.cutoffs import FILTERS, FLAGS_AND_REFUSALS, LINES, QualityCutoffs
from screening.stages.quality.labels import VERDICT
from screening.stages.quality.measure import QualityMeasures
from screening.stages.quality.site_cutoffs import RANGES

FEWEST_PHOTOS = 20
"""Of either side. With 20 photos the 95 % interval of a share is up to 40 points wide; with fewer it says nothing."""
_Z = 1.959964  # 97.5th percentile of the standard normal distribution: 95 % lie within


@dataclass(frozen=True)
class RatedPhoto:
    """A measured photo and what a person said of it; ``group``: photos of one lesion or person."""

    measures: QualityMeasures
    group: str
    ratings: Mapping[str, str]


@dataclass(frozen=True)
class Rule:
    """Cut-offs that one column decides: photos rated with one of ``bad`` should be hit, those rated otherwise not."""

    name: str
    column: str
    bad: tuple[str, ...]
    cutoffs: tuple[str, ...]


RULES: tuple[Rule, ...] = (
    *(
        Rule(cutoff, column, bad, (cutoff,))
        for column, cutoffs in FILTERS.items()
        for cutoff, bad in zip(cutoffs, (("some", "much"), ("much",)), strict=False)
    ),
    # A verdict does not say which filter it was: all refusals become stricter or milder together.
    Rule(VERDICT, VERDICT, ("refused",), tuple(cutoff for cutoffs in FILTERS.values() for cutoff in cutoffs[1:])),
)


@dataclass(frozen=True)
class Share:
    """So many of n photos."""

    count: int
    n: int

    @property
    def share(self) -> float:
        return self.count / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share, 0..1 (Wilson 1927)."""
        p, spread = self.share, _Z**2 / self.n
        middle, half = p + spread / 2, _Z * math.sqrt(p * (1 - p) / self.n + spread / (4 * self.n))
        return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))

    @property
    def text(self) -> str:
        """As a person reads it: the share and its interval in percent."""
        low, high = self.interval
        return f"{self.share:.0%} ({100 * low:.0f}–{100 * high:.0f})"


@dataclass(frozen=True)
class Found:
    """How a rule does: the share of bad photos that it hits, and of sound photos that it does not."""

    sensitivity: Share
    specificity: Share


@dataclass(frozen=True)
class Fit:
    """Fitted cut-offs and what they were fitted with; by rule how they do on these photos and on photos kept out of the fit.

    ``not_fitted`` says by rule why its lines stay the product's.
    """

    cutoffs: QualityCutoffs
    photos: int
    false_alarm: float
    folds: int
    same_photos: Mapping[str, Found]
    kept_out: Mapping[str, Found]
    not_fitted: Mapping[str, str]


def fit_cutoffs(photos: Sequence[RatedPhoto], name: str, false_alarm: float, folds: int) -> Fit:
    """Fit every rule that has enough photos.

    Args:
        photos: rated; a rule uses those that its column rates.
        name: of the new cut-offs.
        false_alarm: largest share of the sound photos that a rule may hit, over 0 and under 1.
        folds: parts; each in turn is kept out of a fit and judged by it. A group is never divided.
    """
    product = replace(QualityCutoffs(), name=name)
    rules, not_fitted = [], {}
    for rule in RULES:
        bad, sound = _sides(rule, photos)
        if not bad and not sound:
            continue
        if min(len(bad), len(sound)) < FEWEST_PHOTOS:
            found = f"{len(bad)} photos to hit and {len(sound)} to pass"
            not_fitted[rule.name] = f"{found}, expected {FEWEST_PHOTOS} of either"
        elif _moved(rule, bad, sound, product, false_alarm) is None:
            not_fitted[rule.name] = "none of the photos to hit is worse than those to pass"
        else:
            rules.append(rule)
    cutoffs = _fit(photos, rules, product, false_alarm)
    hits: dict[str, list[tuple[bool, bool]]] = {rule.name: [] for rule in rules}
    for fold in range(folds):
        without = _fit([p for p in photos if fold_of(p.group, folds) != fold], rules, product, false_alarm)
        for rule in rules:
            hits[rule.name] += _hits(rule, [p for p in photos if fold_of(p.group, folds) == fold], without)
    return Fit(
        cutoffs,
        photos=len(photos),
        false_alarm=false_alarm,
        folds=folds,
        same_photos={rule.name: _found(_hits(rule, photos, cutoffs)) for rule in rules},
        kept_out={rule.name: _found(hits[rule.name]) for rule in rules},
        not_fitted=not_fitted,
    )


def fold_of(group: str, folds: int) -> int:
    """The part of a fit that a group of photos is kept out of: the same whatever the other photos are."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) % folds


def _sides(rule: Rule, photos: Sequence[RatedPhoto]) -> tuple[list[RatedPhoto], list[RatedPhoto]]:
    """The photos that the rule should hit, and those that it should pass."""
    rated = [photo for photo in photos if rule.column in photo.ratings]
    bad = [photo for photo in rated if photo.ratings[rule.column] in rule.bad]
    return bad, [photo for photo in rated if photo.ratings[rule.column] not in rule.bad]


def _fit(
    photos: Sequence[RatedPhoto], rules: Sequence[Rule], product: QualityCutoffs, false_alarm: float
) -> QualityCutoffs:
    numbers: dict[str, float] = {}
    for rule in rules:
        numbers |= _moved(rule, *_sides(rule, photos), product, false_alarm) or {}
    # A photo that is refused must be flagged, too: what was not fitted follows what was, and a refusal follows its flag.
    every = asdict(product) | numbers
    for flag, refusal in FLAGS_AND_REFUSALS:
        is_milder = every[flag] < every[refusal] if LINES[flag].side == "below" else every[flag] > every[refusal]
        if is_milder and flag in numbers:
            numbers[refusal] = numbers[flag]
        elif is_milder:
            numbers[flag] = numbers[refusal]
    return replace(product, **numbers)  # type: ignore[arg-type]  # the names are those of its numbers


def _moved(
    rule: Rule, bad: Sequence[RatedPhoto], sound: Sequence[RatedPhoto], product: QualityCutoffs, false_alarm: float
) -> dict[str, float] | None:
    """The rule's cut-offs halfway from the sound photo that must pass to the next bad one; None if there is none."""
    if not sound:
        return None
    scores = sorted((_score(rule, photo, product) for photo in sound), reverse=True)
    must_pass = scores[int(false_alarm * len(scores))]
    beyond = [score for photo in bad if (score := _score(rule, photo, product)) > must_pass]
    if not beyond or math.isinf(must_pass):
        return None
    middle = (must_pass + min(beyond)) / 2
    exact = {cutoff: _at_score(middle, cutoff, product) for cutoff in rule.cutoffs}
    # The roundest numbers that hit the same photos: they are read by people.
    for digits in range(2, 17):
        rounded = {cutoff: float(f"{number:.{digits}g}") for cutoff, number in exact.items()}
        if all(_is_hit(rule, p, rounded) == _is_hit(rule, p, exact) for p in (*bad, *sound)):
            return rounded
    return exact


def _score(rule: Rule, photo: RatedPhoto, product: QualityCutoffs) -> float:
    """How bad the worst of the rule's measures is: 1 on the product's line; a step of 1 is the line's own number."""
    scores: list[float] = [-math.inf]
    for cutoff in rule.cutoffs:
        line = LINES[cutoff]
        share = getattr(photo.measures, line.measure) / getattr(product, cutoff)
        scores.append(2 - share if line.side == "below" else share)
    return max(scores)


def _at_score(score: float, cutoff: str, product: QualityCutoffs) -> float:
    """Where the line lies when photos of this score are on it, within what its measure can be."""
    line = LINES[cutoff]
    low, high = RANGES[line.measure]
    number: float = getattr(product, cutoff) * (2 - score if line.side == "below" else score)
    return min(high, max(low, number))


def _is_hit(rule: Rule, photo: RatedPhoto, numbers: Mapping[str, float]) -> bool:
    return any(
        LINES[cutoff].is_hit(getattr(photo.measures, LINES[cutoff].measure), numbers[cutoff]) for cutoff in rule.cutoffs
    )


def _hits(rule: Rule, photos: Sequence[RatedPhoto], cutoffs: QualityCutoffs) -> list[tuple[bool, bool]]:
    """For each rated photo whether it is bad, and whether it is hit."""
    numbers = asdict(cutoffs)
    return [
        (is_bad, _is_hit(rule, p, numbers))
        for is_bad, side in zip((True, False), _sides(rule, photos), strict=True)
        for p in side
    ]


def _found(hits: Sequence[tuple[bool, bool]]) -> Found:
    bad = [is_hit for is_bad, is_hit in hits if is_bad]
    sound = [is_hit for is_bad, is_hit in hits if not is_bad]
    return Found(Share(sum(bad), len(bad)), Share(len(sound) - sum(sound), len(sound)))
