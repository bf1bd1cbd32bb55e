"""The commands `screening release …`: freeze trained members, check, promote and roll back releases, and tell their history."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from screening.errors import MissingError, SettingsError
from screening.settings import Settings, load_settings

console = Console()

By = Annotated[str, typer.Option("--by", help="Who decides, as the history shall name them.")]
Why = Annotated[str, typer.Option("--why", help="Why, in words.")]
Evidence = Annotated[
    str | None, typer.Option(help="Place of the comparison: the gate's JSON file, or a page's address.")
]


def release_app(open_triton: Callable[[Settings], AbstractContextManager[Settings]]) -> typer.Typer:
    """The commands; ``open_triton`` gives settings with a Triton that answers."""
    app = typer.Typer(no_args_is_help=True, help="Releases: build, check, promote, roll back.")
    for command in (build, install, rollback, history, show):
        app.command("list" if command is history else None)(command)

    @app.command()
    def check(name: Annotated[str | None, typer.Argument(help="As r0002; empty: the champion.")] = None) -> None:
        """Compare the weights with their hashes, and Triton's answers to the golden photos with torch's."""
        from screening.tasks.check_release import check_release
        from screening.tasks.context import connect_model_server, servable_release

        settings = load_settings() if name is None else load_settings(release=name)
        with open_triton(settings) as served:
            release = servable_release(served, served.release)
            with connect_model_server(served, release) as server:
                gaps = check_release(served, release, server)
        for member, gap in gaps.items():
            console.print(f"{member}: differs from torch by {gap:.1e} at most", highlight=False)

    @app.command()
    def promote(
        name: Annotated[str, typer.Argument(help="As r0002.")], by: By, why: Why, evidence: Evidence = None
    ) -> None:
        """Make a release the champion, once Triton has loaded it and answers its golden photos as torch did."""
        from screening.tasks.promotion import promote

        with open_triton(load_settings()) as served:
            event = promote(name, by=by, why=why, evidence=evidence, settings=served)
        console.print(
            f"{name} is the champion; before: {event.champion_before or 'none'}. Back: screening release rollback",
            highlight=False,
        )

    @app.command()
    def shadow(
        name: Annotated[str | None, typer.Argument(help="As r0002; empty with --end.")] = None,
        nights: Annotated[int, typer.Option(help="How many nights.")] = 3,
        end: Annotated[bool, typer.Option("--end", help="End the shadow that runs.")] = False,
        *,
        by: By,
        why: Why,
    ) -> None:
        """Let a release answer beside the champion for some nights, without touching a grade."""
        from screening.tasks.shadow_release import end_shadow, start_shadow

        if end or name is None:
            if name is not None or not end:
                raise SettingsError("expected the name of a release, or --end")
            event = end_shadow(by=by, why=why, settings=load_settings())
            console.print(f"{event.release} is the shadow no longer", highlight=False)
            return
        with open_triton(load_settings()) as served:
            start_shadow(name, nights, by=by, why=why, settings=served)
        console.print(f"{name} answers beside the champion for {nights} nights", highlight=False)

    return app


def install(
    folder: Annotated[Path, typer.Argument(help="Laid out like a model repository, with one release.")],
    by: By,
    why: Why = "built elsewhere and checked",
) -> None:
    """Check a release that was built elsewhere and copy it into the model repository."""
    from screening.tasks.install_release import install_release

    name = install_release(folder, load_settings(), by=by, why=why)
    console.print(f"{name} is in the model repository; it serves nothing before it is promoted", highlight=False)


def rollback(by: By, why: Why) -> None:
    """Bring the champion before back, at once."""
    from screening.tasks.promotion import rollback

    done = rollback(by=by, why=why, settings=load_settings())
    console.print(
        f"{done.event.release} is the champion again, {done.event.champion_before} no longer ({done.switched_s:.2f} s)",
        highlight=False,
    )
    if done.problem:
        console.print(
            f"Not confirmed, the rollback stands all the same: {done.problem}",
            style="yellow",
            markup=False,
            highlight=False,
        )
    else:
        console.print(f"Triton answers its golden photos as torch did ({done.total_s:.1f} s in all)", highlight=False)


def history() -> None:
    """All that happened to the releases, and which one is in use."""
    from screening.edges.release_history import current_shadow, previous_champion, read_champion, read_events

    repository = load_settings().model_repository
    events = read_events(repository)
    table = Table("", "when (UTC)", "release", "what", "by", "why", box=None, pad_edge=False)
    for e in events:
        table.add_row(str(e.event_id), f"{e.at_utc:%Y-%m-%d %H:%M}", e.release, e.event.replace("_", " "), e.by, e.why)
    console.print(table, markup=False, highlight=False)
    running = current_shadow(events)
    console.print(
        f"champion {read_champion(repository) or 'none'}, a rollback leads to {previous_champion(repository) or 'none'}, "
        f"shadow {running.release if running else 'none'}",
        highlight=False,
        soft_wrap=True,
    )


def show(name: Annotated[str | None, typer.Argument(help="As r0002; empty: the champion.")] = None) -> None:
    """A release: its members and cut-offs, all that happened to it, and where its card and records lie."""
    from screening.edges.release import load_release
    from screening.edges.release_history import attachment, read_events
    from screening.tasks.promotion import CHANGE_RECORD

    repository = load_settings().model_repository
    release = load_release(repository, name)
    lines = ", ".join(f"{line} {release.cutoffs.get(line)}" for line in ("dangerous", "high_risk"))
    rows = [
        ("release", release.name),
        *(("member", f"{m.name} version {m.version}, weights {m.weights_sha256}") for m in release.members),
        ("cut-offs", f"{release.cutoffs.get('version')}: {lines}"),
        ("taxonomy", release.taxonomy_version),
        ("model card", str(Path(repository) / release.model / "model_card.md")),
    ]
    for e in read_events(repository):
        if release.name not in (e.release, e.champion_before):
            continue
        what = f"{e.at_utc:%Y-%m-%d %H:%M} {e.event.replace('_', ' ')} {e.release} by {e.by}: {e.why}"
        rows.append(("event", f"{e.event_id} {what}"))
        rows += [("evidence", e.evidence)] if e.evidence else []
        record = attachment(repository, e, CHANGE_RECORD)
        rows += [("change record", str(record))] if record.is_file() else []
    for label, text in rows:
        console.print(f"{label:<14}{text}", markup=False, highlight=False, soft_wrap=True)


def build(
    name: Annotated[str, typer.Argument(help="As r0002.")],
    photos: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    weights_dir: Annotated[Path, typer.Option(help="Folder of ImageNet weights.")],
    work: Annotated[Path, typer.Option(help="Folder of the pixel cache, the frozen split and the trained members.")],
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or path of a recipe file.")] = "first_ensemble",
    model_repository: Annotated[Path, typer.Option(help="Where the release goes.")] = Path("model_repository"),
) -> None:
    """Freeze the members that `screening train` left in --work; one that is not finished is trained on. Needs .venv-training."""
    try:
        from screening.tasks.context import code_revision
        from screening.training.ensemble import fit_ensemble, prepare_training_set
        from screening.training.recipe import load_recipe
        from screening.training.release import build_release
        from screening.training.start_weights import split_of_start
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed here; releases are built by .venv-training/bin/screening release build"
        ) from error
    loaded = load_recipe(recipe)
    known_by = split_of_start(loaded, str(model_repository))
    training_set = prepare_training_set(loaded, photos, weights_dir, work, known_by)
    members = fit_ensemble(loaded, training_set, weights_dir, work, code_revision(), str(model_repository))
    made_on = datetime.now(UTC).date()
    # Members that go on from a release's would otherwise have the names of those they started from.
    named = loaded.named_for(name) if loaded.start_from else loaded
    folder = build_release(name, named, training_set, members, model_repository, made_on=made_on)
    console.print(f"release {name} in {folder}", highlight=False)
