"""Photos that something was laid on, rated photos, and the regressions that are fitted to them."""

import json

import numpy as np
import pytest

from screening.errors import ContractError
from screening.stages.quality import surface
from screening.stages.quality.regions import find_regions
from screening.stages.quality.surface import surface_features, surface_scores
from screening.training.quality.covered_photos import covered_views, lay_on
from screening.training.quality.fit_surface import CRUSTED, fit_surface, read_crusted
from screening.training.quality.framed_photos import DrawnLesion, in_another_tone
from screening.training.quality.held_out import is_held_out
from tests.training.small_photos import SHARED, needs_photos
from tests.unit.skin_photos import lesion_mask, skin_photo

SIZE = (384, 512)


def photo(seed: int) -> DrawnLesion:
    pixels = np.clip(skin_photo(size=SIZE, seed=seed), 0, 255).astype(np.uint8)
    return DrawnLesion(f"person {seed}", pixels, lesion_mask(0.15, size=SIZE))


@pytest.mark.parametrize("thing", ["ruler", "sticker", "gauze"])
def test_a_thing_hides_a_part_of_the_lesion_or_none_of_it(thing):
    for seed in range(6):
        over, hidden = lay_on(photo(1), thing, True, np.random.default_rng(seed))
        beside, touched = lay_on(photo(1), thing, False, np.random.default_rng(seed))
        inside = photo(1).lesion

        assert 0.1 < hidden < 0.7
        assert touched == 0
        assert np.abs(over[inside].astype(int) - photo(1).pixels[inside]).max() > 60
        assert np.abs(beside[inside].astype(int) - photo(1).pixels[inside]).mean() < 8
        assert (np.abs(beside.astype(int) - photo(1).pixels).max(axis=2) > 40).any()


def test_each_photo_is_seen_as_it_is_then_with_things_over_and_beside_the_lesion():
    first, *laid = covered_views(photo(2), np.random.default_rng(0))
    tiny = DrawnLesion("p", photo(2).pixels, lesion_mask(0.02, size=SIZE))

    assert first[0] is False
    assert (first[1] == photo(2).pixels).all()
    assert {is_over for is_over, _ in laid} == {True, False}
    assert list(covered_views(tiny, np.random.default_rng(0))) == []


def test_another_tone_is_darker_or_a_little_lighter_and_keeps_the_picture():
    pixels = photo(3).pixels
    means = [in_another_tone(pixels, np.random.default_rng(seed)).mean() for seed in range(12)]

    assert min(means) < 0.6 * pixels.mean()
    assert max(means) > pixels.mean()


def test_what_is_fitted_tells_things_and_crust_from_bare_lesions(tmp_path, monkeypatch):
    bare = [photo(seed).pixels for seed in range(10)]
    crusted = [pixels.copy() for pixels in bare]
    for seed, pixels in enumerate(crusted):
        patches = np.random.default_rng(seed).random(SIZE) < 0.6
        pixels[lesion_mask(0.1, size=SIZE) & patches] = (214, 190, 90)
    rated = [(False, pixels) for pixels in bare] + [(True, pixels) for pixels in crusted]
    file = fit_surface([photo(seed) for seed in range(10)], rated, tmp_path / "surface.json")
    monkeypatch.setattr(surface, "SURFACE", file)
    new = photo(31)
    over, _ = lay_on(new, "ruler", True, np.random.default_rng(4))
    new_crusted = new.pixels.copy()
    new_crusted[lesion_mask(0.1, size=SIZE) & (np.random.default_rng(77).random(SIZE) < 0.6)] = (214, 190, 90)
    (bare_crust, bare_thing), (crust, _), (_, thing) = (
        surface_scores(surface_features(p, find_regions(p))) for p in (new.pixels, new_crusted, over)
    )

    assert crust > 0 > bare_crust
    assert thing > 0 > bare_thing
    assert set(json.loads(file.read_text())) == {"crust", "object"}


@needs_photos
def test_rated_photos_are_read_without_the_uncertain_and_nobody_held_out(tmp_path):
    rows = [line.split(",") for line in CRUSTED.read_text().splitlines()[1:]]
    few = tmp_path / "few.csv"
    few.write_text("file,patient_id,crust\n" + "".join(f"{','.join(row)}\n" for row in rows[:12]))
    found = list(read_crusted(SHARED / "data", few))

    assert not any(is_held_out(patient) for _, patient, _ in rows)
    assert [is_crusted for is_crusted, _ in found] == [word == "yes" for *_, word in rows[:12] if word != "uncertain"]
    assert all(view.dtype == np.uint8 and max(view.shape) <= 512 for _, view in found)


def test_a_rated_photo_of_somebody_held_out_is_refused_and_named(tmp_path):
    held_out = next(f"PAT_{number}" for number in range(1, 100) if is_held_out(f"PAT_{number}"))
    file = tmp_path / "rated.csv"
    file.write_text(f"file,patient_id,crust\na.png,{held_out},yes\n")

    with pytest.raises(ContractError, match=r"rated\.csv: a\.png is of a patient who is held out"):
        list(read_crusted(tmp_path, file))
