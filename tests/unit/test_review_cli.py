"""The commands of decisions and withdrawals, on folders."""

import pytest
from typer.testing import CliRunner

from screening.cli import app
from screening.errors import ContractError, SettingsError
from screening.tasks import run_intake
from tests.unit.made_up_night import photo_id_of, pseudonym
from tests.unit.review_site import KEY, ReviewSite, some_uploads


@pytest.fixture
def site(tmp_path, monkeypatch):
    for name in ("UPLOADS", "RESULTS"):
        monkeypatch.setenv(f"SCREENING_{name}", f"file://{tmp_path}")
    monkeypatch.setenv("SCREENING_PSEUDONYM_KEY", KEY)
    site = ReviewSite(tmp_path)
    site.publish(some_uploads())
    return site


def run(*arguments, typed=None):
    return CliRunner().invoke(app, list(arguments), input=typed, catch_exceptions=True)


def test_photos_go_out_come_back_and_are_told_of(site):
    out = run("review", "export", "--programme", "coast", "--night", "2026-11-20")
    assert out.stdout.startswith("4 photos -> ")
    lines = [f"{photo_id_of('bert.jpg')},dr-lee,2026-11-21,nevus", f"{'0' * 32},dr-lee,2026-11-21,nevus"]
    site.store.put("review/inbox/a.csv", "\n".join(["photo_id,reader,decided_at,disease", *lines]).encode())
    come = run("review", "import").stdout
    assert "'a.csv': 1 new decisions, 0 known already, 1 rejected: see review/rejects" in come
    assert "1 decisions, 1 photos in the corpus {'single_reader': 1}" in come
    assert run("review", "status").stdout in come
    assert run("review", "export", "--programme", "coast", "--night", "2026-11-20").stdout.startswith("3 photos -> ")


def test_a_person_is_withdrawn_by_pseudonym_or_photo_and_not_by_two_at_once(site):
    site.decide("anna-1.jpg")
    run_intake(site.context)
    anna = pseudonym("p", "anna")
    both = run("withdraw", "--programme", "coast", "--pseudonym", anna, "--photo-id", photo_id_of("nobody.jpg"))
    assert isinstance(both.exception, SettingsError)
    assert len(site.objects("corpus/photos/")) == 1
    assert "withdrawn: 2 photos" in run("withdraw", "--programme", "coast", "--pseudonym", anna, "--by", "me").stdout
    assert site.objects("corpus/photos/") == {}


def test_the_name_of_a_person_is_asked_for_and_not_shown(site):
    asked = run("withdraw", "--programme", "coast", typed="patient 17\n")
    assert isinstance(asked.exception, ContractError)  # nobody of that name has a photo
    assert "17" not in asked.output
    assert "17" not in str(asked.exception)


def test_label_studio_gets_a_page_for_all_diseases():
    assert 'value="Melanoma"' in run("review", "labelling-page").stdout
