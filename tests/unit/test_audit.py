from __future__ import annotations

import html.parser
import logging
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from screening.errors import ContractError
from screening.stages.audit import AuditResult, audit_tables
from screening.stages.expectations import DriftLimits, Night, contracts_of, expectations_on, to_frame
from tests.unit.made_up_night import (
    MEMBERS,
    NIGHT,
    TAXONOMY,
    MadeUpNight,
    Upload,
    a_night,
    night_of,
    photo_id_of,
    pseudonym,
    twice,
    with_value,
)

TABLES = ("photos", "quality", "predictions", "grades", "referrals", "manifest_issues")


def audit(night: MadeUpNight, limits: DriftLimits | None = None, docs_folder: Path | None = None) -> AuditResult:
    return audit_tables(
        night.tables, ledger=night.ledger, night=NIGHT, members=MEMBERS, docs_folder=docs_folder, limits=limits
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> tuple[AuditResult, Path]:
    docs = tmp_path_factory.mktemp("docs")
    return audit(a_night(), docs_folder=docs), docs


def test_a_night_that_keeps_its_promises_passes(sound):
    result, _ = sound
    assert result == AuditResult(success=True, faults=[], warnings=[], expectations=result.expectations)
    assert result.expectations > 150


def test_an_empty_night_passes():
    result = audit(night_of())
    assert (result.success, result.faults, result.warnings) == (True, [], [])


def test_every_column_of_every_contract_is_looked_at():
    night = a_night()
    about = Night(NIGHT, MEMBERS, TAXONOMY)
    for name, contract in contracts_of(TAXONOMY).items():
        suite = expectations_on(contract, to_frame(night.tables[name], TAXONOMY), about)
        named = {column for e in suite for column in (e.limits.get("column"), *e.limits.get("column_list", ()))}
        missing = {c.name for c in contract.columns if not pa.types.is_list(c.type)} - named
        assert not missing, name
        for column in contract.columns:
            types = {e.type for e in suite if e.limits.get("column") == column.name and not e.where}
            if not (column.nullable or pa.types.is_list(column.type)):
                assert "expect_column_values_to_not_be_null" in types
            if column.words:
                assert "expect_column_values_to_be_in_set" in types
            if column.low is not None or column.high is not None:
                assert "expect_column_values_to_be_between" in types


def _set(table: str, column: str, value: object, rows: list[int] | None = None) -> Callable[[MadeUpNight], MadeUpNight]:
    return lambda night: night.changed(table, lambda t: with_value(t, column, value, rows))


def _repeat(table: str) -> Callable[[MadeUpNight], MadeUpNight]:
    return lambda night: night.changed(table, lambda t: twice(t, 0))


def _drop(table: str, column: str) -> Callable[[MadeUpNight], MadeUpNight]:
    return lambda night: night.changed(table, lambda t: t.drop_columns([column]))


def _add(table: str, column: str) -> Callable[[MadeUpNight], MadeUpNight]:
    return lambda night: night.changed(table, lambda t: t.append_column(column, pa.nulls(t.num_rows, pa.string())))


def _manifest_issue(issue: str) -> Callable[[MadeUpNight], MadeUpNight]:
    row = {"programme": "coast", "manifest": "m", "line": 1, "column": "", "issue": issue, "found": "", "expected": ""}
    return lambda night: night.changed("manifest_issues", lambda t: pa.Table.from_pylist([row], schema=t.schema))


NOT_NULL, BETWEEN = "expect_column_values_to_not_be_null", "expect_column_values_to_be_between"
IN_SET, UNIQUE = "expect_column_values_to_be_in_set", "expect_column_values_to_be_unique"
REGEX, ONE_VALUE = "expect_column_values_to_match_regex", "expect_column_unique_value_count_to_be_between"


@pytest.mark.parametrize(
    ("breaking", "place", "expectation", "rows"),
    [
        (_set("photos", "source_name", None, [0, 1]), "photos.source_name", NOT_NULL, "2 of 8 rows"),
        (_set("photos", "age_years", 300, [0]), "photos.age_years", BETWEEN, "1 of 8 rows"),
        (_set("photos", "sex", "unknown", [0]), "photos.sex", IN_SET, "1 of 8 rows"),
        (_repeat("photos"), "photos.key+etag", "expect_compound_columns_to_be_unique", "2 of 9 rows"),
        (_set("photos", "patient", "Anna Smith", [0]), "photos.patient", REGEX, "1 of 8 rows"),
        (_set("photos", "lesion", "left arm", [0]), "photos.lesion", REGEX, "1 of 8 rows"),
        (_set("photos", "reason", None), "photos.reason", NOT_NULL, "4 of 4 rows"),
        (_set("photos", "advice", None), "photos.advice", NOT_NULL, "3 of 3 rows"),
        (_set("photos", "duplicate_of", None), "photos.duplicate_of", NOT_NULL, "1 of 1 rows"),
        (_set("photos", "duplicate_of", "x"), "photos.duplicate_of", "expect_column_values_to_be_null", "7 of 7 rows"),
        (_set("photos", "width_px", None), "photos.width_px", NOT_NULL, "4 of 4 rows"),
        (_set("quality", "skin_fraction", 1.5, [0]), "quality.skin_fraction", BETWEEN, "1 of 5 rows"),
        (_set("quality", "reason", None), "quality.reason", NOT_NULL, "2 of 2 rows"),
        (_set("quality", "issues", []), "quality.issues: how many", BETWEEN, "2 of 2 rows"),
        (_set("quality", "cutoffs_version", "other", [0]), "quality.cutoffs_version", ONE_VALUE, "found 2"),
        (_repeat("quality"), "quality.photo_id", UNIQUE, "2 of 6 rows"),
        (_set("predictions", "member", "stranger", [0]), "predictions.member", IN_SET, "1 of 12 rows"),
        (_set("predictions", "probabilities", [1.0], [0]), "predictions.probabilities: how many", BETWEEN, "1 of 12"),
        (_set("predictions", "probabilities", [0.5] * 8, [0]), "predictions.probabilities: sum", BETWEEN, "1 of 12"),
        (
            _set("predictions", "probabilities", [-0.5, 1.5, 0, 0, 0, 0, 0, 0], [0]),
            "predictions.probabilities: least",
            BETWEEN,
            "1 of 12 rows",
        ),
        (_set("predictions", "release", "r0002", [0]), "predictions.release", ONE_VALUE, "found 2"),
        (_set("predictions", "weights_sha256", "abc", [0]), "predictions.weights_sha256", REGEX, "1 of 12 rows"),
        (_set("grades", "p_dangerous", 0.5), "grades.p of the grades: sum", BETWEEN, "4 of 4 rows"),
        (
            _set("grades", "disease", "nevus"),
            "grades.grade+disease",
            "expect_column_pair_values_to_be_in_set",
            "3 of 4",
        ),
        (_set("grades", "differential", ["flu"], [0]), "grades.differential: unknown diseases", BETWEEN, "1 of 4 rows"),
        (_set("grades", "taxonomy_version", "t-old"), "grades.taxonomy_version", IN_SET, "4 of 4 rows"),
        (_set("grades", "code_revision", "other", [0]), "grades.code_revision", ONE_VALUE, "found 2"),
        (_set("referrals", "patient", "Anna Smith", [0]), "referrals.patient", REGEX, "1 of 7 rows"),
        (
            _set("referrals", "action", "keep_monitoring"),
            "referrals.grade+action",
            "expect_column_pair_values_to_be_in_set",
            "5 of 7 rows",
        ),
        (
            _set("referrals", "due_by", date(2026, 11, 19), [0]),
            "referrals.due_by+night",
            "expect_column_pair_values_a_to_be_greater_than_b",
            "1 of 7 rows",
        ),
        (_set("referrals", "lesion", None), "referrals.lesion", NOT_NULL, "3 of 3 rows"),
        (_manifest_issue("rude"), "manifest_issues.issue", IN_SET, "1 of 1 rows"),
        (_add("grades", "surplus"), "grades", "expect_table_columns_to_match_ordered_list", "found others"),
    ],
)
def test_a_broken_table_is_a_fault_with_table_column_expectation_and_rows(breaking, place, expectation, rows):
    result = audit(breaking(a_night()))
    assert not result.success
    assert any(f.startswith(f"{place}: {rows}") and f.endswith(f"({expectation})") for f in result.faults), (
        result.faults
    )


def test_a_missing_column_is_named_and_the_rest_is_still_checked():
    result = audit(_set("photos", "age_years", 300, [0])(_drop("referrals", "due_by")(a_night())))
    assert "referrals.due_by: the column is missing" in result.faults
    assert any(fault.startswith("photos.age_years: 1 of 8 rows") for fault in result.faults)
    assert any(fault.startswith("the accounting was not checked") for fault in result.faults)


def test_a_column_of_another_type_is_named():
    night = a_night().changed(
        "photos", lambda t: t.set_column(2, "size_bytes", pa.array(["large"] * t.num_rows, pa.string()))
    )
    result = audit(night)
    assert "photos.size_bytes: is string, expected int64" in result.faults
    assert not result.success


def test_what_the_accounting_finds_is_a_fault_too():
    night = a_night().changed("referrals", lambda t: with_value(t, "photos", 7))
    assert any("count another number of photos" in fault for fault in audit(night).faults)


def test_a_table_that_is_not_given_stops_the_audit():
    night = a_night()
    with pytest.raises(ContractError, match="referrals"):
        audit(MadeUpNight({k: v for k, v in night.tables.items() if k != "referrals"}, night.ledger))


def _drifting(**shares: int) -> MadeUpNight:
    return night_of(
        *(Upload(f"ok{i}.jpg", patient=f"p{i}") for i in range(shares.get("graded", 0))),
        *(
            Upload(f"bad{i}.jpg", outcome="refused", reason="too_dark", patient="x")
            for i in range(shares.get("refused", 0))
        ),
        *(Upload(f"danger{i}.jpg", grade="dangerous", patient=f"d{i}") for i in range(shares.get("dangerous", 0))),
        *(Upload(f"unnamed{i}.jpg") for i in range(shares.get("unnamed", 0))),
        *(
            Upload(f"flag{i}.jpg", verdict="flagged", reason="dim", patient=f"f{i}")
            for i in range(shares.get("flagged", 0))
        ),
    )


@pytest.mark.parametrize(
    ("shares", "warning"),
    [
        ({"graded": 20, "refused": 30}, None),
        ({"graded": 19, "refused": 31}, "photos.outcome: 31 of 50 rows break “at most 60% of the rows are refused”"),
        ({"graded": 35, "dangerous": 15}, None),
        ({"graded": 34, "dangerous": 16}, "grades.grade: 16 of 50 rows break “at most 30% of the rows are dangerous”"),
        ({"graded": 25, "unnamed": 25}, None),
        (
            {"graded": 24, "unnamed": 26},
            "photos.patient: 26 of 50 rows break “at most 50% of the photos name no person”",
        ),
        ({"graded": 20, "flagged": 30}, None),
        ({"graded": 19, "flagged": 31}, "quality.verdict: 31 of 50 rows break “at most 60% of the rows are flagged”"),
        ({"graded": 10, "refused": 39}, None),  # 49 photos are too few to speak of drift
    ],
)
def test_drift_warns_and_lets_the_night_pass(shares, warning):
    result = audit(_drifting(**shares))
    assert result.success
    assert [w[: len(warning or "")] for w in result.warnings] == ([warning] if warning else [])


def test_a_photo_taken_after_its_night_is_a_warning():
    result = audit(_set("photos", "captured_at_utc", datetime(2027, 1, 1, tzinfo=UTC), [0])(a_night()))
    assert result.success
    assert [warning.split(":")[0] for warning in result.warnings] == ["photos.captured_at_utc"]


def test_limits_of_drift_can_be_set():
    limits = DriftLimits(refused=0.1, fewest_rows=5)
    assert any("at most 10% of the rows are refused" in w for w in audit(a_night(), limits).warnings)


def test_neither_faults_nor_pages_show_a_person_or_a_file_name(tmp_path):
    night = _set("photos", "patient", "Anna Smith")(night_of(Upload("anna-smith.jpg", patient="anna", lesion="back")))
    result = audit(night, docs_folder=tmp_path)
    pages = "".join(page.read_text() for page in tmp_path.glob("*.html"))
    for secret in ("Anna Smith", "anna-smith.jpg", str(pseudonym("p", "anna")), photo_id_of("anna-smith.jpg")):
        assert secret not in pages.replace(photo_id_of("anna-smith.jpg"), "") or secret == photo_id_of("anna-smith.jpg")
    assert not any("Anna Smith" in fault or "anna-smith.jpg" in fault for fault in result.faults)


def test_the_data_docs_have_an_index_and_a_page_per_table(sound):
    _, docs = sound
    assert sorted(p.name for p in docs.iterdir()) == sorted([*(f"{t}.html" for t in TABLES), "index.html"])
    index = (docs / "index.html").read_text()
    assert all(f'href="{table}.html"' in index for table in TABLES)
    assert "✓ held" in (docs / "photos.html").read_text()


class _Loads(html.parser.HTMLParser):
    """Collects whatever could fetch or run something."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base"):
            self.found.append(tag)
        self.found += [
            f"{n}={v}" for n, v in attrs if n.startswith("on") or (n in ("href", "src") and "//" in (v or ""))
        ]


def test_the_data_docs_ask_no_other_host_and_run_nothing(sound):
    _, docs = sound
    for page in docs.glob("*.html"):
        text = page.read_text()
        loads = _Loads()
        loads.feed(text)
        assert loads.found == [], page.name
        assert not re.search(r"https?://|url\(|@import", text), page.name


def test_the_data_docs_of_a_failed_audit_show_what_failed(tmp_path):
    night = a_night().changed("photos", lambda t: with_value(t, "age_years", 300, [0]))
    night = night.changed("referrals", lambda t: with_value(t, "photos", 7))
    audit(night, docs_folder=tmp_path)
    index = (tmp_path / "index.html").read_text()
    assert "photos.age_years: 1 of 8 rows break" in index
    assert "count another number of photos" in index
    assert "✗ broken" in (tmp_path / "photos.html").read_text()


def test_the_audit_leaves_no_temporary_folder_and_shows_no_progress(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    audit(night_of(Upload("a.jpg")), docs_folder=tmp_path / "docs")
    assert [p.name for p in tmp_path.iterdir()] == ["docs"]
    assert "%|" not in "".join(capfd.readouterr())
