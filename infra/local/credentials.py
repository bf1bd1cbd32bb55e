"""Every secret of the stack, made at its first start and kept in its state folder."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.errors import StackError
from infra.local.files import write_private
from infra.local.settings import StackSettings


@dataclass(frozen=True)
class Credentials:
    """The stack's secrets; none of them is ever logged.

    The pipeline's S3 key may read uploads and read and write results. The uploads' key owns both buckets: it is for
    people and programmes that bring photos.
    """

    pipeline_access_key: str
    pipeline_secret_key: str
    uploads_access_key: str
    uploads_secret_key: str
    postgres_password: str
    airflow_database_password: str
    airflow_fernet_key: str
    airflow_api_secret: str
    airflow_jwt_secret: str
    pseudonym_key: str


def airflow_passwords_file(settings: StackSettings) -> Path:
    """Where the passwords of Airflow's users are, as JSON."""
    return settings.folder("credentials") / "airflow_passwords.json"


def load_credentials(settings: StackSettings) -> Credentials:
    """Read the credentials, or make them at the first start.

    Raises:
        StackError: the file is damaged. It is not made anew then: the pseudonyms of earlier nights depend on it.
    """
    path = settings.folder("credentials") / "stack.json"
    if not path.exists():
        write_private(path, json.dumps(asdict(_new_credentials()), indent=1))
    try:
        return Credentials(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise StackError(
            f"{path} does not hold this stack's credentials ({error}); restore it from a backup"
        ) from error


def load_airflow_passwords(settings: StackSettings) -> dict[str, str]:
    """Passwords by user name; a user that is new in the settings gets one."""
    path = airflow_passwords_file(settings)
    passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [user for user in airflow_roles(settings) if user not in passwords]
    if missing:
        passwords |= {user: secrets.token_urlsafe(18) for user in missing}
        write_private(path, json.dumps(passwords))
    return passwords


def airflow_roles(settings: StackSettings) -> dict[str, str]:
    """Roles by user name.

    Raises:
        StackError: STACK_AIRFLOW_USERS is not of the form name:role,name:role.
    """
    roles = dict(entry.strip().partition(":")[::2] for entry in settings.airflow_users.split(","))
    wrong = {user: role for user, role in roles.items() if not user or role not in {"viewer", "user", "op", "admin"}}
    if wrong:
        raise StackError(f"STACK_AIRFLOW_USERS: {wrong} found, name:role with viewer, user, op or admin expected")
    return roles


def _new_credentials() -> Credentials:
    return Credentials(
        pipeline_access_key=secrets.token_hex(10).upper(),
        pipeline_secret_key=secrets.token_urlsafe(30),
        uploads_access_key=secrets.token_hex(10).upper(),
        uploads_secret_key=secrets.token_urlsafe(30),
        postgres_password=secrets.token_urlsafe(24),
        airflow_database_password=secrets.token_urlsafe(24),
        # Fernet wants exactly 32 bytes in URL-safe base64.
        airflow_fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        airflow_api_secret=secrets.token_urlsafe(48),
        airflow_jwt_secret=secrets.token_urlsafe(48),
        pseudonym_key=secrets.token_urlsafe(48),
    )
