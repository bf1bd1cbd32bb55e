"""The audit of a night: every staged table against its expectations, and all of them against each other.

Great Expectations checks what ``expectations.py`` says of one table; ``accounting.py`` compares the tables photo by
photo. The audit says whether a night may be published; raising is the task's. Source: docs/decisions/0007.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa

from screening.contracts import Contract
from screening.errors import ContractError
from screening.stages.accounting import accounting_faults
from screening.stages.data_docs import Suite, write_data_docs
from screening.stages.expectations import (
    DriftLimits,
    Expectation,
    Night,
    contracts_of,
    expectations_on,
    to_frame,
)
from screening.taxonomy import TrainingClasses


@dataclass(frozen=True)
class AuditResult:
    """``faults`` forbid publishing; ``warnings`` go into the report; ``expectations`` is how many were checked."""

    success: bool
    faults: list[str]
    warnings: list[str]
    expectations: int


def audit_tables(
    tables: Mapping[str, pa.Table],
    *,
    ledger: pa.Table,
    night: date,
    members: Sequence[str],
    classes: TrainingClasses,
    docs_folder: Path | None = None,
    limits: DriftLimits | None = None,
) -> AuditResult:
    """Check the tables of a night, each alone and all together.

    Args:
        tables: ``photos``, ``quality``, ``predictions``, ``grades``, ``referrals`` and ``manifest_issues``.
        ledger: what the night claimed; its columns ``key``, ``etag`` and, where present, ``night`` are read.
        night: the night that is audited.
        members: names of the release's CNNs, without ``ensemble``.
        classes: of the release.
        docs_folder: where the Data Docs are written, as pages that ask no other host; None: they are not.
        limits: when to warn of drift.

    Raises:
        ContractError: a table is not given at all.
    """
    contracts = contracts_of(classes)
    missing = [name for name in contracts if name not in tables]
    if missing:
        raise ContractError(f"audit: tables {missing} are missing, expected {list(contracts)}")
    about = Night(night, members, classes, limits or DriftLimits())
    accounting = [fault for name, contract in contracts.items() for fault in _shape_faults(tables[name], contract)]
    if accounting:
        accounting.append("the accounting was not checked, because a table has not the columns of its contract")
    else:
        accounting = accounting_faults(tables, ledger, night=night, members=members, classes=classes)
    frames = ((contract, to_frame(tables[name], classes)) for name, contract in contracts.items())
    suites = run_suites(
        ((contract.name, frame, expectations_on(contract, frame, about)) for contract, frame in frames),
        f"night-{night}",
        on_docs=None
        if docs_folder is None
        else lambda site, suites: write_data_docs(site, suites, accounting, docs_folder, night),
    )
    faults = [*accounting, *(fault for suite in suites for fault in suite.faults)]
    warnings = [warning for suite in suites for warning in suite.warnings]
    return AuditResult(not faults, faults, warnings, sum(suite.checked for suite in suites))


def _shape_faults(table: pa.Table, contract: Contract) -> Iterator[str]:
    """Columns that are missing or of another type; pandas forgets Arrow's types, so this cannot be an expectation."""
    for column in contract.columns:
        if column.name not in table.column_names:
            yield f"{contract.name}.{column.name}: the column is missing"
        elif table[column.name].type != column.type:
            yield f"{contract.name}.{column.name}: is {table[column.name].type}, expected {column.type}"


def run_suites(
    checked: Iterable[tuple[str, pd.DataFrame, Sequence[Expectation]]],
    title: str,
    *,
    on_docs: Callable[[Path, list[Suite]], None] | None = None,
) -> list[Suite]:
    """Let Great Expectations look at frames.

    Args:
        checked: name of each table, its frame and what is expected of it; the next is asked for when one is done.
        title: of the source of the data.
        on_docs: gets the folder of the Data Docs, which is gone afterwards; None: none are made.

    Raises:
        ContractError: an expectation is not one that Great Expectations understands.
    """
    gx = load_great_expectations()
    suites: list[Suite] = []
    with _without_garbage_collection(), tempfile.TemporaryDirectory(prefix="audit-") as scratch:
        context: Any = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        # The context brings a site of its own, in a temporary folder that nobody would remove.
        context.variables.data_docs_sites = {}
        if on_docs is not None:
            context.add_data_docs_site("night", _site_in(Path(scratch)))
        source = context.data_sources.add_pandas(title)
        for name, frame, expected in checked:
            suite = context.suites.add(gx.ExpectationSuite(name, [_for_gx(expectation) for expectation in expected]))
            if len(suite.expectations) != len(
                expected
            ):  # Great Expectations logs what it does not understand, and goes on
                raise ContractError(
                    f"audit: {len(suite.expectations)} of {len(expected)} expectations on {name} were understood"
                )
            batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("rows")
            definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
            result = definition.run(
                batch_parameters={"dataframe": frame},
                # No example values: they might be names of people in names of files.
                result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
            )
            suites.append(_summarise(name, len(frame), result.results))
        if on_docs is not None:
            context.build_data_docs()
            on_docs(Path(scratch), suites)
    return suites


def load_great_expectations() -> ModuleType:
    """Import Great Expectations, which takes seconds: a process with other work to wait for may do it beforehand."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # older versions of the package read it on import
    _put_off_import("scipy.stats")
    with _without_garbage_collection():
        import great_expectations  # noqa: PLC0415 - only a process that audits should pay for it
    # It sets this logger to INFO by itself, and tells of a folder that it then does not make.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    return great_expectations


def _put_off_import(name: str) -> None:
    """Import a module when something of it is used: half of Great Expectations' import is scipy.stats, for nothing here."""
    if name not in sys.modules and (spec := importlib.util.find_spec(name)) and spec.loader:
        loader = importlib.util.LazyLoader(spec.loader)
        spec.loader = loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        loader.exec_module(module)
        package, _, child = name.rpartition(".")
        setattr(sys.modules[package], child, module)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Great Expectations makes millions of small objects that live on; to search them for garbage is a fifth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _site_in(folder: Path) -> dict[str, object]:
    return {
        "class_name": "SiteBuilder",
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "show_how_to_buttons": False,
    }


def _for_gx(expectation: Expectation) -> dict[str, object]:
    limits = dict(expectation.limits)
    if expectation.where:
        column, *words = expectation.where
        limits["row_condition"] = {
            "type": "comparison",
            "column": {"name": column},
            "operator": "IN",
            "parameter": list(words),
        }
    return {
        "type": expectation.type,
        "kwargs": limits,
        "severity": expectation.severity,
        "description": expectation.says,
    }


def _summarise(table: str, rows: int, results: Sequence[Any]) -> Suite:
    failed = [result for result in results if not result.success]
    return Suite(
        table=table,
        rows=rows,
        checked=len(results),
        faults=[_describe(table, result) for result in failed if not _is_warning(result)],
        warnings=[_describe(table, result) for result in failed if _is_warning(result)],
    )


def _is_warning(result: Any) -> bool:
    return bool(result.expectation_config.severity == "warning")


def _describe(table: str, result: Any) -> str:
    """One sentence: the table, the column, how many rows, what they break, and what the expectation is called."""
    config, found = result.expectation_config, result.result or {}
    limits = config.kwargs
    columns = [limits[name] for name in ("column", "column_A", "column_B") if limits.get(name)]
    if config.type == "expect_compound_columns_to_be_unique":
        columns = limits["column_list"]
    place = f"{table}.{'+'.join(columns)}" if columns else table
    if "unexpected_count" in found:
        rows = f"{found['unexpected_count']:,} of {found['element_count']:,} rows break "
    elif "observed_value" in found and columns:
        rows = f"found {found['observed_value']}, expected "
    elif found:
        rows = "found others, expected "
    else:
        rows = "could not be evaluated: "
    return f"{place}: {rows}“{config.description}” ({config.type})"
