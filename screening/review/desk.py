"""All that the pages know: the queue, the decisions, and what of them one person may see."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Any

from screening.edges import paths
from screening.edges.store import Store
from screening.edges.withdrawals import withdrawn_people
from screening.errors import MissingObjectError
from screening.review.access import Form, Forms, User
from screening.review.answers import Answer, decision_row
from screening.review.audit_log import AuditLog
from screening.review.decisions_index import DecisionsIndex
from screening.review.filters import ALL, READ_BY_ME, TO_READ, Filters
from screening.review.looking_again import LookingAgain
from screening.review.night_tables import NightTables
from screening.review.queue_index import Queue, QueueEntry, QueueIndex
from screening.review.reading_now import ReadingNow
from screening.review.standing import (
    Standing,
    evidence_to_give,
    has_answered,
    is_done,
    own_current,
    readers_of,
    standing_of,
    waits_for,
)
from screening.stages.review_rules import SiteReviewRules
from screening.taxonomy import Taxonomy

HEAD_FOR_S = 10.0
"""A photo at the head of the queue that was done and is reopened waits so long for its reader; our own choice."""
WITHDRAWALS_LISTED_EVERY_S = 10.0
"""A withdrawal that was made elsewhere takes a person's photos from the pages after that, or twice as long."""
ANSWER, HISTOPATHOLOGY = "answer", "histopathology"
"""Purposes of the forms on a photo's page."""

Decision = Mapping[str, Any]
People = Mapping[str, AbstractSet[str]]
"""Pseudonyms by programme."""


@dataclass(frozen=True)
class Found:
    """What a search found: how many, and those of one page."""

    total: int
    entries: Sequence[QueueEntry]
    hidden: int
    """Photos that were left out because the reader has yet to answer them, and the filter would tell the model's answer."""


class Desk:
    """The state behind the pages; one for each process, safe to use from several threads."""

    def __init__(self, store: Store, secret: str, taxonomy: Taxonomy, rules: SiteReviewRules) -> None:
        self.store = store
        self.taxonomy = taxonomy
        self.forms = Forms(secret)
        self.audit = AuditLog(store)
        self.decisions = DecisionsIndex(store)
        self.reading_now = ReadingNow()
        self.tables = NightTables(store)
        self._rules = rules
        self._index = QueueIndex(store)
        self._withdrawals = _Withdrawals(store)
        self._drafts: set[tuple[str, str]] = set()
        self._standings: dict[str, tuple[Sequence[Decision], int, Standing]] = {}
        self._visible: tuple[Queue, People, Queue] | None = None
        self._head: tuple[Queue, float, int] = Queue(), 0.0, 0

    def queue(self) -> Queue:
        """The queue without the photos of people who took back their consent."""
        whole, withdrawn = self._index.queue(), self._withdrawals.people()
        known = self._visible
        if known is None or known[0] is not whole or known[1] != withdrawn:
            self._visible = known = (whole, withdrawn, _without(whole, withdrawn))
        return known[2]

    def entry(self, photo_id: str) -> QueueEntry | None:
        """The photo's entry; None when it is not, or no longer, in the queue."""
        return self.queue().by_photo.get(photo_id)

    def standing(self, entry: QueueEntry, decisions: Sequence[Decision] | None = None) -> Standing:
        """What the photo waits for; worked out again only when something was decided."""
        decisions = self.decisions.of(entry.photo_id) if decisions is None else decisions
        if not decisions:
            return Standing.OPEN
        known = self._standings.get(entry.photo_id)
        if known is None or known[0] is not decisions or known[1] != entry.readers_wanted:
            found = standing_of(decisions, self.taxonomy, entry.readers_wanted)
            self._standings[entry.photo_id] = known = (decisions, entry.readers_wanted, found)
        return known[2]

    def may_see_the_answer(self, entry: QueueEntry, user: User) -> bool:
        """Whether this reader may see what the model said: where the programme reads blind, after their own answer."""
        return not self._rules.of(entry.programme).blind or has_answered(self.decisions.of(entry.photo_id), user.name)

    def search(self, filters: Filters, user: User, first: int, count: int) -> Found:
        """A page of the queue."""
        total, hidden = 0, 0
        page: list[QueueEntry] = []
        for entry in self._matching(filters, user):
            if filters.asks_for_the_answer:
                if not self.may_see_the_answer(entry, user):
                    hidden += 1
                    continue
                if not _answers(entry, filters):
                    continue
            if first <= total < first + count:
                page.append(entry)
            total += 1
        return Found(total, page, hidden)

    def next_photo(self, filters: Filters, user: User, but: str = "") -> QueueEntry | None:
        """The next photo that waits for this reader, rather one at which not enough others look already."""
        said = self.decisions.by_photo()
        crowded = None
        for entry in self._matching(filters, user):
            decisions = said.get(entry.photo_id, ())
            if entry.photo_id == but or not waits_for(self.standing(entry, decisions), decisions, user.name):
                continue
            if filters.asks_for_the_answer and not (self.may_see_the_answer(entry, user) and _answers(entry, filters)):
                continue
            places = max(1, entry.readers_wanted - len(readers_of(decisions)))
            if self.reading_now.others(entry.photo_id, user.name) < places:
                return entry
            crowded = crowded or entry
        return crowded

    def _matching(self, filters: Filters, user: User) -> Iterator[QueueEntry]:
        """Entries that match all but what only someone who knows the model's answer may ask."""
        said = self.decisions.by_photo()
        queue = self.queue()
        done = self._done_at_the_head(queue, said) if filters.state in (TO_READ, Standing.OPEN) else 0
        for entry in islice(queue.entries, done, None):
            if (
                (not filters.programme or entry.programme == filters.programme)
                and (filters.since is None or entry.night >= filters.since)
                and (filters.until is None or entry.night <= filters.until)
                and self._is_in(filters.state, entry, said.get(entry.photo_id, ()), user.name)
            ):
                yield entry

    def _done_at_the_head(self, queue: Queue, said: Mapping[str, Sequence[Decision]]) -> int:
        """How many entries from the first on want nobody's answer: they grow by thousands, and are not looked at each time.

        An answer that reopens one of them is seen after ``HEAD_FOR_S``.
        """
        known, since, done = self._head
        now = time.monotonic()
        if known is not queue or now - since >= HEAD_FOR_S:
            since, done = now, 0
        for entry in islice(queue.entries, done, None):
            if not is_done(self.standing(entry, said.get(entry.photo_id, ()))):
                break
            done += 1
        self._head = queue, since, done
        return done

    def _is_in(self, state: str, entry: QueueEntry, decisions: Sequence[Decision], reader: str) -> bool:
        """Whether a photo is in one of ``filters.STATES`` for this reader."""
        if not decisions:
            return state in (ALL, TO_READ, Standing.OPEN)
        if state == TO_READ:
            return waits_for(self.standing(entry, decisions), decisions, reader)
        if state == READ_BY_ME:
            return has_answered(decisions, reader)
        return state == ALL or self.standing(entry, decisions) == state

    def counts(self) -> dict[str, Counter[str]]:
        """How many photos of each programme stand where."""
        said = self.decisions.by_photo()
        found: dict[str, Counter[str]] = {}
        for entry in self.queue().entries:
            state = self.standing(entry, said.get(entry.photo_id, ()))
            found.setdefault(entry.programme, Counter())[state] += 1
        return dict(sorted(found.items()))

    def answer_form(self, entry: QueueEntry, user: User) -> Form:
        """The form of a photo's page: what an answer now would be is fixed here."""
        decisions = self.decisions.of(entry.photo_id)
        own = own_current(decisions, user.name)
        evidence = str(own["evidence"]) if own else evidence_to_give(self.standing(entry, decisions))
        return self._form(entry, user, ANSWER, evidence)

    def result_form(self, entry: QueueEntry, user: User) -> Form:
        """The form for a laboratory's result."""
        return self._form(entry, user, HISTOPATHOLOGY, HISTOPATHOLOGY)

    def _form(self, entry: QueueEntry, user: User, purpose: str, evidence: str) -> Form:
        was_blind = not self.may_see_the_answer(entry, user)
        return self.forms.new(user, purpose, photo_id=entry.photo_id, evidence=evidence, was_blind=was_blind)

    def save(self, form: Form, answer: Answer, entry: QueueEntry, user: User) -> None:
        """Keep an answer without ``problems``; once this returns it is in the store.

        A form that was saved before is not kept again. A reader who has answered before corrects that answer, as who gave
        a laboratory's result corrects that.
        """
        if self.decisions.is_recorded(form.decision_id):
            return
        is_result = form.evidence == HISTOPATHOLOGY
        own = own_current(self.decisions.of(entry.photo_id), user.name, is_result=is_result)
        row = decision_row(
            answer,
            form,
            entry,
            user,
            self.taxonomy,
            evidence=str(own["evidence"]) if own else form.evidence,
            # After the first answer the page shows what the model said.
            was_blind=form.was_blind and (own is None or is_result),
            corrects=str(own["decision_id"]) if own else None,
        )
        self.decisions.append(row)
        self.reading_now.close(entry.photo_id, user.name)

    def draft(self, entry: QueueEntry, user: User) -> Answer | None:
        """What this reader had filled in before the page was closed."""
        try:
            found = Answer.of(json.loads(self.store.get(paths.draft(user.name, entry.photo_id))))
        except (MissingObjectError, ValueError, AttributeError):
            return None
        self._drafts.add((user.name, entry.photo_id))
        return found

    def has_draft(self, photo_id: str, user: User) -> bool:
        """Whether a draft went through this process; another one's stays, and is not shown once there is an answer."""
        return (user.name, photo_id) in self._drafts

    def keep_draft(self, form: Form, answer: Answer) -> None:
        """Keep what is filled in, unless it was saved meanwhile."""
        if not self.decisions.is_recorded(form.decision_id):
            body = json.dumps(answer.fields(), ensure_ascii=False).encode()
            self._drafts.add((form.user, form.photo_id))
            self.store.put(paths.draft(form.user, form.photo_id), body)

    def drop_draft(self, photo_id: str, user: User) -> None:
        self._drafts.discard((user.name, photo_id))
        self.store.delete(paths.draft(user.name, photo_id))


def _answers(entry: QueueEntry, filters: Filters) -> bool:
    return (not filters.grade or entry.grade == filters.grade) and (
        not filters.reason or filters.reason in entry.reasons
    )


def _without(queue: Queue, withdrawn: People) -> Queue:
    """The queue without those who withdrew; who is not known by a pseudonym withdraws by the photo."""
    if not withdrawn:
        return queue
    nobody: frozenset[str] = frozenset()
    entries = tuple(
        e for e in queue.entries if not {e.patient, f"photo:{e.photo_id}"} & withdrawn.get(e.programme, nobody)
    )
    return Queue(entries, {e.photo_id: e for e in entries})


class _Withdrawals:
    """Who withdrew, listed now and then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._people: People = {}
        self._look = LookingAgain(self._list, WITHDRAWALS_LISTED_EVERY_S)

    def people(self) -> People:
        self._look.if_it_is_time()
        return self._people

    def _list(self) -> None:
        self._people = withdrawn_people(self._store)
