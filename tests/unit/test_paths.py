"""Keys of everything that is read or written."""

from __future__ import annotations

from datetime import date

import pytest

from screening.edges import paths
from screening.edges.paths import PublishedKey, UploadKey

NIGHT = date(2026, 11, 20)


def test_the_published_layout_is_the_one_that_readers_rely_on():
    assert paths.published("grades", "north", NIGHT) == "tables/grades/programme=north/night=2026-11-20/part-0.parquet"
    assert paths.ledger(NIGHT) == "tables/ledger/night=2026-11-20/part-0.parquet"
    assert paths.staged_batch("r1", "photos", 7) == "runs/r1/photos/batch-00007.parquet"
    assert paths.staged_table("r1", "referrals") == "runs/r1/referrals.parquet"
    assert paths.working_copy("r1", "ab12") == "runs/r1/working/ab12.jpg"
    assert paths.run_plan("r1") == "runs/r1/plan.json"


@pytest.mark.parametrize(
    "source_name", ["mole.jpg", "a/b/mole.jpg", "2026-11-20/mole.jpg", "../mole.jpg", "new\nline", " "]
)
def test_an_upload_key_is_taken_apart_as_it_was_put_together(source_name):
    key = paths.upload("north", NIGHT, source_name)
    assert paths.parse_upload_key(key) == UploadKey("north", NIGHT, source_name)


@pytest.mark.parametrize(
    "key",
    [
        "", "uploads/", "uploads/north", "uploads/north/2026-11-20", "uploads/north/2026-11-20/", "uploads//2026-11-20/a",
        "uploads/north/20261120/a", "uploads/north/2026-W47-5/a", "uploads/north/2026-13-01/a", "uploads/north/2026-11-31/a",
        "uploads/north/2026-11-20 /a", "uploads/north/\u0662026-11-20/a", "Uploads/north/2026-11-20/a", "north/2026-11-20/a",
        "/uploads/north/2026-11-20/a",
    ],
)  # fmt: skip
def test_a_key_of_another_form_is_no_upload(key):
    assert paths.parse_upload_key(key) is None


def test_a_programme_is_an_upload_as_long_as_its_folder_can_have_a_name():
    assert paths.parse_upload_key(paths.upload("p" * 200, NIGHT, "a")) is not None
    assert paths.parse_upload_key(paths.upload("p" * 201, NIGHT, "a")) is None
    assert paths.parse_upload_key(paths.upload("é" * 33, NIGHT, "a")) is not None  # six bytes each: %C3%A9
    assert paths.parse_upload_key(paths.upload("é" * 34, NIGHT, "a")) is None


@pytest.mark.parametrize(
    "programme", ["north", "..", ".", "a=b", "a%2Fb", "São Paulo", "new\nline", "back\\slash", "a b+c"]
)
def test_no_programme_leaves_its_folder_and_each_is_read_back(programme):
    key = paths.published("grades", programme, NIGHT)
    assert key.count("/") == 4
    assert ".." not in key.split("/")
    assert paths.parse_published_key(key) == PublishedKey("grades", programme, NIGHT)


@pytest.mark.parametrize(
    "key", ["tables/grades/part-0.parquet", "tables/ledger/night=2026-11-20/part-0.parquet", "runs/x"]
)
def test_another_key_is_no_published_table(key):
    assert paths.parse_published_key(key) is None


def test_the_night_of_a_ledger_is_read_from_its_key():
    assert paths.parse_ledger_key(paths.ledger(NIGHT)) == NIGHT
    assert paths.parse_ledger_key("tables/ledger/night=2026-11-31/part-0.parquet") is None
    assert paths.parse_ledger_key("tables/ledger/night=2026-11-20/part-1.parquet") is None


@pytest.mark.parametrize("run_id", ["..", ".", "a/b", "scheduled__2026-11-20T22:00:00+00:00"])
def test_a_run_has_one_folder_of_its_own_whatever_its_name(run_id):
    _, folder, rest = paths.run_prefix(run_id).split("/")
    assert folder not in ("", ".", "..")
    assert rest == ""
