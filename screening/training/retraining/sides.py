"""Steps 2 and 3: who must stay together, does the earlier split still hold, and which side is each photo on."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from screening.contracts import GRADES, SPLIT
from screening.errors import ContractError, MissingError
from screening.stages.pixels import MODEL_SIDE
from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes
from screening.training.corpus import corpus_frame, read_corpus_table, with_class_index
from screening.training.disk import write_whole
from screening.training.ensemble import TrainingSet
from screening.training.features import cached_features
from screening.training.photo_cache import load_pixels
from screening.training.prediction_sets import photos_needed
from screening.training.retraining.run_folder import RunFolder
from screening.training.retraining.snapshot import working_copies
from screening.training.splits import (
    LEFT_OUT,
    QUALITY,
    TEST,
    TRAIN,
    VALIDATION,
    check_every_class_is_trained,
    check_no_leak,
    extend_split,
    find_leaks,
    leave_out_blurred,
    read_split,
    sides_of,
    similarity_graph,
    without_verdicts,
    write_split,
)
from screening.training.splits.draw import draw_split

JOINS_TWO_SIDES = "joins_two_sides"


@dataclass(frozen=True)
class Checked:
    """``lines``: what was found, in words; ``leaks``: people, lesions or pairs of photos on two sides of the earlier split."""

    lines: list[str]
    leaks: int


def check_leaks(run: RunFolder, earlier: Path, weights_dir: Path) -> Checked:
    """Find what must stay together, and name everything that stands on two sides of the champion's split.

    Args:
        run: with its snapshot.
        earlier: the champion's split, which need not be there.
        weights_dir: with the network of ImageNet, photos that look alike are found too; without, only copies are.
    """
    frame = _frame(run)
    features = _features(run, frame, weights_dir)
    graph = similarity_graph(frame, features)
    lines = (
        [] if features is not None else [f"{weights_dir} is not there: photos that look alike were not searched for"]
    )
    lines += [f"{evidence}: {count} pairs joined" for evidence, count in graph.counts().items()]
    leaks = []
    if earlier.is_file():
        known = read_split(earlier).to_pandas().set_index("photo_id")["side"]
        side = frame["photo_id"].map(known).fillna(LEFT_OUT)
        leaks = find_leaks(frame, graph, side)
        lines.append(f"{len(leaks)} leaks in the champion's split; their photos are no longer tested on")
        blurred = int((leave_out_blurred(frame, side) != side).sum())
        lines.append(
            f"{blurred} photos in its validation and test are blurred or distant; they are no longer measured on"
        )
    else:
        lines.append("the champion has no split of its own: sides are drawn anew, and it may know photos of the test")
    said = [
        {"evidence": str(leak.evidence), "photos": frame["photo_id"].iloc[list(leak.photos)].tolist()} for leak in leaks
    ]
    write_whole(run.leaks, (json.dumps(said, indent=1) + "\n").encode())
    stream = io.BytesIO()
    np.save(stream, graph.groups)
    write_whole(run.groups, stream.getbuffer())
    return Checked(lines, len(leaks))


def split_photos(run: RunFolder, earlier: Path, weights_dir: Path) -> list[str]:
    """Give every photo its side: a known one keeps it, or is left out.

    It is left out of validation and test when it turns out to belong to people of another side, or is blurred or distant. The
    table also keeps the photos that were known once and are not in the corpus now: a member that starts from the
    champion has learnt from them, so that they may never be tested on.

    Returns:
        What changed, in words.

    Raises:
        MissingError: the check was not run.
        ContractError: the split cannot grow, still leaks, or leaves a class without a training photo.
    """
    if not run.groups.is_file():
        raise MissingError(f"{run.groups} does not exist; `screening retrain check` comes first")
    frame, groups, order = _frame(run), np.load(run.groups), run.order()
    if earlier.is_file():
        known = read_split(earlier)
        split, growth = extend_split(known, frame, groups, order.recipe.split.method, order.recipe.split.seed)
        lines = growth.lines()
    else:
        features = _features(run, frame, weights_dir)
        graph = similarity_graph(frame, features)
        split = draw_split(frame, features, graph, order.recipe.split.method, order.recipe.split.seed)
        known, lines = None, [f"drawn anew: {split.num_rows} photos"]
    rows = split.to_pandas().set_index("photo_id").loc[frame["photo_id"]].reset_index()
    rows.loc[leave_out_blurred(frame, rows["side"]) != rows["side"], ["side", "reason"]] = [LEFT_OUT, QUALITY]
    leaves = _stands_with_another_side(rows["side"], groups)
    rows.loc[leaves, ["side", "reason"]] = [LEFT_OUT, JOINS_TWO_SIDES]
    lines.append(f"left out, since people or pictures turned out to be on two sides: {int(leaves.sum())} photos")
    check_no_leak(frame, groups, rows["side"])
    write_split(_with_gone(rows, known), run.split)
    counts = rows["side"].value_counts()
    return lines + [f"{side}: {counts.get(side, 0)} photos" for side in (TRAIN, VALIDATION, TEST)]


def open_training_set(run: RunFolder) -> TrainingSet:
    """The photos of the run as training wants them; their pixels are made once.

    Photos of diseases that the recipe's classes do not hold are left out, and logged.

    Raises:
        MissingError: an earlier step was not run, or the photos were removed after the gate.
        ContractError: a photo cannot be decoded, a class has no training photo, or a grade too few validation photos.
    """
    if not run.split.is_file():
        raise MissingError(f"{run.split} does not exist; `screening retrain split` comes first")
    if not run.photos.is_dir():
        raise MissingError(f"{run.photos} does not exist; `screening retrain snapshot` brings the photos back")
    recipe = run.order().recipe
    classes = load_training_classes(recipe.classes, load_taxonomy())
    whole = _frame(run)
    group = pd.Series(np.load(run.groups), index=whole["photo_id"])
    corpus = with_class_index(whole, classes, drop_others=True)
    side = sides_of(read_split(run.split), corpus)["side"]
    check_every_class_is_trained(corpus, side, classes.class_ids)
    _check_every_grade_is_validated(corpus, side, classes)
    pixels = _pixels(run, whole, recipe.input_side)
    if len(corpus) < len(whole):
        pixels = pixels[whole["photo_id"].isin(corpus["photo_id"]).to_numpy()]
    return TrainingSet(corpus, side, pixels, classes, corpus["photo_id"].map(group))


def _check_every_grade_is_validated(corpus: pd.DataFrame, side: pd.Series, classes: TrainingClasses) -> None:
    """Before hours of training, since the release could not say how sure its answers are."""
    validated = corpus["label"][(side == VALIDATION).to_numpy()].map(lambda label: classes.grades[label])
    counts = {grade: int((validated == grade).sum()) for grade in GRADES}
    if too_few := [f"{count} of {grade}" for grade, count in counts.items() if count < photos_needed()]:
        raise ContractError(
            f"validation photos: {', '.join(too_few)}, expected at least {photos_needed()} of each grade; train with a base "
            "corpus (SCREENING_BASE_CORPUS), or when more photos are vetted"
        )


def _frame(run: RunFolder) -> pd.DataFrame:
    frame = corpus_frame(read_corpus_table(run.snapshot), run.photos)
    return without_verdicts(frame) if run.order().recipe.split.measure_on_blurred else frame


def _pixels(run: RunFolder, frame: pd.DataFrame, side: int) -> np.ndarray:
    files = frame["photo"].tolist()
    return load_pixels(files, run.path, side, working_copies(files, run.photos))


def _features(run: RunFolder, frame: pd.DataFrame, weights_dir: Path) -> np.ndarray | None:
    """None without the network of ImageNet."""
    if not weights_dir.is_dir():
        return None
    _pixels(run, frame, MODEL_SIDE)  # made here, where it is known which photos are working copies
    return cached_features(frame["photo"].tolist(), weights_dir, run.path)


def _stands_with_another_side(side: pd.Series, groups: np.ndarray) -> np.ndarray:
    """Photos of a group that has another side before theirs, in the order train, test, validation: shape (photos,), bool.

    Training keeps its photos, since the champion has learnt from them; what resembles them tells nothing as a test.
    """
    order = {TRAIN: 0, TEST: 1, VALIDATION: 2, LEFT_OUT: 3}
    place = side.map(order)
    first = place.groupby(groups).transform("min")
    return ((place > first) & (place < order[LEFT_OUT])).to_numpy()


def _with_gone(rows: pd.DataFrame, known: pa.Table | None) -> pa.Table:
    table = pa.Table.from_pandas(rows[SPLIT.schema.names], schema=SPLIT.schema, preserve_index=False)
    if known is None:
        return table
    old = known.to_pandas()
    gone = old[~old["photo_id"].isin(rows["photo_id"])].assign(split=rows["split"].iloc[0], rule=rows["rule"].iloc[0])
    gone_rows = pa.Table.from_pandas(gone[SPLIT.schema.names], schema=SPLIT.schema, preserve_index=False)
    return pa.concat_tables([table, gone_rows])
