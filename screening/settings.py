"""Where things are and how large they may be: one frozen object, read inside the task.

Every field is the environment variable ``SCREENING_<FIELD>``; an empty one counts as not set. Reading touches no
network, and of the disk only the definition of a time zone. Clinical limits are not here: quality cut-offs are code
(``screening/cutoffs.py``), grade cut-offs belong to a release; a site may have its own reviewed file of either.
"""

from __future__ import annotations

import os
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from screening.errors import SettingsError

PREFIX = "SCREENING_"
# Read by the command line to find the file that holds the others, so it is no field of Settings.
ENV_FILE_VARIABLE = "SCREENING_ENV_FILE"


class Settings(BaseSettings):
    """All settings of a night; the defaults suit one machine with two cores."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    uploads: str = Field(
        default="s3://screening-uploads", description="store of the uploads: s3://bucket or file:///folder"
    )
    results: str = Field(default="s3://screening-results", description="store of runs, tables and reports")
    s3_endpoint: str | None = Field(default=None, description="address of an S3 server other than AWS")
    s3_attempts: int = Field(default=8, ge=1, description="tries per request, with back-off: eight last about 80 s")
    s3_timeout_s: float = Field(default=20.0, gt=0, description="for connecting and for each read")
    s3_connections: int = Field(default=8, ge=1, le=64, description="requests in flight per task")

    triton_url: str = Field(default="127.0.0.1:8001", description="gRPC address of Triton")
    triton_timeout_s: float = Field(default=30.0, gt=0, description="deadline of one batch")
    triton_attempts: int = Field(default=6, ge=1, description="tries per batch, with back-off: six last about 50 s")
    triton_batch_photos: int = Field(default=16, ge=1, le=32, description="photos per request")
    triton_in_flight: int = Field(default=3, ge=1, le=16, description="requests at once")
    model_repository: str = Field(
        default="model_repository", description="folder with the releases and the champion's name"
    )
    release: str | None = Field(default=None, description="release to grade with; empty: the champion")

    photos_per_batch: int = Field(default=500, ge=1, le=10_000)
    max_batches: int = Field(
        default=1000, ge=1, le=1024, description="Airflow maps at most 1,024 tasks; larger nights get larger batches"
    )
    prepare_threads: int = Field(default=2, ge=1, le=64)
    max_photo_pixels: int = Field(default=50_000_000, ge=1)
    max_photo_bytes: int = Field(default=50_000_000, ge=1)
    quality_mode: Literal["enforce", "observe"] = "enforce"
    quality_cutoffs: str | None = Field(
        default=None, description="file of a site's own quality cut-offs (YAML); empty: those of screening/cutoffs.py"
    )
    advice_messages: str = Field(
        default="en", description="language of the retake advice, en or es, or a file of one's own messages (YAML)"
    )
    grade_cutoffs: str | None = Field(
        default=None, description="file of a site's own grade cut-offs (YAML); empty: those of the release"
    )
    review_rules: str | None = Field(
        default=None,
        description="file of a site's review rules (YAML); empty: those of screening/stages/review_rules.py",
    )
    heat_maps: bool = Field(
        default=True, description="draw where the networks look, for each photo that is not graded low risk"
    )
    same_picture_days: int = Field(
        default=30, ge=0, le=366, description="nights back in which a picture that was sent before is looked for"
    )
    camera_timezone: str = Field(
        default="UTC", description="zone of a capture time that a camera wrote without an offset"
    )

    training_python: str | None = Field(
        default=None, description="Python of the environment that holds torch, where retraining runs"
    )
    training_folder: str = Field(
        default="work/training",
        description="a folder for each retraining; its folder `weights` holds the networks of ImageNet",
    )
    base_corpus: str | None = Field(
        default=None, description="folder of published photos to learn from, with the table of `screening corpus build`"
    )
    gate_rules: str | None = Field(
        default=None, description="file of a site's own margins for a new release (YAML); empty: the project's"
    )
    training_pool: str | None = Field(
        default=None, description="Airflow's pool in which members are trained; empty: the default pool"
    )
    retrain_recipe: str | None = Field(
        default=None, description="recipe of scheduled retrainings, a name or a .yaml file; empty: continue_champion"
    )
    approvers: str | None = Field(
        default=None, description="who may approve a new release, by Airflow's names with commas; empty: any operator"
    )

    pseudonym_key: SecretStr | None = Field(
        default=None, min_length=32, description="key of the pseudonyms (HMAC); at least 32 characters"
    )
    low_risk_due_days: int = Field(default=365, ge=1, description="next look at a low-risk lesion")
    high_risk_due_days: int = Field(default=30, ge=1, description="visit of a nearby hospital")
    dangerous_due_days: int = Field(default=7, ge=0, description="pathological examination in a superior hospital")

    @field_validator("camera_timezone")
    @classmethod
    def _is_a_timezone(cls, name: str) -> str:
        # Else every photo of the night would fail, one by one.
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"no time zone {name!r}; expected a name such as Europe/Berlin") from error
        return name


def load_settings(**overrides: object) -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a value is out of range, or a ``SCREENING_`` variable is not the name of a setting (pydantic
            ignores a misspelt variable even with ``extra="forbid"``).
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {ENV_FILE_VARIABLE}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise SettingsError(f"unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks the values
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False)
        )
        raise SettingsError(problems) from error
