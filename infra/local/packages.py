"""The Debian packages that the stack's parts come from."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from infra.local.errors import StackError
from infra.local.settings import StackSettings

CEPH_PACKAGES = {
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "radosgw": "radosgw",
    "radosgw-admin": "radosgw",
    "ceph": "ceph-common",
}


def install_missing_packages(settings: StackSettings) -> None:
    """Install what the parts to be started lack.

    Raises:
        StackError: a package is missing and could not be installed; apt_install.sh has said why.
    """
    wanted: list[str] = []
    if settings.external_s3 is None:
        wanted += {package for program, package in CEPH_PACKAGES.items() if shutil.which(program) is None}
    if settings.airflow and settings.external_database is None and find_postgres() is None:
        wanted.append("postgresql")
    if settings.external_triton is None and find_libpython() is None:
        wanted.append("libpython3.11")
    if not wanted:
        return
    installer = Path(__file__).with_name("apt_install.sh")
    if subprocess.run([str(installer), *sorted(wanted)], check=False).returncode != 0:
        raise StackError(f"Debian packages are missing: {' '.join(sorted(wanted))}")


def find_postgres() -> Path | None:
    """Folder of the newest PostgreSQL server; Debian keeps it out of PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(versions, key=lambda program: int(program.parts[-3]), default=None)
    return newest and newest.parent


def find_libpython() -> Path | None:
    """Folder of the shared libpython that Triton's stub is linked to; Debian's own Python comes without it."""
    name = "libpython3.11.so.1.0"
    folders = [Path(str(sysconfig.get_config_var(key))) for key in ("LIBDIR", "LIBPL")]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    folders += [Path("/usr/lib") / str(multiarch)]
    return next((folder for folder in folders if (folder / name).exists()), None)
