"""One function per task of a DAG: read, run the stage, check, write. Nothing here knows Airflow."""

from screening.tasks.audit import audit
from screening.tasks.context import NightContext, open_context
from screening.tasks.decision_inbox import read_inbox
from screening.tasks.grade import grade
from screening.tasks.infer import infer
from screening.tasks.install_release import install_release
from screening.tasks.intake_decisions import (
    adjudicate,
    anything_new,
    build_corpus,
    corpus_news,
    report_intake,
    run_intake,
)
from screening.tasks.monitor import monitor
from screening.tasks.open_night import open_night
from screening.tasks.prepare import prepare
from screening.tasks.promotion import promote, reject, rollback
from screening.tasks.publish import publish
from screening.tasks.report import report
from screening.tasks.retraining import begin_retraining, cause_of_run, gate_said, retrain_step, retraining_due
from screening.tasks.shadow import shadow, shadow_differences
from screening.tasks.shadow_release import end_shadow, start_shadow
from screening.tasks.take_over import record_refusal, take_over
from screening.tasks.unload_releases import unload_releases
from screening.tasks.whole_night import run_night
from screening.tasks.withdrawals import apply_withdrawals

__all__ = [
    "NightContext",
    "adjudicate",
    "anything_new",
    "apply_withdrawals",
    "audit",
    "begin_retraining",
    "build_corpus",
    "cause_of_run",
    "corpus_news",
    "end_shadow",
    "gate_said",
    "grade",
    "infer",
    "install_release",
    "monitor",
    "open_context",
    "open_night",
    "prepare",
    "promote",
    "publish",
    "read_inbox",
    "record_refusal",
    "reject",
    "report",
    "report_intake",
    "retrain_step",
    "retraining_due",
    "rollback",
    "run_intake",
    "run_night",
    "shadow",
    "shadow_differences",
    "start_shadow",
    "take_over",
    "unload_releases",
]
