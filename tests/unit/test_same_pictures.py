"""A night names the photos whose picture the programme sent before, and run again names the same."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from screening.contracts import LEDGER, QUALITY
from screening.cutoffs import GradeCutoffs, QualityCutoffs
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.tables import write_table
from screening.settings import Settings
from screening.tasks import NightContext
from screening.tasks.context import Plan
from screening.tasks.same_pictures import name_same_pictures
from tests.unit.made_up_night import NIGHT, Upload, night_of, photo_id_of, with_value

CLAIMED = datetime(2026, 11, 21, 1, tzinfo=UTC)
PLAN = Plan(f"night-{NIGHT}", NIGHT, [1], "r0001", "test", CLAIMED, QualityCutoffs(), GradeCutoffs("g", 0.2, 0.3))


@pytest.fixture
def context(tmp_path):
    store = FolderStore(tmp_path)
    return NightContext(Settings(same_picture_days=30), store, store)


def tables_of(*uploads, pictures):
    """Tables of the uploads; photos of one picture have one hash."""
    tables = night_of(*uploads).tables
    quality = tables["quality"]
    hash_of = {photo_id_of(name): f"{ord(picture):02x}" * 44 for name, picture in pictures.items()}
    for row, photo_id in enumerate(quality["photo_id"].to_pylist()):
        quality = with_value(quality, "perceptual_hash", hash_of.get(photo_id), [row])
    return tables["photos"], quality


def publish(context, name, picture, *, days_back, claimed=CLAIMED - timedelta(hours=1), programme="coast"):
    """One photo of an earlier night."""
    night = NIGHT - timedelta(days=days_back)
    _, quality = tables_of(Upload(name, programme=programme), pictures={name: picture})
    write_table(context.results, paths.published("quality", programme, night), quality, QUALITY)
    row = {"key": name, "etag": "e", "size_bytes": 1, "programme": programme, "night": night, "claimed_at_utc": claimed}
    write_table(context.results, paths.ledger(night), LEDGER.table([row]), LEDGER)


def named(context, *uploads, pictures):
    photos, quality = tables_of(*uploads, pictures=pictures)
    rows = photos.to_pylist()
    name_same_pictures(rows, quality, PLAN, context)
    return {row["source_name"]: row["same_picture_as"] for row in rows}


def test_the_first_photo_of_the_night_is_named_by_those_after_it(context):
    names = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    found = named(context, *map(Upload, names), pictures=dict(zip(names, "xAxx", strict=True)))
    first = photo_id_of("a.jpg")
    assert found == {"a.jpg": None, "b.jpg": None, "c.jpg": first, "d.jpg": first}


def test_a_refused_photo_is_compared_as_well(context):
    uploads = (Upload("a.jpg", outcome="refused", reason="too_dark"), Upload("b.jpg"))
    assert named(context, *uploads, pictures={"a.jpg": "x", "b.jpg": "x"})["b.jpg"] == photo_id_of("a.jpg")


def test_a_duplicate_names_the_bytes_that_it_repeats_and_no_picture(context):
    uploads = (Upload("a.jpg"), Upload("b.jpg", outcome="duplicate", same_as="a.jpg"))
    assert named(context, *uploads, pictures={"a.jpg": "x"})["b.jpg"] is None


def test_flat_frames_are_not_the_same_picture(context):
    assert named(context, Upload("a.jpg"), Upload("b.jpg"), pictures={}) == {"a.jpg": None, "b.jpg": None}


def test_the_oldest_night_is_named_before_this_one(context):
    publish(context, "older.jpg", "x", days_back=9)
    publish(context, "newer.jpg", "x", days_back=2)
    found = named(context, Upload("a.jpg"), Upload("b.jpg"), pictures={"a.jpg": "x", "b.jpg": "x"})
    assert set(found.values()) == {photo_id_of("older.jpg")}


@pytest.mark.parametrize(("days_back", "is_found"), [(30, True), (31, False), (0, False), (-1, False)])
def test_a_picture_is_looked_for_in_the_last_nights_alone(context, days_back, is_found):
    publish(context, "old.jpg", "x", days_back=days_back)
    expected = photo_id_of("old.jpg") if is_found else None
    assert named(context, Upload("a.jpg"), pictures={"a.jpg": "x"}) == {"a.jpg": expected}


def test_a_night_that_was_back_filled_since_changes_nothing(context):
    publish(context, "old.jpg", "x", days_back=2, claimed=CLAIMED + timedelta(hours=1))
    assert named(context, Upload("a.jpg"), pictures={"a.jpg": "x"}) == {"a.jpg": None}


def test_what_another_programme_sent_is_not_told(context):
    publish(context, "old.jpg", "x", days_back=2, programme="hills")
    uploads = (Upload("a.jpg", programme="bay"), Upload("b.jpg"))
    assert named(context, *uploads, pictures={"a.jpg": "x", "b.jpg": "x"}) == {"a.jpg": None, "b.jpg": None}


def test_a_refused_photo_that_is_sent_again_is_not_its_own_copy(context):
    publish(context, "a.jpg", "x", days_back=2)
    assert named(context, Upload("a.jpg"), pictures={"a.jpg": "x"}) == {"a.jpg": None}


def test_a_night_that_was_published_without_hashes_is_left_out_and_told(context, tmp_path, caplog):
    publish(context, "old.jpg", "x", days_back=2)
    file = tmp_path / paths.published("quality", "coast", date(2026, 11, 18))
    pq.write_table(pq.read_table(file).drop_columns(["perceptual_hash"]), file)
    with caplog.at_level(logging.WARNING):
        assert named(context, Upload("a.jpg"), pictures={"a.jpg": "x"}) == {"a.jpg": None}
    assert "night=2026-11-18" in caplog.text


@pytest.mark.parametrize(
    "unmeasured",
    [
        ["crust_score", "object_score"],
        [
            "colour_cast_stops",
            "lettering_score",
            "face_score",
            "crust_score",
            "object_score",
            "lesion_cut_score",
            "skin_ita_deg",
        ],
    ],
)
def test_a_night_from_before_the_latest_measures_is_compared(context, tmp_path, unmeasured):
    publish(context, "old.jpg", "x", days_back=2)
    file = tmp_path / paths.published("quality", "coast", NIGHT - timedelta(days=2))
    pq.write_table(pq.read_table(file).drop_columns(unmeasured), file)
    assert named(context, Upload("a.jpg"), pictures={"a.jpg": "x"}) == {"a.jpg": photo_id_of("old.jpg")}
