"""A night that is run again, killed anywhere, or back-filled publishes the same rows, and claims every upload once."""

from __future__ import annotations

import io
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from screening.contracts import Outcome, RiskGrade
from screening.edges import paths
from screening.errors import AuditError
from screening.tasks import audit, grade, infer, open_night, prepare, publish
from screening.tasks.context import run_id_of
from tests.integration.nights import (
    NEXT_NIGHT,
    NIGHT,
    PROGRAMME,
    Row,
    distinct,
    manifest,
    photo_id_of,
    run_until_killed,
)

pytestmark = pytest.mark.stack

BATCH, BATCHES = 3, 4
EARLIER_NIGHT = NIGHT - timedelta(days=2)


def uploads_of_a_night(photos):
    """Six good photos of three people, one of them twice, and three files that cannot be graded."""
    files = {f"photo-{n}.jpg": photo for n, photo in enumerate(photos.good[:6])}
    people = [{"file": name, "patient_id": f"person-{n // 2}", "lesion_id": f"{n}"} for n, name in enumerate(files)]
    return files | {
        "again.jpg": photos.good[1],
        "blurred.jpg": photos.blurred,
        "cut-off.jpg": photos.good[0][: len(photos.good[0]) // 2],
        "empty.jpg": b"",
        "manifest.csv": manifest(people),
    }


@pytest.fixture(scope="module")
def undisturbed(new_site, photos):
    """A night that nobody disturbs, in several batches."""
    site = new_site("undisturbed")
    site.upload(uploads_of_a_night(photos))
    accounting = site.run(photos_per_batch=BATCH)
    assert (accounting.listed, accounting.graded, accounting.duplicate, accounting.failed) == (10, 6, 1, 0)
    return site


def test_the_same_night_run_twice_publishes_the_same_bytes(undisturbed):
    before = undisturbed.published()
    undisturbed.run(photos_per_batch=BATCH)
    after = undisturbed.published()
    assert after.keys() == before.keys()
    assert [key for key in before if before[key] != after[key]] == []


def test_the_size_of_the_batches_changes_no_row(new_site, undisturbed):
    others = new_site("other-batches", uploads_of=undisturbed)
    others.run(photos_per_batch=100, triton_batch_photos=5)
    assert others.rows() == undisturbed.rows()


# The objects after which a run is killed, the n-th time they are written: what belongs to them is not written yet.
KILLED_AFTER = [
    ("open_night", r"/tables/ledger/night=", 1),
    ("prepare", r"/prepared/batch-00001\.parquet$", 1),
    ("infer", r"/predictions/batch-00000\.parquet$", 1),
    ("grade", r"night-[0-9-]+/predictions\.parquet$", 1),
    ("audit", r"/audit\.json$", 1),
    ("publish", r"/tables/grades/", 1),
    # Written when the night is claimed, and once more when everything else is published.
    ("publish", r"/tables/ledger/night=", 1),
    ("report", r"/report\.html$", 1),
    ("monitor", r"/monitoring\.html$", 1),
]


@pytest.fixture(scope="module")
def killed(new_site, undisturbed):
    """A night that is killed with -9 in each task, one run after the other, and then left to come to its end."""
    site = new_site("killed", uploads_of=undisturbed)
    exits = []
    for task, key, time in KILLED_AFTER:
        code = run_until_killed(site, key, time, photos_per_batch=BATCH)
        exits.append((task, code, site.finished()))
    site.run(photos_per_batch=BATCH)
    return site, exits


def test_each_run_was_killed_in_the_task_that_was_meant(killed):
    _, exits = killed
    assert [(task, code) for task, code, _ in exits] == [(task, -9) for task, _, _ in KILLED_AFTER]
    for task, _, finished in exits:
        assert finished.count(task) < (BATCHES if task in ("prepare", "infer") else 1)


def test_a_night_killed_in_every_task_and_run_again_publishes_the_rows_of_an_undisturbed_one(killed, undisturbed):
    site, _ = killed
    assert site.rows() == undisturbed.rows()


class Story:
    """Three nights and a back-filled one; what was published after each of them."""

    def __init__(self, site, photos):
        self.site = site
        first, second, late, changed, old = (distinct(photo, "story") for photo in photos.good[:5])
        self.first, self.second, self.late, self.changed, self.old = first, second, late, changed, old
        site.upload(
            {
                "first.jpg": first,
                "second.jpg": second,
                "manifest.csv": manifest([{"file": "first.jpg", "patient_id": "ada", "lesion_id": "arm"}]),
            }
        )
        site.run(NIGHT)
        self.after_first_night = site.published()

        site.upload({"late.jpg": late, "second.jpg": changed})
        of_next_day = manifest([{"file": "shared.jpg", "patient_id": "ben", "lesion_id": "back"}])
        site.upload({"shared.jpg": first, "manifest.csv": of_next_day}, day=NEXT_NIGHT)
        site.run(NEXT_NIGHT)
        self.after_next_night = site.published()

        site.upload({"old.jpg": old, "old-copy.jpg": late}, day=EARLIER_NIGHT)
        site.run(EARLIER_NIGHT)
        self.after_back_fill = site.published()

        # What a night has published stays, also when the uploader then takes a photo away.
        site.delete(paths.upload(PROGRAMME, NIGHT, "late.jpg"))
        for night in (NIGHT, NEXT_NIGHT, EARLIER_NIGHT):
            site.run(night, photos_per_batch=1)
        self.after_running_all_again = site.published()

    def photos_of(self, night: date) -> dict[str, Row]:
        return {row["key"].removeprefix("uploads/"): row for row in self.site.table("photos", night)}


@pytest.fixture(scope="module")
def story(new_site, photos):
    return Story(new_site("story"), photos)


def test_an_upload_that_came_late_joins_the_next_night(story):
    late = f"{PROGRAMME}/{NIGHT}/late.jpg"
    assert late not in story.photos_of(NIGHT)
    assert story.photos_of(NEXT_NIGHT)[late]["outcome"] == Outcome.GRADED
    assert [row["photo_id"] for row in story.site.table("grades", NEXT_NIGHT) if row["key"].endswith(late)] == [
        photo_id_of(story.late)
    ]


def test_changed_bytes_under_a_key_join_the_next_night_and_leave_the_first_one_as_it_was(story):
    key = f"{PROGRAMME}/{NIGHT}/second.jpg"
    assert story.photos_of(NIGHT)[key]["photo_id"] == photo_id_of(story.second)
    assert story.photos_of(NEXT_NIGHT)[key]["photo_id"] == photo_id_of(story.changed)
    assert {row["outcome"] for row in (story.photos_of(NIGHT)[key], story.photos_of(NEXT_NIGHT)[key])} == {"graded"}


def test_bytes_of_an_earlier_night_are_a_duplicate_that_shares_its_grade(story):
    shared = story.photos_of(NEXT_NIGHT)[f"{PROGRAMME}/{NEXT_NIGHT}/shared.jpg"]
    assert (shared["outcome"], shared["reason"]) == (Outcome.DUPLICATE, "same_bytes")
    assert (shared["duplicate_of"], shared["duplicate_of_night"]) == (f"uploads/{PROGRAMME}/{NIGHT}/first.jpg", NIGHT)
    assert shared["photo_id"] not in {row["photo_id"] for row in story.site.table("grades", NEXT_NIGHT)}


def test_a_second_person_with_the_bytes_of_another_night_is_referred_with_their_grade(story):
    [graded] = [row for row in story.site.table("grades", NIGHT) if row["photo_id"] == photo_id_of(story.first)]
    patient = story.photos_of(NEXT_NIGHT)[f"{PROGRAMME}/{NEXT_NIGHT}/shared.jpg"]["patient"]
    assert patient not in {None, graded["patient"]}
    referrals = [row for row in story.site.table("referrals", NEXT_NIGHT) if row["patient"] == patient]
    assert {row["subject"] for row in referrals} == {"patient", "lesion"}
    assert {(row["grade"], row["key_photo_id"]) for row in referrals} == {(graded["grade"], graded["photo_id"])}


def test_the_second_persons_programme_reads_the_shared_grade_in_its_results(story):
    results = story.site.context().results.get(paths.programme_report(NEXT_NIGHT, PROGRAMME, "results.csv")).decode()
    [line] = [line for line in results.splitlines() if line.startswith("shared.jpg")]
    [graded] = [row for row in story.site.table("grades", NIGHT) if row["photo_id"] == photo_id_of(story.first)]
    assert graded["grade"].replace("_", " ") in line


def test_a_back_filled_night_takes_only_what_no_night_had(story):
    back_filled = story.photos_of(EARLIER_NIGHT)
    old, copy = (f"{PROGRAMME}/{EARLIER_NIGHT}/{name}.jpg" for name in ("old", "old-copy"))
    assert back_filled.keys() == {old, copy}
    assert back_filled[old]["outcome"] == Outcome.GRADED
    # Graded in a night of a later date, that was claimed before.
    assert (back_filled[copy]["outcome"], back_filled[copy]["duplicate_of_night"]) == (Outcome.DUPLICATE, NEXT_NIGHT)


def test_later_and_back_filled_nights_leave_the_published_ones_untouched(story):
    for earlier, later in (
        (story.after_first_night, story.after_next_night),
        (story.after_next_night, story.after_back_fill),
    ):
        assert {key: later[key] for key in earlier} == earlier


def test_nights_run_again_after_others_publish_the_same_bytes(story):
    assert story.after_running_all_again == story.after_back_fill


def test_every_upload_belongs_to_exactly_one_night(story):
    claimed = [
        (row["key"], row["etag"]) for night in (EARLIER_NIGHT, NIGHT, NEXT_NIGHT) for row in story.site.ledger(night)
    ]
    assert len(claimed) == len(set(claimed)) == 7


def test_no_referral_has_the_id_of_another_nights(story):
    ids = [
        row["referral_id"]
        for night in (EARLIER_NIGHT, NIGHT, NEXT_NIGHT)
        for row in story.site.table("referrals", night)
    ]
    assert len(ids) == len(set(ids))


def without_a_grade(grades):
    return grades.slice(1)


def refused_photo_called_low_risk(grades, photos):
    row = grades.slice(0, 1)
    index = grades.column_names.index("photo_id")
    return pa.concat_tables(
        [grades, row.set_column(index, grades.schema.field(index), pa.array([photo_id_of(photos.blurred)]))]
    )


def test_a_night_that_fails_its_audit_publishes_nothing_until_it_is_mended(new_site, undisturbed, photos):
    context = new_site("tampered", uploads_of=undisturbed).context()
    run_id = open_night(NIGHT, context).run_id
    prepare(run_id, 0, context)
    infer(run_id, 0, context)
    grade(run_id, context)
    key = paths.staged_table(run_id, "grades")
    grades = pq.read_table(pa.BufferReader(context.results.get(key)))
    for tampered, fault in (
        (without_a_grade(grades), "1 graded photos have no row in grades"),
        (refused_photo_called_low_risk(grades, photos), "1 rows of grades belong to no graded photo"),
    ):
        body = io.BytesIO()
        pq.write_table(tampered, body)
        context.results.put(key, body.getvalue())
        with pytest.raises(AuditError, match=fault):
            audit(run_id, context)
        with pytest.raises(AuditError, match="has not passed its audit"):
            publish(run_id, context)
        assert [found.key for page in context.results.pages("tables/") for found in page] == [paths.ledger(NIGHT)]

    grade(run_id, context)
    audit(run_id, context)
    publish(run_id, context)
    assert context.results.exists(paths.published("grades", PROGRAMME, NIGHT))


def test_a_night_is_not_published_before_its_audit(new_site, undisturbed):
    context = new_site("unaudited", uploads_of=undisturbed).context()
    plan = open_night(NIGHT, context)
    with pytest.raises(AuditError, match="has not passed its audit"):
        publish(plan.run_id, context)


def test_a_person_with_photos_of_two_grades_gets_the_more_severe(undisturbed):
    grades = {row["photo_id"]: row for row in undisturbed.table("grades")}
    severity = list(RiskGrade)
    of_patient: dict[str, list[int]] = {}
    for row in undisturbed.table("photos"):
        if row["photo_id"] in grades:
            patient = row["patient"] or f"photo:{row['photo_id']}"
            of_patient.setdefault(patient, []).append(severity.index(RiskGrade(grades[row["photo_id"]]["grade"])))
    referrals = {r["patient"]: r["grade"] for r in undisturbed.table("referrals") if r["subject"] == "patient"}
    assert referrals == {patient: severity[max(found)] for patient, found in of_patient.items()}
    assert run_id_of(NIGHT) == f"night-{NIGHT}"
