"""Decisions that come and go as files, and what is said of every line that cannot be used."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest

from screening.edges import paths
from screening.edges.decision_log import decision_objects, read_decisions
from screening.stages.decision_files import (
    CSV_COLUMNS,
    GradedPhoto,
    decisions_of,
    export_csv,
    label_studio_config,
    label_studio_tasks,
    neutralised,
    read_csv_lines,
    read_label_studio,
    rejects_csv,
)
from screening.tasks.decision_inbox import ImportedFile, read_inbox
from screening.tasks.review_export import export_queue
from screening.taxonomy import load_taxonomy
from tests.unit.made_up_night import NIGHT, Upload, photo_id_of
from tests.unit.review_site import ReviewSite, some_uploads

TAXONOMY = load_taxonomy()
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MOLE = GradedPhoto(photo_id_of("mole"), "coast", NIGHT, "low_risk", "r0001")
HEADER = "photo_id,reader,decided_at,disease"
LINE = f"{MOLE.photo_id},dr-lee,2026-11-21,melanoma"


def find(photo_id, programme, night):
    is_it = photo_id == MOLE.photo_id and programme in (None, "coast") and night in (None, NIGHT)
    return MOLE if is_it else None


def checked(*lines, header=HEADER, readers=()):
    body = "\n".join([header, *lines]).encode() if isinstance(header, str) else header
    read, rejects = read_csv_lines(body)
    rows, wrong = decisions_of(
        read,
        source="csv",
        taxonomy=TAXONOMY,
        known_readers=frozenset(readers),
        recorded_at=NOW,
        find_photo=find,
    )
    return rows, [*rejects, *wrong]


def test_a_line_in_order_becomes_a_decision():
    [row], rejects = checked(
        f"{MOLE.photo_id},Dr. Åsa,2026-11-21T08:30:00+01:00,Bowen's disease,histopathology,unusable,größer,dangerous",
        header=f"{HEADER},evidence,photo_quality,comment,shown_grade",
    )
    assert rejects == []
    assert (row["disease"], row["answer"], row["evidence"]) == (
        TAXONOMY.of_label("Bowen's disease").id,
        "disease",
        "histopathology",
    )
    assert row["decided_at_utc"] == datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
    assert (row["reader"], row["comment"], row["photo_quality"]) == ("Dr. Åsa", "größer", "unusable")
    assert (row["programme"], row["night"], row["source"]) == ("coast", NIGHT, "csv")
    assert (row["was_blind"], row["shown_grade"], row["release"]) == (False, "dangerous", "r0001")


@pytest.mark.parametrize("text", ["cannot_tell", "Cannot tell"])
def test_a_reader_may_say_that_nothing_can_be_told(text):
    [row], _ = checked(f"{MOLE.photo_id},dr-lee,2026-11-21,{text}")
    assert (row["answer"], row["disease"]) == ("cannot_tell", None)


@pytest.mark.parametrize(
    ("line", "column", "found"),
    [
        (f"{'0' * 32},dr-lee,2026-11-21,melanoma", "photo_id", "'" + "0" * 32 + "'"),
        (f"{MOLE.photo_id},dr-lee,2026-11-21,green fever", "disease", "'green fever'"),
        (f"{MOLE.photo_id},dr-lee,2026-11-21,", "disease", "''"),
        (f"{MOLE.photo_id},,2026-11-21,melanoma", "reader", "''"),
        (f"{MOLE.photo_id},mallory,2026-11-21,melanoma", "reader", "'mallory'"),
        (f"{MOLE.photo_id},dr-lee,2026-11-22,melanoma", "decided_at", "'2026-11-22'"),
        (f"{MOLE.photo_id},dr-lee,21/11/2026,melanoma", "decided_at", "'21/11/2026'"),
        (f"{MOLE.photo_id},dr-lee,0001-01-01T00:00+23:00,melanoma", "decided_at", "'0001-01-01T00:00+23:00'"),
        (f'{MOLE.photo_id},dr-lee,2026-11-21,"=HYPERLINK(""http://x"")"', "disease", "'=HYPERLINK(\"http://x\")'"),
        (f"{MOLE.photo_id},  @SUM(A1),2026-11-21,melanoma", "reader", "'  @SUM(A1)'"),
        (f'{MOLE.photo_id},"\tdr-lee",2026-11-21,melanoma', "reader", "'\\tdr-lee'"),
        (f"{MOLE.photo_id},dr-lee,2026-11-21,melanoma,surplus", "", "5 fields under 4 columns"),
    ],
)
def test_a_line_that_cannot_be_used_says_why_and_the_good_ones_go_in(line, column, found):
    rows, [reject] = checked(line, LINE, readers={"dr-lee"})
    assert len(rows) == 1
    assert (reject.line, reject.column, reject.found) == (2, column, found)
    assert reject.expected


@pytest.mark.parametrize(
    ("column", "value", "is_right"),
    [
        ("evidence", "reading", True),
        ("evidence", "hearsay", False),
        ("grade", "dangerous", True),
        ("grade", "bad", False),
        ("photo_quality", "good", True),
        ("photo_quality", "fine", False),
        ("comment", "x" * 2000, True),
        ("comment", "x" * 2001, False),
        ("comment", "+1 melanoma", False),
        ("night", "2026-11-20", True),
        ("night", "2026-11-19", False),
        ("night", "yesterday", False),
        ("programme", "coast", True),
        ("programme", "hills", False),
    ],
)
def test_every_other_column_may_be_empty_or_must_be_right(column, value, is_right):
    rows, rejects = checked(f"{LINE},{value}", header=f"{HEADER},{column}")
    assert (len(rows), len(rejects)) == ((1, 0) if is_right else (0, 1))
    assert checked(f"{LINE},", header=f"{HEADER},{column}")[1] == []


def test_the_clock_of_a_reader_may_be_a_little_ahead():
    ahead = (NOW + timedelta(minutes=5)).isoformat()
    too_far = (NOW + timedelta(minutes=5, seconds=1)).isoformat()
    rows, [reject] = checked(*(f"{MOLE.photo_id},dr-lee,{moment},melanoma" for moment in (ahead, too_far)))
    assert len(rows) == 1
    assert reject.line == 3


def test_a_line_that_stands_twice_counts_once():
    rows, [reject] = checked(LINE, LINE)
    assert len(rows) == 1
    assert (reject.line, reject.found) == (3, "the same decision as line 2")


def test_the_same_line_is_the_same_decision_in_whatever_file():
    [first], _ = checked(LINE)
    [again], _ = checked(f"{LINE},", header=f"{HEADER},comment")
    [other], _ = checked(LINE.replace("melanoma", "nevus"))
    assert first["decision_id"] == again["decision_id"] != other["decision_id"]


def test_lines_that_nobody_answered_are_no_fault():
    rows, rejects = checked(f"{MOLE.photo_id},,,", "", ",,,", LINE)
    assert (len(rows), rejects) == (1, [])


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + f"{HEADER}\r\n{LINE}\r\n".encode(),
        f"{HEADER}\n{LINE}".replace(",", ";").encode(),
    ],
    ids=["with a byte order mark", "with semicolons"],
)
def test_what_spreadsheets_make_of_utf_8_is_read(body):
    rows, rejects = checked(header=body)
    assert (len(rows), rejects) == (1, [])


def test_a_line_in_another_encoding_is_told_with_its_byte_and_the_others_go_in():
    body = f"{HEADER},comment\n{LINE},gr\xf6\xdfer\n{LINE},ok".encode("cp1252")
    rows, [reject] = checked(header=body)
    assert [row["comment"] for row in rows] == ["ok"]
    assert (reject.line, reject.column, reject.expected) == (2, "comment", "a file saved as UTF-8")
    assert "0xF6" in reject.found


@pytest.mark.parametrize(
    ("body", "line", "found"),
    [
        (f"{HEADER}\n{LINE}".encode("utf-16"), 0, "UTF-16"),
        (b"", 0, "an empty file"),
        (b"photo_id,reader,disease\n", 1, "columns"),
        (f"{HEADER},disease\n{LINE},x".encode(), 1, "2 columns disease"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_so(body, line, found):
    rows, rejects = checked(header=body)
    assert rows == []
    assert rejects[0].line == line
    assert found in rejects[0].found


def test_a_column_that_we_do_not_know_is_told_and_not_read():
    rows, [reject] = checked(f"{LINE},x", header=f"{HEADER},diagnosis")
    assert len(rows) == 1
    assert (reject.line, reject.column) == (1, "'diagnosis'")


def test_a_quote_that_is_never_closed_ends_the_reading_there():
    rows, [reject] = checked(LINE, f'{MOLE.photo_id},"dr-lee,2026-11-21,nevus')
    assert len(rows) == 1
    assert reject.line == 3


def test_a_comment_over_two_lines_keeps_the_count_of_lines():
    rows, [reject] = checked(f'{LINE},"one\ntwo"', f"{LINE},=bad", header=f"{HEADER},comment")
    assert rows[0]["comment"] == "one\ntwo"
    assert reject.line == 4


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1"])
def test_nothing_that_we_write_is_run_by_a_spreadsheet(cell):
    assert neutralised(cell) == "'" + cell
    [reject] = checked(f'{MOLE.photo_id},dr-lee,2026-11-21,"{cell}"')[1]
    written = list(csv.reader(io.StringIO(rejects_csv([reject]).decode("utf-8-sig"))))
    assert not [field for row in written for field in row if field.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_what_goes_out_comes_back_in_the_same_columns(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish([Upload("mole", body_site="=back", grade="dangerous")])
    row = site.queue()[0]
    out = list(csv.DictReader(io.StringIO(export_csv([row], is_blind=True).decode("utf-8-sig"))))
    assert tuple(out[0]) == CSV_COLUMNS
    assert (out[0]["photo_id"], out[0]["body_site"], out[0]["shown_grade"]) == (MOLE.photo_id, "'=back", "")
    seen = list(csv.DictReader(io.StringIO(export_csv([row], is_blind=False).decode("utf-8-sig"))))
    assert (seen[0]["shown_grade"], seen[0]["grade"]) == ("dangerous", "")
    filled = out[0] | {"reader": "dr-lee", "decided_at": "2026-11-21", "disease": "melanoma"}
    [decision], rejects = checked(",".join(filled.values()), header=",".join(CSV_COLUMNS))
    assert rejects == []
    assert (decision["photo_id"], decision["was_blind"]) == (MOLE.photo_id, True)


def an_answer(disease, **changed):
    annotation = {
        "completed_by": {"id": 3, "email": "lee@example.org"},
        "created_at": "2026-11-21T08:00:00.000000Z",
        "lead_time": 12.5,
        "was_cancelled": False,
        "result": [
            {"from_name": "disease", "to_name": "photo", "type": "taxonomy", "value": {"taxonomy": [disease]}},
            {"from_name": "photo_quality", "to_name": "photo", "type": "choices", "value": {"choices": ["good"]}},
            {"from_name": "comment", "to_name": "photo", "type": "textarea", "value": {"text": ["round"]}},
        ],
    }
    return annotation | changed


def test_label_studios_answers_become_decisions():
    task = {"id": 7, "data": {"photo_id": MOLE.photo_id, "programme": "coast", "night": "2026-11-20"}}
    path = [node.name for node in reversed(list(TAXONOMY.lineage("blue_nevus")))]
    annotations = [an_answer(path), an_answer(["x"], was_cancelled=True), an_answer(["cannot_tell"], completed_by=4)]
    lines, rejects = read_label_studio(json.dumps([task | {"annotations": annotations}]).encode())
    assert rejects == []
    rows, rejects = decisions_of(
        lines,
        source="label_studio",
        taxonomy=TAXONOMY,
        known_readers=frozenset(),
        recorded_at=NOW,
        find_photo=find,
    )
    assert rejects == []
    assert [(row["reader"], row["disease"]) for row in rows] == [
        ("lee@example.org", "blue_nevus"),
        ("label-studio:4", None),
    ]
    assert (rows[0]["seconds"], rows[0]["photo_quality"], rows[0]["comment"]) == (12.5, "good", "round")


@pytest.mark.parametrize(
    ("body", "line"),
    [(b"{", 0), (b"{}", 0), (b"[1]", 1), (b'[{"id": 9, "data": {}}]', 9), (b"[" * 100_000, 0)],
)
def test_json_that_is_no_export_says_so(body, line):
    lines, [reject] = read_label_studio(body)
    assert lines == []
    assert reject.line == line


def test_label_studio_gets_tasks_and_a_page_whose_answers_we_can_read(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish(some_uploads())
    blind, seen = (
        json.loads(label_studio_tasks(site.queue(), lambda photo_id: f"s3://b/{photo_id}.jpg", is_blind=is_blind))
        for is_blind in (True, False)
    )
    assert blind[0]["data"]["image"] == f"s3://b/{blind[0]['data']['photo_id']}.jpg"
    assert "dangerous" not in json.dumps(blind)
    assert seen[0]["data"]["shown_grade"] == "dangerous"
    page = label_studio_config(TAXONOMY)
    assert page.count("<Choice ") == len(TAXONOMY.diseases) + 1 + 3 + 3


def recorded(site):
    return read_decisions(site.store, [found.key for found in decision_objects(site.store)])[0]


def test_files_of_the_inbox_go_in_and_move_away_with_their_rejects_beside(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish([*some_uploads(), Upload("mole", programme="hills")])
    good = f"{photo_id_of('bert.jpg')},coast,2026-11-20,dr-lee,2026-11-21,nevus"
    body = (
        f"photo_id,programme,night,reader,decided_at,disease\n{good}\n{good},x\n{'f' * 32},,,dr-lee,2026-11-21,nevus\n"
    )
    site.store.put("review/inbox/monday/answers.csv", body.encode())
    assert read_inbox(site.context) == [ImportedFile("monday/answers.csv", 1, 0, 2)]
    [decision] = recorded(site)
    assert decision["disease"] == "nevus"
    rejects = list(csv.DictReader(io.StringIO(site.store.get("review/rejects/monday/answers.csv").decode("utf-8-sig"))))
    assert [(reject["line"], reject["column"]) for reject in rejects] == [("3", ""), ("4", "photo_id")]
    [(key, kept)] = site.objects("review/inbox/").items()
    assert key.startswith("review/inbox/done/")
    assert kept == body.encode()


def test_a_photo_is_found_by_its_id_alone_in_the_nights_ledgers(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish([*some_uploads(), Upload("mole", programme="hills")])
    site.store.put("review/inbox/a.csv", f"{HEADER}\n{LINE}".encode())
    assert read_inbox(site.context)[0].new == 1
    [decision] = recorded(site)
    assert decision["programme"] == "hills"


def test_the_same_file_twice_counts_once_also_within_another_file(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish([Upload("mole")])
    site.store.put("review/inbox/a.csv", f"{HEADER}\n{LINE}".encode())
    assert read_inbox(site.context) == [ImportedFile("a.csv", 1, 0, 0)]
    first = site.objects(paths.DECISIONS_PREFIX)
    site.store.put("review/inbox/a.csv", f"{HEADER}\n{LINE}".encode())
    site.store.put("review/inbox/b.csv", f"{HEADER}\n{LINE}\n{LINE.replace('melanoma', 'nevus')}".encode())
    assert read_inbox(site.context) == [ImportedFile("a.csv", 0, 1, 0), ImportedFile("b.csv", 1, 1, 0)]
    assert first.items() <= site.objects(paths.DECISIONS_PREFIX).items()
    assert len(site.objects(paths.DECISIONS_PREFIX)) == 2
    assert read_inbox(site.context) == []


def test_a_mended_file_takes_its_old_rejects_away(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish([Upload("mole")])
    site.store.put("review/inbox/a.csv", f"{HEADER}\n{LINE.replace('melanoma', 'melonama')}".encode())
    assert read_inbox(site.context)[0].rejected == 1
    site.store.put("review/inbox/a.csv", f"{HEADER}\n{LINE}".encode())
    assert read_inbox(site.context)[0].new == 1
    assert site.objects("review/rejects/") == {}


def test_only_the_readers_of_the_rules_may_decide_by_file(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("readers: [dr-kim]")
    (tmp_path / "store").mkdir()
    site = ReviewSite(tmp_path / "store", str(rules))
    site.publish([Upload("mole")])
    site.store.put("review/inbox/a.csv", f"{HEADER}\n{LINE}\n{LINE.replace('dr-lee', 'dr-kim')}".encode())
    assert read_inbox(site.context) == [ImportedFile("a.csv", 1, 0, 1)]


def test_an_export_holds_what_waits_and_not_what_is_settled(tmp_path):
    site = ReviewSite(tmp_path)
    site.publish(some_uploads())
    key, photos = export_queue("coast", NIGHT, site.context)
    assert (key, photos) == ("review/export/coast-2026-11-20.csv", 4)
    key, photos = export_queue("coast", date(2026, 11, 20), site.context, label_studio=True)
    tasks = json.loads(site.store.get(key))
    assert all(task["data"]["image"].endswith(f"{task['data']['photo_id']}.jpg") for task in tasks)
