"""What an HTML page says, and whatever in it could fetch or run something."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """``sections`` are the texts of header, sections and footer by id or class; ``loads`` should be empty."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.loads: list[str] = re.findall(r"https?://\S+|url\(|@import|javascript:", page)
        self._at, self._in_style = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("section", "header", "footer"):
            self._at = found.get("id") or found.get("class") or tag
        self._in_style = tag == "style"
        if tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base"):
            self.loads.append(tag)
        self.loads += [
            f"{n}={v}" for n, v in attrs if n.startswith("on") or (n in ("href", "src") and "//" in (v or ""))
        ]

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.sections[self._at] = " ".join((self.sections.get(self._at, "") + " " + data).split())
