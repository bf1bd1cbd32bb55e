"""A night run again remembers the photos that are gone by now."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from screening.contracts import PHOTOS, QUALITY
from screening.cutoffs import GradeCutoffs, QualityCutoffs
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.tables import write_table
from screening.settings import Settings
from screening.tasks import NightContext
from screening.tasks.context import Plan
from screening.tasks.earlier_run import EarlierRun
from tests.unit.made_up_night import NIGHT, Upload, night_of

RUN = f"night-{NIGHT}"
COPY_IS_GONE = Upload("copy-is-gone.jpg")
UPLOADS = (
    Upload("graded.jpg"),
    COPY_IS_GONE,
    Upload("refused.jpg", outcome="refused", reason="out_of_focus"),
    Upload("failed.jpg", outcome="failed", reason="inference_error"),
    Upload("again.jpg", outcome="duplicate", same_as="graded.jpg"),
)


@pytest.fixture
def context(tmp_path):
    store = FolderStore(tmp_path)
    context = NightContext(Settings(), store, store)
    plan = Plan(RUN, NIGHT, [5], "r0001", "c", datetime.now(UTC), QualityCutoffs(), GradeCutoffs("g", 0.2, 0.3))
    store.put(paths.run_plan(RUN), plan.to_json())
    for upload in UPLOADS:
        if upload is not COPY_IS_GONE:
            store.put(paths.working_copy(RUN, upload.photo_id), b"a working copy")
    return context


@pytest.fixture
def published(context):
    tables = night_of(*UPLOADS).tables
    for contract in (PHOTOS, QUALITY):
        write_table(context.results, paths.published(contract.name, "coast", NIGHT), tables[contract.name], contract)
    return {row["source_name"]: row for row in tables["photos"].to_pylist()}


def listed(row):
    """The row as ``prepare`` gets it: what is known before the bytes are read."""
    known = {"key", "etag", "size_bytes", "programme", "source_name", "patient", "lesion"}
    return {name: value if name in known else None for name, value in row.items()}


def remembered(context, row):
    rows = EarlierRun(RUN, context).rows_of(listed(row))
    assert rows is not None
    return rows


@pytest.mark.parametrize("name", ["graded.jpg", "failed.jpg"])
def test_a_photo_with_a_working_copy_is_inferred_again(context, published, name):
    prepared, _ = remembered(context, published[name])
    assert prepared["photo_id"] == published[name]["photo_id"]
    assert (prepared["outcome"], prepared["reason"]) == (None, None)


@pytest.mark.parametrize("name", ["refused.jpg", "again.jpg"])
def test_a_photo_that_was_not_graded_keeps_its_outcome(context, published, name):
    prepared, _ = remembered(context, published[name])
    kept = ("photo_id", "outcome", "reason", "reason_text", "advice", "duplicate_of")
    assert {column: prepared[column] for column in kept} == {column: published[name][column] for column in kept}


def test_its_row_of_quality_is_the_published_one(context, published):
    _, of_refused = remembered(context, published["refused.jpg"])
    assert (of_refused["photo_id"], of_refused["verdict"]) == (published["refused.jpg"]["photo_id"], "refused")


def test_a_graded_photo_without_a_working_copy_is_not_remembered(context, published):
    assert EarlierRun(RUN, context).rows_of(listed(published[COPY_IS_GONE.name])) is None


def test_other_bytes_under_the_same_key_are_not_remembered(context, published):
    row = listed(published["graded.jpg"]) | {"etag": "of other bytes"}
    assert EarlierRun(RUN, context).rows_of(row) is None


def test_a_night_that_was_never_published_remembers_nothing(context):
    row = {"key": "uploads/coast/2026-11-20/graded.jpg", "etag": "e", "programme": "coast"}
    assert EarlierRun(RUN, context).rows_of(row) is None
