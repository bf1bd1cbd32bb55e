"""What several decisions about one photo come to: a label and what it rests on, or what is still wanted. docs/decisions/0018."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from screening.contracts import LabelStrength
from screening.taxonomy import Taxonomy

Decision = Mapping[str, Any]


@dataclass(frozen=True)
class Adjudicated:
    """Columns of ``VETTED_PHOTOS`` that follow from the decisions alone; ``is_unusable``: most readers say so of the photo."""

    state: str
    disease: str | None
    label_strength: LabelStrength | None
    readers: int
    decisions: tuple[str, ...]
    settled_at_utc: datetime | None
    is_unusable: bool = False


@dataclass(frozen=True)
class CountingDecisions:
    """The decisions of a photo that count, each kind oldest first."""

    readings: tuple[Decision, ...]
    adjudications: tuple[Decision, ...]
    histopathology: tuple[Decision, ...]

    @property
    def all(self) -> list[Decision]:
        return sorted((*self.readings, *self.adjudications, *self.histopathology), key=_decided)


def adjudicate(decisions: Sequence[Decision], taxonomy: Taxonomy, readers_wanted: int) -> Adjudicated:
    """Settle one photo, or say why it is not settled.

    Histopathology outranks everything; results that contradict each other are held until an adjudication says which one
    stands. An adjudication outranks the readings. Readings settle when enough people agree; readings of which one is
    finer than the other agree on the coarser disease, if its grade is that of all.

    Args:
        decisions: rows of ``DECISIONS``, all of one photo, in any order.
        taxonomy: that of today; a decision on a disease that it does not know holds the photo.
        readers_wanted: independent readers that the programme asks for, 1..3.
    """
    counting = counting_decisions(decisions)
    known = {disease.id for disease in taxonomy.diseases}
    if any(d["disease"] is not None and d["disease"] not in known for d in counting.all):
        return _result("held", counting)
    told = [d for d in counting.histopathology if d["disease"] is not None]
    if told:
        return _of_histopathology(told, counting, taxonomy)
    if counting.adjudications:
        return _of_adjudications(counting, taxonomy)
    return _of_readings(counting, taxonomy, readers_wanted)


def counting_decisions(decisions: Sequence[Decision]) -> CountingDecisions:
    """Leave out what was corrected, all but the newest reading of each person, and adjudications by a reader.

    Only the person who decided may correct a decision; a correction of somebody else's counts as a decision of its own.
    """
    ordered = sorted(decisions, key=_decided)
    live = _not_corrected(ordered)
    readings = {d["reader"]: d for d in live if d["evidence"] == "reading"}  # the newest of each reader wins
    adjudications = {d["reader"]: d for d in live if d["evidence"] == "adjudication" and d["reader"] not in readings}
    return CountingDecisions(
        readings=tuple(sorted(readings.values(), key=_decided)),
        adjudications=tuple(sorted(adjudications.values(), key=_decided)),
        histopathology=tuple(d for d in live if d["evidence"] == "histopathology"),
    )


def _not_corrected(ordered: Sequence[Decision]) -> list[Decision]:
    by_id = {d["decision_id"]: d for d in ordered}
    corrected = {
        d["corrects"]
        for d in ordered
        if (earlier := by_id.get(d["corrects"])) is not None
        and earlier["reader"] == d["reader"]
        and _recorded(earlier) <= _recorded(d)
        and earlier["corrects"] != d["decision_id"]
    }
    return [d for d in ordered if d["decision_id"] not in corrected]


def _decided(decision: Decision) -> tuple[datetime, datetime, str]:
    """The order of decisions; when they reached the store settles what a bare date leaves open."""
    return decision["decided_at_utc"], decision["recorded_at_utc"], decision["decision_id"]


def _recorded(decision: Decision) -> tuple[datetime, datetime]:
    """When it reached the store: nobody corrects, or weighs, what is not there yet."""
    return decision["recorded_at_utc"], decision["decided_at_utc"]


def _of_histopathology(told: Sequence[Decision], counting: CountingDecisions, taxonomy: Taxonomy) -> Adjudicated:
    finest = finest_of({d["disease"] for d in told}, taxonomy)
    if finest is None:
        finest = _chosen_of(told, counting)
    if finest is None:
        return _result("held", counting)
    return _result("settled", counting, finest, LabelStrength.HISTOPATHOLOGY)


def _chosen_of(told: Sequence[Decision], counting: CountingDecisions) -> str | None:
    """The one of contradictory results that a later adjudication names, by somebody who reported none of them."""
    reporters, newest = {d["reader"] for d in told}, max(d["recorded_at_utc"] for d in told)
    asked = [d for d in counting.adjudications if d["reader"] not in reporters and d["recorded_at_utc"] > newest]
    results = {d["disease"] for d in told}
    named = {d["disease"] for d in asked}
    return named.pop() if len(named) == 1 and named <= results else None


def _of_adjudications(counting: CountingDecisions, taxonomy: Taxonomy) -> Adjudicated:
    diseases = {d["disease"] for d in counting.adjudications}
    if diseases == {None}:
        return _result("cannot_tell", counting)
    agreed = None if None in diseases else common_disease(diseases, taxonomy)
    if agreed is None:
        return _result("held", counting)
    people = {d["reader"] for d in (*counting.readings, *counting.adjudications)}
    return _result("settled", counting, agreed, _strength(len(people)))


def _of_readings(counting: CountingDecisions, taxonomy: Taxonomy, readers_wanted: int) -> Adjudicated:
    readings = counting.readings
    told = [d for d in readings if d["disease"] is not None]
    if len(readings) < max(1, readers_wanted):
        return _result("needs_second_reader", counting)
    if 2 * (len(readings) - len(told)) > len(readings):
        return _result("cannot_tell", counting)
    agreed = common_disease({d["disease"] for d in told}, taxonomy)
    if agreed is None or 2 * len(told) == len(readings):
        return _result("needs_adjudication", counting)
    return _result("settled", counting, agreed, _strength(len(told)))


def _strength(people: int) -> LabelStrength:
    return LabelStrength.CONSENSUS if people >= 2 else LabelStrength.SINGLE_READER


def finest_of(diseases: set[str], taxonomy: Taxonomy) -> str | None:
    """The one that is a kind of all the others; None when two of them are different things."""
    for disease in diseases:
        if diseases <= {above.id for above in taxonomy.lineage(disease)}:
            return disease
    return None


def common_disease(diseases: set[str], taxonomy: Taxonomy) -> str | None:
    """What all say of which each is a kind of another: the coarsest, if all have its grade. None when they disagree."""
    if len(diseases) == 1:
        return next(iter(diseases))
    finest = finest_of(diseases, taxonomy)
    if finest is None:
        return None
    grades = {taxonomy.grade_of(disease) for disease in diseases}
    if len(grades) != 1 or grades == {None}:
        return None
    return [above.id for above in taxonomy.lineage(finest) if above.id in diseases][-1]


def _result(
    state: str, counting: CountingDecisions, disease: str | None = None, strength: LabelStrength | None = None
) -> Adjudicated:
    counted = counting.all
    judged = [d["photo_quality"] for d in counting.readings if d["photo_quality"] is not None]
    return Adjudicated(
        state=state,
        disease=disease,
        label_strength=strength,
        readers=len(counting.readings),
        decisions=tuple(str(d["decision_id"]) for d in counted),
        settled_at_utc=max(d["decided_at_utc"] for d in counted) if state == "settled" else None,
        is_unusable=2 * judged.count("unusable") > len(judged),
    )
