"""Is there reason enough to train again? Strong labels that the last snapshot did not have, drift, or a person's word."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from screening.contracts import LabelStrength

STRONG = frozenset({str(LabelStrength.HISTOPATHOLOGY), str(LabelStrength.CONSENSUS)})
"""What was cut out and looked at, and what several readers agree on."""


@dataclass(frozen=True)
class Decided:
    """Whether to train, and why or why not, in a line."""

    is_due: bool
    line: str


def strong_labels(corpus: pa.Table) -> set[tuple[str, str]]:
    """Photo and disease of each strong label: a label that became strong, or became another, counts as new."""
    rows = corpus.select(["photo_id", "disease", "label_strength"]).to_pylist()
    return {(row["photo_id"], row["disease"]) for row in rows if row["label_strength"] in STRONG}


def decide_retraining(cause: str, new_labels: int, fewest_labels: int) -> Decided:
    """Weigh a cause.

    Args:
        cause: ``hand``, ``drift``, ``schedule`` or ``labels``, what started the run.
        new_labels: strong labels since the last snapshot.
        fewest_labels: from which on new labels alone are reason enough.
    """
    found = f"{new_labels} new strong labels since the last snapshot"
    if cause == "hand":
        return Decided(is_due=True, line=f"started by hand; {found}")
    if cause == "drift":
        return Decided(is_due=True, line=f"drift was raised; {found}")
    if new_labels >= fewest_labels:
        return Decided(is_due=True, line=f"{found}, {fewest_labels} are enough")
    if cause == "schedule" and new_labels:
        return Decided(is_due=True, line=f"the month's turn; {found}")
    wanted = 1 if cause == "schedule" else fewest_labels
    return Decided(is_due=False, line=f"not trained: {found}, expected {wanted} or more")
