"""The environment in which the pipeline and Airflow run against this stack, also as a file for people to load."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from infra.local.credentials import Credentials, airflow_passwords_file
from infra.local.errors import StackError
from infra.local.files import write_private
from infra.local.object_store import REGION, RESULTS_BUCKET, UPLOADS_BUCKET
from infra.local.postgres import database_url
from infra.local.settings import REPOSITORY, StackSettings

PIPELINE_FILE, UPLOADS_FILE = "screening.env", "uploads.env"


def pipeline_environment(settings: StackSettings, credentials: Credentials) -> dict[str, str]:
    """What the nightly run needs: addresses, keys with the pipeline's rights, and Airflow's settings."""
    keys = _keys(settings, credentials.pipeline_access_key, credentials.pipeline_secret_key)
    return _screening(settings, credentials) | keys | _airflow(settings, credentials)


def uploads_environment(settings: StackSettings, credentials: Credentials) -> dict[str, str]:
    """What uploading needs: the same stores, with the rights of their owner."""
    keys = _keys(settings, credentials.uploads_access_key, credentials.uploads_secret_key)
    return _screening(settings, credentials) | keys


def write_environment_files(settings: StackSettings, credentials: Credentials) -> None:
    """Write both environments as KEY=value lines, mode 600."""
    for name, environment in (
        (PIPELINE_FILE, pipeline_environment(settings, credentials)),
        (UPLOADS_FILE, uploads_environment(settings, credentials)),
    ):
        write_private(settings.state_dir / name, format_environment(environment))


def format_environment(environment: dict[str, str]) -> str:
    """KEY=value lines that a shell and a dotenv reader understand alike."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()))


def read_environment_file(path: Path) -> dict[str, str]:
    """The opposite of ``format_environment``."""
    lines = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: shlex.split(value)[0] if value else "" for name, _, value in lines}


def _screening(settings: StackSettings, credentials: Credentials) -> dict[str, str]:
    return {
        "SCREENING_S3_ENDPOINT": settings.s3_endpoint,
        "SCREENING_UPLOADS": os.environ.get("SCREENING_UPLOADS", f"s3://{UPLOADS_BUCKET}"),
        "SCREENING_RESULTS": os.environ.get("SCREENING_RESULTS", f"s3://{RESULTS_BUCKET}"),
        "SCREENING_TRITON_URL": settings.triton_url,
        "SCREENING_MODEL_REPOSITORY": str(settings.model_repository),
        "SCREENING_PSEUDONYM_KEY": os.environ.get("SCREENING_PSEUDONYM_KEY", credentials.pseudonym_key),
        "SCREENING_TRAINING_PYTHON": str(REPOSITORY / ".venv-training" / "bin" / "python"),
        "SCREENING_TRAINING_FOLDER": str(settings.folder("training")),
        "GX_ANALYTICS_ENABLED": "false",
        # boto's newer checksums make pyarrow's multipart uploads to Ceph fail with 411
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }


def _keys(settings: StackSettings, access_key: str, secret_key: str) -> dict[str, str]:
    if settings.external_s3:
        try:
            access_key, secret_key = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        except KeyError as error:
            raise StackError(f"SCREENING_S3_ENDPOINT names {settings.external_s3}; {error} is missing") from error
    region = os.environ.get("AWS_REGION", REGION) if settings.external_s3 else REGION
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }


def _airflow(settings: StackSettings, credentials: Credentials) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(settings.folder("airflow")),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.dags_dir),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(settings.plugins_dir),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(settings.airflow_parallelism),
        "AIRFLOW__CORE__MAX_MAP_LENGTH": "4096",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": credentials.airflow_fernet_key,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": settings.airflow_users,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow_passwords_file(settings)),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(settings, credentials),
        "AIRFLOW__API__BASE_URL": settings.airflow_url,
        "AIRFLOW__API__SECRET_KEY": credentials.airflow_api_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": credentials.airflow_jwt_secret,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        # A mapped task costs little only if the scheduler does not sleep between two of them.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        # A task that was killed with its worker is found by its silence: after 30 s instead of 5 minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "False",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }
