"""Where the local stack keeps its state and on which ports it listens.

The names begin with ``STACK_``: the pipeline refuses every ``SCREENING_`` variable that it does not know. Three
settings carry the names under which the pipeline and Airflow know them: where one of those addresses is given, that
part is used as it is and not started here.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.local.errors import StackError

REPOSITORY = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
SHIPPED_MODELS = REPOSITORY / "model_repository"
"""The releases that come with this version of the software."""


class StackSettings(BaseSettings):
    """All settings of the stack; every field is the variable ``STACK_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="STACK_", frozen=True, extra="forbid", populate_by_name=True)

    state_dir: Path = Field(default=REPOSITORY / ".local", description="data, logs and credentials")
    model_repository: Path = Field(
        # A site's own: what is promoted here does not change the files of the checkout.
        default_factory=lambda given: given["state_dir"] / "model_repository",
        description="what Triton serves; the releases of the checkout are brought there at the start",
    )
    triton_environment: Path = Field(default=REPOSITORY / ".venv-triton", description="Python environment of Triton")
    dags_dir: Path = Field(default=REPOSITORY / "dags", description="what Airflow runs")
    plugins_dir: Path = Field(default=REPOSITORY / "plugins", description="what Airflow's pages have besides its own")

    s3_port: int = Field(default=9100, ge=1, le=65535)
    # Ceph takes an address whose port lies in 6800-7300 for a legacy one, so the monitor stays outside.
    ceph_mon_port: int = Field(default=9101, ge=1, le=65535)
    ceph_osd_port: int = Field(default=6810, ge=1, le=65500, description="the first of sixteen; the OSD takes four")
    triton_http_port: int = Field(default=9110, ge=1, le=65535)
    triton_grpc_port: int = Field(default=9111, ge=1, le=65535)
    triton_metrics_port: int = Field(default=9112, ge=1, le=65535)
    postgres_port: int = Field(default=9120, ge=1, le=65535)
    airflow_port: int = Field(default=9130, ge=1, le=65535)

    ceph_gigabytes: int = Field(default=40, ge=4, description="largest size of the object store; grows as it fills")
    airflow_users: str = Field(
        default="admin:admin,reader:user,steward:op,viewer:viewer",
        description="name:role,…; roles viewer, user (reads photos), op (data steward), admin",
    )
    airflow_parallelism: int = Field(
        default=4, ge=1, description="tasks at once: two compute while two wait for Triton or S3"
    )
    ready_within_s: float = Field(default=300.0, gt=0, description="how long a part may take until it answers")

    airflow: bool = Field(default=True, description="false: only what `screening night` needs, no Airflow and database")
    given_s3_endpoint: str | None = Field(default=None, alias="SCREENING_S3_ENDPOINT")
    given_triton_url: str | None = Field(default=None, alias="SCREENING_TRITON_URL")
    given_database: str | None = Field(default=None, alias="AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", repr=False)

    @field_validator("state_dir", "model_repository", "triton_environment", "dags_dir", "plugins_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @property
    def s3_endpoint(self) -> str:
        """Address of the object store."""
        return self.external_s3 or f"http://{LOOPBACK}:{self.s3_port}"

    @property
    def triton_url(self) -> str:
        """Address of Triton's gRPC, without a scheme."""
        return self.external_triton or f"{LOOPBACK}:{self.triton_grpc_port}"

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's pages and API."""
        return f"http://{LOOPBACK}:{self.airflow_port}"

    # Who has loaded the environment that this stack wrote carries the stack's own addresses: those are not external.

    @property
    def external_s3(self) -> str | None:
        """Address of an object store that is not ours, if one is given."""
        return None if _is_own(self.given_s3_endpoint, self.s3_port) else self.given_s3_endpoint

    @property
    def external_triton(self) -> str | None:
        """Address of a Triton that is not ours, if one is given."""
        url = self.given_triton_url and f"grpc://{self.given_triton_url}"
        return None if _is_own(url, self.triton_grpc_port) else self.given_triton_url

    @property
    def external_database(self) -> str | None:
        """Connection of an Airflow database that is not ours, if one is given."""
        return None if _is_own(self.given_database, self.postgres_port) else self.given_database

    @property
    def champion(self) -> str:
        """The release in use.

        Raises:
            StackError: the repository names none.
        """
        named = self.model_repository / "champion"
        release = named.read_text().strip() if named.is_file() else ""
        if not release:
            raise StackError(f"{named} is missing or empty; it holds the name of the release to serve, such as r0001")
        return release

    def folder(self, name: str) -> Path:
        """A folder of the state, for the owner only."""
        path = self.state_dir / name
        for each in (self.state_dir, path):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


def _is_own(address: str | None, port: int) -> bool:
    if not address:
        return True
    place = urlsplit(address)
    return place.hostname == LOOPBACK and place.port == port


def load_settings() -> StackSettings:
    """Read the environment.

    Raises:
        StackError: a value is out of range, or a ``STACK_`` variable is not the name of a setting.
    """
    known = {"STACK_" + name.upper() for name in StackSettings.model_fields if not name.startswith("given_")}
    unknown = sorted(name for name in os.environ if name.startswith("STACK_") and name not in known)
    if unknown:
        raise StackError(f"unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        return StackSettings()
    except ValidationError as error:
        problems = "; ".join(f"STACK_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False))
        raise StackError(problems) from error
