"""The command ``screening``: what it writes, what it prints, and how it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path

import psutil
import pytest

from screening.edges.release import load_release
from screening.errors import EXIT_RETRY, EXIT_STOP
from tests.integration.nights import (
    MODEL_REPOSITORY,
    NIGHT,
    PROGRAMME,
    Rows,
    champion_classes,
    distinct,
    manifest,
    one_line,
    photo_id_of,
    read_rows,
    run_screening,
)

pytestmark = pytest.mark.stack

RELEASE = (MODEL_REPOSITORY / "champion").read_text().strip()


@pytest.fixture(scope="module")
def triton(stack):
    return {"SCREENING_TRITON_URL": stack.environment["SCREENING_TRITON_URL"]}


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """Two good photos, one of them twice, one out of focus, one cut off."""
    folder = tmp_path_factory.mktemp("cli") / "photos"
    (folder / "clinic").mkdir(parents=True)
    (folder / "one.jpg").write_bytes(photos.good[0])
    (folder / "clinic" / "two.jpg").write_bytes(photos.good[1])
    (folder / "clinic" / "two again.jpg").write_bytes(photos.good[1])
    (folder / "blurred.jpg").write_bytes(photos.blurred)
    (folder / "cut-off.jpg").write_bytes(photos.good[0][:9000])
    people = [{"file": "one.jpg", "patient_id": "Ada L.", "age_years": 36}]
    (folder / "manifest.csv").write_bytes(manifest(people))
    return folder


def tables_of(out: Path) -> dict[str, Rows]:
    return {
        folder.name: [row for part in sorted(folder.rglob("*.parquet")) for row in read_rows(part)]
        for folder in (out / "tables").iterdir()
    }


# screen


@pytest.fixture(scope="module")
def screened(folder, triton):
    """The folder that a screening wrote, and what it printed."""
    done = run_screening(folder.parent, "screen", "photos", "--out", "out", **triton)
    assert done.returncode == 0, done.stderr
    return folder.parent / "out", done.stdout


def test_screen_writes_what_came_out_into_summary_json(screened):
    out, _ = screened
    summary = json.loads((out / "summary.json").read_text())
    counts = {name: summary[name] for name in ("listed", "graded", "refused", "failed", "duplicate")}
    assert counts == {"listed": 5, "graded": 2, "refused": 2, "failed": 0, "duplicate": 1}
    assert summary["per_grade"].keys() == {"low_risk", "high_risk", "dangerous"}
    assert sum(summary["per_grade"].values()) == 2
    assert summary["photos_per_second"] == pytest.approx(5 / summary["seconds"], abs=0.01)
    assert summary["release"] == RELEASE


def test_screen_prints_the_accounting(screened):
    _, printed = screened
    header, numbers = (line.split() for line in printed.splitlines()[-3:-1])
    found = dict(zip(header, map(int, numbers), strict=True))
    assert {name: found[name] for name in ("listed", "graded", "refused", "failed", "duplicate")} == {
        "listed": 5,
        "graded": 2,
        "refused": 2,
        "failed": 0,
        "duplicate": 1,
    }
    assert found["low_risk"] + found["high_risk"] + found["dangerous"] == 2


def test_screen_writes_the_tables_with_the_promised_columns(screened, photos):
    tables = tables_of(screened[0])
    assert tables.keys() >= {"photos", "quality", "predictions", "grades", "referrals", "manifest_issues", "ledger"}
    names = {"one.jpg", "clinic/two.jpg", "clinic/two again.jpg", "blurred.jpg", "cut-off.jpg"}
    assert {row["source_name"] for row in tables["photos"]} == names
    assert {(row["photo_id"], row["source_name"]) for row in tables["grades"]} == {
        (photo_id_of(photos.good[0]), "one.jpg"),
        (photo_id_of(photos.good[1]), "clinic/two again.jpg"),
    }
    assert {row["photo_id"] for row in tables["quality"]} == {
        photo_id_of(photo) for photo in (*photos.good[:2], photos.blurred)
    }


def test_the_probability_of_a_grade_is_the_sum_of_its_diseases(screened):
    classes = champion_classes()
    for row in tables_of(screened[0])["grades"]:
        for grade in ("low_risk", "high_risk", "dangerous"):
            diseases = [d for d, of in zip(classes.class_ids, classes.grades, strict=True) if of == grade]
            assert row[f"p_{grade}"] == pytest.approx(sum(row[f"p_{disease}"] for disease in diseases))
        assert dict(zip(classes.class_ids, classes.grades, strict=True))[row["disease"]] == row["grade"]


def test_every_member_and_the_ensemble_have_a_prediction_for_every_graded_photo(screened):
    tables = tables_of(screened[0])
    members = {member.name for member in load_release(str(MODEL_REPOSITORY), RELEASE).members}
    found = {(row["photo_id"], row["member"]) for row in tables["predictions"]}
    assert found == {(row["photo_id"], member) for row in tables["grades"] for member in members | {"ensemble"}}


def test_screen_writes_a_report_that_needs_no_other_file(screened):
    [report] = (screened[0] / "reports").glob("night=*/report.html")
    page = report.read_text()
    assert "<html" in page
    assert 'src="http' not in page
    assert 'rel="stylesheet"' not in page


def test_no_name_of_a_person_is_in_anything_that_screen_writes(screened):
    written = [path for path in screened[0].rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path.name for path in written if b"Ada L." in path.read_bytes()] == []


def test_the_key_of_the_pseudonyms_is_for_its_owner_only(screened):
    assert stat.S_IMODE((screened[0] / "pseudonym.key").stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def observed(folder):
    """The same folder in mode ``observe``, with a Triton of its own, into a folder with an earlier screening."""
    out = folder.parent / "observed"
    (out / "runs" / "night-2020-02-02").mkdir(parents=True)
    (out / "tables" / "grades").mkdir(parents=True)
    (out / "tables" / "grades" / "old.parquet").write_bytes(b"of an earlier screening")
    words = ("screen", "photos", "--out", "observed", "--quality-mode", "observe")
    done = run_screening(folder.parent, *words, MARK_OF_THIS_TEST="observed")
    assert done.returncode == 0, done.stderr
    return out, done.stdout, processes_with("MARK_OF_THIS_TEST")


def processes_with(variable: str) -> list[psutil.Process]:
    """Living processes that inherited a variable, whoever is their parent by now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if variable in process.environ():
                found.append(process)
    return found


def test_observe_refuses_only_what_cannot_be_decoded(observed):
    tables = tables_of(observed[0])
    assert {row["source_name"] for row in tables["photos"] if row["outcome"] == "refused"} == {"cut-off.jpg"}
    assert {row["source_name"] for row in tables["grades"]} == {"one.jpg", "clinic/two again.jpg", "blurred.jpg"}


def test_observe_records_what_enforce_would_refuse(observed, photos):
    [row] = [row for row in tables_of(observed[0])["quality"] if row["photo_id"] == photo_id_of(photos.blurred)]
    assert (row["quality_mode"], row["verdict"]) == ("observe", "flagged")
    assert row["reason"]
    assert row["advice"]


def test_screen_starts_a_triton_where_none_answers_and_stops_it_at_the_end(observed):
    _, printed, left = observed
    assert "no Triton answers: starting one" in printed
    assert left == []


def test_an_earlier_screening_in_the_same_folder_is_replaced(observed):
    out, _, _ = observed
    assert not (out / "tables" / "grades" / "old.parquet").exists()
    assert not (out / "runs" / "night-2020-02-02").exists()


# grade


HOSTILE_NAME = os.fsdecode(b"[/bold] mole\n[red] caf\xe9.jpg")  # in a folder named "["


@pytest.fixture(scope="module")
def few_photos(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    (folder / "[").mkdir()
    (folder / HOSTILE_NAME).write_bytes(photos.good[2])
    (folder / "blurred.jpg").write_bytes(photos.blurred)
    (folder / "letter.jpg").write_bytes(b"Dear programme")
    return folder


def test_grade_prints_verdict_grade_advice_and_differential(few_photos, triton):
    done = run_screening(few_photos, "grade", HOSTILE_NAME, "blurred.jpg", "letter.jpg", "gone.jpg", **triton)
    assert done.returncode == 0, done.stderr
    good, blurred, letter, gone = done.stdout.strip().split("\n\n")
    assert good.splitlines()[0] == r"[/bold] mole\n[red] caf\udce9.jpg"
    assert "quality   " in good
    assert any(f"grade     {grade}" in good for grade in ("low_risk", "high_risk", "dangerous"))
    assert "referral  " in good
    assert all(disease.name in good for disease in champion_classes().classes)
    assert f"release   {RELEASE}" in good
    for answer, reason in ((blurred, ""), (letter, "not_an_accepted_format"), (gone, "unreadable_file")):
        assert reason in answer
        assert "advice    " in answer
        assert "grade     not graded" in answer


def test_grade_as_json_is_one_object_per_photo(few_photos, triton):
    done = run_screening(few_photos, "grade", "--json", HOSTILE_NAME, "blurred.jpg", "letter.jpg", **triton)
    assert done.returncode == 0, done.stderr
    good, blurred, letter = map(json.loads, done.stdout.splitlines())
    assert good["photo"] == HOSTILE_NAME
    assert good["grade"] in ("low_risk", "high_risk", "dangerous")
    assert good["probabilities"].keys() == set(champion_classes().class_ids)
    assert sum(good["probabilities"].values()) == pytest.approx(1)
    assert set(good["differential"]) <= good["probabilities"].keys()
    assert (blurred["verdict"], blurred["grade"]) == ("refused", None)
    assert blurred["advice"]
    assert (letter["reason"], letter["grade"]) == ("not_an_accepted_format", None)


def test_grade_and_screen_give_a_photo_the_same_probabilities(few_photos, screened, photos, triton):
    (few_photos / "one.jpg").write_bytes(photos.good[0])
    done = run_screening(few_photos, "grade", "--json", "one.jpg", **triton)
    [row] = [row for row in tables_of(screened[0])["grades"] if row["source_name"] == "one.jpg"]
    answer = json.loads(done.stdout)
    of_screen = {disease: row[f"p_{disease}"] for disease in champion_classes().class_ids}
    assert answer["probabilities"] == pytest.approx(of_screen, abs=1e-9)
    assert answer["grade"] == row["grade"]


# upload


def test_upload_can_be_repeated_and_sends_only_what_is_new(stack, new_site, photos, tmp_path):
    site = new_site("uploaded-by-cli")
    environment = stack.uploads_environment | {"SCREENING_UPLOADS": site.settings().uploads}
    words = ("upload", "photos", "--programme", PROGRAMME, "--night", NIGHT.isoformat())
    (tmp_path / "photos" / "deeper").mkdir(parents=True)
    (tmp_path / "photos" / "one.jpg").write_bytes(photos.good[0])
    (tmp_path / "photos" / "deeper" / "two.jpg").write_bytes(photos.good[1])

    def upload() -> str:
        done = run_screening(tmp_path, *words, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    assert upload() == "uploaded 2, already there 0"
    assert upload() == "uploaded 0, already there 2"
    (tmp_path / "photos" / "one.jpg").write_bytes(distinct(photos.good[0], "changed"))
    assert upload() == "uploaded 1, already there 1"
    prefix = f"uploads/{PROGRAMME}/{NIGHT}/"
    store = site.context().uploads
    assert store.get(prefix + "one.jpg") == distinct(photos.good[0], "changed")
    assert [found.key for page in store.pages("") for found in page] == [prefix + "deeper/two.jpg", prefix + "one.jpg"]


# night


def test_night_screens_what_was_uploaded_and_prints_the_accounting(stack, new_site, photos, tmp_path):
    site = new_site("night-by-cli")
    site.upload({"one.jpg": photos.good[0], "empty.jpg": b""})
    settings = site.settings()
    places = {"SCREENING_UPLOADS": settings.uploads, "SCREENING_RESULTS": settings.results}
    of_stack = {name: value for name, value in stack.environment.items() if name.startswith(("SCREENING_", "AWS_"))}
    done = run_screening(tmp_path, "night", "--date", NIGHT.isoformat(), **of_stack | places)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[:5] == ["2", "1", "1", "0", "0"]
    assert [row["photo_id"] for row in site.table("grades")] == [photo_id_of(photos.good[0])]


# refusals


@pytest.mark.parametrize(
    ("words", "variables", "message"),
    [
        (["screen", "gone", "--out", "out"], {}, "MissingError: * is not a folder; expected one with photos"),
        (["screen", "photos", "--out", "photos/out"], {}, "SettingsError: --out * lies inside *"),
        (["screen", "photos", "--out", "full"], {}, "SettingsError: --out * is not empty and holds no earlier screening*"),
        (
            ["screen", "photos", "--out", "out", "--quality-mode", "sloppy"],
            {},
            "SettingsError: SCREENING_QUALITY_MODE: *'enforce' or 'observe'*",
        ),
        (["night", "--date", "20-11-2026"], {}, "SettingsError: night '20-11-2026': expected a date as 2026-11-20"),
        (
            ["upload", "photos", "--programme", "../north", "--night", "2026-11-20"],
            {},
            "SettingsError: programme '../north': expected lower-case letters, digits, - and _*",
        ),
        (["upload", "gone", "--programme", "north", "--night", "2026-11-20"], {}, "MissingError: gone is not a folder*"),
        (
            ["screen", "photos", "--out", "out"],
            {"SCREENING_TRITON_ULR": "127.0.0.1:1"},
            "SettingsError: unknown settings SCREENING_TRITON_ULR; known are *SCREENING_TRITON_URL*",
        ),
        (
            ["screen", "photos", "--out", "out"],
            {"SCREENING_TRITON_URL": "127.0.0.1:1"},
            "ModelServerUnavailableError: lesion_ensemble_* at 127.0.0.1:1*UNAVAILABLE*",
        ),
        (["grade", "one.jpg"], {"SCREENING_RELEASE": "r9999"}, "MissingError: release r9999: * does not exist"),
    ],
    ids=lambda value: None if not isinstance(value, list) else value[0],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_an_exit_code_that_says_whether_to_try_again(
    tmp_path, words, variables, message
):
    (tmp_path / "photos").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("not ours")
    done = run_screening(tmp_path, *words, **variables)
    assert done.returncode == (EXIT_RETRY if message.startswith("ModelServerUnavailableError") else EXIT_STOP)
    line = one_line(done.stderr)
    for part in message.split("*"):
        assert part in line
    assert line.startswith(message.split("*")[0])
    assert (tmp_path / "full" / "thesis.txt").read_text() == "not ours"


def test_a_screening_that_was_refused_leaves_no_summary(tmp_path):
    (tmp_path / "photos").mkdir()
    done = run_screening(tmp_path, "screen", "photos", "--out", "out", SCREENING_TRITON_URL="127.0.0.1:1")
    assert done.returncode == EXIT_RETRY
    assert not (tmp_path / "out" / "summary.json").exists()
