"""From decisions to vetted photos and the corpus, whatever happens on the way."""

import io
import json
import re
import shutil
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from screening.contracts import CORPUS, DECISIONS, SPLIT, VETTED_PHOTOS, Side
from screening.edges import paths
from screening.edges.decision_log import append_decisions
from screening.edges.folder_store import FolderStore
from screening.edges.release import SPLIT_FILE
from screening.edges.tables import read_table, write_table
from screening.errors import ContractError, SettingsError
from screening.stages.audit_decisions import audit_decisions
from screening.tasks import (
    adjudicate,
    anything_new,
    apply_withdrawals,
    build_corpus,
    corpus_news,
    read_inbox,
    report_intake,
    run_intake,
)
from screening.tasks.context import run_id_of
from screening.tasks.gathered_decisions import gathered_decisions
from screening.tasks.withdrawals import pseudonym_of, withdraw
from screening.taxonomy import load_taxonomy
from tests.kill_points import INTAKE, INTAKE_TASKS
from tests.killed import KILLED, run_until_killed
from tests.second_release import MODEL_REPOSITORY
from tests.unit.made_up_night import NIGHT, Upload, photo_id_of, pseudonym
from tests.unit.review_site import DAY, ReviewSite, a_decision, some_uploads

ANNA, BERT = pseudonym("p", "anna"), pseudonym("p", "bert")


@pytest.fixture
def site(tmp_path):
    return ReviewSite(tmp_path)


@pytest.fixture
def night(site):
    site.publish(some_uploads())
    return site


def vetted(site, programme="coast", night=NIGHT):
    return {row["photo_id"]: row for row in site.rows("vetted_photos", VETTED_PHOTOS, programme, night)}


def corpus(site):
    return {row["photo_id"]: row for row in read_table(site.store, paths.CORPUS_TABLE, CORPUS).to_pylist()}


def test_a_settled_photo_comes_into_the_corpus_with_all_that_is_known_of_it(night):
    decision = night.decide("anna-1.jpg", "melanoma")
    run_intake(night.context)
    row = vetted(night)[photo_id_of("anna-1.jpg")]
    assert (row["state"], row["disease"], row["label_strength"]) == ("settled", "melanoma", "single_reader")
    assert (row["decisions"], row["is_in_corpus"], row["kept_out"]) == ([decision], True, None)
    [row] = corpus(night).values()
    expected = {
        "photo_id": photo_id_of("anna-1.jpg"),
        "photo": f"photos/{photo_id_of('anna-1.jpg')}.jpg",
        "disease": "melanoma",
        "source_label": "Melanoma",
        "label_strength": "single_reader",
        "patient": f"coast/{ANNA}",
        "lesion": f"coast/{pseudonym('l', 'back')}",
        "source": "coast",
        "kind": "clinical",
        "licence": "consent",
        "body_site": "back",
        "perceptual_hash": "0f" * 44,
        "quality_verdict": "usable",
    }
    assert {name: row[name] for name in expected} == expected
    assert night.store.get("corpus/" + row["photo"]) == f"pixels of {row['photo_id']}".encode()


def test_a_photo_of_nobody_is_a_person_and_a_lesion_of_its_own(night):
    night.decide("nobody.jpg")
    run_intake(night.context)
    [row] = corpus(night).values()
    assert row["patient"] == row["lesion"] == f"coast/{photo_id_of('nobody.jpg')}"


def test_without_consent_a_photo_is_kept_for_care_and_not_for_training(site):
    site.publish(some_uploads(), without_consent=["anna-1.jpg"])
    site.decide("anna-1.jpg")
    run_intake(site.context)
    [row] = vetted(site).values()
    assert (row["state"], row["is_in_corpus"], row["kept_out"]) == ("settled", False, "no_consent")
    assert len(site.rows("decisions", DECISIONS)) == 1
    assert corpus(site) == {}
    assert site.objects("corpus/photos/") == {}


@pytest.mark.parametrize(
    ("decisions", "kept_out"),
    [
        ([("dr-lee", None, "reading")], "not_settled"),
        ([("lab", "nevus", "histopathology"), ("lab-2", "melanoma", "histopathology")], "not_settled"),
    ],
)
def test_what_is_not_settled_is_not_learnt_from(night, decisions, kept_out):
    for reader, disease, evidence in decisions:
        night.decide("bert.jpg", disease, reader=reader, evidence=evidence)
    run_intake(night.context)
    [row] = vetted(night).values()
    assert (row["is_in_corpus"], row["kept_out"]) == (False, kept_out)
    assert corpus(night) == {}


def test_an_unusable_photo_and_one_whose_pixels_are_gone_are_kept_out(night):
    night.decide("bert.jpg", "nevus", photo_quality="unusable")
    night.decide("nobody.jpg", "nevus")
    night.store.delete(paths.working_copy(run_id_of(NIGHT), photo_id_of("nobody.jpg")))
    run_intake(night.context)
    assert {row["kept_out"] for row in vetted(night).values()} == {"unusable_photo", "no_working_copy"}
    assert corpus(night) == {}


def test_a_photo_stays_in_the_corpus_when_its_run_was_cleared_away(night):
    night.decide("bert.jpg", "nevus")
    run_intake(night.context)
    night.store.delete(paths.working_copy(run_id_of(NIGHT), photo_id_of("bert.jpg")))
    night.decide("bert.jpg", "nevus", reader="dr-kim")
    run_intake(night.context)
    assert corpus(night)[photo_id_of("bert.jpg")]["label_strength"] == "consensus"


def test_a_label_that_is_disputed_later_leaves_the_corpus(night):
    night.decide("bert.jpg", "nevus")
    run_intake(night.context)
    night.decide("bert.jpg", "melanoma", reader="dr-kim")
    run_intake(night.context)
    assert corpus(night) == {}
    assert vetted(night)[photo_id_of("bert.jpg")]["state"] == "needs_adjudication"


def test_programmes_have_their_own_rules(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("programmes: {hills: {readers_wanted: 2, kind: dermoscopic}}")
    (tmp_path / "store").mkdir()
    site = ReviewSite(tmp_path / "store", str(rules))
    site.publish([Upload("mole"), Upload("spot", programme="hills")])
    site.decide("mole", "nevus")
    site.decide("spot", "nevus", programme="hills")
    run_intake(site.context)
    assert [row["kind"] for row in corpus(site).values()] == ["clinical"]
    site.decide("spot", "nevus", programme="hills", reader="dr-kim")
    run_intake(site.context)
    assert corpus(site)[photo_id_of("spot")]["kind"] == "dermoscopic"


def test_taking_in_twice_changes_nothing(night):
    night.decide("anna-1.jpg")
    night.decide("bert.jpg", "nevus")
    run_intake(night.context)
    before = night.objects("tables/", "corpus/")
    run_intake(night.context)
    assert night.objects("tables/", "corpus/") == before


def test_what_a_task_remembers_only_saves_work(night):
    night.decide("anna-1.jpg")
    run_intake(night.context)
    before = night.objects("tables/", "corpus/")
    for key in night.objects("review/state/"):
        night.store.delete(key)
    run_intake(night.context)
    assert night.objects("tables/", "corpus/") == before


def test_a_broken_memory_is_made_again(night):
    night.decide("anna-1.jpg")
    run_intake(night.context)
    before = night.objects("tables/", "corpus/")
    for key in night.objects("review/state/"):
        night.store.put(key, b"[")
    run_intake(night.context)
    assert night.objects("tables/", "corpus/") == before


def test_only_nights_with_something_new_are_written_again(site):
    other = NIGHT + timedelta(days=1)
    site.publish([Upload("mole")])
    site.publish([Upload("spot")], night=other)
    site.decide("mole", "nevus")
    site.decide("spot", "nevus", night=other)
    run_intake(site.context)
    etags = listed(site)
    site.decide("spot", "melanoma", night=other, reader="dr-kim")
    run_intake(site.context)
    changed = {key for key, etag in listed(site).items() if etags.get(key) != etag}
    assert changed == {
        paths.published("decisions", "coast", other),
        paths.published("vetted_photos", "coast", other),
        paths.CORPUS_TABLE,
    }
    assert set(corpus(site)) == {photo_id_of("mole")}


def listed(site):
    return {f.key: f.etag for prefix in ("tables/", "corpus/") for page in site.store.pages(prefix) for f in page}


def test_a_decision_about_a_photo_that_nobody_published_is_kept(site):
    site.decide("mole")
    run_intake(site.context)
    [row] = vetted(site).values()
    assert (row["state"], row["kept_out"]) == ("settled", "no_consent")


def test_an_object_that_holds_no_decision_is_named_and_the_others_go_in(night):
    night.decide("bert.jpg", "nevus")
    broken = paths.decisions(DAY, "b" * 32)
    night.store.put(broken, b"{}")
    night.store.put(paths.decisions(DAY, "c" * 32), b"")
    with pytest.raises(ContractError, match=rf"2 objects hold no decisions.*{broken}.*KeyError"):
        run_intake(night.context)
    assert len(corpus(night)) == 1


def test_a_decision_that_two_servers_recorded_counts_once_as_it_was_first(night):
    later = a_decision("bert.jpg", "melanoma", recorded_at_utc=DAY + timedelta(hours=1))
    append_decisions(night.store, [later])
    run_intake(night.context)
    [first] = corpus(night).values()
    append_decisions(night.store, [later | {"disease": "nevus", "recorded_at_utc": DAY + timedelta(minutes=1)}])
    append_decisions(night.store, [later | {"disease": "nevus", "recorded_at_utc": DAY + timedelta(hours=2)}])
    run_intake(night.context)
    [second] = corpus(night).values()
    assert (first["disease"], second["disease"]) == ("melanoma", "nevus")
    assert gathered_decisions(night.context).num_rows == 1


def test_there_is_something_new_only_after_something_came(night):
    assert anything_new(night.context)
    run_intake(night.context)
    assert not anything_new(night.context)
    night.decide("bert.jpg", "nevus")
    assert anything_new(night.context)
    run_intake(night.context)
    night.store.put("review/inbox/a.csv", b"photo_id,reader,decided_at,disease\n")
    assert anything_new(night.context)
    run_intake(night.context)
    assert not anything_new(night.context)


def test_the_asset_is_told_of_a_corpus_that_changed_and_not_again(night):
    night.decide("anna-1.jpg")
    night.decide("bert.jpg", "nevus", evidence="histopathology")
    for task in (apply_withdrawals, read_inbox, adjudicate, build_corpus):
        task(night.context)
    assert corpus_news(night.context) == {"photos": 2, "strong_labels": 1}
    assert corpus_news(night.context) == {"photos": 2, "strong_labels": 1}  # until the report has ended the intake
    report_intake(night.context)
    assert corpus_news(night.context) is None


def test_the_status_tells_states_agreement_and_what_was_missed(night):
    night.decide("bert.jpg", "melanoma", evidence="histopathology", reader="lab")  # graded low risk
    for name, diseases in (("anna-1.jpg", ("melanoma", "melanoma")), ("nobody.jpg", ("melanoma", "nevus"))):
        for reader, disease in zip(("dr-lee", "dr-kim"), diseases, strict=True):
            night.decide(name, disease, reader=reader)
    status = run_intake(night.context)
    assert status["decisions"] == 5
    assert status["programmes"]["coast"]["states"] == {"settled": 2, "needs_adjudication": 1}
    agreement = status["programmes"]["coast"]["agreement"]
    assert agreement["photos"] == 2
    assert agreement["cohen_grade"][0]["readers"] == ["dr-kim", "dr-lee"]
    assert agreement["fleiss_grade"] == pytest.approx((0.5 - 0.625) / (1 - 0.625))
    missed = json.loads(night.store.get(paths.MISSED_LESIONS))
    assert (missed["all"]["missed"], missed["all"]["photos"]) == (1.0, 1)
    assert missed["programme=coast"] == missed["all"]


# Withdrawals


def learnt_from(night, *photos_and_sides):
    """Put the champion into the site's model repository, with a split of these photos."""
    models = night.folder / "models"
    shutil.copytree(MODEL_REPOSITORY / "lesion_ensemble_r0001", models / "lesion_ensemble_r0001")
    rows = [
        {"split": "s", "rule": "{}", "photo_id": photo, "side": side, "reason": "drawn", "component": photo}
        for photo, side in zip(photos_and_sides[::2], photos_and_sides[1::2], strict=True)
    ]
    write_table(FolderStore(models / "lesion_ensemble_r0001"), SPLIT_FILE, SPLIT.table(rows), SPLIT)


def test_a_photo_that_a_release_was_only_measured_on_was_not_learnt(night):
    night.decide("bert.jpg")
    run_intake(night.context)
    learnt_from(night, photo_id_of("bert.jpg"), Side.TEST)
    withdraw("coast", BERT, "steward", night.context)
    [person] = json.loads(night.store.get(paths.WITHDRAWN))
    assert person["releases"] == []


def test_who_withdraws_leaves_the_corpus_its_copies_and_the_queue(night):
    for name in ("anna-1.jpg", "anna-2.jpg", "bert.jpg"):
        night.decide(name)
    run_intake(night.context)
    snapshot = read_table(night.store, paths.CORPUS_TABLE, CORPUS)
    night.write("corpus/snapshots/s-1.parquet", snapshot, CORPUS)
    night.write("corpus/snapshots/s-2.parquet", snapshot.slice(0, 0), CORPUS)
    learnt_from(night, photo_id_of("anna-1.jpg"), Side.TRAIN, photo_id_of("bert.jpg"), Side.TEST)
    assert withdraw("coast", ANNA, "steward", night.context) == 2
    assert set(corpus(night)) == {photo_id_of("bert.jpg")}
    assert list(night.objects("corpus/photos/")) == [paths.corpus_photo(photo_id_of("bert.jpg"))]
    assert {row["patient"] for row in night.queue()} == {BERT, None}
    [person] = json.loads(night.store.get(paths.WITHDRAWN))
    assert (person["patient"], person["snapshots"], person["releases"]) == (ANNA, ["s-1"], ["r0001"])
    run_intake(night.context)
    assert {row["kept_out"] for row in vetted(night).values()} == {"withdrawn", None}
    assert set(corpus(night)) == {photo_id_of("bert.jpg")}


def test_a_photo_that_comes_after_the_withdrawal_is_never_learnt_from(night):
    withdraw("coast", ANNA, "steward", night.context)
    later = NIGHT + timedelta(days=1)
    night.publish([Upload("anna-3.jpg", grade="dangerous", patient="anna")], night=later)
    night.decide("anna-3.jpg", night=later)
    run_intake(night.context)
    assert corpus(night) == {}
    assert vetted(night, night=later)[photo_id_of("anna-3.jpg")]["kept_out"] == "withdrawn"


def test_the_same_bytes_under_another_name_go_with_who_withdrew(site):
    twin = Upload("again.jpg", outcome="duplicate", same_as="mole", patient="anna")
    site.publish([Upload("mole", patient="bert", grade="dangerous"), twin])
    site.decide("mole")
    withdraw("coast", ANNA, "steward", site.context)
    run_intake(site.context)
    assert corpus(site) == {}
    assert site.queue() == []


def test_a_photo_of_nobody_can_be_withdrawn_by_its_id(night):
    night.decide("nobody.jpg")
    run_intake(night.context)
    withdraw("coast", f"photo:{photo_id_of('nobody.jpg')}", "steward", night.context)
    assert corpus(night) == {}


def test_a_person_of_whom_there_is_no_photo_is_told_and_not_written_down(night):
    with pytest.raises(ContractError, match="no photo of programme"):
        withdraw("coast", pseudonym("p", "nobody"), "steward", night.context)
    assert night.objects(paths.WITHDRAWALS_PREFIX) == {}


def test_withdrawing_again_changes_nothing(night):
    night.decide("anna-1.jpg")
    run_intake(night.context)
    withdraw("coast", ANNA, "steward", night.context)
    before = night.objects("tables/", "corpus/", "review/")
    withdraw("coast", ANNA, "another", night.context)
    assert night.objects("tables/", "corpus/", "review/") == before


def test_logs_of_a_withdrawal_do_not_name_the_person(night, caplog):
    caplog.set_level("INFO", "screening")
    night.decide("anna-1.jpg")
    withdraw("coast", ANNA, "steward", night.context)
    run_intake(night.context)
    assert "apply_withdrawals people=1 photos=2" in caplog.text
    assert ANNA not in caplog.text
    assert photo_id_of("anna-1.jpg") not in caplog.text


def test_the_pseudonym_of_a_person_is_that_of_the_manifests(night):
    assert pseudonym_of("coast", "17", night.context).startswith("p-")
    keyless = night.context.settings.model_copy(update={"pseudonym_key": None})
    with pytest.raises(SettingsError, match="SCREENING_PSEUDONYM_KEY"):
        pseudonym_of("coast", "17", type(night.context)(keyless, night.store, night.store))


# Killed on the way


def run_task(name, folder):
    INTAKE_TASKS[name](ReviewSite(folder).context)


def left_in(folder):
    """All objects of a site, but for moments and what is named by them, and for the etags in what a task remembers."""
    changing = re.compile(rb'"(recorded|written)_at_utc": "[^"]+"|[0-9]+-[0-9]{16,}')
    found: dict[str | bytes, object] = {}
    for key, body in ReviewSite(folder).objects("").items():
        if key.endswith(".parquet"):
            rows = pq.read_table(io.BytesIO(body)).to_pylist()
            changes = {"recorded_at_utc", "recorded_in"}
            found[key] = [{name: value for name, value in row.items() if name not in changes} for row in rows]
        elif key.startswith(paths.DECISIONS_PREFIX):
            for line in body.splitlines():
                said = changing.sub(b"", line)
                assert said not in found, "recorded twice"
                found[said] = paths.DECISIONS_PREFIX
        else:
            found[key] = changing.sub(b"", body)
    return found


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Folders of a site before each task of an intake that has much to do, and after the last one."""
    start = tmp_path_factory.mktemp("before") / "anything_new"
    start.mkdir()
    site = ReviewSite(start)
    site.publish(some_uploads())
    site.publish([Upload("cora.jpg", patient="cora")], night=NIGHT + timedelta(days=1))
    site.decide("bert.jpg", "nevus")
    site.decide("anna-1.jpg")
    run_intake(site.context)
    row = {"programme": "coast", "patient": ANNA, "withdrawn_at_utc": DAY.isoformat(), "recorded_by": "steward"}
    site.store.put(paths.withdrawal("coast", ANNA), json.dumps(row).encode())
    lines = [
        f"{photo_id_of(name)},dr-kim,2026-11-21,{disease}"
        for name, disease in (("bert.jpg", "nevus"), ("cora.jpg", "nevus"), ("nobody.jpg", "fever"))
    ]
    body = "\n".join(["photo_id,reader,decided_at,disease", *lines]).encode()
    site.store.put("review/inbox/a.csv", body)
    folders = {"anything_new": start}
    for name, after in pairwise([*INTAKE_TASKS, "the end"]):
        folders[after] = Path(shutil.copytree(folders[name], start.with_name(after)))
        run_task(name, folders[after])
    assert set(corpus(ReviewSite(folders["the end"]))) == {photo_id_of("bert.jpg"), photo_id_of("cora.jpg")}
    return folders


@pytest.mark.parametrize("task", INTAKE_TASKS)
def test_a_task_of_the_intake_killed_before_any_of_its_writes_and_run_again_leaves_the_same(task, before, tmp_path):
    _, after = next(names for names in pairwise(before) if names[0] == task)
    expected, writes = left_in(before[after]), 0
    code: int | None = KILLED
    while code == KILLED:
        folder = Path(shutil.copytree(before[task], tmp_path / f"{writes}"))
        write = rf"(rename|link|remove) {folder}/(?!\.partial)"
        code = run_until_killed(
            run_task, task, folder, before=write, time=writes + 1, preload=["great_expectations", __name__]
        )
        run_task(task, folder)
        assert left_in(folder) == expected, f"killed before write {writes + 1}"
        writes += code == KILLED
    assert code == 0
    assert (writes > 0) == any(request.startswith("PUT") for request, _ in INTAKE[task])


# The audit of what is published


def test_the_audit_finds_tables_that_contradict_each_other():
    decision = a_decision("mole", "nevus")
    row = {
        "photo_id": decision["photo_id"],
        "programme": "coast",
        "night": NIGHT,
        "state": "settled",
        "disease": "nevus",
        "label_strength": "single_reader",
        "readers": 1,
        "decisions": [decision["decision_id"]],
        "settled_at_utc": DAY,
        "is_in_corpus": True,
        "kept_out": None,
    }
    taxonomy = load_taxonomy()
    decisions = DECISIONS.table([decision])
    assert audit_decisions(decisions, VETTED_PHOTOS.table([row]), taxonomy).success
    for changed, said in (
        ({"disease": None}, "a settled photo has its disease"),
        ({"disease": "green_fever"}, "a disease of the taxonomy"),
        ({"kept_out": "withdrawn"}, "in the corpus and kept out of it"),
        ({"state": "held", "disease": None, "label_strength": None, "settled_at_utc": None}, "only a settled photo"),
        ({"decisions": ["f" * 32]}, "1 decisions count that are not there"),
        ({"photo_id": "e" * 32}, "1 photos with decisions are missing"),
    ):
        result = audit_decisions(decisions, VETTED_PHOTOS.table([row | changed]), taxonomy)
        assert not result.success
        assert any(said in fault for fault in result.faults), (said, result.faults)
    unknown = audit_decisions(
        DECISIONS.table([decision | {"disease": "green_fever"}]), VETTED_PHOTOS.table([row]), taxonomy
    )
    assert unknown.success
    assert "a disease of the taxonomy" in unknown.warnings[0]
    assert audit_decisions(DECISIONS.table([]), VETTED_PHOTOS.table([]), taxonomy).success
