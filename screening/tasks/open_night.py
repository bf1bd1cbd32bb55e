"""Claim the night's keys, read the manifests, cut the night into batches, and see that the model server really answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any

from screening.contracts import BATCH, LEDGER, MANIFEST_ISSUES
from screening.cutoffs import GradeCutoffs, QualityCutoffs
from screening.edges import paths
from screening.edges.release import Release
from screening.edges.release_history import champion_at, current_shadow, read_champion, read_events
from screening.edges.tables import TableWriter, iter_table, write_table
from screening.errors import ContractError, MissingObjectError, SettingsError
from screening.stages.intake import (
    MANIFEST_NAME,
    KnownKeys,
    Manifest,
    ManifestIssue,
    Pseudonyms,
    batch_sizes,
    read_manifest,
    unknown_files,
)
from screening.tasks.context import NightContext, Plan, code_revision, grade_cutoffs, run_id_of
from screening.tasks.quality_rules import load_quality_rules

log = logging.getLogger(__name__)

MISPLACED = "_misplaced"
"""Programme of objects outside uploads/<programme>/<yyyy-mm-dd>/: they fail with a reason instead of being overlooked."""
_LEDGER_ROWS = 10_000


def open_night(night: date, context: NightContext, release: str | None = None) -> Plan:
    """Open a night, or open it again: a night that was opened keeps exactly its keys, its release and its cut-offs.

    Args:
        night: photos of this day's folder and of earlier ones, if no other night has them.
        context: settings and stores.
        release: to grade with, whatever the night was graded with before; None: that of its earlier plan or, where it was
            never opened, the one in use when the night ended.

    Raises:
        SettingsError: a setting names a file that does not exist.
        ContractError: the site's quality cut-offs or messages are not in order.
        MissingError: a bucket, the release or its model does not exist.
        AccessError: a store refused the credentials.
        ModelServerUnavailableError: Triton does not answer the canary.
    """
    run_id = run_id_of(night)
    with context.timed(run_id, "open_night"):
        quality_cutoffs = _quality_cutoffs(run_id, context)
        recorded = _recorded(run_id, context)
        graded_by = context.release(release or _release_of(night, recorded, context))
        grading = _grade_cutoffs(run_id, graded_by, context)
        with context.model_server(graded_by) as server:
            server.canary(heal=True)
        ledger = paths.ledger(night)
        if not context.results.exists(ledger):
            _claim(night, context)
        rows = _ledger_rows(context, night)
        first = next(rows, None)
        count = 0 if first is None else 1 + sum(1 for _ in rows)
        claimed = datetime.now(UTC) if first is None else datetime.fromisoformat(str(first["claimed_at_utc"]))
        sizes = batch_sizes(count, context.settings.photos_per_batch, context.settings.max_batches)
        _write_batches(run_id, sizes, _ledger_rows(context, night), context)
        plan = Plan(
            run_id,
            night,
            sizes,
            graded_by.name,
            code_revision(),
            claimed,
            quality_cutoffs,
            grading,
            shadow=_shadow(graded_by.name, recorded, context),
            earlier_code_revision=_earlier_code_revision(run_id, recorded),
        )
        context.results.put(paths.run_plan(run_id), plan.to_json())
    log.info(
        "open_night run=%s listed=%d batches=%d release=%s quality_cutoffs=%s grade_cutoffs=%s",
        run_id, plan.photos, len(sizes), plan.release, quality_cutoffs.version, grading.version,
    )  # fmt: skip
    return plan


def _recorded(run_id: str, context: NightContext) -> dict[str, Any]:
    """The night's earlier plan as it is written, also by code that knows other cut-offs; empty when there is none."""
    with suppress(MissingObjectError):
        return dict(json.loads(context.results.get(paths.run_plan(run_id))))
    return {}


def _release_of(night: date, recorded: dict[str, Any], context: NightContext) -> str | None:
    """The release that a night is graded with unless told otherwise; None: the champion of now.

    A night that is over and was never opened gets the release that was in use when its day ended (UTC): what a run in time
    would have taken. docs/decisions/0021.
    """
    named = context.settings.release
    if kept := recorded.get("release"):
        if named and named != kept:
            log.warning("open_night night=%s keeps release=%s, the settings name %s", night, kept, named)
        return str(kept)
    end = datetime.combine(night + timedelta(days=1), time(), UTC)
    if named or end > datetime.now(UTC):
        return named
    of_then = champion_at(read_events(context.settings.model_repository), end)
    now = read_champion(context.settings.model_repository)
    if of_then and of_then != now:
        log.warning("open_night night=%s release=%s was in use then, %s is now", night, of_then, now)
    return of_then


def _shadow(release: str, recorded: dict[str, Any], context: NightContext) -> str | None:
    """The release that answers beside: that of the night's earlier plan, else the shadow of now."""
    if recorded:
        return recorded.get("shadow")
    running = current_shadow(read_events(context.settings.model_repository))
    return running.release if running and running.release != release else None


def _earlier_code_revision(run_id: str, recorded: dict[str, Any]) -> str | None:
    first = recorded.get("earlier_code_revision") or recorded.get("code_revision")
    if first is None or first == code_revision():
        return None
    log.warning("open_night run=%s was opened with code=%s, this is %s", run_id, first, code_revision())
    return str(first)


def _quality_cutoffs(run_id: str, context: NightContext) -> QualityCutoffs:
    """Those of the night's earlier plan, if this code knows them; else those that the settings name."""
    named = load_quality_rules(context.settings).cutoffs
    with suppress(MissingObjectError, ContractError):
        kept = context.plan(run_id).quality_cutoffs
        if kept != named:
            log.warning(
                "open_night run=%s keeps quality_cutoffs=%s, the settings name %s", run_id, kept.version, named.version
            )
        return kept
    return named


def _grade_cutoffs(run_id: str, release: Release, context: NightContext) -> GradeCutoffs:
    """Those of the night's earlier plan, if the same release graded then; else those that the settings name."""
    named = grade_cutoffs(context.settings, release)
    with suppress(MissingObjectError, ContractError):
        plan = context.plan(run_id)
        if plan.release == release.name:
            if plan.grade_cutoffs != named:
                log.warning(
                    "open_night run=%s keeps grade_cutoffs=%s, the settings name %s",
                    run_id, plan.grade_cutoffs.version, named.version,
                )  # fmt: skip
            return plan.grade_cutoffs
    return named


def _ledger_rows(context: NightContext, night: date) -> Iterator[dict[str, object]]:
    for batch in iter_table(context.results, paths.ledger(night), LEDGER):
        yield from batch.to_pylist()


def _claim(night: date, context: NightContext) -> None:
    """Write the ledger of the night in one PUT; if another run was quicker, its claim stands."""
    known = KnownKeys(_claimed_uploads(context))
    claimed_at = datetime.now(UTC)
    with TableWriter(context.results, paths.ledger(night), LEDGER, only_if_new=True) as writer:
        rows: list[dict[str, object]] = []
        for page in context.uploads.pages(paths.UPLOADS_PREFIX):
            for found in page:
                is_folder_marker = found.key.endswith("/") and found.size_bytes == 0
                if is_folder_marker or found.key.rsplit("/", 1)[-1] == MANIFEST_NAME:
                    continue
                upload = paths.parse_upload_key(found.key)
                if (upload is not None and upload.day > night) or (found.key, found.etag) in known:
                    continue
                rows.append(
                    {
                        "key": found.key,
                        "etag": found.etag,
                        "size_bytes": found.size_bytes,
                        "programme": upload.programme if upload else MISPLACED,
                        "night": night,
                        "claimed_at_utc": claimed_at,
                    }
                )
            if len(rows) >= _LEDGER_ROWS:
                writer.write(LEDGER.table(rows))
                rows = []
        writer.write(LEDGER.table(rows))


def _claimed_uploads(context: NightContext) -> Iterator[tuple[str, str]]:
    for page in context.results.pages(paths.LEDGER_PREFIX):
        for ledger in page:
            for batch in iter_table(context.results, ledger.key, LEDGER, columns=["key", "etag"]):
                yield from zip(batch["key"].to_pylist(), batch["etag"].to_pylist(), strict=True)


def _write_batches(run_id: str, sizes: list[int], rows: Iterator[dict[str, object]], context: NightContext) -> None:
    if context.settings.pseudonym_key is None:
        raise SettingsError("SCREENING_PSEUDONYM_KEY is not set; expected a secret of at least 32 characters")
    manifests = _Manifests(context, Pseudonyms(context.settings.pseudonym_key.get_secret_value().encode()))
    for number, size in enumerate(sizes):
        batch = [manifests.batch_row(row) for row in islice(rows, size)]
        write_table(context.results, paths.staged_batch(run_id, "batch", number), BATCH.table(batch), BATCH)
    issues = MANIFEST_ISSUES.table(manifests.finish())
    write_table(context.results, paths.staged_table(run_id, "manifest_issues"), issues, MANIFEST_ISSUES)


class _Manifests:
    """The manifests of the folders being passed; keys come in order, so only the last few are held."""

    HELD = 8

    def __init__(self, context: NightContext, pseudonyms: Pseudonyms) -> None:
        self._context = context
        self._pseudonyms = pseudonyms
        self._held: dict[str, Manifest | None] = {}
        self._unmatched: dict[str, set[str]] = {}
        self._issues: dict[tuple[object, ...], dict[str, object]] = {}

    def batch_row(self, ledger_row: dict[str, object]) -> dict[str, object]:
        """A row of the table ``batch``: the ledger's facts and what the nearest manifest says of the file."""
        row = {name: ledger_row[name] for name in ("key", "etag", "size_bytes", "programme")}
        key = str(row["key"])
        upload = paths.parse_upload_key(key)
        row |= {"source_name": upload.source_name if upload else key, "has_training_consent": False}
        if upload:
            top = key.removesuffix(upload.source_name)
            parts = upload.source_name.split("/")
            for depth in reversed(range(len(parts))):
                folder, name = top + "".join(p + "/" for p in parts[:depth]), "/".join(parts[depth:])
                manifest = self._manifest(folder, upload.programme)
                if manifest is not None and name in manifest.rows:
                    self._unmatched[folder].discard(name)
                    return row | manifest.rows[name]
        return row

    def finish(self) -> list[dict[str, object]]:
        """All issues, after checking which files of the manifests were never uploaded."""
        for folder in list(self._held):
            self._drop(folder)
        return list(self._issues.values())

    def _manifest(self, folder: str, programme: str) -> Manifest | None:
        if folder in self._held:
            self._held[folder] = self._held.pop(folder)  # the latest used stands last
            return self._held[folder]
        manifest = None
        with suppress(MissingObjectError):
            manifest = read_manifest(self._context.uploads.get(folder + MANIFEST_NAME), programme, self._pseudonyms)
        if len(self._held) >= self.HELD:
            self._drop(next(iter(self._held)))
        self._held[folder] = manifest
        if manifest is not None:
            self._unmatched[folder] = set(manifest.rows)
            self._record(folder, programme, manifest.issues)
        return manifest

    def _drop(self, folder: str) -> None:
        manifest = self._held.pop(folder)
        unmatched = self._unmatched.pop(folder, set())
        if manifest is None or not unmatched:
            return
        # Another night may have taken the file: what was uploaded at all is seen by listing the folder.
        for page in self._context.uploads.pages(folder):
            unmatched.difference_update(found.key.removeprefix(folder) for found in page)
        upload = paths.parse_upload_key(folder + MANIFEST_NAME)
        self._record(folder, upload.programme if upload else MISPLACED, unknown_files(manifest, unmatched.__contains__))

    def _record(self, folder: str, programme: str, issues: list[ManifestIssue] | Iterator[ManifestIssue]) -> None:
        for issue in issues:
            row: dict[str, object] = {"programme": programme, "manifest": folder + MANIFEST_NAME} | vars(issue)
            self._issues[tuple(row[c] for c in MANIFEST_ISSUES.key)] = row
