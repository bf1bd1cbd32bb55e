"""Photos that wait for readers, as files for those who read elsewhere."""

from __future__ import annotations

from datetime import date

import pyarrow.compute as pc

from screening.contracts import REVIEW_QUEUE, VETTED_PHOTOS
from screening.edges import paths
from screening.edges.tables import read_table
from screening.errors import MissingObjectError
from screening.stages.decision_files import export_csv, label_studio_tasks
from screening.tasks.context import NightContext
from screening.tasks.review_rules import load_review_rules

DONE = ("settled", "cannot_tell")


def export_queue(programme: str, night: date, context: NightContext, *, label_studio: bool = False) -> tuple[str, int]:
    """Write the photos of a programme's night that no reader has settled yet; returns the key and how many they are.

    Raises:
        MissingObjectError: the night has no review queue.
    """
    queue = read_table(context.results, paths.published(REVIEW_QUEUE.name, programme, night), REVIEW_QUEUE)
    try:
        vetted = read_table(context.results, paths.published(VETTED_PHOTOS.name, programme, night), VETTED_PHOTOS)
        done = vetted.filter([state in DONE for state in vetted["state"].to_pylist()])["photo_id"]
        queue = queue.filter(pc.invert(pc.is_in(queue["photo_id"], done)))
    except MissingObjectError:  # nobody has decided anything yet
        pass
    rows = queue.to_pylist()
    is_blind = load_review_rules(context.settings).of(programme).blind
    run_of = {row["photo_id"]: row["run_id"] for row in rows}
    if label_studio:
        body = label_studio_tasks(
            rows,
            lambda photo_id: context.results.url(paths.working_copy(run_of[photo_id], photo_id)),
            is_blind=is_blind,
        )
    else:
        body = export_csv(rows, is_blind=is_blind)
    key = paths.review_export(f"{_file_name(programme)}-{night}.{'json' if label_studio else 'csv'}")
    context.results.put(key, body)
    return key, len(rows)


def _file_name(programme: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in programme)
