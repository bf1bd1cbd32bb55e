"""Tables as Parquet objects; every table passes its contract on the way out and on the way in."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from screening.contracts import Contract, check_table
from screening.edges.store import Store
from screening.errors import ContractError, MissingObjectError

CHUNK_ROWS = 50_000
"""Rows in a row group that is written, and at most in a chunk that is read: some 10 MB of the ledger."""


def write_table(store: Store, key: str, table: pa.Table, contract: Contract, *, only_if_new: bool = False) -> bool:
    """Check a table and write it as one object.

    Returns:
        Whether it was written; false only with ``only_if_new``, when the key existed already.

    Raises:
        ContractError: the table breaks its contract; nothing was written.
    """
    buffer = io.BytesIO()
    pq.write_table(check_table(table, contract), buffer, compression="zstd", row_group_size=CHUNK_ROWS)
    return store.put(key, buffer.getvalue(), only_if_new=only_if_new)


def read_table(store: Store, key: str, contract: Contract | Callable[[Sequence[str]], Contract]) -> pa.Table:
    """Read a table as a whole and check it.

    Args:
        store: where the object is.
        key: of the object.
        contract: of the table, or what makes it of the names of the columns that are found.

    Raises:
        MissingObjectError: there is no such object.
        ContractError: it is no Parquet, or the table breaks its contract.
    """
    with _opened(store, key) as file:
        try:
            found = contract if isinstance(contract, Contract) else contract(file.schema_arrow.names)
            return check_table(file.read(), found)
        except (pa.ArrowException, OSError) as error:
            raise _broken(key) from error


def read_tables(store: Store, keys: Sequence[str], contract: Contract, *, at_once: int = 8) -> pa.Table:
    """Read several small objects of one table as one, in the order of the keys, and check them together.

    Objects that are not there are left out. A key of the contract may stand only once in all of them.

    Args:
        store: where the objects are.
        keys: of the objects.
        contract: of the table, of all objects together.
        at_once: objects that are fetched at once.

    Raises:
        ContractError: one is no Parquet, or the rows break the contract.
    """

    def read(key: str) -> pa.Table | None:
        try:
            with _opened(store, key) as file:
                _check_columns(file.schema_arrow, contract)
                return file.read()
        except MissingObjectError:
            return None
        except (pa.ArrowException, OSError) as error:
            raise _broken(key) from error

    with ThreadPoolExecutor(at_once, thread_name_prefix="tables") as pool:
        found = [table for table in pool.map(read, keys) if table is not None]
    return check_table(pa.concat_tables([contract.schema.empty_table(), *found]).combine_chunks(), contract)


def iter_table(
    store: Store,
    key: str,
    contract: Contract | Callable[[Sequence[str]], Contract],
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Read a table in chunks of at most ``CHUNK_ROWS`` rows and check each.

    The object's compressed bytes are held, and one chunk of rows. That a key stands only once is checked within each
    chunk; the writer checked it for the table.

    Args:
        store: where the object is.
        key: of the object.
        contract: of the whole table, or what makes it of the names of the columns that are found.
        columns: read these only, in the contract's order; all when None.

    Raises:
        MissingObjectError: there is no such object.
        ContractError: it is no Parquet, a column is unknown, or a chunk breaks the contract.
    """
    with _opened(store, key) as file:
        found = contract if isinstance(contract, Contract) else contract(file.schema_arrow.names)
        wanted = [c.name for c in found.columns] if columns is None else _in_order(found, columns)
        # The key is read along in any case: a key that stands twice is never overlooked.
        part = replace(found, columns=tuple(c for c in found.columns if c.name in {*wanted, *found.key}))
        try:
            _check_columns(file.schema_arrow, found)
            for batch in file.iter_batches(CHUNK_ROWS, columns=[c.name for c in part.columns]):
                yield check_table(pa.Table.from_batches([batch]), part).select(wanted)
        except (pa.ArrowException, OSError) as error:
            raise _broken(key) from error


class TableWriter:
    """Writes a table that does not fit into memory: to a local file, which is uploaded as one object at the end.

    ``with TableWriter(store, key, contract) as writer: writer.write(rows)``. An exception inside uploads nothing.
    Afterwards ``is_written`` says whether the object was written (false only with ``only_if_new``, when the key existed
    already) and ``rows`` how many rows it has. Memory: one row group, and 8 bytes per row for finding a key that stands
    twice.

    Raises:
        ContractError: on ``write``, the rows break the contract; at the end, two chunks hold the same key.
    """

    def __init__(self, store: Store, key: str, contract: Contract, *, only_if_new: bool = False) -> None:
        self.rows = 0
        self.is_written = False
        self._store = store
        self._key = key
        self._contract = contract
        self._only_if_new = only_if_new
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._key_hashes: list[np.ndarray] = []

    def __enter__(self) -> TableWriter:
        self._folder = tempfile.TemporaryDirectory(prefix="screening-table-")
        self._path = Path(self._folder.name) / "part-0.parquet"
        self._file = pq.ParquetWriter(self._path, self._contract.schema, compression="zstd")
        return self

    def write(self, rows: pa.Table | list[dict[str, object]]) -> None:
        """Check and add rows; an empty chunk is fine."""
        table = self._contract.table(rows) if isinstance(rows, list) else check_table(rows, self._contract)
        self._key_hashes.append(_hash_keys(table, self._contract))
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self.rows += table.num_rows
        if self._waiting_rows >= CHUNK_ROWS:
            self._write_row_group()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._file:
                if kind is None and self._waiting_rows:
                    self._write_row_group()
            if kind is None:
                self._check_keys()
                self.is_written = self._store.put_file(self._key, self._path, only_if_new=self._only_if_new)
        finally:
            self._folder.cleanup()

    def _write_row_group(self) -> None:
        self._file.write_table(pa.concat_tables(self._waiting), row_group_size=CHUNK_ROWS)
        self._waiting, self._waiting_rows = [], 0

    def _check_keys(self) -> None:
        hashes = np.concatenate([np.empty(0, np.int64), *self._key_hashes])
        if len(np.unique(hashes)) == len(hashes):
            return
        # Two keys of one hash: once in ten million tables of a million rows, and else a key that stands twice.
        key_columns = list(self._contract.key)
        keys = pq.read_table(self._path, columns=key_columns)
        distinct = keys.group_by(key_columns).aggregate([]).num_rows
        if distinct != self.rows:
            raise ContractError(
                f"table {self._contract.name}: {self.rows} rows but {distinct} distinct {'+'.join(key_columns)}"
            )


def _hash_keys(table: pa.Table, contract: Contract) -> np.ndarray:
    columns = [table[name].to_pylist() for name in contract.key]
    return np.fromiter((hash(row) for row in zip(*columns, strict=True)), dtype=np.int64, count=table.num_rows)


def _in_order(contract: Contract, columns: Sequence[str]) -> list[str]:
    known = [c.name for c in contract.columns]
    unknown = sorted(set(columns) - set(known))
    if unknown:
        raise ContractError(f"table {contract.name} has no columns {unknown}")
    return [name for name in known if name in columns]


def _check_columns(found: pa.Schema, contract: Contract) -> None:
    """Also where only some columns are read: a table of another kind is not read by luck."""
    if found.names != contract.schema.names:
        check_table(found.empty_table(), contract)


def _opened(store: Store, key: str) -> pq.ParquetFile:
    body = store.get(key)
    try:
        return pq.ParquetFile(pa.BufferReader(body))
    except (pa.ArrowException, OSError) as error:
        raise _broken(key) from error


def _broken(key: str) -> ContractError:
    return ContractError(f"table {key!r} cannot be read as Parquet")
