"""What a reader looks for in the queue, as the address of the page says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from urllib.parse import urlencode

from screening.contracts import GRADES
from screening.review.standing import Standing

TO_READ, READ_BY_ME, ALL = "to_read", "read_by_me", "all"
STATES: Mapping[str, str] = {
    TO_READ: "waiting for me",
    Standing.OPEN: "nobody has read it",
    Standing.NEEDS_SECOND_READER: "needs a second reader",
    Standing.NEEDS_ADJUDICATION: "needs adjudication",
    Standing.HELD: "held: statements contradict each other",
    Standing.SETTLED: "settled",
    Standing.CANNOT_TELL: "cannot be told from the photo",
    READ_BY_ME: "read by me",
    ALL: "all",
}
"""The states that one can filter by, in plain words."""
STANDING_WORDS: Mapping[str, str] = {
    Standing.OPEN: "unread",
    Standing.NEEDS_SECOND_READER: "second reader",
    Standing.NEEDS_ADJUDICATION: "adjudication",
    Standing.HELD: "held",
    Standing.SETTLED: "settled",
    Standing.CANNOT_TELL: "cannot tell",
}
"""What a photo waits for, as the head of a column says it."""


@dataclass(frozen=True)
class Filters:
    """``since`` and ``until``: first and last night. An empty value does not filter."""

    programme: str = ""
    since: date | None = None
    until: date | None = None
    reason: str = ""
    grade: str = ""
    state: str = TO_READ

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        """Read an address; what it says in words that nobody knows does not filter."""
        grade, state = query.get("grade", ""), query.get("state", TO_READ)
        return cls(
            programme=query.get("programme", ""),
            since=_day(query.get("since", "")),
            until=_day(query.get("until", "")),
            reason=query.get("reason", ""),
            grade=grade if grade in GRADES else "",
            state=state if state in STATES else TO_READ,
        )

    def address(self, **more: object) -> str:
        """The query of an address: only what differs from the default."""
        said = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) not in (f.default, None)}
        return urlencode(said | {name: value for name, value in more.items() if value not in ("", None)})

    @property
    def asks_for_the_answer(self) -> bool:
        """Whether only someone who knows the model's answer may use these."""
        return bool(self.reason or self.grade)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
