"""One function per task of a DAG: read, run the stage, check, write. Nothing here knows Airflow."""

from screening.tasks.audit import audit
from screening.tasks.context import NightContext, open_context
from screening.tasks.decision_inbox import read_inbox
from screening.tasks.grade import grade
from screening.tasks.infer import infer
from screening.tasks.intake_decisions import (
    adjudicate,
    anything_new,
    build_corpus,
    corpus_news,
    report_intake,
    run_intake,
)
from screening.tasks.open_night import open_night
from screening.tasks.prepare import prepare
from screening.tasks.publish import publish
from screening.tasks.report import report
from screening.tasks.whole_night import run_night
from screening.tasks.withdrawals import apply_withdrawals

__all__ = [
    "NightContext",
    "adjudicate",
    "anything_new",
    "apply_withdrawals",
    "audit",
    "build_corpus",
    "corpus_news",
    "grade",
    "infer",
    "open_context",
    "open_night",
    "prepare",
    "publish",
    "read_inbox",
    "report",
    "report_intake",
    "run_intake",
    "run_night",
]
