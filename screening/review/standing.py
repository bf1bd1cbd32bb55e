"""Where the reading of a photo stands for one reader: what is wanted of them, and what they may already know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from screening.stages.adjudication import adjudicate, counting_decisions
from screening.taxonomy import Taxonomy

Decision = Mapping[str, Any]


class Standing(StrEnum):
    """What a photo waits for."""

    OPEN = "open"
    NEEDS_SECOND_READER = "needs_second_reader"
    NEEDS_ADJUDICATION = "needs_adjudication"
    HELD = "held"
    SETTLED = "settled"
    CANNOT_TELL = "cannot_tell"


_FOR_READERS = (Standing.OPEN, Standing.NEEDS_SECOND_READER)
_FOR_ADJUDICATORS = (Standing.NEEDS_ADJUDICATION, Standing.HELD)


def standing_of(decisions: Sequence[Decision], taxonomy: Taxonomy, readers_wanted: int) -> Standing:
    """What a photo waits for, as `intake_decisions` will say it; a photo that nobody decided on is open."""
    if not decisions:
        return Standing.OPEN
    state = adjudicate(decisions, taxonomy, readers_wanted).state
    has_reading = bool(counting_decisions(decisions).readings)
    return Standing.OPEN if state == Standing.NEEDS_SECOND_READER and not has_reading else Standing(state)


def readers_of(decisions: Sequence[Decision]) -> set[str]:
    """Who has given a reading that counts."""
    return {d["reader"] for d in counting_decisions(decisions).readings}


def has_answered(decisions: Sequence[Decision], reader: str) -> bool:
    """Whether this person has said what they see in the photo; a laboratory's result is not what their own eye saw."""
    return any(d["reader"] == reader and d["evidence"] != "histopathology" for d in decisions)


def own_current(decisions: Sequence[Decision], reader: str, *, is_result: bool = False) -> Decision | None:
    """The person's own answer that counts; ``is_result``: the laboratory's result that they entered."""
    own = [
        d
        for d in counting_decisions(decisions).all
        if d["reader"] == reader and (d["evidence"] == "histopathology") is is_result
    ]
    return own[-1] if own else None


def not_counting(decisions: Sequence[Decision]) -> set[str]:
    """Ids of the decisions that a later one replaced."""
    return {d["decision_id"] for d in decisions} - {d["decision_id"] for d in counting_decisions(decisions).all}


def evidence_to_give(standing: Standing) -> str:
    """What the answer of somebody who has not answered yet would be: they adjudicate where the others disagree."""
    return "adjudication" if standing in _FOR_ADJUDICATORS else "reading"


def is_done(standing: Standing) -> bool:
    """Whether nobody's answer is wanted."""
    return standing not in (*_FOR_READERS, *_FOR_ADJUDICATORS)


def waits_for(standing: Standing, decisions: Sequence[Decision], reader: str) -> bool:
    """Whether this person's answer is wanted: nobody reads a photo twice or adjudicates what they said themselves."""
    if standing in _FOR_READERS:
        return not has_answered(decisions, reader)
    return standing in _FOR_ADJUDICATORS and all(d["reader"] != reader for d in decisions)
