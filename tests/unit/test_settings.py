import os
from collections.abc import Callable
from pathlib import Path

import pydantic
import pytest

from screening.errors import SettingsError
from screening.settings import PREFIX, Settings, load_settings

SECRET = "k" * 31 + "-never-shown"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own settings are no part of a test."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def test_every_setting_has_a_default_except_the_secret() -> None:
    settings = load_settings()

    assert [name for name in Settings.model_fields if getattr(settings, name) is None] == [
        "s3_endpoint",
        "release",
        "quality_cutoffs",
        "grade_cutoffs",
        "review_rules",
        "training_python",
        "base_corpus",
        "gate_rules",
        "training_pool",
        "retrain_recipe",
        "approvers",
        "pseudonym_key",
    ]


def test_a_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_PHOTOS_PER_BATCH", "64")

    assert load_settings().photos_per_batch == 64


def test_the_environment_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    load_settings()
    monkeypatch.setenv("SCREENING_RELEASE", "r0002")

    assert load_settings().release == "r0002"


@pytest.mark.parametrize("name", ["release", "s3_endpoint", "pseudonym_key", "photos_per_batch"])
def test_an_empty_variable_counts_as_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name.upper(), "")

    assert getattr(load_settings(), name) == Settings.model_fields[name].default


def test_what_the_caller_says_outranks_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_QUALITY_MODE", "enforce")

    assert load_settings(quality_mode="observe").quality_mode == "observe"


def test_a_misspelt_variable_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_S3_ENDPIONT", "anything")

    with pytest.raises(
        SettingsError, match=r"unknown settings SCREENING_S3_ENDPIONT; known are .*SCREENING_S3_ENDPOINT"
    ):
        load_settings()


def test_a_misspelt_variable_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_PSEUDONIM_KEY", SECRET)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert SECRET not in str(refused.value)


def test_the_name_of_the_file_with_the_settings_is_no_setting_and_no_misspelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCREENING_ENV_FILE", "pipeline.env")

    load_settings()


def test_other_programs_variables_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENINGS", "cinema")

    load_settings()


def test_a_misspelt_override_is_refused() -> None:
    with pytest.raises(SettingsError, match="SCREENING_PHOTO_PER_BATCH"):
        load_settings(photo_per_batch=64)


@pytest.mark.parametrize(
    ("name", "refused", "accepted"),
    [
        ("s3_attempts", 0, 1),
        ("s3_timeout_s", 0, 0.001),
        ("s3_connections", 0, 1),
        ("s3_connections", 65, 64),
        ("triton_timeout_s", 0, 0.001),
        ("triton_attempts", 0, 1),
        ("triton_batch_photos", 0, 1),
        ("triton_batch_photos", 33, 32),
        ("triton_in_flight", 0, 1),
        ("triton_in_flight", 17, 16),
        ("photos_per_batch", 0, 1),
        ("photos_per_batch", 10_001, 10_000),
        ("max_batches", 0, 1),
        ("max_batches", 1025, 1024),
        ("prepare_threads", 0, 1),
        ("prepare_threads", 65, 64),
        ("max_photo_pixels", 0, 1),
        ("max_photo_bytes", 0, 1),
        ("quality_mode", "strict", "observe"),
        ("same_picture_days", -1, 0),
        ("same_picture_days", 367, 366),
        ("camera_timezone", "Europe/Berlinn", "Europe/Berlin"),
        ("camera_timezone", "../../etc/passwd", "UTC"),
        ("low_risk_due_days", 0, 1),
        ("high_risk_due_days", 0, 1),
        ("dangerous_due_days", -1, 0),
        ("photos_per_batch", "many", "500"),
    ],
)
def test_a_setting_is_refused_just_outside_its_range_and_accepted_just_inside(
    name: str, refused: object, accepted: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = PREFIX + name.upper()
    monkeypatch.setenv(variable, str(accepted))
    load_settings()

    monkeypatch.setenv(variable, str(refused))
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        load_settings()


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_S3_ATTEMPTS", "0")
    monkeypatch.setenv("SCREENING_QUALITY_MODE", "strict")

    with pytest.raises(SettingsError, match=r"SCREENING_S3_ATTEMPTS: .*; SCREENING_QUALITY_MODE: "):
        load_settings()


@pytest.mark.parametrize(("characters", "is_accepted"), [(31, False), (32, True)])
def test_a_pseudonym_key_has_at_least_32_characters(characters: int, is_accepted: bool) -> None:
    key = "7" * characters
    if is_accepted:
        settings = load_settings(pseudonym_key=key)
        assert settings.pseudonym_key is not None
        assert settings.pseudonym_key.get_secret_value() == key
    else:
        with pytest.raises(SettingsError, match="SCREENING_PSEUDONYM_KEY") as refused:
            load_settings(pseudonym_key=key)
        assert key not in str(refused.value)


@pytest.mark.parametrize("show", [repr, str, Settings.model_dump_json, lambda settings: str(settings.model_dump())])
def test_the_secret_is_never_shown(show: Callable[[Settings], str]) -> None:
    assert SECRET not in show(load_settings(pseudonym_key=SECRET))


def test_settings_do_not_change_under_a_task() -> None:
    settings = load_settings()

    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.release = "r0009"  # type: ignore[misc]  # which is the point


def test_no_file_of_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("SCREENING_RELEASE=r0009\n")
    monkeypatch.chdir(tmp_path)

    assert load_settings().release is None
