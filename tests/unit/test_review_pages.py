"""The review pages over HTTP: who sees what, what is kept, and what never leaves the server."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.routing import APIRoute

from screening.contracts import RECORDED_DECISIONS
from screening.edges import paths
from screening.edges.decision_log import append_decisions, decision_objects, read_decisions
from screening.edges.folder_store import FolderStore
from screening.edges.tables import write_table
from screening.errors import StoreUnavailableError
from screening.review import access
from screening.review import desk as review_desk
from screening.review.access import Role, User
from screening.review.desk import ANSWER
from screening.review.filters import Filters
from tests.unit.made_up_night import NIGHT, Upload
from tests.unit.made_up_review import OPEN_PROGRAMME, decide, make_desk, person, publish, token_of

MOLE = Upload("mole.jpg", grade="dangerous", patient="anna", lesion="back")
SPOT = Upload("spot.jpg", grade="high_risk", patient="bert")
FRECKLE = Upload("freckle.jpg", patient="bert")
IN_SIGHT = Upload("in-sight.jpg", grade="dangerous", programme=OPEN_PROGRAMME)


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


@pytest.fixture
def desk(store):
    return make_desk(store)


def decisions(store) -> list[dict]:
    return read_decisions(store, [found.key for found in decision_objects(store)])[0]


def audited(store) -> list[dict]:
    keys = [found.key for page in store.pages("review/audit/") for found in page]
    return [json.loads(line) for key in keys for line in store.get(key).splitlines()]


# ---- who may come in -------------------------------------------------------------------------------------------------


def walk(client, photo_id: str) -> dict[str, int]:
    """The status of every route of the application, as `METHOD path`."""
    found = {}
    for route in client.app.routes:
        assert isinstance(route, APIRoute), f"{route} is no route that a dependency guards"
        for method in route.methods:
            path = route.path.format_map({"photo_id": photo_id, "name": "photo.js", "run_id": "retrain-1"})
            found[f"{method} {route.path}"] = client.request(method, path).status_code
    return found


STYLESHEET = "GET /static/review.css"


def test_every_route_but_the_stylesheet_refuses_who_is_not_logged_in(store, desk):
    [photo] = publish(store, MOLE)
    statuses = walk(person(desk, ""), photo)
    assert len(statuses) >= 16
    assert {route: status for route, status in statuses.items() if status != 401} == {STYLESHEET: 200}


def test_a_viewer_sees_counts_and_nothing_else(store, desk):
    [photo] = publish(store, MOLE)
    allowed = {route for route, status in walk(person(desk, "val", "viewer"), photo).items() if status != 403}
    assert allowed == {"GET /", "GET /static/{name}", STYLESHEET}


def test_a_steward_sees_reports_and_no_photo(store, desk):
    [photo] = publish(store, MOLE)
    allowed = {route for route, status in walk(person(desk, "sten", "steward"), photo).items() if status != 403}
    assert allowed == {"GET /", "GET /agreement", "GET /comparisons/{run_id}", "GET /static/{name}", STYLESHEET}


def test_a_reader_sees_all_but_the_access_log(store, desk):
    [photo] = publish(store, MOLE)
    statuses = walk(person(desk, "dr-lee"), photo)
    # The forms come back without the token of a form; blind, the heat map is closed as well.
    refused = {route for route, status in statuses.items() if status == 403 and route.startswith("GET")}
    assert refused == {"GET /audit", "GET /comparisons/{run_id}", "GET /photos/{photo_id}/heat-map.jpg"}


def test_a_steward_reads_the_comparison_of_a_retraining_which_has_styles_of_its_own(store, desk):
    store.put(paths.training("retrain-1", paths.COMPARISON_PAGE), b"<h1>r0002 against r0001</h1>")
    steward = person(desk, "sten", "steward")

    answer = steward.get("/comparisons/retrain-1")
    assert answer.text == "<h1>r0002 against r0001</h1>"
    assert "style-src 'unsafe-inline'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert steward.get("/comparisons/retrain-2").status_code == 404


def test_an_admin_sees_the_access_log(store, desk):
    publish(store, MOLE)
    assert person(desk, "root", "admin").get("/audit").status_code == 200


def test_the_counts_name_no_photo_and_nobody(store, desk):
    photos = publish(store, MOLE, SPOT)
    page = person(desk, "val", "viewer").get("/").text
    assert "2 photos" in page
    assert not [word for word in (*photos, *(p[:8] for p in photos), "anna", "p-") if word in page]


@pytest.mark.parametrize(
    ("airflow", "role"),
    [
        (("viewer",), Role.VIEWER),
        (("USER",), Role.READER),
        (("op",), Role.STEWARD),
        (("Viewer", "Admin"), Role.ADMIN),
        (("Public",), None),
        ((), None),
    ],
)
def test_airflows_roles_are_ours(airflow, role):
    assert access.role_of(airflow) == role


# ---- what a browser may do -------------------------------------------------------------------------------------------


def test_every_answer_carries_the_security_headers(store, desk):
    [photo] = publish(store, MOLE)
    for who, path in (("", "/queue"), ("dr-lee", "/queue"), ("dr-lee", f"/photos/{photo}"), ("dr-lee", "/nowhere")):
        answer = person(desk, who).get(path)
        assert dict(access.SECURITY_HEADERS).items() <= {
            k.title(): v for k, v in answer.headers.items()
        }.items() or all(answer.headers[name] == value for name, value in access.SECURITY_HEADERS.items())
        assert answer.headers["cache-control"] == "no-store"


def test_no_page_has_a_script_or_a_style_of_its_own_or_another_host(store, desk):
    photos = publish(store, MOLE, IN_SIGHT)
    reader = person(desk, "root", "admin")
    for path in ("/", "/queue", "/inbox", "/agreement", "/audit", *(f"/photos/{photo}" for photo in photos)):
        page = reader.get(path).text
        assert not re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", page), path
        assert not re.findall(r"""(?:src|href|action)=["'](?:https?:)?//""", page), path


def test_a_photo_stays_with_its_reader(store, desk):
    [photo] = publish(store, MOLE)
    answer = person(desk, "dr-lee").get(f"/photos/{photo}/photo.jpg")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/jpeg", "private, max-age=300")


def test_a_comment_is_text_and_no_markup(store, desk):
    [photo] = publish(store, IN_SIGHT)
    reader = person(desk, "dr-lee")
    decide(reader, photo, comment="<script>alert(1)</script>")
    page = reader.get(f"/photos/{photo}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


# ---- forged requests -------------------------------------------------------------------------------------------------


def test_a_form_without_its_token_is_refused(store, desk):
    [photo] = publish(store, MOLE)
    assert person(desk, "dr-lee").post(f"/photos/{photo}", data={"disease": "nevus"}).status_code == 403
    assert decisions(store) == []


def test_a_form_works_for_its_person_alone(store, desk):
    [photo] = publish(store, MOLE)
    token = token_of(person(desk, "dr-lee").get(f"/photos/{photo}").text)
    other = person(desk, "dr-ray").post(f"/photos/{photo}", data={"form": token, "disease": "nevus"})
    assert other.status_code == 403
    assert decisions(store) == []


def test_a_form_works_for_its_photo_and_its_purpose_alone(store, desk):
    first, second = publish(store, MOLE, SPOT)
    reader = person(desk, "dr-lee")
    token = token_of(reader.get(f"/photos/{first}").text)
    said = {"form": token, "disease": "nevus"}
    assert reader.post(f"/photos/{second}", data=said).status_code == 403
    assert reader.post(f"/photos/{first}/histopathology", data=said).status_code == 403
    assert decisions(store) == []


def test_a_form_signed_with_another_secret_is_refused(store, desk):
    [photo] = publish(store, MOLE)
    stranger = access.Forms("another secret")
    forged = stranger.sign(stranger.new(User("dr-lee", Role.READER), ANSWER, photo_id=photo, evidence="reading"))
    answer = person(desk, "dr-lee").post(f"/photos/{photo}", data={"form": forged, "disease": "nevus"})
    assert answer.status_code == 403


def test_a_form_of_yesterday_is_refused(store, desk, monkeypatch):
    [photo] = publish(store, MOLE)
    reader = person(desk, "dr-lee")
    token = token_of(reader.get(f"/photos/{photo}").text)
    monkeypatch.setattr(access, "FORM_LASTS_S", -1)
    assert reader.post(f"/photos/{photo}", data={"form": token, "disease": "nevus"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
    ],
    ids=str,
)
def test_a_form_sent_from_another_site_is_refused(store, desk, headers):
    [photo] = publish(store, MOLE)
    reader = person(desk, "dr-lee")
    said = {"form": token_of(reader.get(f"/photos/{photo}").text), "disease": "nevus"}
    assert reader.post(f"/photos/{photo}", data=said, headers=headers).status_code == 403
    own = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert reader.post(f"/photos/{photo}", data=said, headers=own).status_code == 303


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_an_answer_becomes_a_decision(store, desk):
    [photo] = publish(store, MOLE)
    saved = decide(person(desk, "dr-lee"), photo, "mel", grade="dangerous", photo_quality="good", comment="two colours")
    assert saved.status_code == 303
    [found] = decisions(store)
    expected = {
        "photo_id": photo, "programme": "coast", "night": NIGHT, "reader": "dr-lee", "source": "pages",
        "evidence": "reading", "answer": "disease", "disease": "melanoma", "grade": "dangerous",
        "photo_quality": "good", "comment": "two colours", "was_blind": True, "corrects": None,
        "shown_grade": "dangerous", "release": "r0001",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["seconds"] >= 0


def test_a_reader_may_say_that_they_cannot_tell(store, desk):
    [photo] = publish(store, MOLE)
    decide(person(desk, "dr-lee"), photo, "", answer="cannot_tell")
    assert [(d["answer"], d["disease"]) for d in decisions(store)] == [("cannot_tell", None)]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"disease": ""}, "Choose a disease, or say"),
        ({"disease": "gremlin"}, "No disease goes by “gremlin”"),
        ({"disease": "lesion"}, "No disease goes by “lesion”"),
        ({"disease": "nevus", "answer": "cannot_tell"}, "not both"),
        ({"disease": "nevus", "grade": "harmless"}, "Choose low risk"),
        ({"disease": "nevus", "photo_quality": "so-so"}, "Choose good"),
        ({"disease": "nevus", "comment": "x" * 2001}, "2,001 characters"),
    ],
    ids=str,
)
def test_what_cannot_be_saved_comes_back_with_the_reason(store, desk, fields, says):
    [photo] = publish(store, MOLE)
    reader = person(desk, "dr-lee")
    token = token_of(reader.get(f"/photos/{photo}").text)
    answer = reader.post(f"/photos/{photo}", data={"form": token, **fields})
    assert answer.status_code == 422
    assert says in answer.text
    assert decisions(store) == []


def test_the_next_photo_follows_and_the_queue_comes_last(store, desk):
    first, second = publish(store, MOLE, SPOT)
    reader = person(desk, "dr-lee")
    assert decide(reader, first).headers["location"].startswith(f"/photos/{second}?")
    assert decide(reader, second).headers["location"].startswith("/queue?")


def test_readers_at_work_get_different_photos(store, desk):
    photos = publish(store, MOLE, SPOT, FRECKLE)
    given = [person(desk, f"dr-{n}").get("/next").headers["location"].split("/")[-1] for n in range(3)]
    assert sorted(given) == sorted(photos)


def test_a_form_that_is_sent_twice_is_one_decision(store, desk):
    [photo] = publish(store, MOLE)
    reader = person(desk, "dr-lee")
    said = {"form": token_of(reader.get(f"/photos/{photo}").text), "disease": "nevus"}
    assert [reader.post(f"/photos/{photo}", data=said).status_code for _ in range(2)] == [303, 303]
    assert len(decisions(store)) == 1


def test_a_form_that_is_sent_again_to_another_server_is_one_decision(store, desk):
    [photo] = publish(store, MOLE)
    reader = person(desk, "dr-lee")
    token = token_of(reader.get(f"/photos/{photo}").text)
    other = make_desk(store)
    other.counts()  # it has listed the decisions, and does not see what comes in the next two seconds
    reader.post(f"/photos/{photo}", data={"form": token, "disease": "nevus"})
    person(other, "dr-lee").post(f"/photos/{photo}", data={"form": token, "disease": "melanoma"})
    assert len(list(decision_objects(store))) == 2
    assert [d["disease"] for d in decisions(store)] == ["nevus"]
    for server in (desk, other):
        server.decisions._look.every_s = 0
        assert [d["disease"] for d in server.decisions.of(photo)] == ["nevus"]
    person(other, "dr-lee").post(f"/photos/{photo}", data={"form": token, "disease": "melanoma"})
    assert len(list(decision_objects(store))) == 2


def test_a_correction_is_a_new_decision_and_the_old_one_is_struck_through(store, desk):
    [photo] = publish(store, MOLE)
    reader = person(desk, "dr-lee")
    decide(reader, photo, "nevus")
    decide(reader, photo, "melanoma")
    first, second = sorted(decisions(store), key=lambda d: d["recorded_at_utc"])
    assert second["corrects"] == first["decision_id"]
    assert (first["was_blind"], second["was_blind"]) == (True, False)
    page = reader.get(f"/photos/{photo}").text
    assert re.search(r"<del>\s*<b>Melanocytic naevus</b>", page)
    assert not re.search(r"<del>\s*<b>Melanoma</b>", page)


def test_readers_who_save_at_once_lose_nothing(store, desk):
    photos = publish(store, *(Upload(f"{n}.jpg", grade="high_risk") for n in range(3)), readers_wanted=3)
    ready = threading.Barrier(12)
    statuses: list[int] = []

    def read(name: str) -> None:
        client = person(desk, name)
        tokens = {photo: token_of(client.get(f"/photos/{photo}").text) for photo in photos}
        ready.wait()
        said = [(photo, {"form": tokens[photo], "disease": "nevus"}) for photo in photos]
        statuses.extend(client.post(f"/photos/{photo}", data=fields).status_code for photo, fields in said)

    threads = [threading.Thread(target=read, args=(f"dr-{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [303] * 36
    assert {(d["reader"], d["photo_id"]) for d in decisions(store)} == {
        (f"dr-{n}", photo) for n in range(12) for photo in photos
    }
    assert len(decisions(store)) == sum(len(desk.decisions.of(photo)) for photo in photos) == 36


# ---- blind -----------------------------------------------------------------------------------------------------------

MODELS_ANSWER = 'id="model-heading"'
TELLS = (MODELS_ANSWER, "Heat map", "high risk</b>", "In review because", "Release r0001", "p_melanoma")


def test_a_blind_page_does_not_hold_the_models_answer_until_the_reader_has_given_theirs(store, desk):
    [photo] = publish(store, SPOT)
    reader = person(desk, "dr-lee")
    page = reader.get(f"/photos/{photo}").text
    assert "You read blind" in page
    assert not [word for word in (*TELLS, "Basal cell carcinoma", "heat-map.jpg") if word in page]
    assert reader.get(f"/photos/{photo}/heat-map.jpg").status_code == 403
    decide(reader, photo, "nevus")
    page = reader.get(f"/photos/{photo}").text
    assert MODELS_ANSWER in page
    assert "Basal cell carcinoma" in page
    assert reader.get(f"/photos/{photo}/heat-map.jpg").status_code == 200
    assert "You read blind" in person(desk, "dr-ray").get(f"/photos/{photo}").text


def test_an_answer_that_cannot_be_saved_reveals_nothing(store, desk):
    [photo] = publish(store, SPOT)
    reader = person(desk, "dr-lee")
    answer = decide(reader, photo, "gremlin")
    assert not [word for word in (*TELLS, "Basal cell carcinoma") if word in answer.text]


def test_a_laboratorys_result_does_not_open_the_models_answer(store, desk):
    [photo] = publish(store, SPOT)
    reader = person(desk, "dr-lee")
    token = token_of(reader.get(f"/photos/{photo}").text, 1)
    reader.post(f"/photos/{photo}/histopathology", data={"form": token, "disease": "nevus"})
    assert "You read blind" in reader.get(f"/photos/{photo}").text


def test_the_queue_tells_and_searches_grades_only_of_photos_that_the_reader_has_answered(store, desk):
    mole, spot = publish(store, MOLE, SPOT)
    reader = person(desk, "dr-lee")
    rows = reader.get("/queue?state=all").text.partition("<tbody>")[2]
    assert "dangerous" not in rows
    searched = reader.get("/queue?state=all&grade=dangerous").text
    assert mole not in searched
    assert "2 that you read blind are left out" in searched
    decide(reader, mole)
    searched = reader.get("/queue?state=all&grade=dangerous").text
    assert f"/photos/{mole}" in searched
    assert f"/photos/{spot}" not in searched


def test_a_programme_may_read_with_the_models_answer_in_sight(store, desk):
    [photo] = publish(store, IN_SIGHT)
    reader = person(desk, "dr-lee")
    page = reader.get(f"/photos/{photo}").text
    assert MODELS_ANSWER in page
    assert "85\N{NO-BREAK SPACE}%" in page  # p_melanoma of the night's grades
    assert reader.get(f"/photos/{photo}/heat-map.jpg").status_code == 200
    decide(reader, photo)
    assert [d["was_blind"] for d in decisions(store)] == [False]


def test_nobody_sees_the_others_answers_before_their_own(store, desk):
    [photo] = publish(store, MOLE, readers_wanted=2)
    decide(person(desk, "dr-lee"), photo, "Spitz naevus", comment="round")
    second = person(desk, "dr-ray")
    page = second.get(f"/photos/{photo}").text
    assert "1 other reader has answered" in page
    assert not [word for word in ("Spitz", "round", "dr-lee") if word in page]
    decide(second, photo, "melanoma")
    assert "Spitz naevus" in second.get(f"/photos/{photo}").text


# ---- two readers, and a third ----------------------------------------------------------------------------------------


def test_readers_who_disagree_are_adjudicated_by_a_third_who_sees_what_they_said(store, desk):
    [photo] = publish(store, MOLE, readers_wanted=2)
    lee, ray, mora = (person(desk, name) for name in ("dr-lee", "dr-ray", "dr-mora"))
    decide(lee, photo, "nevus")
    assert "needs a second reader" in ray.get("/queue").text
    decide(ray, photo, "melanoma")
    for reader in (lee, ray):  # neither is asked to adjudicate
        assert photo not in reader.get("/queue").text
        assert photo in reader.get("/queue?state=needs_adjudication").text
    page = mora.get(f"/photos/{photo}").text
    assert "Adjudication" in page
    assert "dr-lee" in page
    decide(mora, photo, "melanoma")
    assert {d["reader"]: d["evidence"] for d in decisions(store)} == {
        "dr-lee": "reading", "dr-ray": "reading", "dr-mora": "adjudication",
    }  # fmt: skip
    assert photo in mora.get("/queue?state=settled").text


def test_an_answer_is_what_its_page_asked_for_though_the_others_have_answered_meanwhile(store, desk):
    [photo] = publish(store, MOLE, readers_wanted=2)
    mora = person(desk, "dr-mora")
    token = token_of(mora.get(f"/photos/{photo}").text)
    decide(person(desk, "dr-lee"), photo, "nevus")
    decide(person(desk, "dr-ray"), photo, "melanoma")
    mora.post(f"/photos/{photo}", data={"form": token, "disease": "nevus"})
    assert {d["evidence"] for d in decisions(store)} == {"reading"}


def test_a_laboratorys_result_settles_a_photo_and_two_that_differ_hold_it(store, desk):
    [photo] = publish(store, MOLE)
    for name, disease, state in (("dr-lee", "melanoma", "settled"), ("dr-ray", "nevus", "held")):
        reader = person(desk, name)
        token = token_of(reader.get(f"/photos/{photo}").text, 1)
        saved = reader.post(f"/photos/{photo}/histopathology", data={"form": token, "disease": disease})
        assert saved.status_code == 303
        assert photo in reader.get(f"/queue?state={state}").text
    assert {d["evidence"] for d in decisions(store)} == {"histopathology"}


def test_the_agreement_of_two_readers_is_cohens_kappa(store, desk):
    photos = publish(store, *(Upload(f"{n}.jpg") for n in range(4)), readers_wanted=2)
    lee, ray = person(desk, "dr-lee"), person(desk, "dr-ray")
    for photo, first, second in zip(
        photos, ("nevus", "nevus", "bcc", "bcc"), ("nevus", "nevus", "bcc", "nevus"), strict=True
    ):
        decide(lee, photo, first)
        decide(ray, photo, second)
    page = person(desk, "sten", "steward").get("/agreement").text
    assert "75\N{NO-BREAK SPACE}%" in page
    assert ">0.50<" in page  # (0.75 - 0.5) / (1 - 0.5)
    assert "dr-lee and dr-ray" in page


# ---- withdrawn, gone, not there --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [True, False], ids=["by pseudonym", "by photo"])
def test_photos_of_somebody_who_withdrew_are_on_no_page(store, is_known):
    mole, spot = publish(store, MOLE, SPOT)
    person_gone = str(MOLE.patient_pseudonym) if is_known else f"photo:{mole}"
    store.put(paths.withdrawal("coast", person_gone), b"{}")
    store.put(paths.withdrawal("hills", str(SPOT.patient_pseudonym)), b"{}")  # somebody else's
    reader = person(make_desk(store), "dr-lee")
    assert mole not in reader.get("/queue?state=all").text
    assert spot in reader.get("/queue?state=all").text
    for path in (f"/photos/{mole}", f"/photos/{mole}/photo.jpg", f"/photos/{mole}/heat-map.jpg"):
        assert reader.get(path).status_code == 404


def test_a_working_copy_that_is_no_longer_kept_is_said_to_be_so(store, desk):
    [photo] = publish(store, MOLE)
    store.delete(paths.working_copy("night-made-up", photo))
    answer = person(desk, "dr-lee").get(f"/photos/{photo}/photo.jpg")
    assert answer.status_code == 404
    assert "no longer kept" in answer.text


@pytest.mark.parametrize("photo", ["0" * 32, "..%2f..%2fledger", "x" * 300])
def test_a_photo_that_is_not_in_the_queue_is_not_served(store, desk, photo):
    publish(store, MOLE)
    for path in (f"/photos/{photo}", f"/photos/{photo}/photo.jpg"):
        assert person(desk, "dr-lee").get(path).status_code == 404


# ---- the access log --------------------------------------------------------------------------------------------------


def test_the_log_says_who_saw_and_said_what(store, desk):
    [photo] = publish(store, MOLE)
    reader = person(desk, "dr-lee")
    decide(reader, photo)
    reader.get(f"/photos/{photo}/photo.jpg")
    reader.get(f"/photos/{photo}/heat-map.jpg")
    assert [(e["user"], e["action"], e["photo_id"]) for e in audited(store)] == [
        ("dr-lee", "opened", photo), ("dr-lee", "photo", photo), ("dr-lee", "heat map", photo),
    ]  # fmt: skip
    page = person(desk, "root", "admin").get("/audit").text
    assert "decided (reading): Melanoma" in page
    assert page.count("dr-lee") == 4


class NoAudit(FolderStore):
    """A store that takes everything but the access log."""

    def put(self, key: str, body: bytes, *, only_if_new: bool = False) -> bool:
        if key.startswith("review/audit/"):
            raise StoreUnavailableError("put: no answer")
        return super().put(key, body, only_if_new=only_if_new)


def test_nothing_of_a_patient_is_shown_when_the_log_cannot_be_written(tmp_path):
    store = NoAudit(tmp_path)
    [photo] = publish(store, IN_SIGHT)
    reader = person(make_desk(store), "dr-lee")
    for path in (f"/photos/{photo}", f"/photos/{photo}/photo.jpg", f"/photos/{photo}/heat-map.jpg"):
        answer = reader.get(path)
        assert answer.status_code == 503
        assert "access log cannot be written" in answer.text


def test_entries_that_meet_are_all_kept(store, desk):
    names = [f"dr-{n}" for n in range(16)]
    threads = [
        threading.Thread(target=desk.audit.write, args=(User(n, Role.READER), "opened", "a" * 32)) for n in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(e["user"] for e in audited(store)) == sorted(names)


# ---- drafts and files ------------------------------------------------------------------------------------------------


def test_a_draft_comes_back_to_its_reader_alone_and_goes_when_the_answer_is_saved(store, desk):
    [photo] = publish(store, MOLE)
    lee = person(desk, "dr-lee")
    token = token_of(lee.get(f"/photos/{photo}").text)
    fields = {"disease": "Spitz naevus", "comment": "half a thought"}
    kept = lee.put(f"/photos/{photo}/draft", json=fields, headers={"x-review-form": token})
    assert kept.status_code == 200
    assert "half a thought" in lee.get(f"/photos/{photo}").text
    assert "half a thought" not in person(desk, "dr-ray").get(f"/photos/{photo}").text
    lee.post(f"/photos/{photo}", data={"form": token, "disease": "nevus"})
    assert not store.exists(paths.draft("dr-lee", photo))
    late = lee.put(f"/photos/{photo}/draft", json=fields, headers={"x-review-form": token})
    assert late.status_code == 200
    assert not store.exists(paths.draft("dr-lee", photo))


def test_a_file_of_decisions_goes_to_the_inbox_once(store, desk):
    reader = person(desk, "dr-lee")
    token = token_of(reader.get("/inbox").text)
    for _ in range(2):
        sent = reader.post("/inbox", data={"form": token}, files={"file": ("../../x.csv", b"photo_id,disease\n")})
        assert sent.status_code == 303
    [key] = [found.key for page in store.pages(paths.INBOX_PREFIX) for found in page]
    assert store.get(key) == b"photo_id,disease\n"
    assert re.fullmatch(r"review/inbox/[0-9T]+-[0-9a-f]{32}\.csv", key)


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"", "not empty"), (b"PK\0\0", "no CSV"), (b"x" * 20_000_001, "larger than 20 MB")],
    ids=["empty", "xlsx", "large"],
)
def test_what_is_no_such_file_is_not_taken(store, desk, body, says):
    reader = person(desk, "dr-lee")
    token = token_of(reader.get("/inbox").text)
    answer = reader.post("/inbox", data={"form": token}, files={"file": ("x.csv", body)})
    assert answer.status_code == 422
    assert says in answer.text
    assert not list(store.pages(paths.INBOX_PREFIX))


# ---- the queue -------------------------------------------------------------------------------------------------------


def shown(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/photos/([0-9a-f]{32})', page)


def test_the_queue_is_sorted_by_priority_and_then_by_night(store, desk):
    old = publish(store, Upload("old.jpg", grade="high_risk"), night=NIGHT - timedelta(days=3))
    new = publish(store, MOLE, SPOT, FRECKLE)
    assert shown(person(desk, "dr-lee").get("/queue").text) == [new[0], *old, new[1], new[2]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {0, 1, 2}),
        ("programme=coast", {0, 2}),
        ("programme=nowhere", set()),
        (f"since={NIGHT}", {0, 1}),
        (f"until={NIGHT - timedelta(days=1)}", {2}),
        ("since=yesterday", {0, 1, 2}),
        ("grade=dangerous", {1}),
        ("reason=dangerous", {1}),
        ("state=settled", set()),
        ("state=open", {0, 1, 2}),
        ("page=2", set()),
        ("page=0", {0, 1, 2}),
    ],
)
def test_the_queue_is_filtered(store, desk, query, expected):
    [mole] = publish(store, MOLE)
    [in_sight] = publish(store, IN_SIGHT)
    [old] = publish(store, Upload("old.jpg"), night=NIGHT - timedelta(days=3))
    photos = [mole, in_sight, old]
    assert set(shown(person(desk, "dr-lee").get(f"/queue?{query}").text)) == {photos[n] for n in expected}


def test_a_photo_in_two_queues_is_shown_once_as_the_later_night_has_it(store, desk):
    publish(store, MOLE, night=NIGHT - timedelta(days=1))
    publish(store, MOLE)
    assert [entry.night for entry in desk.queue().entries] == [NIGHT]


def test_a_queue_that_is_published_again_replaces_the_old_one(store, desk):
    desk._index._look.every_s = 0
    publish(store, MOLE, SPOT)
    assert len(desk.queue().entries) == 2
    publish(store, MOLE)
    assert len(desk.queue().entries) == 1


# ---- other servers and other ways in ---------------------------------------------------------------------------------


def row_of(photo: str, **changed) -> dict:
    now = datetime.now(UTC)
    return {
        "decision_id": "d" * 32, "photo_id": photo, "programme": "coast", "night": NIGHT, "reader": "dr-file",
        "decided_at_utc": now, "recorded_at_utc": now, "source": "csv", "evidence": "reading", "answer": "disease",
        "disease": "nevus", "was_blind": False,
    } | changed  # fmt: skip


def test_a_decision_of_another_server_is_seen_after_a_moment(store, desk):
    [photo] = publish(store, MOLE)
    desk.decisions._look.every_s = 0
    assert desk.counts()["coast"]["open"] == 1
    append_decisions(store, [row_of(photo)])
    assert desk.counts()["coast"]["settled"] == 1


def test_a_form_that_is_sent_twice_at_one_moment_is_kept_once_and_takes_no_other_answer_with_it(store, desk):
    [photo] = publish(store, MOLE)
    index = desk.decisions
    rows = [row_of(photo), row_of(photo, disease="melanoma"), row_of(photo, decision_id="e" * 32)]
    with ThreadPoolExecutor(4) as threads:
        with index._together._writing:  # so that the next three meet
            first = threads.submit(index.append, rows[0])
            while index._together._waiting is None:
                assert not first.done()
            others = [threads.submit(index.append, row) for row in rows[1:]]
            while len(index._together._waiting.items) < 3:
                assert not any(other.done() for other in others)
        for saved in (first, *others):
            saved.result()
    index.append(rows[1])
    assert sorted((d["decision_id"][0], d["disease"]) for d in decisions(store)) == [("d", "nevus"), ("e", "nevus")]
    assert list(index.of(photo)) == list(make_desk(store).decisions.of(photo))


def test_hours_that_are_over_are_not_listed_again(store, desk):
    [photo] = publish(store, MOLE)
    index = desk.decisions
    index._look.every_s = 0
    now = datetime.now(UTC)
    append_decisions(store, [row_of(photo)], now - timedelta(hours=9))
    assert len(index.of(photo)) == 1
    append_decisions(store, [row_of(photo, decision_id="e" * 32)], now - timedelta(hours=8))
    append_decisions(store, [row_of(photo, decision_id="f" * 32)], now)
    append_decisions(store, [row_of(photo, decision_id="c" * 32)], now - timedelta(hours=1))
    assert {d["decision_id"][0] for d in index.of(photo)} == {"c", "d", "f"}


def test_decisions_that_the_intake_has_gathered_are_not_read_one_by_one(store):
    [photo] = publish(store, MOLE)
    [recorded] = append_decisions(store, [row_of(photo)])
    without_object = recorded | {"decision_id": "e" * 32, "recorded_in": paths.decisions(datetime.now(UTC), "f" * 32)}
    gathered = RECORDED_DECISIONS.table([recorded | {"disease": "melanoma"}, without_object])
    write_table(store, paths.ALL_DECISIONS, gathered, RECORDED_DECISIONS)
    # The object says nevus, so it was not read; the row without an object does not count.
    assert [d["disease"] for d in make_desk(store).decisions.of(photo)] == ["melanoma"]


@pytest.mark.parametrize("body", [b"no table", b""])
def test_gathered_decisions_that_cannot_be_read_are_read_one_by_one(store, body):
    [photo] = publish(store, MOLE)
    append_decisions(store, [row_of(photo)])
    store.put(paths.ALL_DECISIONS, body)
    assert [d["disease"] for d in make_desk(store).decisions.of(photo)] == ["nevus"]


def test_hours_in_which_a_server_slept_are_listed_when_it_wakes(store, desk):
    [photo] = publish(store, MOLE)
    index = desk.decisions
    index._look.every_s = 0
    now = datetime.now(UTC)
    index._now = lambda: now - timedelta(hours=50)
    assert not index.of(photo)
    append_decisions(store, [row_of(photo)], now - timedelta(hours=30))
    index._now = lambda: now
    assert len(index.of(photo)) == 1


def test_an_object_that_is_no_decision_stops_no_page(store, desk):
    publish(store, MOLE)
    store.put(paths.decisions(datetime.now(UTC), "e" * 32), b"no json")
    assert person(desk, "dr-lee").get("/queue").status_code == 200


def test_a_store_that_does_not_answer_gives_a_page_that_says_so(tmp_path):
    class Silent(FolderStore):
        def pages(self, prefix):
            raise StoreUnavailableError(f"list {prefix}: no answer")

    answer = person(make_desk(Silent(tmp_path)), "dr-lee").get("/queue")
    assert answer.status_code == 503
    assert "Try again" in answer.text


# ---- a queue of which much is done -----------------------------------------------------------------------------------


def test_what_is_done_at_the_head_of_the_queue_is_not_looked_at_for_each_reader(store, desk, monkeypatch):
    photos = publish(store, *(Upload(f"mole-{n}.jpg", patient=f"p{n}") for n in range(6)))
    in_order = [entry.photo_id for entry in desk.queue().entries]
    assert set(in_order) == set(photos)
    lee = User("dr-lee", Role.READER)
    for photo in in_order[:4]:
        decide(person(desk, "dr-lee"), photo)
    assert desk.next_photo(Filters(), lee).photo_id == in_order[4]
    looked_at = []
    standing = desk.standing

    def watched(entry, *more):
        looked_at.append(entry.photo_id)
        return standing(entry, *more)

    monkeypatch.setattr(desk, "standing", watched)
    assert desk.next_photo(Filters(), lee).photo_id == in_order[4]
    assert not set(looked_at) & set(in_order[:4])
    monkeypatch.setattr(review_desk, "HEAD_FOR_S", 0.0)
    assert desk.next_photo(Filters(), lee).photo_id == in_order[4]
    assert set(looked_at) >= set(in_order[:4])


def test_a_photo_that_was_done_and_is_open_again_is_read_again(store, desk, monkeypatch):
    monkeypatch.setattr(review_desk, "HEAD_FOR_S", 0.0)
    publish(store, MOLE, SPOT)
    first, second = (entry.photo_id for entry in desk.queue().entries)
    decide(person(desk, "dr-lee"), first, "melanoma")
    mora = User("dr-mora", Role.READER)
    assert desk.next_photo(Filters(), mora).photo_id == second
    decide(person(desk, "dr-ray"), first, "nevus")  # they disagree: somebody else must decide
    assert desk.next_photo(Filters(), mora).photo_id == first
