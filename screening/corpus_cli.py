"""The commands `screening corpus …`: build a corpus of labelled photos, split it, and put a split to the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from screening.errors import MissingError
from screening.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd

    from screening.training.splits import SimilarityGraph

app = typer.Typer(no_args_is_help=True, help="Labelled photos: corpus, splits, leaks. Needs .venv-training.")
console = Console()

Corpus = Annotated[Path, typer.Argument(help="A table that `screening corpus build` wrote.")]
Photos = Annotated[Path | None, typer.Option(help="Folder where the table's paths start; else that of the table.")]
WeightsDir = Annotated[Path | None, typer.Option(help="Folder of ImageNet's weights, to find photos that look alike.")]
Work = Annotated[Path, typer.Option(help="Folder for what was measured.")]
MeasureOnBlurred = Annotated[
    bool, typer.Option(help="Photos refused for blur or distance may stand in validation and test, as any other.")
]
_WORK = Path("work/corpus")


@app.command()
def build(
    root: Annotated[Path, typer.Argument(help="Folder with one folder per data set.")],
    source: Annotated[list[str], typer.Option(help="A data set: its folder, or FOLDER=LAYOUT.")],
    out: Annotated[Path, typer.Option(help="Table to write.")],
    work: Work = _WORK,
    skip_missing: Annotated[bool, typer.Option(help="Leave out, and name, photos that are not there.")] = False,
) -> None:
    """Read data sets into one table: every photo with its disease, its people, and the verdict of the quality filters."""
    with _training():
        from screening.training.corpus import build_corpus, write_corpus
        from screening.training.look_over import look_over
    from screening.tasks.quality_rules import load_cutoffs
    from screening.taxonomy import load_taxonomy

    cutoffs = load_cutoffs(load_settings())
    pairs = (text.partition("=") for text in source)
    sources = {name: layout or None for name, _, layout in pairs}
    with _bar("reading") as show:
        corpus, report = build_corpus(root, sources, load_taxonomy(), skip_missing=skip_missing, on_progress=show)
    with _bar("looking") as show:
        corpus = look_over(corpus, root, work, cutoffs, show)
    write_corpus(corpus, out)
    for line in report.lines():
        _say(line)
    _say(f"{corpus.num_rows} photos written to {out}")


@app.command()
def split(  # noqa: PLR0913, PLR0917  # each is an option of the command
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Table of the split; one that is there is grown, and moves no photo.")],
    method: Annotated[str, typer.Option(help="groups: 15 % test, 15 % validation; time; or as 5-fold.")] = "groups",
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    photos: Photos = None,
    weights_dir: WeightsDir = None,
    work: Work = _WORK,
    measure_on_blurred: MeasureOnBlurred = False,
) -> None:
    """Draw and freeze the sides of a corpus, so that no person, lesion or near-duplicate stands on two of them."""
    with _training():
        from screening.training.splits import extend_split, read_split, write_split
        from screening.training.splits.draw import draw_split

    frame, features, graph = _open(corpus, photos, weights_dir, work, measure_on_blurred=measure_on_blurred)
    if out.is_file():
        frozen, growth = extend_split(read_split(out), frame, graph.groups, method, seed)
        for line in growth.lines():
            _say(line)
    else:
        frozen = draw_split(frame, features, graph, method, seed)
    _say_graph(graph)
    table = frozen.to_pandas()
    for side, count in table["side"].value_counts().items():
        _say(f"{side}: {count} photos")
    if table["fold"].notna().any():
        _say(f"folds: {', '.join(str(count) for count in table['fold'].value_counts().sort_index())} photos")
    write_split(frozen, out)
    _say(f"split {frozen['split'][0]} written to {out}")


@app.command()
def check(
    corpus: Corpus,
    split_file: Annotated[Path, typer.Argument(metavar="SPLIT", help="CSV with photo and side, or a table.")],
    photos: Photos = None,
    weights_dir: WeightsDir = None,
    work: Work = _WORK,
    measure_on_blurred: MeasureOnBlurred = False,
) -> None:
    """Put any split to the test: name who stands on two sides, and blurred or distant photos it measures on; exit code 1 if any."""
    with _training():
        from screening.training.splits import describe_blurred, is_blurred_or_distant
        from screening.training.splits.given import read_given_split
        from screening.training.splits.leaks import describe_leak, find_leaks

    frame, _, graph = _open(corpus, photos, weights_dir, work, measure_on_blurred=measure_on_blurred)
    given = read_given_split(split_file, frame)
    leaks = find_leaks(frame, graph, given.side)
    measured_on = (is_blurred_or_distant(frame) & given.is_measured_on).to_numpy().nonzero()[0]
    for fault in given.faults:
        _say(fault)
    for leak in leaks:
        _say(describe_leak(leak, frame, given.side))
    for row in measured_on:
        _say(f"measured on ({given.side.iloc[row]}) though refused: {describe_blurred(frame, row)}")
    _say_graph(graph)
    if leaks or given.faults or len(measured_on):
        _say(
            f"{len(leaks)} leaks, {len(given.faults)} faults of the file, "
            f"{len(measured_on)} photos measured on though refused for blur or distance"
        )
        raise typer.Exit(1)
    _say("no leak")


@app.command()
def why(
    corpus: Corpus,
    first: Annotated[str, typer.Argument(help="Path of a photo, as in the table, or its photo_id.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    photos: Photos = None,
    weights_dir: WeightsDir = None,
    work: Work = _WORK,
) -> None:
    """Say by which evidence two photos must stay together."""
    frame, _, graph = _open(corpus, photos, weights_dir, work)
    rows = []
    for name in (first, second):
        found = (frame["photo"] == name) | (frame["photo_id"] == name)
        if not found.any():
            raise MissingError(f"{name!r} is not in {corpus}; expected a path or photo_id of the table")
        rows.append(int(found.to_numpy().argmax()))
    chain = graph.why(*rows)
    for join in chain:
        _say(f"{frame['photo'].iloc[join.first]} - {frame['photo'].iloc[join.second]}: {join.evidence}")
    if not chain:
        _say("nothing joins them")


def _open(
    file: Path, photos: Path | None, weights_dir: Path | None, work: Path, *, measure_on_blurred: bool = False
) -> tuple[pd.DataFrame, np.ndarray | None, SimilarityGraph]:
    """The corpus, the features of its photos where weights are given, and the graph of what must stay together."""
    with _training():
        from screening.training.corpus import read_corpus_table
        from screening.training.splits import similarity_graph, without_verdicts

    frame = read_corpus_table(file).to_pandas()
    if measure_on_blurred:
        frame = without_verdicts(frame)
    features = None
    if weights_dir is None:
        _say("no --weights-dir: photos that look alike are not searched for; copies are, by their perceptual hash")
    else:
        from screening.training.features import cached_features

        root = photos or file.parent
        features = cached_features([str(root / photo) for photo in frame["photo"]], weights_dir, work)
    return frame, features, similarity_graph(frame, features)


@contextmanager
def _training() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed here; this runs as .venv-training/bin/screening corpus"
        ) from error


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def _say_graph(graph: SimilarityGraph) -> None:
    _say(f"{graph.photos} photos in {len(set(graph.groups.tolist()))} components; pairs joined:")
    for evidence, pairs in graph.counts().items():
        _say(f"  {evidence}: {pairs}")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
