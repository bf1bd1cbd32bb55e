"""From a request to the report: read, ask, measure, draw, write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from screening.cutoffs import GradeCutoffs
from screening.edges.release import Release, load_release, split_file
from screening.errors import ContractError, MissingError
from screening.taxonomy import Taxonomy, load_taxonomy
from screening.training.evaluation import figures
from screening.training.evaluation.corpus_photos import CorpusPhotos, quality_verdicts, read_population, read_side
from screening.training.evaluation.document import evaluate
from screening.training.evaluation.heat_maps import HeatMaps, choose_photos, heat_map_rows
from screening.training.evaluation.network_answers import activation_maps
from screening.training.evaluation.photo_map import FEWEST_PHOTOS, places_of
from screening.training.evaluation.readers import read_answers, read_readings
from screening.training.evaluation.release_answers import Answered, ask_release, classes_of
from screening.training.evaluation.report import Pictures, evaluation_report
from screening.training.evaluation.scored_photos import ScoredPhotos, read_scored_photos, write_scored_photos
from screening.training.evaluation.torch_heat_maps import open_members, saliency
from screening.training.evaluation.training_runs import read_runs
from screening.training.recipe import load_recipe
from screening.training.splits import ReleaseSplit

_TABLES = (".parquet", ".csv")


@dataclass(frozen=True)
class Request:
    """What is to be measured; the fields are the options of `screening evaluate`."""

    out: Path
    photos: Path | None = None
    work: Path | None = None
    recipe: str = "first_ensemble"
    side: str = "test"
    release: str | None = None
    model_repository: Path = Path("model_repository")
    scored: Path | None = None
    against: tuple[str, ...] = ()
    others: tuple[tuple[str, Path], ...] = ()
    readers: Path | None = None
    readers_answers: Path | None = None
    weights_dir: Path | None = None
    tracking_uri: str | None = None
    metric: str = "auc"
    price_per_hour: float | None = None
    resamples: int = 1000
    with_photos: bool = True


def write_report(request: Request, say: Callable[[str], None]) -> list[str]:
    """Write ``evaluation.html``, ``evaluation.json`` and ``scored_photos.parquet`` into ``out``; ``say`` tells the steps.

    Returns:
        Lines that say where the figures to reach stand.

    Raises:
        MissingError, ContractError: what is asked for is missing or broken.
    """
    release = None
    taxonomy = load_taxonomy()
    if request.scored is None or request.release is not None:
        release = load_release(str(request.model_repository), request.release)
        taxonomy = classes_of(release, request.model_repository).taxonomy
    readings = read_readings(request.readers, taxonomy) if request.readers else []
    answers = read_answers(request.readers_answers, taxonomy) if request.readers_answers else []
    runs = read_runs(request.tracking_uri, request.metric, request.price_per_hour) if request.tracking_uri else None
    corpus, answered, scored = _read_and_ask(request, release, taxonomy, say)
    document: dict[str, Any] = {
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "model": _model(scored, answered, request, taxonomy),
        "data": _data(scored, request),
    }
    others = {name: _other_population(folder, request, release, taxonomy) for name, folder in request.others}
    against = {Path(rival).stem: _rival(rival, scored, request, taxonomy) for rival in request.against}
    say(f"measure {len(scored)} photos, {request.resamples} resamples")
    document |= evaluate(
        scored, resamples=request.resamples, readings=readings, answers=answers, others=others, against=against
    )
    document["runs"] = runs
    say("draw")
    page = evaluation_report(document, _pictures(request, corpus, answered))
    request.out.mkdir(parents=True, exist_ok=True)
    (request.out / "evaluation.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    (request.out / "evaluation.html").write_text(page)
    write_scored_photos(scored, request.out / "scored_photos.parquet")
    return [*_standing(document), f"report in {request.out / 'evaluation.html'}"]


def _read_and_ask(
    request: Request, release: Release | None, taxonomy: Taxonomy, say: Callable[[str], None]
) -> tuple[CorpusPhotos | None, Answered | None, ScoredPhotos]:
    if request.scored is not None:
        cutoffs = GradeCutoffs(**release.cutoffs) if release else None
        return None, None, read_scored_photos(request.scored, taxonomy, cutoffs)
    if release is None:
        raise MissingError("evaluate: neither a release nor scored photos are given")
    say(f"read the {request.side} photos")
    corpus = _photos_for(release, request)
    say(f"judge the quality of {len(corpus.facts)} photos")
    corpus.facts["quality_verdict"] = quality_verdicts(corpus.facts)
    say(f"ask the networks for {len(corpus.facts)} photos")
    answered = ask_release(release, request.model_repository, corpus, taxonomy)
    return corpus, answered, answered.scored


def _photos_for(release: Release, request: Request) -> CorpusPhotos:
    """The photos of the split, labelled in the release's own taxonomy."""
    if request.photos is None or request.work is None:
        raise MissingError("evaluate: a release needs photos and the work folder with their frozen split")
    classes = classes_of(release, request.model_repository)
    known_by = ReleaseSplit(release.name, split_file(str(request.model_repository), release))
    sources = load_recipe(request.recipe).sources
    return read_side(request.photos, sources, request.work, request.side, classes, known_by)


def _model(scored: ScoredPhotos, answered: Answered | None, request: Request, taxonomy: Taxonomy) -> dict[str, Any]:
    return {
        "name": f"release {answered.release.name}" if answered else str(request.scored and request.scored.stem),
        "weights_sha256": answered.release.weights_sha256 if answered else None,
        "members": [m.name for m in answered.release.members] if answered else [],
        "classes": list(scored.classes),
        "class_names": list(scored.class_names),
        "cutoffs": asdict(scored.cutoffs) if scored.cutoffs else None,
        "taxonomy": taxonomy.version,
    }


def _data(scored: ScoredPhotos, request: Request) -> str:
    counts = scored.facts["source"].dropna().value_counts().sort_index()
    sources = ", ".join(f"{source} ({n})" for source, n in counts.items())
    which = f"the {request.side} photos of " if request.scored is None else ""
    return which + (sources or "no source is named")


def _other_population(folder: Path, request: Request, release: Release | None, taxonomy: Taxonomy) -> ScoredPhotos:
    if folder.suffix in _TABLES:
        return read_scored_photos(folder, taxonomy)
    if release is None or request.work is None:
        raise ContractError(f"--other {folder.name}: no release is asked, so a table is needed")
    photos = read_population(folder, request.work, classes_of(release, request.model_repository))
    return ask_release(release, request.model_repository, photos, taxonomy).scored


def _rival(rival: str, scored: ScoredPhotos, request: Request, taxonomy: Taxonomy) -> ScoredPhotos:
    """Another model's answers to the same photos, in the same order.

    Raises:
        ContractError: they are of other photos, or a photo's true grade is another one in the rival's taxonomy.
    """
    if Path(rival).suffix in _TABLES:
        found = read_scored_photos(Path(rival), taxonomy)
    else:
        other = load_release(str(request.model_repository), rival)
        of_other = classes_of(other, request.model_repository).taxonomy
        found = ask_release(other, request.model_repository, _photos_for(other, request), of_other).scored
    place = {photo: row for row, photo in enumerate(found.facts["photo"])}
    if missing := [photo for photo in scored.facts["photo"] if photo not in place]:
        raise ContractError(f"--against {rival}: {len(missing)} of {len(scored)} photos have no answer there")
    same = found.only(np.array([place[photo] for photo in scored.facts["photo"]]))
    if (wrong := same.true_grades != scored.true_grades).any():
        raise ContractError(f"--against {rival}: {int(wrong.sum())} photos have another true grade there")
    return same


def _pictures(request: Request, corpus: CorpusPhotos | None, answered: Answered | None) -> Pictures:
    if corpus is None or answered is None:
        return Pictures(False, notes=("Map and heat maps need the networks: of a ready table there are none.",))
    notes = []
    scored, photo_map, panels = answered.scored, None, []
    if answered.features is None:
        notes.append("A network ends in another way than a mean and one linear layer: no map of its last hidden layer.")
    elif len(scored) >= FEWEST_PHOTOS:
        grades = [list(figures.GRADE_COLOURS)[g] for g in scored.true_grades]
        photo_map = figures.map_of_photos(
            places_of(answered.features), grades, corpus.pixels if request.with_photos else None
        )
    if request.with_photos:
        layers: list[tuple[str, HeatMaps]] = [("Grad-CAM", partial(activation_maps, answered.networks))]
        members, why_not = open_members(answered.networks, request.recipe, request.work, request.weights_dir)
        if members:
            layers.append(("Saliency", partial(saliency, members)))
        else:
            notes.append(f"Saliency is left out: {why_not}")
        panels = heat_map_rows(scored, corpus.pixels, choose_photos(scored), layers)
    else:
        notes.append("Photos, and heat maps over them, were left out of this file.")
    return Pictures(request.with_photos, photo_map, panels, notes)


def _standing(document: dict[str, Any]) -> list[str]:
    lines = []
    for target in document["targets"]:
        figure = target["figure"]
        value = "not measured" if figure["value"] is None else f"{figure['value']:.3f}"
        between = "" if figure["low"] is None else f" ({figure['low']:.3f}–{figure['high']:.3f})"
        goal = f"{'≤' if target['is_most'] else '≥'} {target['goal']:.2f}"
        lines.append(f"{target['status']:<9} {target['kind']:<12} {target['title']}: {value}{between}, to reach {goal}")
    return lines
