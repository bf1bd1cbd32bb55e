"""One function per task of the night: read, run the stage, check, write. Nothing here knows Airflow."""

from screening.tasks.audit import audit
from screening.tasks.context import NightContext, open_context
from screening.tasks.grade import grade
from screening.tasks.infer import infer
from screening.tasks.open_night import open_night
from screening.tasks.prepare import prepare
from screening.tasks.publish import publish
from screening.tasks.report import report
from screening.tasks.whole_night import run_night

__all__ = [
    "NightContext",
    "audit",
    "grade",
    "infer",
    "open_context",
    "open_night",
    "prepare",
    "publish",
    "report",
    "run_night",
]
