import io
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from screening import contracts
from screening.contracts import (
    BATCH,
    GRADES,
    PHOTOS,
    PREPARED,
    Column,
    Contract,
    Outcome,
    RiskGrade,
    check_table,
    grades_contract,
    grades_contract_of,
)
from screening.errors import ContractError

VISITS = Contract(
    "visits",
    ("visit", "day"),
    (
        Column("visit", pa.string(), "who came"),
        Column("day", pa.int32(), "day of the year", "d", low=1, high=366),
        Column("share", pa.float64(), "of the day", "0..1", nullable=True, low=0.0, high=1.0),
        Column("kind", pa.string(), "why", nullable=True, words=("first", "again")),
    ),
)
EVERY_CONTRACT = [c for c in vars(contracts).values() if isinstance(c, Contract)] + [
    grades_contract(("nevus", "melanoma"))
]


def a_row(**changed: object) -> dict[str, object]:
    return {"visit": "v1", "day": 7, "share": 0.5, "kind": "first"} | changed


def a_table(*rows: dict[str, object]) -> pa.Table:
    """As a writer without a check would make it."""
    return pa.Table.from_pylist(list(rows) or [a_row()], schema=pa.schema([(c.name, c.type) for c in VISITS.columns]))


def test_a_table_that_keeps_its_contract_comes_back_with_the_meaning_of_its_columns() -> None:
    checked = check_table(a_table(), VISITS)

    assert checked.to_pylist() == [a_row()]
    assert checked.schema.field("day").metadata == {b"description": b"day of the year", b"unit": b"d"}
    assert not checked.schema.field("day").nullable


def test_an_empty_table_keeps_any_contract() -> None:
    for contract in EVERY_CONTRACT:
        assert check_table(contract.schema.empty_table(), contract).num_rows == 0


def test_checking_twice_changes_nothing() -> None:
    once = check_table(a_table(), VISITS)

    assert check_table(once, VISITS).equals(once, check_metadata=True)


def test_a_checked_table_keeps_its_contract_through_parquet() -> None:
    stream = io.BytesIO()
    pq.write_table(VISITS.table([a_row()]), stream)

    assert check_table(pq.read_table(stream), VISITS).to_pylist() == [a_row()]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        pytest.param(a_table().drop_columns("kind"), r"missing columns \['kind'\]", id="a column is missing"),
        pytest.param(
            a_table().append_column("name", pa.array(["x"])), r"unexpected columns \['name'\]", id="a column too many"
        ),
        pytest.param(a_table().select(["day", "visit", "share", "kind"]), "another order", id="another order"),
        pytest.param(
            a_table().set_column(1, "day", pa.array([7], pa.int64())),
            "column day is int64, expected int32",
            id="another type",
        ),
        pytest.param(a_table(a_row(visit=None)), "column visit has 1 nulls, expected none", id="a null"),
        pytest.param(a_table(a_row(share=float("nan"))), "column share holds NaN", id="not a number"),
        pytest.param(
            a_table(a_row(kind="third")), r"column kind has 1 values that are none of \['first', 'again'\]", id="a word"
        ),
        pytest.param(a_table(a_row(), a_row()), "2 rows but 1 distinct visit\\+day", id="a key twice"),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused_with_what_is_wrong(table: pa.Table, says: str) -> None:
    with pytest.raises(ContractError, match=f"table visits: .*{says}"):
        check_table(table, VISITS)


@pytest.mark.parametrize(
    ("row", "is_kept"),
    [
        (a_row(day=0), False),
        (a_row(day=1), True),
        (a_row(day=366), True),
        (a_row(day=367), False),
        (a_row(share=-1e-9), False),
        (a_row(share=0.0), True),
        (a_row(share=1.0), True),
        (a_row(share=1.000001), False),
        (a_row(share=float("inf")), False),
        (a_row(share=None), True),
        (a_row(kind=None), True),
    ],
)
def test_a_range_includes_both_its_ends_and_a_nullable_column_its_nulls(row: dict[str, object], is_kept: bool) -> None:
    if is_kept:
        assert check_table(a_table(row), VISITS).to_pylist() == [row]
    else:
        with pytest.raises(ContractError, match="has 1 values outside"):
            check_table(a_table(row), VISITS)


def test_a_key_of_two_columns_may_repeat_in_one_of_them() -> None:
    assert check_table(a_table(a_row(), a_row(day=8)), VISITS).num_rows == 2


def test_a_second_chunk_is_checked_as_the_first() -> None:
    chunked = pa.concat_tables([a_table(a_row(day=day)) for day in (7, 8, 400)])

    with pytest.raises(ContractError, match="column day has 1 values outside 1 to 366"):
        check_table(chunked, VISITS)


def test_a_row_that_lacks_a_nullable_column_gets_null() -> None:
    assert VISITS.table([{"visit": "v1", "day": 7}]).to_pylist() == [a_row(share=None, kind=None)]


@pytest.mark.parametrize(
    "row",
    [
        a_row(day="seven"),
        a_row(day=10**30),
        a_row(day=2**40),
        a_row(visit=5),
        a_row(visit="a name that is no UTF-8: \udcff"),
        {"day": 7},
    ],
)
def test_a_row_that_does_not_fit_the_columns_breaks_the_contract(row: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="table visits"):
        VISITS.table([row])


@pytest.mark.parametrize("contract", EVERY_CONTRACT, ids=lambda c: c.name)
def test_a_contract_of_the_package_is_sound(contract: Contract) -> None:
    columns = {c.name: c for c in contract.columns}

    assert len(columns) == len(contract.columns), "a column stands twice"
    assert set(contract.key) <= set(columns), "the key names a column that is not there"
    assert not [name for name in contract.key if columns[name].nullable], "a key may be null"
    assert [c.name for c in contract.columns if not c.description] == [], "a column says nothing"
    assert [c.name for c in contract.columns if c.words and c.type != pa.string()] == []


@pytest.mark.parametrize("contract", EVERY_CONTRACT, ids=lambda c: c.name)
def test_a_column_names_its_unit(contract: Contract) -> None:
    units = {"_px": "px", "_bytes": "B", "_years": "years", "_fraction": "0..1"}

    wrong = [c.name for c in contract.columns for end, unit in units.items() if c.name.endswith(end) and c.unit != unit]

    assert wrong == []


@pytest.mark.parametrize(("p", "is_kept"), [(1.0 + 1e-12, True), (1.0 + 1e-6, False), (-1e-12, False)])
def test_a_probability_may_pass_one_by_rounding_only(p: float, is_kept: bool) -> None:
    contract = Contract("p", ("p_low_risk",), tuple(_columns(grades_contract(("nevus",)), "p_low_risk")))
    if is_kept:
        contract.table([{"p_low_risk": p}])
    else:
        with pytest.raises(ContractError, match="p_low_risk has 1 values outside"):
            contract.table([{"p_low_risk": p}])


def _columns(contract: Contract, *names: str) -> Iterator[Column]:
    return (c for c in contract.columns if c.name in names)


def test_a_photo_has_an_outcome_at_the_end_and_may_lack_one_on_its_way() -> None:
    outcome_of = {c.name: {k.name: k for k in c.columns}["outcome"] for c in (PHOTOS, PREPARED)}

    assert not outcome_of["photos"].nullable
    assert outcome_of["prepared"].nullable
    assert outcome_of["photos"].words == outcome_of["prepared"].words == tuple(Outcome)
    assert [c.name for c in PHOTOS.columns] == [c.name for c in PREPARED.columns]


def test_a_photo_knows_all_that_its_batch_knew() -> None:
    assert {c.name for c in BATCH.columns} <= {c.name for c in PHOTOS.columns}


def test_the_table_of_grades_has_a_probability_for_each_class_in_the_order_of_the_release() -> None:
    classes = ("nevus", "melanoma", "wart")

    columns = [c.name for c in grades_contract(classes).columns]

    assert columns[-len(classes) :] == [f"p_{disease}" for disease in classes]


def test_the_contract_of_another_releases_grades_is_told_by_their_columns() -> None:
    written = grades_contract(("wart", "melanoma"))

    assert grades_contract_of([c.name for c in written.columns]) == written


def test_grades_stand_from_the_mildest_to_the_most_severe() -> None:
    assert GRADES == (RiskGrade.LOW_RISK, RiskGrade.HIGH_RISK, RiskGrade.DANGEROUS)


@pytest.mark.parametrize(
    ("column", "value"),
    [("age_years", 121), ("age_years", -1), ("fitzpatrick", 0), ("fitzpatrick", 7), ("sex", "f"), ("size_bytes", -1)],
)
def test_an_impossible_person_or_object_is_not_written(column: str, value: Any) -> None:
    row: dict[str, object] = {
        "key": "uploads/north/2026-11-20/mole.jpg",
        "etag": "1",
        "size_bytes": 1,
        "programme": "north",
        "source_name": "mole.jpg",
        "captured_at_utc": datetime.fromisoformat("2026-11-20T14:05:00+00:00"),
        "has_training_consent": False,
    }
    BATCH.table([row])
    with pytest.raises(ContractError, match=f"column {column}"):
        BATCH.table([row | {column: value}])


def test_a_date_is_no_text() -> None:
    contract = Contract("nights", ("night",), (Column("night", pa.date32(), "the night"),))

    assert contract.table([{"night": date(2026, 11, 20)}]).num_rows == 1
    with pytest.raises(ContractError, match="table nights"):
        contract.table([{"night": "2026-11-20"}])


def test_grades_of_a_night_before_releases_told_their_limits_can_still_be_read() -> None:
    limits = {"prediction_set", "outlier_distance", "is_outlier", "warnings"}
    names = [column.name for column in grades_contract(("nevus", "melanoma")).columns]

    older = grades_contract_of([name for name in names if name not in limits])

    assert [column.name for column in grades_contract_of(names).columns] == names
    assert [column.name for column in older.columns] == [name for name in names if name not in limits]
