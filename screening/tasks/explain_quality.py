"""Pictures of what the quality filters saw in a few photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2

from screening.errors import MissingError, PhotoError
from screening.reports.quality_picture import draw_quality
from screening.settings import Settings
from screening.stages.pixels import PhotoLimits, decode_photo
from screening.stages.quality import QualityVerdict, judge_quality, measure_quality
from screening.tasks.quality_rules import load_quality_rules


def explain_quality(
    photos: Iterable[Path], out: Path, settings: Settings
) -> Iterator[tuple[Path, QualityVerdict | str, Path | None]]:
    """Write ``<out>/<name>.quality.png`` for each photo, in their order.

    Yields:
        The photo, its verdict or why it could not be read, and the picture.

    Raises:
        MissingError: the folder cannot be written.
    """
    rules = load_quality_rules(settings)
    limits = PhotoLimits(settings.max_photo_pixels, settings.max_photo_bytes)
    out.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        try:
            decoded = decode_photo(photo.read_bytes(), limits)
        except (PhotoError, OSError) as error:
            yield photo, str(error), None
            continue
        measures = measure_quality(decoded)
        verdict = judge_quality(measures, rules.cutoffs, settings.quality_mode, rules.messages)
        picture = cv2.cvtColor(draw_quality(decoded.pixels, measures, verdict, rules.cutoffs), cv2.COLOR_RGB2BGR)
        file = out / f"{photo.name}.quality.png"
        _, png = cv2.imencode(".png", picture)
        try:
            file.write_bytes(png.tobytes())
        except OSError as error:
            raise MissingError(f"{file} cannot be written: {error.strerror}") from error
        yield photo, verdict, file
