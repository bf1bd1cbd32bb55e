"""A results store with one made-up night in it, and clinicians who decide about its photos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from screening.contracts import LEDGER, REVIEW_QUEUE, Contract, Outcome
from screening.cutoffs import QualityCutoffs
from screening.edges import paths
from screening.edges.decision_log import append_decisions
from screening.edges.folder_store import FolderStore
from screening.edges.tables import read_table, write_table
from screening.settings import Settings
from screening.tasks.context import NightContext, Plan, run_id_of
from screening.tasks.review_queue import publish_review_queue
from screening.tasks.staged import published_contracts
from tests.unit.made_up_night import CLASSES, CUTOFFS, NIGHT, MadeUpNight, Upload, night_of, photo_id_of, with_value

KEY = "a key of the pseudonyms, 32 characters"
DAY = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

Row = dict[str, Any]


def some_uploads(programme: str = "coast") -> list[Upload]:
    """One person with a dangerous and a high-risk photo, another with a low-risk one, and one of nobody."""
    return [
        Upload("anna-1.jpg", grade="dangerous", patient="anna", lesion="back", programme=programme),
        Upload("anna-2.jpg", grade="high_risk", patient="anna", programme=programme),
        Upload("bert.jpg", patient="bert", programme=programme),
        Upload("nobody.jpg", grade="dangerous", programme=programme),
    ]


@dataclass(frozen=True)
class ReviewSite:
    """Folders that stand for both stores, with what the tasks need."""

    folder: Path
    review_rules: str | None = None

    @property
    def context(self) -> NightContext:
        store = FolderStore(self.folder)
        settings = Settings(
            uploads=f"file://{self.folder}",
            results=f"file://{self.folder}",
            model_repository=str(self.folder / "models"),
            pseudonym_key=KEY,
            review_rules=self.review_rules,
        )
        return NightContext(settings, store, store)

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder)

    def publish(
        self, uploads: Iterable[Upload], *, night: date = NIGHT, without_consent: Iterable[str] = ()
    ) -> MadeUpNight:
        """Publish a night of these uploads as the pipeline does, with working copies and the review queue."""
        made = night_of(*uploads)
        refusing = {photo_id_of(name) for name in without_consent}
        consents = [photo_id not in refusing for photo_id in made.tables["photos"]["photo_id"].to_pylist()]
        photos = made.tables["photos"]
        for row, consent in enumerate(consents):
            photos = with_value(photos, "has_training_consent", consent, [row])
        made = made.changed("photos", lambda _: photos)
        for programme in sorted(set(photos["programme"].to_pylist())):
            for name, contract in published_contracts(CLASSES).items():
                table = made.tables[name]
                rows = table.filter(pc.equal(table["programme"], programme))
                self.write(paths.published(name, programme, night), rows, contract)
        for photo_id in made.tables["grades"]["photo_id"].to_pylist():
            self.store.put(paths.working_copy(run_id_of(night), photo_id), f"pixels of {photo_id}".encode())
        outcomes = dict(zip(photos["key"].to_pylist(), photos["photo_id"].to_pylist(), strict=True))
        ledger = [
            row | {"photo_id": outcomes[row["key"]], "outcome": Outcome.GRADED, "night": night}
            for row in made.ledger.to_pylist()
        ]
        self.write(paths.ledger(night), LEDGER.table(ledger), LEDGER)
        publish_review_queue(plan_of(night), made.tables, self.context)
        return made

    def write(self, key: str, table: pa.Table, contract: Contract) -> None:
        write_table(self.store, key, table, contract)

    def decide(self, name: str, disease: str | None = "melanoma", **changed: Any) -> str:
        """Write what a reader decided about the photo of this name; returns the id of the decision."""
        row = a_decision(name, disease, **changed)
        append_decisions(self.store, [row])
        return str(row["decision_id"])

    def rows(self, table: str, contract: Contract, programme: str = "coast", night: date = NIGHT) -> list[Row]:
        rows: list[Row] = read_table(self.store, paths.published(table, programme, night), contract).to_pylist()
        return rows

    def queue(self, programme: str = "coast") -> list[Row]:
        return self.rows("review_queue", REVIEW_QUEUE, programme)

    def objects(self, *prefixes: str) -> dict[str, bytes]:
        return {f.key: self.store.get(f.key) for prefix in prefixes for page in self.store.pages(prefix) for f in page}


def plan_of(night: date) -> Plan:
    """The plan of a run, as far as the queue reads it."""
    return Plan(run_id_of(night), night, [1], "r0001", "test", DAY, QualityCutoffs(), CUTOFFS)


def a_decision(name: str, disease: str | None = "melanoma", **changed: Any) -> Row:
    """A row of ``DECISIONS``; its id follows from what it says."""
    row: Row = {
        "photo_id": photo_id_of(name),
        "programme": "coast",
        "night": NIGHT,
        "reader": "dr-lee",
        "decided_at_utc": DAY,
        "recorded_at_utc": DAY + timedelta(seconds=1),
        "source": "pages",
        "evidence": "reading",
        "answer": "disease" if disease else "cannot_tell",
        "disease": disease,
        "grade": None,
        "photo_quality": None,
        "comment": None,
        "was_blind": True,
        "seconds": 12.5,
        "corrects": None,
        "shown_grade": None,
        "release": None,
    } | changed
    return {"decision_id": hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:32]} | row
