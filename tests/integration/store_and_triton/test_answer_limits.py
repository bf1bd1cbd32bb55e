"""A night on the real parts: what stands beside a grade, and the pictures of where the networks look."""

from __future__ import annotations

import pytest

from screening.edges import paths
from screening.edges.release import load_release
from screening.stages.pixels import MODEL_SIDE, decode_working_copy
from screening.tasks.context import run_id_of
from tests.integration.nights import MODEL_REPOSITORY, NIGHT

pytestmark = pytest.mark.stack


def heat_maps(site):
    """Photo ids that have a picture."""
    store = site.context().results
    prefix = paths.run_prefix(run_id_of(NIGHT)) + "heat-maps/"
    return {found.key.removeprefix(prefix).removesuffix(".jpg") for page in store.pages(prefix) for found in page}


def test_every_grade_says_what_it_is_worth_and_every_photo_at_risk_has_a_heat_map(new_site, photos):
    site = new_site("limits")
    site.upload({f"{i}.jpg": photo for i, photo in enumerate(photos.good[:4])})
    site.run()

    grades = site.table("grades")
    cutoff = load_release(str(MODEL_REPOSITORY), None).outlier_cutoff
    assert len(grades) == 4
    for row in grades:
        assert row["is_outlier"] == (row["outlier_distance"] >= cutoff)
        assert bool(row["warnings"]) == row["is_outlier"]
        assert row["verdict"] == "flagged" or not row["warnings"]
        assert max(row["prediction_set"], key=lambda d: row[f"p_{d}"]) == row["prediction_set"][0]
    at_risk = {row["photo_id"] for row in grades if row["grade"] != "low_risk"}
    assert heat_maps(site) == at_risk
    for photo_id in at_risk:
        picture = site.context().results.get(paths.heat_map(run_id_of(NIGHT), photo_id))
        assert min(decode_working_copy(picture).shape[:2]) >= MODEL_SIDE


def test_a_site_can_do_without_heat_maps_and_choose_its_own_cutoffs(new_site, photos, tmp_path):
    site = new_site("own")
    release = load_release(str(MODEL_REPOSITORY), None).name
    file = tmp_path / "north.yaml"
    file.write_text(f"name: north\nrelease: {release}\ncutoffs: {{dangerous: 0.001}}\n")
    site.upload({"0.jpg": photos.good[0]})

    site.run(heat_maps=False, grade_cutoffs=str(file))

    (row,) = site.table("grades")
    assert row["grade"] == "dangerous"
    assert row["cutoffs_version"].startswith("north-")
    assert heat_maps(site) == set()
    # A night that was opened keeps its cut-offs.
    site.run(heat_maps=False)
    assert site.table("grades") == [row]
