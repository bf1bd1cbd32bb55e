import csv
import io
import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from screening.contracts import BATCH, MANIFEST_ISSUES
from screening.stages.intake import (
    MANIFEST_COLUMNS,
    MANIFEST_MAX_BYTES,
    KnownKeys,
    Manifest,
    ManifestIssue,
    Pseudonyms,
    batch_sizes,
    read_manifest,
    unknown_files,
)

PSEUDONYMS = Pseudonyms(b"the key of this programme's pseudonyms")
FILLS = {"captured_at": "captured_at_utc", "consent_training": "has_training_consent"}
# What a file in UTF-8 can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
UPLOADS = st.tuples(TEXT, TEXT)


def a_manifest(**columns: str) -> bytes:
    """One line about mole.jpg with the given columns."""
    return csv_of({"file": "mole.jpg"} | columns)


def csv_of(*lines: dict[str, str]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue().encode()


def read(text: bytes) -> Manifest:
    return read_manifest(text, "north", PSEUDONYMS)


def the_row(text: bytes) -> dict[str, object]:
    manifest = read(text)
    assert manifest.issues == []
    [row] = manifest.rows.values()
    return row


def the_issue(text: bytes) -> tuple[int, str, str]:
    [issue] = read(text).issues
    return issue.line, issue.column, issue.issue


# What a night knows already


@given(st.sets(UPLOADS), st.sets(UPLOADS))
def test_a_claimed_upload_is_known_and_no_other(claimed: set[tuple[str, str]], others: set[tuple[str, str]]) -> None:
    known = KnownKeys(claimed)

    assert all(upload in known for upload in claimed)
    assert not [upload for upload in others - claimed if upload in known]


def test_the_first_and_the_last_of_many_are_known() -> None:
    uploads = [(f"uploads/north/2026-11-20/{n}.jpg", "1") for n in range(2000)]
    known = KnownKeys(iter(uploads))

    assert all(upload in known for upload in uploads)
    assert ("uploads/north/2026-11-20/2000.jpg", "1") not in known


def test_other_bytes_under_a_known_key_are_another_upload() -> None:
    assert ("mole.jpg", "etag-2") not in KnownKeys([("mole.jpg", "etag-1")])


def test_a_key_and_its_tag_are_not_run_together() -> None:
    assert ("mole.jp", "g1") not in KnownKeys([("mole.jpg", "1")])


def test_nothing_is_known_at_first() -> None:
    assert ("mole.jpg", "1") not in KnownKeys([])


def test_a_key_that_is_no_unicode_can_be_known() -> None:
    known = KnownKeys([("\udcff.jpg", "1")])

    assert ("\udcff.jpg", "1") in known
    assert ("\udcfe.jpg", "1") not in known


# Batches


@given(st.integers(0, 100_000), st.integers(1, 10_000), st.integers(1, 1024))
@example(0, 500, 1000)
@example(500, 500, 1000)
@example(501, 500, 1000)
def test_batches_hold_every_photo_once_and_are_alike_in_size(photos: int, per_batch: int, at_most: int) -> None:
    sizes = batch_sizes(photos, per_batch, at_most)

    assert sum(sizes) == photos
    assert len(sizes) == min(at_most, math.ceil(photos / per_batch))
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert 0 not in sizes


@pytest.mark.parametrize(
    ("photos", "sizes"),
    [(0, []), (1, [1]), (500, [500]), (501, [251, 250]), (1500, [500, 500, 500]), (1501, [501, 500, 500])],
)
def test_a_night_too_large_for_its_batches_gets_larger_ones_rather_than_more(photos: int, sizes: list[int]) -> None:
    assert batch_sizes(photos, photos_per_batch=500, max_batches=3) == sizes


# Pseudonyms


@given(TEXT.filter(lambda text: len(text) > 4))
@example("patient-0017")
def test_a_pseudonym_does_not_contain_the_id(patient_id: str) -> None:
    pseudonyms = (PSEUDONYMS.patient("north", patient_id), PSEUDONYMS.lesion("north", patient_id, patient_id))

    for pseudonym in pseudonyms:
        assert patient_id not in pseudonym
        assert pseudonym[2:].isalnum()
        assert len(pseudonym) == 26


def test_a_person_has_the_same_pseudonym_every_night() -> None:
    # A fixed value: were it another tomorrow, nobody could be followed.
    assert PSEUDONYMS.patient("north", "17") == "p-208ccf1f28fb92845d5ae716"
    assert PSEUDONYMS.lesion("north", "17", "2") == "l-ff54067857873daa60ccf946"


def test_a_pseudonym_depends_on_the_person_the_programme_and_the_key() -> None:
    another_key = Pseudonyms(b"the key of another programme's pseudonyms")

    assert len({PSEUDONYMS.patient(*who) for who in (("north", "17"), ("north", "18"), ("south", "17"))}) == 3
    assert another_key.patient("north", "17") != PSEUDONYMS.patient("north", "17")


def test_two_people_may_both_have_a_lesion_1() -> None:
    assert PSEUDONYMS.lesion("north", "17", "1") != PSEUDONYMS.lesion("north", "18", "1")


def test_neighbouring_words_are_not_run_together() -> None:
    assert PSEUDONYMS.lesion("north", "1", "23") != PSEUDONYMS.lesion("north", "12", "3")
    assert PSEUDONYMS.patient("north1", "7") != PSEUDONYMS.patient("north", "17")


def test_a_person_and_a_lesion_of_the_same_words_differ_in_more_than_their_first_letter() -> None:
    assert PSEUDONYMS.patient("north", "17\0" + "2")[2:] != PSEUDONYMS.lesion("north", "17", "2")[2:]


def test_the_key_of_the_pseudonyms_is_not_shown() -> None:
    assert "programme's" not in repr(PSEUDONYMS)


# The manifest as a whole


def test_a_manifest_fills_the_columns_of_its_photo() -> None:
    row = the_row(
        a_manifest(
            patient_id="17",
            lesion_id="2",
            body_site="forearm",
            age_years="54",
            sex="f",
            fitzpatrick="3",
            captured_at="2026-11-19T08:05:00+02:00",
            device="Acme One",
            consent_training="yes",
        )
    )

    assert row == {
        "patient": PSEUDONYMS.patient("north", "17"),
        "lesion": PSEUDONYMS.lesion("north", "17", "2"),
        "body_site": "forearm",
        "age_years": 54,
        "sex": "female",
        "fitzpatrick": 3,
        "captured_at_utc": datetime(2026, 11, 19, 6, 5, tzinfo=UTC),
        "device": "Acme One",
        "has_training_consent": True,
    }


def test_a_row_of_a_manifest_fits_the_table_of_a_batch() -> None:
    row = the_row(a_manifest(patient_id="17", age_years="120", fitzpatrick="VI", captured_at="2026-11-19"))

    assert set(row) <= {c.name for c in BATCH.columns}
    ours = {"key": "k", "etag": "e", "size_bytes": 1, "programme": "north", "source_name": "mole.jpg"}
    assert BATCH.table([ours | row]).num_rows == 1


def test_a_manifest_that_names_only_the_file_says_nothing_of_the_person() -> None:
    assert the_row(b"file\nmole.jpg\n") == {
        "patient": None,
        "lesion": None,
        "body_site": None,
        "age_years": None,
        "sex": None,
        "fitzpatrick": None,
        "captured_at_utc": None,
        "device": None,
        "has_training_consent": False,
    }


def test_a_lesion_without_a_person_is_not_taken_for_anybodys() -> None:
    assert the_row(a_manifest(lesion_id="2"))["lesion"] is None


@pytest.mark.parametrize("text", [b"", b"\n\n", b"  \r\n\t"])
def test_an_empty_manifest_is_an_issue(text: bytes) -> None:
    assert read(text).rows == {}
    assert the_issue(text) == (0, "", "empty")


@pytest.mark.parametrize(
    "text",
    [
        "file\nmole.jpg\n".encode("utf-16"),
        "file,body_site\nmole.jpg,Rücken\n".encode("latin-1"),
        b"\xff\xd8\xff\xe0 a photo called manifest.csv",
        b'file,body_site\nmole.jpg,"left arm\n',
        b'file,body_site\nmole.jpg,"left" arm\n',
        b"file\n" + b"x" * 200_000,
    ],
    ids=["utf-16", "latin-1", "no text", "a quote left open", "text after a quote", "a field without end"],
)
def test_a_manifest_that_is_no_csv_in_utf_8_is_an_issue(text: bytes) -> None:
    assert read(text).rows == {}
    assert the_issue(text) == (0, "", "unreadable")


@pytest.mark.parametrize(("surplus", "issues"), [(0, []), (1, ["unreadable"])])
def test_a_manifest_may_be_as_large_as_the_limit_and_no_larger(surplus: int, issues: list[str]) -> None:
    head = b"file\nmole.jpg\n"

    manifest = read(head + b"\n" * (MANIFEST_MAX_BYTES - len(head) + surplus))

    assert [issue.issue for issue in manifest.issues] == issues


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert the_row(b"\xef\xbb\xbf" + a_manifest(age_years="54"))["age_years"] == 54


def test_a_manifest_of_a_byte_order_mark_alone_names_no_file() -> None:
    assert the_issue(b"\xef\xbb\xbf") == (1, "file", "missing_column")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_may_end_as_on_any_system(end: bytes) -> None:
    manifest = read(end.join([b"file,age_years", b"mole.jpg,54", b"", b"wart.jpg,33"]))

    assert manifest.issues == []
    assert {name: row["age_years"] for name, row in manifest.rows.items()} == {"mole.jpg": 54, "wart.jpg": 33}


def test_spaces_around_names_and_values_do_not_matter() -> None:
    assert the_row(b" file , age_years \n mole.jpg , 54 \n")["age_years"] == 54


def test_a_manifest_without_a_column_of_files_is_an_issue() -> None:
    assert the_issue(b"patient_id,age_years\n17,54\n") == (1, "file", "missing_column")


def test_a_manifest_without_lines_is_no_issue() -> None:
    assert read(b"file,patient_id\n") == Manifest({}, {}, [])


def test_an_unknown_column_is_an_issue_and_the_others_count() -> None:
    manifest = read(a_manifest(age_years="54", shoe_size="42"))

    assert [(i.line, i.column, i.issue) for i in manifest.issues] == [(1, "shoe_size", "unknown_column")]
    assert manifest.rows["mole.jpg"]["age_years"] == 54


def test_an_unknown_column_says_which_are_known() -> None:
    [issue] = read(a_manifest(shoe_size="42")).issues

    assert issue.expected == ", ".join(MANIFEST_COLUMNS)


def test_a_column_that_stands_twice_is_an_issue_and_used_from_neither() -> None:
    manifest = read(b"file,patient_id,age_years, patient_id\nmole.jpg,17,54,18\n")

    assert [(i.line, i.column, i.issue) for i in manifest.issues] == [(1, "patient_id", "duplicate_column")]
    assert manifest.rows["mole.jpg"]["patient"] is None
    assert manifest.rows["mole.jpg"]["age_years"] == 54


def test_with_two_columns_of_files_no_line_is_used() -> None:
    manifest = read(b"file,age_years,file\nmole.jpg,54,wart.jpg\n")

    assert [(i.line, i.column, i.issue) for i in manifest.issues] == [(1, "file", "duplicate_column")]
    assert manifest.rows == {}


@pytest.mark.parametrize("header", [b"file,age_years", b" file ,age_years"])
def test_a_file_on_two_lines_is_used_from_neither(header: bytes) -> None:
    manifest = read(header + b"\nmole.jpg,54\nwart.jpg,33\nmole.jpg,60\n")

    assert set(manifest.rows) == {"wart.jpg"}
    assert [(i.line, i.column, i.issue) for i in manifest.issues] == [
        (2, "file", "duplicate_file"),
        (4, "file", "duplicate_file"),
    ]


def test_a_line_without_a_file_is_an_issue() -> None:
    assert the_issue(b"file,age_years\n,54\n") == (2, "file", "invalid_value")


def test_a_line_with_more_fields_than_the_header_is_not_used() -> None:
    text = b"file,patient_id,body_site,age_years\nmole.jpg,17,arm, left,54\n"

    assert read(text).rows == {}
    assert the_issue(text) == (2, "", "invalid_value")


def test_empty_fields_at_the_end_of_a_line_do_not_matter() -> None:
    assert the_row(b"file,age_years\nmole.jpg,54,,\n")["age_years"] == 54


def test_a_line_that_is_too_short_leaves_its_last_columns_open() -> None:
    assert the_row(b"file,age_years,consent_training\nmole.jpg\n")["has_training_consent"] is False


@pytest.mark.parametrize(
    "name", ["mo\nle.jpg", "mo\0le.jpg", 'mo"le.jpg', "../mole.jpg", "Leberfleck-é.jpg", "a,b.jpg"]
)
def test_a_file_may_have_any_name_that_can_be_uploaded(name: str) -> None:
    assert set(read(csv_of({"file": name, "age_years": "54"})).rows) == {name}


def test_a_line_after_a_field_of_two_lines_has_the_number_that_an_editor_shows() -> None:
    text = b'file,body_site,age_years\nmole.jpg,"left\narm",54\nwart.jpg,leg,540\n'

    assert the_issue(text) == (4, "age_years", "invalid_value")


# Values


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("age_years", "0", 0),
        ("age_years", "120", 120),
        ("age_years", "54.0", 54),
        ("sex", "F", "female"),
        ("sex", "Male", "male"),
        ("sex", "other", "other"),
        ("fitzpatrick", "1", 1),
        ("fitzpatrick", "6", 6),
        ("fitzpatrick", "3.0", 3),
        ("fitzpatrick", "iv", 4),
        ("fitzpatrick", "VI", 6),
    ],
)
def test_a_value_is_read_as_people_write_it(column: str, text: str, value: object) -> None:
    assert the_row(a_manifest(**{column: text}))[column] == value


@pytest.mark.parametrize("roman", ["I", "II", "III", "IV", "V", "VI"])
def test_a_skin_type_may_be_a_roman_number(roman: str) -> None:
    assert the_row(a_manifest(fitzpatrick=roman))["fitzpatrick"] == ["I", "II", "III", "IV", "V", "VI"].index(roman) + 1


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("age_years", "-1"),
        ("age_years", "121"),
        ("age_years", "54.5"),
        ("age_years", "nan"),
        ("age_years", "inf"),
        ("age_years", "1e400"),
        ("age_years", "fifty"),
        ("sex", "x"),
        ("fitzpatrick", "0"),
        ("fitzpatrick", "7"),
        ("fitzpatrick", "VII"),
        ("fitzpatrick", "2.5"),
        ("captured_at", "yesterday"),
        ("captured_at", "2026-02-30T10:00:00"),
        ("captured_at", "0001-01-01T00:00:00+14:00"),
        ("consent_training", "perhaps"),
    ],
)
def test_an_impossible_value_is_an_issue_and_leaves_its_column_open(column: str, text: str) -> None:
    manifest = read(a_manifest(body_site="arm", **{column: text}))

    assert [(i.line, i.column, i.issue) for i in manifest.issues] == [(2, column, "invalid_value")]
    assert not manifest.rows["mole.jpg"][FILLS.get(column, column)]
    assert manifest.rows["mole.jpg"]["body_site"] == "arm"


def test_all_that_is_wrong_with_a_line_is_said() -> None:
    manifest = read(a_manifest(age_years="540", sex="x", fitzpatrick="9"))

    assert [i.column for i in manifest.issues] == ["age_years", "sex", "fitzpatrick"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T14:05:00+00:00", datetime(2026, 11, 20, 14, 5, tzinfo=UTC)),
        ("2026-11-20T14:05:00Z", datetime(2026, 11, 20, 14, 5, tzinfo=UTC)),
        ("2026-11-20T14:05:00-03:30", datetime(2026, 11, 20, 17, 35, tzinfo=UTC)),
        ("2026-11-20 14:05", datetime(2026, 11, 20, 14, 5, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
    ],
)
def test_a_time_is_kept_in_utc_and_counts_as_utc_without_an_offset(text: str, moment: datetime) -> None:
    assert the_row(a_manifest(captured_at=text))["captured_at_utc"] == moment


@pytest.mark.parametrize("text", ["yes", "YES", "true", "1", "y"])
def test_consent_is_given_by_a_clear_yes(text: str) -> None:
    assert the_row(a_manifest(consent_training=text))["has_training_consent"] is True


@pytest.mark.parametrize("text", ["no", "False", "0", "n", ""])
def test_no_consent_is_no_consent(text: str) -> None:
    assert the_row(a_manifest(consent_training=text))["has_training_consent"] is False


@pytest.mark.parametrize("text", ["ja", "yes?", "see the form", "2", "oui"])
def test_consent_that_cannot_be_read_is_no_consent(text: str) -> None:
    manifest = read(a_manifest(consent_training=text))

    assert manifest.rows["mole.jpg"]["has_training_consent"] is False
    assert [i.column for i in manifest.issues] == ["consent_training"]


@pytest.mark.parametrize("column", ["body_site", "device"])
def test_free_text_is_cut_at_64_characters(column: str) -> None:
    assert the_row(a_manifest(**{column: "é" * 64}))[column] == "é" * 64
    assert the_row(a_manifest(**{column: "é" * 65}))[column] == "é" * 64


def test_an_issue_shows_a_short_piece_of_the_value_on_one_line() -> None:
    [issue] = read(a_manifest(age_years="5\n4" + "4" * 1000)).issues

    assert "\n" not in issue.found
    assert len(issue.found) < 60


def test_no_issue_shows_who_the_person_is() -> None:
    text = csv_of(
        {"file": "mole.jpg", "patient_id": "Ada Lovelace", "lesion_id": "Ada-1", "age_years": "540"},
        {"file": "mole.jpg", "patient_id": "Ada Lovelace", "lesion_id": "Ada-2", "age_years": "54"},
        {"file": "", "patient_id": "Ada Lovelace", "lesion_id": "Ada-3", "age_years": "54"},
        {"file": "wart.jpg", "patient_id": "Ada Lovelace", "lesion_id": "Ada-4", "age_years": "x"},
    )

    assert "Ada" not in repr(read(text))


# Files that were never uploaded


def test_a_file_of_the_manifest_that_was_never_uploaded_is_an_issue_on_its_line() -> None:
    manifest = read(b"file\nmole.jpg\nwart.jpg\n")

    assert list(unknown_files(manifest, lambda name: name == "wart.jpg")) == [
        ManifestIssue(3, "file", "unknown_file", "a file that was not uploaded", "a file below the manifest's folder")
    ]


# Anything at all


@given(st.binary(max_size=300) | TEXT.map(str.encode))
def test_no_bytes_whatever_break_the_reader(text: bytes) -> None:
    manifest = read(text)

    assert set(manifest.rows) == set(manifest.lines)


@given(
    st.lists(
        st.fixed_dictionaries(
            {column: TEXT | st.sampled_from(["mole.jpg", "54", "yes"]) for column in MANIFEST_COLUMNS}
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_a_manifest_says_fits_the_tables(lines: list[dict[str, str]]) -> None:
    manifest = read(csv_of(*lines))

    ours = {"etag": "e", "size_bytes": 1, "programme": "north", "source_name": "n"}
    BATCH.table([ours | {"key": name} | row for name, row in manifest.rows.items()])
    MANIFEST_ISSUES.table([{"programme": "north", "manifest": "m"} | vars(issue) for issue in manifest.issues])
