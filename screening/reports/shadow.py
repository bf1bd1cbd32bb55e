"""What the nightly report says of a shadow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from screening.contracts import GRADES, RiskGrade

SHOWN_ROWS = 15
SHOWN_PROBLEMS = 3


@dataclass(frozen=True)
class ShadowNight:
    """One night of a shadow; ``pairs``: grade of the champion, then of the shadow, to photos."""

    release: str
    photos: int = 0
    answered: int = 0
    different: int = 0
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()
    problems: tuple[tuple[str, int], ...] = ()
    """Why photos had no answer, the most frequent first, with their number."""

    @property
    def more(self) -> int:
        return self.different - len(self.rows)


def shadow_night(release: str | None, table: pa.Table | None) -> ShadowNight | None:
    """Count a table ``shadow_grades``; None where the night has no shadow."""
    if release is None or table is None:
        return None
    rows = table.to_pylist()
    different = sorted((r for r in rows if r["is_different"]), key=_severity)
    return ShadowNight(
        release=release,
        photos=len(rows),
        answered=sum(r["problem"] is None for r in rows),
        different=len(different),
        pairs=dict(Counter((r["champion_grade"], r["grade"]) for r in rows if r["problem"] is None)),
        rows=tuple(different[:SHOWN_ROWS]),
        problems=tuple(Counter(r["problem"] for r in rows if r["problem"]).most_common(SHOWN_PROBLEMS)),
    )


def _severity(row: dict[str, Any]) -> tuple[int, float, str]:
    """Where either of the two is most severe, first."""
    most = max(GRADES.index(RiskGrade(row[name])) for name in ("grade", "champion_grade"))
    return (-most, -row["p_dangerous"], row["photo_id"])
