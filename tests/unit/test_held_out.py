"""Which patients the quality filters are measured on, and never trained on."""

from screening.training.quality.held_out import is_held_out

PATIENTS = [f"PAT_{number}" for number in range(1, 2001)]


def test_these_patients_stay_on_their_sides_for_ever():
    assert [p for p in ("PAT_55", "PAT_117", "PAT_330", "PAT_1639") if is_held_out(p)] == [
        "PAT_55",
        "PAT_117",
        "PAT_330",
        "PAT_1639",
    ]
    assert not any(is_held_out(p) for p in ("PAT_38", "PAT_63"))


def test_about_one_patient_in_five_is_held_out():
    assert 0.18 < sum(map(is_held_out, PATIENTS)) / len(PATIENTS) < 0.22


def test_a_patient_is_judged_alone():
    assert [is_held_out(p) for p in reversed(PATIENTS)] == [is_held_out(p) for p in PATIENTS][::-1]
