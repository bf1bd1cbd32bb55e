"""Where a process of each task of the loop is killed, one place after the other; the tests take their places from here.

A place is a pattern and a number: the process dies at the n-th step that matches. In the intake the steps are requests
to the store, as ``PUT /bucket/key``, and the process dies when one was answered and it does not know it yet. Elsewhere
they are steps on the file system, as ``rename PATH``, and it dies just before one (tests/killed.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from screening import tasks
from screening.tasks import NightContext

Places = Mapping[str, tuple[tuple[str, int], ...]]
"""By task."""

INTAKE_TASKS: Mapping[str, Callable[[NightContext], Any]] = {
    "anything_new": tasks.anything_new,
    "apply_withdrawals": tasks.apply_withdrawals,
    "read_inbox": tasks.read_inbox,
    "adjudicate": tasks.adjudicate,
    "build_corpus": tasks.build_corpus,
    "announce": tasks.corpus_news,
    "report": tasks.report_intake,
}
"""What each task of `intake_decisions` calls, in the DAG's order."""

INTAKE: Places = {
    "anything_new": (("GET .*prefix=.*review/inbox/", 1), ("GET .*prefix=.*review/withdrawals/", 1)),
    "apply_withdrawals": (
        ("PUT .*/corpus/corpus.parquet", 1),
        ("DELETE .*/corpus/photos/", 1),
        ("DELETE .*/corpus/photos/", 3),
        ("PUT .*/tables/review_queue/", 1),
        ("PUT .*/tables/review_queue/", 1),
        ("PUT .*/review/withdrawn.json", 1),
        ("PUT .*/review/state/withdrawals.json", 1),
    ),
    "read_inbox": (
        ("PUT .*/review/imports/", 1),
        ("PUT .*/review/decisions/", 1),
        ("PUT .*/review/rejects/", 1),
        ("PUT .*/review/inbox/done/", 1),
        ("DELETE .*/review/inbox/", 1),
        ("PUT .*/review/decisions/", 1),  # of the second file
        ("DELETE .*/review/inbox/", 1),
    ),
    "adjudicate": (
        ("PUT .*/review/state/decisions.parquet", 1),
        ("PUT .*/tables/decisions/", 1),
        ("PUT .*/tables/vetted_photos/", 1),
        ("PUT .*/tables/decisions/", 2),
        ("PUT .*/tables/vetted_photos/", 2),
        ("PUT .*/review/state/adjudicated.json", 1),
    ),
    "build_corpus": (
        ("PUT .*/corpus/photos/", 1),
        ("PUT .*/corpus/photos/", 1),
        ("PUT .*/corpus/corpus.parquet", 1),
        ("PUT .*/review/withdrawn.json", 1),
        ("PUT .*/review/state/in_corpus.json", 1),
    ),
    "announce": (("GET .*/corpus/corpus.parquet", 1), ("GET .*/review/state/announced.json", 1)),
    "report": (
        ("PUT .*/review/missed.json", 1),
        ("PUT .*/review/status.json", 1),  # announced, and not remembered
        ("PUT .*/review/state/announced.json", 1),
        ("PUT .*/review/state/seen.json", 1),
    ),
}

DECIDE: Places = {"decide": (("GET .*/corpus/corpus.parquet", 1), ("GET .*/corpus/snapshots/.*parquet", 1))}

TRAINING: Places = {
    "snapshot": (
        ("rename .*/order.json$", 1),
        ("rename .*/snapshot.parquet$", 1),
        ("link .*/corpus/snapshots/", 1),
        ("rename .*/photos/programmes/", 1),
        ("rename .*/photos/programmes/", 1),
    ),
    "check": (("rename .*/leaks.json$", 1), ("write .*/groups.npy", 1), ("rename .*/groups.npy$", 1)),
    "split": (
        ("rename .*/split.parquet$", 1),
        ("write .*/pixels-[^/]*$", 1),
        ("rename .*/pixels-[^/]*npy$", 1),
    ),
    "fit": (
        ("rename .*/mlflow.db$", 1),
        ("rename .*/mlflow_run.txt$", 1),
        ("rename .*/last.ckpt$", 1),  # the first epoch is the best so far, and is done again
        ("rename .*/last.ckpt$", 2),
        ("rename .*/recipe.json$", 1),
        ("write .*/finished$", 1),
    ),
    "assemble": (("rename .*/order.json$", 1), ("write .*/release.part/", 2)),  # half a release
    "evaluate": (("rename .*/costs.json$", 1),),
    "gate": (
        ("rename .*/run-1/comparison.html$", 1),
        ("rename .*/training/run-1/gate.json$", 1),
        ("rename .*/training/run-1/model_card.md$", 1),
        ("remove .*/pixels-", 1),
    ),
}

SHADOW: Places = {
    "take_over": (
        ("write .*/.arriving-", 1),
        ("write .*/.arriving-.*/model.onnx$", 2),
        ("rename .*/lesion_[^/]*$", 1),
        ("rename .*/lesion_[^/]*$", 2),
        ("rename .*/lesion_ensemble_[^/]*$", 1),
        ("link .*/history/[0-9]*.json$", 1),
        ("remove .*/history/.event-", 2),  # what was left there goes first; the release is registered
        ("link .*/history/[0-9]*.json$", 1),
        ("remove .*/history/.event-", 2),  # the shadow has started
    )
}
PROMOTION: Places = {
    "take_over": (
        ("write .*/history/.pending.json$", 1),
        ("write .*/history/[0-9]*-change-record.md$", 1),
        ("rename .*/champion$", 1),
        ("link .*/history/[0-9]*.json$", 1),  # the champion has changed, and the history does not say so
        ("link .*/history/[0-9]*.json$", 2),  # it says so by now, and the shadow's end is not there
        ("remove .*/history/.event-", 2),
    )
}
REFUSAL: Places = {
    "record_refusal": (
        ("write .*/history/.event-", 1),
        ("link .*/history/[0-9]*.json$", 1),
        ("remove .*/history/.event-", 2),
    )
}

RETRAINING_TASKS = {*DECIDE, *TRAINING, *SHADOW, *PROMOTION, *REFUSAL}
