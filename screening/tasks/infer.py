"""Working copies to Triton, answers to the table ``predictions``: one batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from screening.contracts import PREDICTIONS, PREPARED, UNANSWERED
from screening.edges import paths
from screening.edges.release import Release
from screening.edges.tables import read_table, write_table
from screening.errors import PhotoError
from screening.stages.ensemble import ENSEMBLE, average_members
from screening.stages.pixels import decode_working_copy, squeeze
from screening.tasks.context import NightContext
from screening.tasks.heat_maps import save_heat_map
from screening.tasks.parallel import map_windowed

log = logging.getLogger(__name__)

Row = dict[str, object]


def infer(run_id: str, batch: int, context: NightContext) -> int:
    """Ask every member about every prepared photo of a batch and return its number; may run again.

    Raises:
        ModelServerUnavailableError: Triton did not answer for longer than the attempts last; the batch is tried again.
        MissingError: Triton does not have the release's model.
    """
    plan = context.plan(run_id)
    release = context.release(plan.release)
    prepared: list[Row] = read_table(
        context.results, paths.staged_batch(run_id, "prepared", batch), PREPARED
    ).to_pylist()
    programme_of = {str(p["photo_id"]): p["programme"] for p in reversed(prepared) if p["outcome"] is None}
    classes = context.classes(release)
    draws = context.settings.heat_maps and release.tells_heat_maps
    # Decoded for the networks; kept until the answer says whether a heat map is drawn over it.
    pictures: dict[str, np.ndarray] | None = {} if draws else None
    predictions: list[Row] = []
    unanswered: list[Row] = []

    def leave_out(photo_id: str, error: PhotoError) -> None:
        unanswered.append({"photo_id": photo_id, "reason": error.reason, "reason_text": str(error)})

    with (
        context.timed(run_id, "infer", batch, len(programme_of)),
        ThreadPoolExecutor(context.settings.prepare_threads, thread_name_prefix="fetch") as pool,
        context.model_server(release, with_heat_maps=draws) as server,
    ):
        for answer in server.infer(model_inputs(run_id, programme_of, release, context, pool, leave_out, pictures)):
            picture = pictures.pop(answer.photo_id) if pictures is not None else None
            if answer.probabilities is None:
                text = answer.error or "no answer"
                unanswered.append({"photo_id": answer.photo_id, "reason": "inference_error", "reason_text": text})
            else:
                rows = _prediction_rows(answer.photo_id, answer.probabilities, answer.distances, release)
                predictions.extend(row | {"programme": programme_of[answer.photo_id]} for row in rows)
                if picture is not None:
                    save_heat_map(run_id, answer, picture, classes, plan.grade_cutoffs, context)
        write_table(
            context.results,
            paths.staged_batch(run_id, "predictions", batch),
            PREDICTIONS.table(predictions),
            PREDICTIONS,
        )
        write_table(
            context.results, paths.staged_batch(run_id, "unanswered", batch), UNANSWERED.table(unanswered), UNANSWERED
        )
    log.info("infer run=%s batch=%d given=%d unanswered=%d", run_id, batch, len(programme_of), len(unanswered))
    return batch


def model_inputs(  # two of them are where it puts what it does not yield
    run_id: str,
    photo_ids: Iterable[str],
    release: Release,
    context: NightContext,
    pool: ThreadPoolExecutor,
    leave_out: Callable[[str, PhotoError], None],
    pictures: dict[str, np.ndarray] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """The pixels of working copies, as the release wants them (``model_pixels``), in order.

    Args:
        run_id: of the night.
        photo_ids: of photos that have a working copy.
        release: whose input it is.
        context: settings and stores.
        pool: in which they are fetched and decoded.
        leave_out: is told those that are no photo.
        pictures: takes each photo as it was decoded, before it is squeezed; the caller takes it out again.
    """
    side = release.input_shape[0]

    def fetch(photo_id: str) -> tuple[str, np.ndarray | PhotoError]:
        try:
            picture = decode_working_copy(context.results.get(paths.working_copy(run_id, photo_id)), side)
        except PhotoError as error:
            return photo_id, error
        if pictures is not None:
            pictures[photo_id] = picture
        return photo_id, squeeze(picture, side)

    for photo_id, pixels in map_windowed(pool, fetch, photo_ids, 2 * context.settings.triton_batch_photos):
        if isinstance(pixels, PhotoError):
            leave_out(photo_id, pixels)
        else:
            yield photo_id, pixels


def _prediction_rows(
    photo_id: str, probabilities: np.ndarray, distances: np.ndarray | None, release: Release
) -> Iterator[Row]:
    """A row per member and one for their mean.

    Args:
        photo_id: of the photo.
        probabilities: shape (members, classes).
        distances: shape (members,); None where the release does not say.
        release: that answered.
    """
    shared: Row = {"photo_id": photo_id, "release": release.name}
    members = np.asarray(probabilities, dtype=np.float64)
    members = members / members.sum(axis=1, keepdims=True)
    each: list[float | None] = [None] * len(members) if distances is None else [float(d) for d in distances]
    for member, answer, distance in zip(release.members, members, each, strict=True):
        yield shared | {
            "member": member.name,
            "member_version": str(member.version),
            "weights_sha256": member.weights_sha256,
            "probabilities": answer.tolist(),
            "outlier_distance": distance,
        }
    yield shared | {
        "member": ENSEMBLE,
        "member_version": release.name,
        "weights_sha256": release.weights_sha256,
        "probabilities": average_members(members[:, None, :])[0].tolist(),
        "outlier_distance": None if distances is None else float(distances.astype(np.float64).mean()),
    }
