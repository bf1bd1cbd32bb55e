"""Every bad input of one night ends as one row that says what happened, and spoils no good photo beside it."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from screening.edges import paths
from screening.tasks import audit, grade, infer, open_night, prepare, publish, report
from screening.tasks.upload import upload_folder
from tests.integration.nights import (
    NEXT_NIGHT,
    NIGHT,
    PROGRAMME,
    Rows,
    distinct,
    manifest,
    photo_id_of,
    read_rows,
    run_screening,
)
from tests.unit.photo_files import jpeg_that_claims, saved

pytestmark = pytest.mark.stack

GOOD = 4


@dataclass(frozen=True)
class File:
    """What an upload holds, and what becomes of it; ``shape``: width and height that its row has."""

    body: bytes
    outcome: str
    reason: str | None = None
    shape: tuple[int, int] | None = None


def broken_files(photo):
    """Everything that is no photo, or not one that can be read."""
    moving = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    animation = {"save_all": True, "append_images": moving[1:]}
    png = bytearray(saved(Image.open(io.BytesIO(photo)), "PNG"))
    png[len(png) // 2 : len(png) // 2 + 64] = bytes(64)
    gif = saved(moving[0], "GIF", **animation)
    return {
        "truncated.jpg": File(photo[: len(photo) // 2], "refused", "truncated", (800, 600)),
        "only-a-header.jpg": File(photo[:64], "refused", "undecodable"),
        "damaged.png": File(bytes(png), "refused", "undecodable", (800, 600)),
        "empty.jpg": File(b"", "refused", "empty_file"),
        "letter.jpg": File(b"Dear programme, the photos follow tomorrow.\n", "refused", "not_an_accepted_format"),
        "drawing.svg": File(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "refused", "not_an_accepted_format"),
        "letter.pdf": File(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "refused", "not_an_accepted_format"),
        "animated.gif": File(gif, "refused", "not_an_accepted_format"),
        "animated-gif-called.jpg": File(gif + b" ", "refused", "not_an_accepted_format"),
        "animated.png": File(saved(moving[0], "PNG", **animation), "refused", "animated"),
        "animated.webp": File(saved(moving[0], "WEBP", **animation), "refused", "animated"),
        "bomb.png": File(saved(Image.new("1", (20_000, 10_000)), "PNG"), "refused", "too_many_pixels"),
        "bomb.jpg": File(jpeg_that_claims(65_000, 65_000), "refused", "too_many_pixels"),
        ".DS_Store": File(b"\0\0\0\1Bud1\0", "refused", "not_an_accepted_format"),
    }


def unusual_photos(photo):
    """Photos as few cameras make them, and as programs leave them: all can be judged."""
    image = Image.open(io.BytesIO(photo))
    sideways = Image.Exif()
    sideways[ExifTags.Base.Orientation] = 6
    deep = np.asarray(image, np.uint16)[..., ::-1] * 257
    return {
        "cmyk.jpg": File(saved(image.convert("CMYK"), "JPEG", quality=95), "graded"),
        "sixteen-bit.png": File(cv2.imencode(".png", deep)[1].tobytes(), "graded"),
        "sixteen-bit-grey.png": File(cv2.imencode(".png", deep[..., 1])[1].tobytes(), "graded"),
        "palette.png": File(saved(image.quantize(256), "PNG"), "graded"),
        "transparent.png": File(saved(image.convert("RGBA"), "PNG"), "graded"),
        "grey.jpg": File(saved(image.convert("L"), "JPEG", quality=95), "graded"),
        "sideways.jpg": File(saved(image.rotate(90, expand=True), "JPEG", quality=95, exif=sideways), "graded", None, (600, 800)),
        "photo.webp": File(saved(image, "WEBP", quality=95), "graded"),
    }  # fmt: skip


NAMES = [
    "no-extension",
    "folder/below a folder/photo.jpg",
    "Müttermal 雀斑 😀.jpg",
    "nfc-\u00e9.jpg",
    "nfd-e\u0301.jpg",
    "line\nbreak.jpg",
    "tab\tand\rreturn.jpg",
    "bell\x07delete\x7f.jpg",
    " spaces at both ends ",
    "...",
    "..jpg",
    "-rf",
    "=cmd|' /C calc'!A0.jpg",
    "<script>alert(1)<\u2044script>.jpg",
    "'quotes\"and`ticks`$(id).jpg",
    "%2e%2e%2fescaped.jpg",
    "back\\slash\\xe9.jpg",
    "\u202egnp.right-to-left.jpg",
    "a" * 251 + ".jpg",
    "é" * 125 + ".jpeg",
]


def hostile_names(photo):
    return {name: File(distinct(photo, f"name {number}"), "graded") for number, name in enumerate(NAMES)}


def manifests(photo):
    """Folders whose manifest is wrong; their photos are graded all the same."""
    wrong = manifest(
        [
            {"file": "old.jpg", "patient_id": "ada", "age_years": 300, "sex": "x", "fitzpatrick": 9, "shoe": 38},
            {"file": "negative.jpg", "patient_id": "bea", "age_years": -1, "sex": "f", "fitzpatrick": 2, "shoe": ""},
            {"file": "twice.jpg", "patient_id": "cleo", "age_years": 40, "sex": "f", "fitzpatrick": 1, "shoe": ""},
            {"file": "twice.jpg", "patient_id": "dora", "age_years": 50, "sex": "f", "fitzpatrick": 1, "shoe": ""},
            {"file": "never-sent.jpg", "patient_id": "eve", "age_years": 60, "sex": "f", "fitzpatrick": 1, "shoe": ""},
        ]
    )
    bodies = {"empty-manifest": b"", "wrong-manifest": wrong, "photo-as-manifest": photo}
    photos = {
        "empty-manifest/a.jpg": "",
        "wrong-manifest/old.jpg": "",
        "wrong-manifest/negative.jpg": "",
        "wrong-manifest/twice.jpg": "",
        "photo-as-manifest/b.jpg": "",
    }
    return (
        {f"{folder}/manifest.csv": body for folder, body in bodies.items()},
        {name: File(distinct(photo, name), "graded") for name in photos},
    )


ISSUES = {
    ("empty-manifest", 0, "empty", ""),
    ("photo-as-manifest", 0, "unreadable", ""),
    ("wrong-manifest", 1, "unknown_column", "shoe"),
    ("wrong-manifest", 2, "invalid_value", "age_years"),
    ("wrong-manifest", 2, "invalid_value", "sex"),
    ("wrong-manifest", 2, "invalid_value", "fitzpatrick"),
    ("wrong-manifest", 3, "invalid_value", "age_years"),
    ("wrong-manifest", 4, "duplicate_file", "file"),
    ("wrong-manifest", 5, "duplicate_file", "file"),
    ("wrong-manifest", 6, "unknown_file", "file"),
}


@pytest.fixture(scope="module")
def good(photos):
    return {f"good-{n}.jpg": File(photo, "graded") for n, photo in enumerate(photos.good[:GOOD])}


@pytest.fixture(scope="module")
def upload(good, photos):
    """Every file of the bad night, manifests apart: name to what becomes of it."""
    base = photos.good[GOOD]
    twice = distinct(base, "twice")
    return (
        good
        | broken_files(base)
        | unusual_photos(base)
        | hostile_names(base)
        | manifests(base)[1]
        | {"blurred.jpg": File(photos.blurred, "refused", shape=(800, 600))}
        | {"twice-a.jpg": File(twice, "graded"), "twice-b.jpg": File(twice, "duplicate", "same_bytes")}
    )


@dataclass(frozen=True)
class Folder:
    """The bad night as a folder of files, and what becomes of each, by the name that its row has."""

    path: Path
    expected: dict[str, File]


@pytest.fixture(scope="module")
def folder(upload, good, photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("bad") / "photos"
    base = photos.good[GOOD]
    bodies = {name: file.body for name, file in upload.items()} | manifests(base)[0]
    for name, body in bodies.items():
        write(path / name, body)
    not_utf8 = distinct(base, "not UTF-8")
    write(path / os.fsdecode(b"caf\xe9.jpg"), not_utf8)
    # A key is text: the byte that is none is escaped, and so is a backslash that would read as such an escape.
    expected = upload | {"caf\\xe9.jpg": File(not_utf8, "graded")} | links(path, good, base)
    expected["back\\slash\\x5cxe9.jpg"] = expected.pop("back\\slash\\xe9.jpg")
    return Folder(path, expected)


def write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def links(folder, good, photo):
    """Links, which stand for the file they lead to, and what is no file at all."""
    elsewhere = folder.parent / "elsewhere"
    outside = distinct(photo, "outside")
    write(elsewhere / "photo.jpg", outside)
    (folder / "link-to-a-photo-outside.jpg").symlink_to(elsewhere / "photo.jpg")
    (folder / "link-to-a-photo.jpg").symlink_to("good-0.jpg")
    (folder / "link-to-a-folder").symlink_to(elsewhere)
    (folder / "link-to-nothing.jpg").symlink_to("gone.jpg")
    (folder / "link-to-itself.jpg").symlink_to("link-to-itself.jpg")
    os.mkfifo(folder / "pipe.jpg")
    no_files = ("link-to-a-folder", "link-to-nothing.jpg", "link-to-itself.jpg", "pipe.jpg")
    return dict.fromkeys(no_files, File(b"", "failed", "unreadable_file")) | {
        "link-to-a-photo-outside.jpg": File(outside, "graded"),
        "link-to-a-photo.jpg": File(good["good-0.jpg"].body, "duplicate", "same_bytes"),
    }


@dataclass(frozen=True)
class Night:
    """What a night made of the upload: rows of its tables, and the figures of its summary."""

    expected: dict[str, File]
    summary: dict[str, Any]
    photos: Rows
    grades: Rows
    quality: Rows
    issues: Rows


TABLES = ("photos", "grades", "quality", "manifest_issues")


@pytest.fixture(scope="module")
def screened_folder(stack, folder):
    """The folder through ``screening screen``."""
    triton, place = stack.environment["SCREENING_TRITON_URL"], folder.path.parent
    done = run_screening(place, "screen", "photos", "--out", "out", SCREENING_TRITON_URL=triton)
    assert done.returncode == 0, done.stderr
    out = place / "out"
    parts = [sorted((out / "tables" / table).rglob("*.parquet")) for table in TABLES]
    tables = [[row for part in of_table for row in read_rows(part)] for of_table in parts]
    return Night(folder.expected, json.loads((out / "summary.json").read_text()), *tables)


KEY_BYTES = 1024


def keys_of_s3(photo, prefix):
    """Keys that no folder can have, below the programme's day; together with ``prefix`` at most 1,024 bytes."""
    day = paths.upload(PROGRAMME, NIGHT, "")
    names = ["../../../etc/passwd", "..", "a//b.jpg", "/leading", "photo.jpg/", "x" * (KEY_BYTES - len(prefix + day))]
    return {day + name: File(distinct(photo, f"key {name[:20]}"), "graded") for name in names}


def misplaced_keys(photo):
    keys = ["uploads/photo.jpg", f"uploads/{PROGRAMME}/photo.jpg", f"uploads/{PROGRAMME}/2026-13-45/photo.jpg"]
    keys += [f"uploads//{NIGHT}/photo.jpg", f"uploads/{'p' * 201}/{NIGHT}/photo.jpg"]
    return {key: File(photo, "failed", "misplaced") for key in keys}


@pytest.fixture(scope="module")
def screened_bucket(new_site, folder, photos, stack):
    """The same upload through S3, and what only S3 can hold."""
    site = new_site("bad-input")
    uploader = site.context()
    with pytest.MonkeyPatch.context() as rights:
        for name, value in stack.uploads_environment.items():
            if name.startswith("AWS_"):
                rights.setenv(name, value)
        upload_folder(folder.path, PROGRAMME, NIGHT, uploader)
    photo = photos.good[GOOD]
    only_s3 = keys_of_s3(photo, "bad-input/") | misplaced_keys(photo)
    other_programme = {f"uploads/../{NIGHT}/photo.jpg": File(distinct(photo, "dots"), "graded")}
    for key, file in (only_s3 | other_programme).items():
        site.put(key, file.body)
    site.put(paths.upload(PROGRAMME, NIGHT, "a-folder-marker/"), b"")
    site.put(paths.upload(PROGRAMME, NEXT_NIGHT, "tomorrow.jpg"), photo)
    accounting = site.run(photos_per_batch=16)
    # What cannot be read cannot be uploaded.
    uploaded = {n: file for n, file in folder.expected.items() if file.reason != "unreadable_file"}
    expected = {paths.upload(PROGRAMME, NIGHT, n): file for n, file in uploaded.items()} | only_s3 | other_programme
    listed, grades, *others = [site.table(name) for name in TABLES]
    by_key = [[row | {"source_name": row["key"]} for row in table] for table in (listed, grades)]
    return Night(expected, vars(accounting), *by_key, *others)


@pytest.fixture(scope="module", params=["screened_folder", "screened_bucket"], ids=["folder", "S3"])
def night(request):
    return request.getfixturevalue(request.param)


def test_every_file_is_exactly_one_row(night):
    assert Counter(row["source_name"] for row in night.photos) == dict.fromkeys(night.expected, 1)


def test_every_file_ends_with_the_outcome_and_the_reason_it_deserves(night):
    found = {row["source_name"]: (row["outcome"], row["reason"]) for row in night.photos}
    # What refuses the blurred photo is the filters' own affair.
    expected = {
        n: (f.outcome, found[n][1] if n.endswith("blurred.jpg") else f.reason) for n, f in night.expected.items()
    }
    assert {n: found[n] for n in found if found[n] != expected[n]} == {}


def test_every_row_that_is_not_graded_says_what_was_found_and_what_to_do(night):
    for row in night.photos:
        if row["outcome"] in ("refused", "failed"):
            assert row["reason_text"], row["source_name"]
            assert row["advice"], row["source_name"]


def test_the_night_adds_up(night):
    summary = night.summary
    outcomes = Counter(file.outcome for file in night.expected.values())
    assert {name: summary[name] for name in ("graded", "refused", "failed", "duplicate")} == dict(outcomes)
    assert summary["listed"] == len(night.expected) == outcomes.total()
    assert sum(summary["per_grade"].values()) == summary["graded"] == len(night.grades)


def test_a_file_that_was_read_is_known_by_its_bytes(night):
    ids = {row["source_name"]: row["photo_id"] for row in night.photos}
    bodies = {name: file.body for name, file in night.expected.items() if file.body and file.outcome != "failed"}
    assert {name: ids[name] for name in bodies} == {name: photo_id_of(body) for name, body in bodies.items()}


def test_width_and_height_are_those_of_the_file(night):
    shapes = {row["source_name"]: (row["width_px"], row["height_px"]) for row in night.photos}
    claimed = {name: file.shape for name, file in night.expected.items() if file.shape}
    assert {name: shapes[name] for name in claimed} == claimed


def test_the_second_file_with_the_same_bytes_names_the_first(night):
    [row] = [row for row in night.photos if row["source_name"].endswith("twice-b.jpg")]
    assert row["duplicate_of"].endswith("twice-a.jpg")


def test_only_the_grey_photos_are_called_grey(night):
    name_of = {row["photo_id"]: row["source_name"].rsplit("/", 1)[-1] for row in night.photos}
    assert {name_of[row["photo_id"]] for row in night.quality if row["is_greyscale"]} == {
        "grey.jpg",
        "sixteen-bit-grey.png",
    }


def test_every_fault_of_a_manifest_is_a_row(night):
    found = [(r["manifest"].split("/")[-2], r["line"], r["issue"], r["column"]) for r in night.issues]
    assert set(found) == ISSUES
    assert len(found) == len(ISSUES)


def test_a_manifest_that_is_wrong_says_nothing_false_of_its_photos(night):
    said = {
        row["source_name"].rsplit("/", 1)[-1]: [
            row[c] is not None for c in ("patient", "age_years", "sex", "fitzpatrick")
        ]
        for row in night.photos
        if "wrong-manifest/" in row["source_name"]
    }
    assert said == {
        "old.jpg": [True, False, False, False],
        "negative.jpg": [True, False, True, True],
        "twice.jpg": [False, False, False, False],
    }


@pytest.fixture(scope="module")
def good_alone(new_site, good):
    """Grades of a night with nothing but the good photos."""
    site = new_site("only-good")
    site.upload({name: file.body for name, file in good.items()})
    site.run()
    return {row["photo_id"]: row for row in site.table("grades")}


def test_the_good_photos_have_the_grades_of_a_night_without_the_bad_ones(night, good_alone):
    assert len(good_alone) == GOOD
    beside_bad_ones = {row["photo_id"]: row for row in night.grades}
    of_the_place = ("key", "source_name", "programme", "code_revision")
    for photo_id, alone in good_alone.items():
        beside = beside_bad_ones[photo_id]
        assert {n: v for n, v in beside.items() if n not in of_the_place} == {
            n: v for n, v in alone.items() if n not in of_the_place
        }


def test_an_object_deleted_or_replaced_after_it_was_listed_is_a_row_and_its_neighbours_are_graded(new_site, photos):
    site = new_site("changing")
    first, second, third, newer = (distinct(photo, "changing") for photo in photos.good[:4])
    site.upload({"kept.jpg": first, "deleted.jpg": second, "replaced.jpg": third})
    context = site.context()
    plan = open_night(NIGHT, context)
    site.delete(paths.upload(PROGRAMME, NIGHT, "deleted.jpg"))
    site.upload({"replaced.jpg": newer})
    for batch in range(len(plan.batch_sizes)):
        prepare(plan.run_id, batch, context)
        infer(plan.run_id, batch, context)
    for task in (grade, audit, publish, report):
        task(plan.run_id, context)
    assert {row["source_name"]: (row["outcome"], row["reason"]) for row in site.table("photos")} == {
        "kept.jpg": ("graded", None),
        "deleted.jpg": ("failed", "deleted_before_fetch"),
        "replaced.jpg": ("failed", "changed_before_fetch"),
    }
    assert {row["photo_id"] for row in site.table("grades")} == {photo_id_of(first)}
    # The bytes that nobody has graded are not lost: the next night has them.
    open_night(NIGHT + timedelta(days=1), context)
    assert [row["key"] for row in site.ledger(NEXT_NIGHT)] == [paths.upload(PROGRAMME, NIGHT, "replaced.jpg")]
