"""Tables as Parquet objects in a store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from screening.contracts import LEDGER, MANIFEST_ISSUES, QUALITY, REFERRALS, Column, Contract
from screening.edges import tables
from screening.edges.folder_store import FolderStore
from screening.edges.tables import TableWriter, iter_table, read_table, read_tables, write_table
from screening.errors import ContractError, MissingObjectError

KEY = "tables/moles/part-0.parquet"

MOLES = Contract(
    "moles",
    ("patient", "number"),
    (
        Column("patient", pa.string(), "who"),
        Column("number", pa.int32(), "which", low=0),
        Column("sites", pa.list_(pa.string()), "where"),
        Column("width_mm", pa.float64(), "how wide", "mm", nullable=True, low=0, high=100),
        Column("seen_at_utc", pa.timestamp("us", tz="UTC"), "when", nullable=True),
    ),
)


def mole(number: int, **fields: object) -> dict[str, object]:
    return {
        "patient": f"p{number % 7}",
        "number": number,
        "sites": ["arm"],
        "width_mm": None,
        "seen_at_utc": None,
    } | fields


def moles(*numbers: int) -> pa.Table:
    return MOLES.table([mole(n) for n in numbers])


def write_chunks(store: FolderStore, *chunks: pa.Table | list[dict[str, object]]) -> TableWriter:
    with TableWriter(store, KEY, MOLES) as writer:
        for chunk in chunks:
            writer.write(chunk)
    return writer


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def test_a_table_is_read_as_it_was_written_with_its_units(store):
    table = MOLES.table([mole(1, width_mm=3.5, sites=[], seen_at_utc=datetime(2026, 11, 20, 3, 4, 5, 6, UTC)), mole(2)])
    assert write_table(store, KEY, table, MOLES) is True
    again = read_table(store, KEY, MOLES)
    assert again.equals(table)
    assert again.schema.field("width_mm").metadata[b"unit"] == b"mm"


@pytest.mark.parametrize("contract", [LEDGER, QUALITY, REFERRALS, MANIFEST_ISSUES], ids=lambda c: c.name)
def test_an_empty_table_of_every_kind_can_be_written_and_read(store, contract):
    write_table(store, KEY, contract.table([]), contract)
    assert read_table(store, KEY, contract).schema.equals(contract.schema, check_metadata=True)
    assert sum(chunk.num_rows for chunk in iter_table(store, KEY, contract)) == 0


def test_a_table_is_compressed_with_zstd(store, tmp_path):
    write_table(store, KEY, moles(1, 2, 3), MOLES)
    assert pq.read_metadata(tmp_path / KEY).row_group(0).column(0).compression == "ZSTD"


def test_a_table_that_breaks_its_contract_is_not_written(store):
    with pytest.raises(ContractError, match="moles"):
        write_table(store, KEY, moles(1, 2).drop_columns(["sites"]), MOLES)
    assert not store.exists(KEY)


def test_a_table_that_should_be_new_does_not_replace_another(store):
    assert write_table(store, KEY, moles(1), MOLES, only_if_new=True) is True
    assert write_table(store, KEY, moles(2), MOLES, only_if_new=True) is False
    assert read_table(store, KEY, MOLES).equals(moles(1))


def test_a_missing_table_is_a_missing_object(store):
    with pytest.raises(MissingObjectError):
        read_table(store, KEY, MOLES)
    with pytest.raises(MissingObjectError):
        next(iter_table(store, KEY, MOLES))


@pytest.mark.parametrize("body", [b"", b"PAR1", b"no parquet at all", "half"])
def test_an_object_that_is_no_parquet_breaks_the_contract(store, body):
    if body == "half":
        write_table(store, KEY, moles(*range(1000)), MOLES)
        body = store.get(KEY)[:-100]
    store.put(KEY, body)
    with pytest.raises(ContractError, match="cannot be read as Parquet"):
        read_table(store, KEY, MOLES)
    with pytest.raises(ContractError, match="cannot be read as Parquet"):
        list(iter_table(store, KEY, MOLES))


def test_damage_inside_of_a_table_breaks_the_contract(store):
    write_table(store, KEY, moles(*range(1000)), MOLES)
    body = bytearray(store.get(KEY))
    body[4:400] = bytes(396)
    store.put(KEY, bytes(body))
    with pytest.raises(ContractError):
        read_table(store, KEY, MOLES)
    with pytest.raises(ContractError):
        list(iter_table(store, KEY, MOLES))


def test_a_table_of_another_kind_breaks_the_contract(store):
    write_table(store, KEY, moles(1), MOLES)
    with pytest.raises(ContractError, match="missing columns"):
        read_table(store, KEY, LEDGER)
    with pytest.raises(ContractError, match="missing columns"):
        list(iter_table(store, KEY, LEDGER))
    with pytest.raises(ContractError):
        list(iter_table(store, KEY, LEDGER, ["key"]))


def test_what_somebody_else_wrote_is_checked_on_reading(store, tmp_path):
    (tmp_path / KEY).parent.mkdir(parents=True)
    pq.write_table(moles(1, 2).set_column(3, "width_mm", pa.array([5.0, 101.0])), tmp_path / KEY)
    for read in (lambda: read_table(store, KEY, MOLES), lambda: list(iter_table(store, KEY, MOLES))):
        with pytest.raises(ContractError, match="width_mm"):
            read()
    pq.write_table(pa.concat_tables([moles(1), moles(1)]), tmp_path / KEY)
    with pytest.raises(ContractError, match="1 distinct patient"):
        read_table(store, KEY, MOLES)


def test_chunks_together_are_the_table(store, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK_ROWS", 10)
    write_table(store, KEY, moles(*range(25)), MOLES)
    chunks = list(iter_table(store, KEY, MOLES))
    assert [chunk.num_rows for chunk in chunks] == [10, 10, 5]
    assert pa.concat_tables(chunks).equals(moles(*range(25)))


def test_some_columns_can_be_read_in_the_contracts_order(store):
    write_table(store, KEY, moles(1, 8), MOLES)
    (chunk,) = iter_table(store, KEY, MOLES, ["number", "patient"])
    assert chunk.column_names == ["patient", "number"]
    # two rows of one patient: without all of its key a row need not be unique
    (chunk,) = iter_table(store, KEY, MOLES, ["patient"])
    assert chunk.to_pylist() == [{"patient": "p1"}, {"patient": "p1"}]


def test_a_column_that_the_contract_does_not_have_cannot_be_asked_for(store):
    write_table(store, KEY, moles(1), MOLES)
    with pytest.raises(ContractError, match="colour"):
        next(iter_table(store, KEY, MOLES, ["colour"]))


def test_a_table_written_in_chunks_is_the_table(store, tmp_path):
    with TableWriter(store, KEY, MOLES) as writer:
        writer.write([mole(n) for n in range(3)])
        writer.write([])
        writer.write(moles(3, 4))
        assert not store.exists(KEY)
    assert writer.is_written
    assert writer.rows == 5
    assert read_table(store, KEY, MOLES).equals(moles(*range(5)))


def test_small_chunks_share_a_row_group(store, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK_ROWS", 10)
    write_chunks(store, *(moles(*range(number, number + 4)) for number in range(0, 24, 4)))
    metadata = pq.read_metadata(tmp_path / KEY)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [10, 2, 10, 2]
    assert read_table(store, KEY, MOLES).equals(moles(*range(24)))


def test_a_writer_that_got_no_row_writes_an_empty_table(store):
    write_chunks(store)
    assert read_table(store, KEY, MOLES).num_rows == 0


def test_a_writer_that_comes_second_is_told_so(store):
    for number, is_written in ((1, True), (2, False)):
        with TableWriter(store, KEY, MOLES, only_if_new=True) as writer:
            writer.write(moles(number))
        assert writer.is_written is is_written
    assert read_table(store, KEY, MOLES).equals(moles(1))


@pytest.mark.parametrize("bad", [[mole(3, width_mm=101.0)], [mole(3), mole(3)], [{"patient": "p"}], [mole(3, sites=7)]])
def test_a_chunk_that_breaks_the_contract_is_refused_and_nothing_is_written(store, bad):
    with pytest.raises(ContractError):
        write_chunks(store, moles(1), bad)
    assert not store.exists(KEY)


def test_a_key_that_stands_in_two_chunks_is_found_at_the_end(store):
    with pytest.raises(ContractError, match="4 rows but 3 distinct patient"):
        write_chunks(store, moles(1, 2), moles(3, 1))
    assert not store.exists(KEY)


def test_equal_hashes_of_different_keys_are_no_double(store, monkeypatch):
    monkeypatch.setattr(tables, "hash", lambda _: 7, raising=False)
    assert write_chunks(store, moles(1, 2), moles(3)).is_written


def test_an_error_of_the_caller_leaves_nothing_behind(store, tmp_path, monkeypatch):
    local = tmp_path / "local"
    local.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(local))

    def fail_in_the_middle() -> None:
        with TableWriter(store, KEY, MOLES) as writer:
            writer.write(moles(1))
            assert list(local.iterdir())
            raise KeyError("the caller's own")

    with pytest.raises(KeyError, match="the caller's own"):
        fail_in_the_middle()
    assert not store.exists(KEY)
    assert list(local.iterdir()) == []


def test_a_large_ledger_is_written_and_read_in_little_memory(store):
    rows, chunk = 400_000, 1_000

    def ledger(start: int) -> pa.Table:
        numbers = range(start, start + chunk)
        return pa.table(
            {
                "key": [f"uploads/north/2026-11-20/{n:09d}.jpg" for n in numbers],
                "etag": [f"{n:032x}" for n in numbers],
                "size_bytes": [1] * chunk,
                "programme": ["north"] * chunk,
                "night": [date(2026, 11, 20)] * chunk,
                "claimed_at_utc": [datetime(2026, 11, 20, 1, 0, tzinfo=UTC)] * chunk,
                "photo_id": [None] * chunk,
                "outcome": [None] * chunk,
            },
            schema=LEDGER.schema,
        )

    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    written = largest = 0
    with TableWriter(store, KEY, LEDGER) as writer:
        for start in range(0, rows, chunk):
            table = ledger(start)
            written += table.nbytes
            writer.write(table)
            largest = max(largest, pool.bytes_allocated() - before)
    seen = 0
    for part in iter_table(store, KEY, LEDGER, ["key", "etag"]):
        seen += part.num_rows
        largest = max(largest, pool.bytes_allocated() - before)
    assert seen == rows
    assert largest < written / 2


def test_small_objects_are_read_as_one_table_in_the_order_of_their_keys(store):
    for number in (3, 1, 2):
        write_table(store, f"tables/{number}.parquet", moles(number), MOLES)
    keys = ["tables/2.parquet", "tables/not-there.parquet", "tables/1.parquet"]
    assert read_tables(store, keys, MOLES)["number"].to_pylist() == [2, 1]
    assert read_tables(store, [], MOLES).num_rows == 0


def test_a_key_that_stands_in_two_objects_is_found(store):
    for number in (1, 2):
        write_table(store, f"tables/{number}.parquet", moles(7), MOLES)
    with pytest.raises(ContractError, match="2 rows but 1 distinct"):
        read_tables(store, ["tables/1.parquet", "tables/2.parquet"], MOLES)
