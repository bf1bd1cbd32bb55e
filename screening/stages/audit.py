"""The audit of a night: every staged table against its expectations, and all of them against each other.

``check_table`` holds a table against its contract; Great Expectations checks what ``expectations.py`` says beyond it, and
of a table that breaks its contract everything, row by row; ``accounting.py`` compares the tables photo by photo. The audit
says whether a night may be published; raising is the task's. Source: docs/decisions/0007, 0024.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from screening.contracts import Contract, check_table
from screening.errors import ContractError
from screening.stages.accounting import accounting_faults
from screening.stages.data_docs import Suite, write_data_docs
from screening.stages.expectations import (
    DriftLimits,
    Expectation,
    Night,
    beyond_contract,
    contracts_of,
    expectations_of_contract,
    expectations_on,
    to_frame,
)
from screening.taxonomy import TrainingClasses

if TYPE_CHECKING:  # a process that does not audit should not wait for its import
    import pandas as pd


@dataclass(frozen=True)
class AuditResult:
    """``faults`` forbid publishing; ``warnings`` go into the report; ``expectations`` is how many were checked, by whomever."""

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
    kept: dict[str, list[Expectation]] = {}

    def suite_of(contract: Contract) -> tuple[str, pd.DataFrame, list[Expectation]]:
        frame = to_frame(tables[contract.name], classes)
        if not _keeps(tables[contract.name], contract):
            return contract.name, frame, expectations_on(contract, frame, about)
        kept[contract.name] = list(expectations_of_contract(contract, frame))
        return contract.name, frame, beyond_contract(contract, frame, about)

    suites = [
        replace(suite, kept=kept.get(suite.table, []))
        for suite in run_suites(map(suite_of, contracts.values()), f"night-{night}", with_pages=docs_folder is not None)
    ]
    if docs_folder is not None:
        write_data_docs(suites, accounting, docs_folder, night)
    faults = [*accounting, *(fault for suite in suites for fault in suite.faults)]
    warnings = [warning for suite in suites for warning in suite.warnings]
    return AuditResult(not faults, faults, warnings, sum(suite.expectations for suite in suites))


def _shape_faults(table: pa.Table, contract: Contract) -> Iterator[str]:
    """Columns that are missing or of another type; pandas forgets Arrow's types, so this cannot be an expectation."""
    for column in contract.columns:
        if column.name not in table.column_names:
            yield f"{contract.name}.{column.name}: the column is missing"
        elif table[column.name].type != column.type:
            yield f"{contract.name}.{column.name}: is {table[column.name].type}, expected {column.type}"


def _keeps(table: pa.Table, contract: Contract) -> bool:
    try:
        check_table(table, contract)
    except ContractError:
        return False
    return True


def run_suites(
    checked: Iterable[tuple[str, pd.DataFrame, Sequence[Expectation]]], title: str, *, with_pages: bool = False
) -> list[Suite]:
    """Let Great Expectations look at frames.

    Args:
        checked: name of each table, its frame and what is expected of it; the next is asked for when one is done.
        title: of the source of the data.
        with_pages: let it also render the page of each table.

    Raises:
        ContractError: an expectation is not one that Great Expectations understands.
    """
    gx = load_great_expectations()
    suites: list[Suite] = []
    with _without_garbage_collection():
        context: Any = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        # The context brings a site of its own, in a temporary folder that nobody would remove.
        context.variables.data_docs_sites = {}
        source = context.data_sources.add_pandas(title)
        render = _page_renderer() if with_pages else lambda _: ""
        for name, frame, expected in checked:
            if not expected:
                suites.append(Suite(name, len(frame), 0, [], []))
                continue
            suite = gx.ExpectationSuite(name, [_for_gx(expectation) for expectation in expected])
            if len(suite.expectations) != len(
                expected
            ):  # Great Expectations logs what it does not understand, and goes on
                raise ContractError(
                    f"audit: {len(suite.expectations)} of {len(expected)} expectations on {name} were understood"
                )
            rows = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("rows")
            result = rows.get_batch(batch_parameters={"dataframe": frame}).validate(
                suite,
                # No example values: they might be names of people in names of files.
                result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
            )
            suites.append(replace(_summarise(name, len(frame), result.results), page=render(result)))
    return suites


def _page_renderer() -> Callable[[Any], str]:
    """What makes an HTML page of a validation, with one set of templates for all pages."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer  # noqa: PLC0415 - as below
    from great_expectations.render.view.view import DefaultJinjaPageView  # noqa: PLC0415

    sections = ValidationResultsPageRenderer()
    view: Any = DefaultJinjaPageView()
    return lambda result: str(view.render(sections.render(result)))


@cache
def load_great_expectations() -> ModuleType:
    """Import Great Expectations, which takes seconds: a process with other work to wait for may do it beforehand."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # older versions of the package read it on import
    _put_off_import("scipy.stats")
    with _without_garbage_collection():
        import great_expectations  # noqa: PLC0415 - only a process that audits should pay for it
    gc.freeze()  # what was imported lives on: no collection need look through it again
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
