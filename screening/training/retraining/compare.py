"""Step 6: ask champion and challenger for the same test photos, and measure what an answer costs."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd

from screening.edges.release import Release, load_release, split_file
from screening.errors import ContractError, MissingError
from screening.taxonomy import load_taxonomy
from screening.training.disk import write_whole
from screening.training.ensemble import TrainingSet
from screening.training.evaluation.compared import Answers, Compared, age_bands
from screening.training.evaluation.corpus_photos import CorpusPhotos
from screening.training.evaluation.network_answers import Network, answer, open_networks
from screening.training.evaluation.release_answers import ask_release
from screening.training.evaluation.scored_photos import FACTS, ScoredPhotos
from screening.training.retraining.run_folder import RunFolder
from screening.training.splits import TEST, read_split

_TIMED_PHOTOS, _ROUNDS = 16, 5
NEW = "new since the champion"


def compare_releases(run: RunFolder, training_set: TrainingSet, model_repository: Path) -> None:
    """Write ``answers.parquet`` and ``costs.json``.

    The truth is read in the challenger's tree of diseases, for both. ``is_new`` are test photos that the champion's split
    does not know: the newest vetted ones.

    Raises:
        MissingError: there is no challenger yet.
        ContractError: no photo is on the test side, or a release's weights are not its own.
    """
    order = run.order()
    if not run.release.is_dir():
        raise MissingError(f"{run.release} does not exist; `screening retrain assemble` comes first")
    champion = load_release(str(model_repository), order.champion)
    challenger = load_release(str(run.release), order.release)
    corpus = training_set.corpus[(training_set.side == TEST).to_numpy()].reset_index(drop=True)
    if not len(corpus):
        raise ContractError(f"run {order.run_id}: no photo is on the test side, so nothing can be compared")
    photos = photos_on_side(training_set, TEST)
    table = corpus[["photo_id", "patient", "disease", "source", "kind", "sex", "skin_group", "age_years"]]
    earlier = split_file(str(model_repository), champion)
    known = set(read_split(earlier)["photo_id"].to_pylist()) if earlier.is_file() else set()
    table = table.assign(is_new=~table["photo_id"].isin(known) if known else False)
    taxonomy = load_taxonomy(run.release / challenger.model / "taxonomy.yaml")
    costs = {}
    timed = photos.pixels[: min(_TIMED_PHOTOS, len(corpus))]
    networks: dict[str, list[Network]] = {}
    for who, release, repository in (
        ("champion", champion, model_repository),
        ("challenger", challenger, run.release),
    ):
        asked = ask_release(release, repository, photos, taxonomy)
        table = table.assign(true_grade=asked.scored.true_grades, **_columns(who, asked.scored))
        networks[who] = open_networks(repository, release)
        costs[who] = {
            "release": release.name,
            "size_bytes": _size(release, repository),
            "cutoffs": dict(release.cutoffs),
        }
    for who, ms in _ms_per_photo(networks, timed).items():
        costs[who]["ms_per_photo"] = ms
    table.to_parquet(run.answers.with_suffix(".part"), index=False)
    run.answers.with_suffix(".part").replace(run.answers)
    write_whole(run.costs, (json.dumps(costs, indent=1) + "\n").encode())


def photos_on_side(training_set: TrainingSet, side: str) -> CorpusPhotos:
    """The photos of one side, known by their ids."""
    rows = np.flatnonzero(training_set.side == side)
    corpus = training_set.corpus.iloc[rows].drop(columns="photo").rename(columns={"photo_id": "photo"})
    facts = corpus.reindex(columns=["photo", "disease", *FACTS]).reset_index(drop=True)
    return CorpusPhotos(facts, training_set.pixels[rows])


def read_compared(run: RunFolder) -> Compared:
    """What ``compare_releases`` wrote, as the gate wants it."""
    table = pd.read_parquet(run.answers)
    costs = json.loads(run.costs.read_text())
    groups = pd.DataFrame(
        {
            "programme": table["source"],
            "kind of photo": table["kind"],
            "skin types": table["skin_group"],
            "age": age_bands(table["age_years"]),
            "sex": table["sex"],
            "photos": table["is_new"].map({True: NEW}),
        }
    )
    return Compared(
        photo_ids=table["photo_id"].to_numpy(str),
        patients=table["patient"].to_numpy(str),
        true_grades=table["true_grade"].to_numpy(),
        groups=groups,
        champion=_answers(table, costs, "champion"),
        challenger=_answers(table, costs, "challenger"),
    )


def _columns(who: str, scored: ScoredPhotos) -> dict[str, np.ndarray]:
    scores = scored.grade_scores
    return {
        f"{who}_grade": scored.given_grades,
        f"{who}_p_at_risk": scores[:, 1:].sum(axis=1),
        f"{who}_p_dangerous": scores[:, 2],
        f"{who}_is_right": scored.probabilities.argmax(axis=1) == scored.labels,
        f"{who}_certainty": scored.probabilities.max(axis=1),
    }


def _answers(table: pd.DataFrame, costs: dict[str, dict[str, object]], who: str) -> Answers:
    column = {
        name: table[f"{who}_{name}"].to_numpy()
        for name in ("grade", "p_at_risk", "p_dangerous", "is_right", "certainty")
    }
    return Answers(**column, **costs[who])  # type: ignore[arg-type]  # the file is our own


def _size(release: Release, repository: Path) -> int:
    return sum((repository / m.name / m.version / "model.onnx").stat().st_size for m in release.members)


def _ms_per_photo(networks: dict[str, list[Network]], pixels: np.ndarray) -> dict[str, float]:
    """Median over rounds in turn, so that whatever else the machine does falls on both alike."""
    seconds: dict[str, list[float]] = {who: [] for who in networks}
    for _ in range(_ROUNDS):
        for who, members in networks.items():
            started = time.perf_counter()
            answer(members, pixels)
            seconds[who].append(time.perf_counter() - started)
    return {who: round(1000 * statistics.median(taken) / len(pixels), 3) for who, taken in seconds.items()}
