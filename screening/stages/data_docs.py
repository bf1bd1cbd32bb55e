"""Turn the pages that Great Expectations renders into pages that ask no other host.

Its own pages load styles and scripts from half a dozen public servers, and the index is empty without them: a health
programme's report must open offline, and must not tell strangers who reads it. So the sections that it rendered are
kept, tag by tag, and everything that could load or run anything is left behind. Source: docs/decisions/0007.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from html import escape
from html.parser import HTMLParser
from pathlib import Path

from screening.errors import ContractError
from screening.stages.expectations import Expectation


@dataclass(frozen=True)
class Suite:
    """What became of the expectations on one table."""

    table: str
    rows: int
    checked: int
    """By Great Expectations."""
    faults: list[str]
    warnings: list[str]
    page: str = ""
    """As Great Expectations rendered it; empty where it had nothing to check."""
    kept: list[Expectation] = field(default_factory=list)
    """What the table's contract promises, where ``check_table`` found it kept."""

    @property
    def expectations(self) -> int:
        """How many were checked, by whomever."""
        return self.checked + len(self.kept)


def write_data_docs(suites: Sequence[Suite], accounting: Sequence[str], folder: Path, night: date) -> None:
    """Write ``index.html`` and one ``<table>.html`` per suite.

    Args:
        suites: in the order of the index.
        accounting: faults that were found by comparing the tables with each other.
        folder: made if it is missing; files of these names are replaced.
        night: for the titles.

    Raises:
        ContractError: a page of Great Expectations has no sections, or broken ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for suite in suites:
        sections = _sections_of(suite) if suite.checked else ""
        body = f"{_summary(suite)}{sections}{_kept(suite.kept)}"
        _write(folder / f"{suite.table}.html", f"Table {suite.table}", body, suites, night)
    _write(folder / "index.html", "All tables", _index(suites, accounting), suites, night)


def _sections_of(suite: Suite) -> str:
    found = _Sections()
    found.feed(suite.page)
    found.close()
    if found.depth or not found.html:
        raise ContractError(f"audit: the Data Docs of table {suite.table} have no sections, or broken ones")
    return "".join(found.html)


class _Sections(HTMLParser):
    """Keeps the sections of a page: plain tags with their class and id, no style, no script, no address."""

    KEPT = frozenset(
        ("div", "span", "p", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "br", "hr", "pre", "code")
    ) | frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "b", "small"))
    WITHOUT_END = frozenset({"br", "hr"})
    ICONS = (("fa-check-circle", "✓ held"), ("fa-times", "✗ broken"), ("fa-exclamation-triangle", "! not evaluated"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.html: list[str] = []
        self.depth = 0
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag in ("script", "style"):
            self._silent += 1
        # section-1 is an overview in the words of the library; `_summary` says the same in ours.
        if not self.depth and ("ge-section" not in found.get("class", "") or found.get("id") == "section-1"):
            return
        if tag == "i":
            words = next((text for icon, text in self.ICONS if icon in found.get("class", "")), "")
            self.html.append(f'<b class="{"held" if words.startswith("✓") else "broken"}">{words}</b>' if words else "")
        if tag not in self.KEPT:
            return
        named = "".join(f' {name}="{escape(found[name])}"' for name in ("id", "class", "colspan") if found.get(name))
        self.html.append(f"<{tag}{named}>")
        if tag not in self.WITHOUT_END:
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent -= 1
        if self.depth and tag in self.KEPT - self.WITHOUT_END:
            self.html.append(f"</{tag}>")
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth and not self._silent:
            self.html.append(escape(" ".join(data.split()) + " ") if data.strip() else " ")


def _index(suites: Sequence[Suite], accounting: Sequence[str]) -> str:
    rows = "".join(
        f'<tr><td><a href="{escape(suite.table)}.html">{escape(suite.table)}</a></td><td>{suite.rows:,}</td>'
        f"<td>{suite.expectations:,}</td><td>{_count(suite.faults)}</td><td>{_count(suite.warnings)}</td></tr>"
        for suite in suites
    )
    accounted = f"<tr><td>all tables, photo by photo</td><td></td><td></td><td>{_count(accounting)}</td><td></td></tr>"
    faults = [*(fault for suite in suites for fault in suite.faults), *accounting]
    return (
        "<table class='index'><thead><tr><th>Table</th><th>Rows</th><th>Expectations</th><th>Faults</th><th>Warnings</th>"
        f"</tr></thead><tbody>{rows}{accounted}</tbody></table>"
        + _listed("Faults: these forbid publishing", faults)
        + _listed("Warnings: worth a look", [warning for suite in suites for warning in suite.warnings])
    )


def _summary(suite: Suite) -> str:
    return (
        f"<p>Rows: {suite.rows:,}. Expectations: {suite.expectations:,}. Faults: {len(suite.faults):,}. "
        f"Warnings: {len(suite.warnings):,}.</p>"
        + _listed("Faults: these forbid publishing", suite.faults)
        + _listed("Warnings: worth a look", suite.warnings)
    )


def _kept(expectations: Sequence[Expectation]) -> str:
    """What the contract promises, column by column."""
    rows = "".join(
        f'<tr><td><b class="held">✓ held</b></td><td>{escape(str(expectation.limits.get("column", "")))}</td>'
        f"<td>{escape(expectation.says)}</td></tr>"
        for expectation in expectations
    )
    head = (
        "<h2>What the contract of the table promises</h2><table class='kept'><thead><tr><th>Status</th><th>Column</th>"
    )
    return f"{head}<th>Expectation</th></tr></thead><tbody>{rows}</tbody></table>" if rows else ""


def _count(sentences: Sequence[str]) -> str:
    return f'<b class="broken">{len(sentences):,}</b>' if sentences else "0"


def _listed(title: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>" if items else ""


def _write(path: Path, title: str, body: str, suites: Sequence[Suite], night: date) -> None:
    pages = [("index.html", "all tables"), *((f"{suite.table}.html", suite.table) for suite in suites)]
    links = "".join(f'<a href="{escape(href)}">{escape(name)}</a>' for href, name in pages)
    path.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)} · audit of {night}</title><style>{_STYLE}</style></head><body>"
        f"<header><p>Skin Screening · audit of the night {night}</p><h1>{escape(title)}</h1><nav>{links}</nav></header>"
        f"<main>{body}</main><footer>Checked by contract and by Great Expectations; made to open offline.</footer>"
        "</body></html>\n",
        encoding="utf-8",
    )


_STYLE = """
:root { --ink: #1a1d21; --faint: #5a626c; --line: #dfe3e7; --teal: #1f6462; --bad: #8c1d40; }
body { margin: 0 auto; max-width: 1000px; padding: 28px 30px 50px; background: #fff; color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, "DejaVu Sans", sans-serif; }
header p { color: var(--teal); font-size: 13px; font-weight: 600; margin: 0; }
h1 { font-size: 28px; line-height: 1.2; margin: 2px 0 12px; }
h2 { font-size: 17px; margin: 24px 0 6px; }
h3, h4, h5 { font-size: 15px; margin: 26px 0 4px; overflow-wrap: anywhere; }
a { color: var(--teal); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; padding-bottom: 10px; border-bottom: 1.5px solid #aeb5bd; }
ul { padding-left: 20px; margin: 6px 0; }
table { width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: 12.5px; color: var(--faint); border-bottom: 1.5px solid #aeb5bd; padding: 4px 12px 4px 0; }
td { border-bottom: 1px solid var(--line); padding: 5px 12px 5px 0; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
.ge-section table th:nth-child(1), .kept th:nth-child(1) { width: 15%; } .ge-section table th:nth-child(3) { width: 24%; }
.index th:not(:first-child), .index td:not(:first-child) { text-align: right; }
@media (max-width: 640px) { body { padding: 16px; } td:first-child { white-space: normal; }
  td, th { padding-right: 8px; } .index { font-size: 12.5px; } .index th { font-size: 10.5px; } }
.held { color: var(--teal); font-weight: 600; } .broken { color: var(--bad); font-weight: 700; }
.badge { background: #eceff2; border-radius: 3px; padding: 0 5px; }
.cooltip .top, .top { display: none; }
footer { margin-top: 40px; padding-top: 10px; border-top: 1px solid var(--line); color: var(--faint); font-size: 13px; }
@media print { body { padding: 0; font-size: 9.5pt; } .ge-section { break-inside: avoid; } }
"""
