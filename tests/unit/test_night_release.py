"""Which release a night is graded with, and which answers beside; the model server is always in health here."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.release_history import ReleaseEvent, append_event, changing, switch_champion
from screening.errors import MissingError
from screening.settings import Settings
from screening.tasks import NightContext, open_night
from screening.tasks.context import code_revision, run_id_of
from tests.second_release import build_second_release, repository_of_r0001

PAST = date(2026, 11, 18)
TODAY = datetime.now(UTC).date()


class WithoutTriton(NightContext):
    """A context whose model server is always in health."""

    def model_server(self, _release, *, with_heat_maps=False):  # noqa: ARG002  # as the one it stands for
        return nullcontext(SimpleNamespace(canary=lambda **_how: None))


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = repository_of_r0001(tmp_path_factory.mktemp("models") / "repository")
    return build_second_release(repository)


@pytest.fixture
def context(two_releases: Path, tmp_path: Path) -> NightContext:
    """A repository of links to two releases, with an empty history."""
    repository = tmp_path / "repository"
    repository.mkdir()
    for model in two_releases.iterdir():
        if model.name.startswith("lesion_"):
            (repository / model.name).symlink_to(model)
    (repository / "champion").write_text("r0001\n")
    store = FolderStore(tmp_path / "store")
    (tmp_path / "store").mkdir()
    return WithoutTriton(Settings(model_repository=str(repository), pseudonym_key="k" * 32), store, store)


def with_settings(context: NightContext, **changed: Any) -> NightContext:
    return replace(context, settings=context.settings.model_copy(update=changed))


def happened(context: NightContext, what: str, release: str, on: date | None = None, **changed: Any) -> None:
    moment = datetime.combine(on, time(12), UTC) if on else datetime.now(UTC)
    event = ReleaseEvent(what, release, "r0001", moment, "ada", "a test", "0.1.0", **changed)
    with changing(context.settings.model_repository):
        if what in ("promoted", "rolled_back"):
            switch_champion(context.settings.model_repository, event, {})
        else:
            append_event(context.settings.model_repository, event)


def test_a_new_night_is_graded_by_the_champion(context):
    assert open_night(TODAY, context).release == "r0001"
    happened(context, "promoted", "r0002")
    assert open_night(TODAY + timedelta(days=1), context).release == "r0002"


def test_a_night_that_is_opened_again_keeps_its_release(context):
    open_night(TODAY, context)
    happened(context, "promoted", "r0002")
    assert open_night(TODAY, context).release == "r0001"


def test_a_night_keeps_its_release_whatever_the_settings_name_and_says_so(context, caplog):
    open_night(TODAY, context)
    with caplog.at_level(logging.WARNING):
        assert open_night(TODAY, with_settings(context, release="r0002")).release == "r0001"
    assert "keeps release=r0001, the settings name r0002" in caplog.text


def test_a_night_is_graded_with_another_release_when_it_is_told(context):
    open_night(TODAY, context)
    assert open_night(TODAY, context, "r0002").release == "r0002"
    assert open_night(TODAY, context).release == "r0002"


def test_a_new_night_is_graded_by_the_release_that_the_settings_name(context):
    assert open_night(TODAY, with_settings(context, release="r0002")).release == "r0002"


def test_an_old_night_that_was_never_opened_is_graded_by_the_champion_of_its_end(context, caplog):
    happened(context, "promoted", "r0001", on=PAST - timedelta(days=1))
    happened(context, "promoted", "r0002", on=PAST + timedelta(days=1))
    with caplog.at_level(logging.WARNING):
        assert open_night(PAST, context).release == "r0001"
    assert "release=r0001 was in use then, r0002 is now" in caplog.text
    assert open_night(PAST + timedelta(days=1), context).release == "r0002"


def test_an_old_night_before_the_history_is_graded_by_the_champion(context):
    happened(context, "promoted", "r0002", on=PAST + timedelta(days=1))
    assert open_night(PAST, context).release == "r0002"


def test_a_night_whose_release_was_cleared_away_says_which_is_missing(context):
    plan = open_night(TODAY, context)
    context.results.put(paths.run_plan(plan.run_id), plan.to_json().replace(b"r0001", b"r0007"))
    with pytest.raises(MissingError, match="release r0007"):
        open_night(TODAY, context)
    assert open_night(TODAY, context, "r0001").release == "r0001"


def test_a_night_keeps_its_release_when_its_plan_is_of_code_with_other_quality_cutoffs(context):
    plan = open_night(TODAY, context)
    happened(context, "promoted", "r0002")
    old = plan.to_json().replace(b"flag_hair", b"flag_fur")
    context.results.put(paths.run_plan(plan.run_id), old)
    assert open_night(TODAY, context).release == "r0001"


def test_a_night_that_is_opened_by_other_code_says_so(context, caplog):
    plan = open_night(TODAY, context)
    assert plan.earlier_code_revision is None
    by_older_code = json.loads(plan.to_json()) | {"code_revision": "0.0.1+old"}
    context.results.put(paths.run_plan(plan.run_id), json.dumps(by_older_code).encode())
    with caplog.at_level(logging.WARNING):
        again = open_night(TODAY, context)
    assert (again.earlier_code_revision, again.code_revision) == ("0.0.1+old", code_revision())
    assert "was opened with code=0.0.1+old" in caplog.text
    assert open_night(TODAY, context).earlier_code_revision == "0.0.1+old"


def test_a_plan_without_the_newer_fields_can_be_read(context):
    plan = open_night(TODAY, context)
    older = json.loads(plan.to_json())
    del older["shadow"], older["earlier_code_revision"]
    context.results.put(paths.run_plan(plan.run_id), json.dumps(older).encode())
    assert context.plan(run_id_of(TODAY)) == plan


def test_the_shadow_of_a_night_is_fixed_when_it_opens(context):
    happened(context, "shadow_started", "r0002", nights=1)
    assert open_night(TODAY, context).shadow == "r0002"
    happened(context, "shadow_ended", "r0002")
    assert open_night(TODAY, context).shadow == "r0002"
    assert open_night(TODAY + timedelta(days=1), context).shadow is None


def test_no_release_is_the_shadow_of_a_night_that_it_grades(context):
    happened(context, "shadow_started", "r0002", nights=1)
    assert open_night(TODAY, context, "r0002").shadow is None
