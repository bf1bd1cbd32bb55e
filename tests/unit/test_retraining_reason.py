"""When a retraining is due, counted on corpora and snapshots in a real store."""

from pathlib import Path

import pytest

from screening.contracts import CORPUS
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.tables import write_table
from screening.settings import Settings
from screening.tasks.context import NightContext
from screening.tasks.retraining import cause_of_run, retraining_due


def a_row(number: int, strength: str = "histopathology", disease: str = "nevus") -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(CORPUS.schema.names)
    photo_id = f"{number:032x}"
    return row | {
        "photo_id": photo_id, "photo": f"photos/{photo_id}.jpg", "disease": disease, "source_label": disease,
        "label_strength": strength, "patient": f"north/{number}", "lesion": f"north/{number}", "source": "north",
        "kind": "clinical", "has_other_view_in": "",
    }  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> NightContext:
    store = FolderStore(tmp_path)
    return NightContext(Settings(), store, store)


def put(context: NightContext, key: str, *rows: dict[str, object]) -> None:
    write_table(context.results, key, CORPUS.table(list(rows)), CORPUS)


def test_labels_are_reason_enough_from_the_number_on_that_is_asked(context: NightContext) -> None:
    put(context, paths.CORPUS_TABLE, a_row(1), a_row(2, "consensus"), a_row(3, "single_reader"))

    assert retraining_due("labels", 2, context).is_due
    decided = retraining_due("labels", 3, context)
    assert not decided.is_due
    assert decided.line == "not trained: 2 new strong labels since the last snapshot, expected 3 or more"


def test_only_what_the_newest_snapshots_lack_is_new_and_a_label_that_became_strong_or_another_is(
    context: NightContext,
) -> None:
    put(context, paths.snapshot("2026-10-01-aaaaaaaaaaaa"), a_row(1), a_row(4))
    put(context, paths.snapshot("2026-11-01-bbbbbbbbbbbb"), a_row(1), a_row(2, "single_reader"), a_row(3))
    put(context, paths.CORPUS_TABLE, a_row(1), a_row(2), a_row(3, disease="melanoma"), a_row(4))

    assert "3 new strong labels" in retraining_due("hand", 100, context).line


def test_the_months_turn_needs_something_new_and_drift_and_a_person_need_nothing(context: NightContext) -> None:
    assert not retraining_due("schedule", 100, context).is_due
    assert retraining_due("drift", 100, context).line == "drift was raised; 0 new strong labels since the last snapshot"
    assert retraining_due("hand", 100, context).is_due

    put(context, paths.CORPUS_TABLE, a_row(1))
    assert retraining_due("schedule", 100, context).is_due


@pytest.mark.parametrize(
    ("run_type", "assets", "cause"),
    [
        ("manual", [], "hand"),
        ("scheduled", [], "schedule"),
        ("asset_triggered", ["screening_corpus"], "labels"),
        ("asset_triggered", ["screening_corpus", "screening_drift"], "drift"),
    ],
)
def test_what_started_a_run_is_told_by_its_kind_and_its_events(run_type: str, assets: list[str], cause: str) -> None:
    assert cause_of_run(run_type, assets) == cause
