"""The commands `screening review …` and `screening withdraw`: decisions as files, and people who took back their consent."""

from __future__ import annotations

import getpass
import json
from datetime import date
from typing import Annotated

import typer
from rich.console import Console

from screening.errors import SettingsError

app = typer.Typer(no_args_is_help=True, help="Clinicians' decisions as files, and what they come to.")
console = Console()


@app.command("export")
def export_photos(
    programme: Annotated[str, typer.Option(help="Whose photos.")],
    night: Annotated[str, typer.Option(help="The night, as yyyy-mm-dd.")],
    label_studio: Annotated[bool, typer.Option("--label-studio", help="Tasks for Label Studio, not CSV.")] = False,
) -> None:
    """Write a night's photos that wait for readers to review/export, for those who read elsewhere."""
    from screening.tasks import open_context
    from screening.tasks.review_export import export_queue

    context = open_context()
    key, photos = export_queue(programme, _night(night), context, label_studio=label_studio)
    _say(f"{photos} photos -> {context.results.url(key)}")


@app.command("import")
def import_files() -> None:
    """Take in the files of review/inbox (CSV, or Label Studio's JSON) and work out what they come to."""
    from screening.tasks import adjudicate, apply_withdrawals, build_corpus, open_context, read_inbox, report_intake

    context = open_context()
    apply_withdrawals(context)
    for file in read_inbox(context):
        rejected = f", {file.rejected} rejected: see review/rejects" if file.rejected else ""
        _say(f"{file.file!r}: {file.new} new decisions, {file.known} known already{rejected}")
    adjudicate(context)
    build_corpus(context)
    report_intake(context)
    _print_status()


@app.command("status")
def show_status() -> None:
    """Say what the last intake found: decisions, states, the corpus, agreement, missed lesions."""
    _print_status()


@app.command("labelling-page")
def labelling_page() -> None:
    """Print the labelling configuration for a Label Studio project that takes our tasks."""
    from screening.stages.decision_files import label_studio_config
    from screening.taxonomy import load_taxonomy

    _say(label_studio_config(load_taxonomy()))


def withdraw(
    programme: Annotated[str, typer.Option(help="Who uploaded the person's photos.")],
    patient: Annotated[
        str | None, typer.Option(help="The person, as the manifests name them; asked for when none is given.")
    ] = None,
    pseudonym: Annotated[str | None, typer.Option(help="The person's pseudonym, instead.")] = None,
    photo_id: Annotated[str | None, typer.Option(help="A photo whose person is unknown, instead.")] = None,
    by: Annotated[str | None, typer.Option(help="Who writes it down; default: the log-in name.")] = None,
) -> None:
    """Take a person's photos out of the corpus, its copies and the review queues, now and for all time."""
    from screening.tasks import open_context
    from screening.tasks.withdrawals import OF_PHOTO, pseudonym_of
    from screening.tasks.withdrawals import withdraw as withdraw_person

    if sum(given is not None for given in (patient, pseudonym, photo_id)) > 1:
        raise SettingsError(
            "withdraw: --patient, --pseudonym and --photo-id name one person in three ways; expected one"
        )
    context = open_context()
    if photo_id is not None:
        person = OF_PHOTO + photo_id
    elif pseudonym is not None:
        person = pseudonym
    else:
        # Asked for, the name stays out of the shell's history.
        named = patient or typer.prompt("patient_id as in the manifests", hide_input=True)
        person = pseudonym_of(programme, named, context)
    photos = withdraw_person(programme, person, by or getpass.getuser(), context)
    _say(f"withdrawn: {photos} photos are in no corpus and no queue any more")
    _say(f"snapshots that held some: {context.results.url('review/withdrawn.json')}")


def _print_status() -> None:
    from screening.edges import paths
    from screening.tasks import open_context

    results = open_context().results
    status, missed = (json.loads(results.get(key)) for key in (paths.REVIEW_STATUS, paths.MISSED_LESIONS))
    _say(f"{status['decisions']} decisions, {sum(status['corpus'].values())} photos in the corpus {status['corpus']}")
    for programme, found in status["programmes"].items():
        _say(f"{programme!r}: {found['nights']} nights, {found['states']}, kept out {found['kept_out']}")
        kappa = found["agreement"]["fleiss_grade"]
        if kappa is not None:
            _say(f"  {found['agreement']['photos']} photos with two readers: Fleiss' kappa of the grade {kappa:.2f}")
    estimate = missed["all"]
    if estimate["looked_at"]:
        _say(
            f"graded low risk and not: about {estimate['missed']:.0f} of {estimate['photos']} photos "
            f"(95 % {estimate['low']:.0f} to {estimate['high']:.0f}), from {estimate['looked_at']} looked at"
        )
    for warning in status["warnings"]:
        _say(f"warning: {warning}")


def _night(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"night {text!r}: expected a date as 2026-11-20") from error


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
