"""A site's own quality cut-offs from its own rated photos: measure them, and write the file of what was fitted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import date
from pathlib import Path

import yaml

from screening.cutoffs import QualityCutoffs
from screening.errors import ContractError, PhotoError
from screening.settings import Settings
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality import QualityMeasures, measure_quality
from screening.stages.quality.fit import Fit, RatedPhoto
from screening.stages.quality.labels import read_labels
from screening.stages.quality.site_cutoffs import site_cutoffs
from screening.tasks.context import code_revision
from screening.tasks.labels_file import read_labels_text
from screening.tasks.parallel import map_windowed


def measure_rated(
    photos: Path,
    labels: Path,
    settings: Settings,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[list[RatedPhoto], dict[str, str]]:
    """Measure the photos of a folder that a CSV file rates.

    Returns:
        The rated photos, and by file name why others could not be read.

    Raises:
        MissingError: the folder or the file does not exist.
        ContractError: the labels are not in order.
    """
    text = read_labels_text(photos, labels)
    rated = read_labels(text, str(labels), lambda file: (photos / file).is_file())
    limits = PhotoLimits(settings.max_photo_pixels, settings.max_photo_bytes)

    def measure(file: str) -> QualityMeasures | str:
        try:
            return measure_quality(decode_photo((photos / file).read_bytes(), limits))
        except (PhotoError, OSError) as error:
            return str(error)

    measured: list[RatedPhoto] = []
    unread: dict[str, str] = {}
    threads = settings.prepare_threads
    with ThreadPoolExecutor(threads, thread_name_prefix="measure") as pool:
        results = map_windowed(pool, measure, (label.file for label in rated), 2 * threads)
        for label, result in zip(rated, results, strict=True):
            if isinstance(result, str):
                unread[label.file] = result
            else:
                measured.append(RatedPhoto(result, label.group, label.ratings))
            on_progress(len(measured) + len(unread), len(rated))
    return measured, unread


def write_cutoffs(fit: Fit, out: Path, on: date) -> None:
    """Write the file that ``SCREENING_QUALITY_CUTOFFS`` names: only what differs from the product's, and how it came about.

    Raises:
        ContractError: nothing was fitted; nothing was written.
    """
    if not fit.kept_out:
        raise ContractError(f"{out} was not written: no cut-off could be fitted")
    came_about = [
        f"Fitted by `screening quality fit` on {on.isoformat()}, code {code_revision()}: {fit.photos} photos, of those that",
        f"should pass at most {fit.false_alarm:.1%} are hit. On photos kept out of the fit ({fit.folds} folds):",
    ]
    for rule, found in fit.kept_out.items():
        hits, passes = found.sensitivity, found.specificity
        came_about.append(f"  {rule} hits {hits.count} of {hits.n}, and passes {passes.count} of {passes.n}")
    came_about.append(f"What is not named here is as in {QualityCutoffs().version}.")
    product = asdict(QualityCutoffs())
    changed = {
        name: number for name, number in asdict(fit.cutoffs).items() if number != product[name] and name != "name"
    }
    fields = {"name": fit.cutoffs.name, "cutoffs": changed}
    site_cutoffs(fields, str(out))  # what is written here can be read
    out.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"# {line}\n" for line in came_about) + yaml.safe_dump(fields, sort_keys=False)
    out.write_text(text, encoding="utf-8")
