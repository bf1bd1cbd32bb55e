"""``python -m infra.local``: start, stop and ask the local stack."""

from __future__ import annotations

import argparse
import sys
import time

from infra.local import stack
from infra.local.credentials import airflow_passwords_file, airflow_roles
from infra.local.environment import PIPELINE_FILE, UPLOADS_FILE
from infra.local.errors import StackError
from infra.local.packages import install_missing_packages
from infra.local.settings import LOOPBACK, StackSettings, load_settings
from infra.local.state import StateFiles


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 when it did what was asked."""
    arguments = _parser().parse_args(words)
    try:
        return _run(arguments, load_settings())
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="the local stack")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="install the Debian packages that this machine lacks; `up` does it too")
    commands.add_parser("up", help="start everything, wait until it is ready, print the addresses")
    commands.add_parser("down", help="stop everything; the data stays")
    commands.add_parser("status", help="ask every part whether it does its work; exit code 1 if one does not")
    environment = commands.add_parser("env", help="print the environment to use the stack with, as KEY=value lines")
    environment.add_argument("--uploads", action="store_true", help="with the rights of those who bring photos")
    restart = commands.add_parser("restart", help="restart one part and wait until it is ready")
    restart.add_argument("name", help="a name that `status` shows")
    return parser


def _run(arguments: argparse.Namespace, settings: StackSettings) -> int:
    if arguments.command == "install":
        install_missing_packages(settings)
        return 0
    if arguments.command == "up":
        return _up(settings)
    if arguments.command == "down":
        began = time.monotonic()
        stopped = stack.stop(settings, _say)
        _say(f"stopped in {time.monotonic() - began:.1f} s" if stopped else "nothing was running")
        return 0
    if arguments.command == "status":
        return _status(settings)
    if arguments.command == "env":
        path = settings.state_dir / (UPLOADS_FILE if arguments.uploads else PIPELINE_FILE)
        if not path.exists():
            raise StackError(f"{path} is missing; `up` writes it")
        print(path.read_text(), end="")
        return 0
    stack.restart(settings, arguments.name)
    _say(f"{arguments.name} is ready again")
    return 0


def _up(settings: StackSettings) -> int:
    began = time.monotonic()
    if stack.start(settings, _say):
        _say(f"everything is ready after {time.monotonic() - began:.1f} s")
    else:
        _say("was already running")
    settings = StateFiles(settings).saved_settings()
    rows = {
        "object store": settings.s3_endpoint,
        "Triton (gRPC)": settings.triton_url,
        **(_airflow_rows(settings) if settings.airflow else {}),
        "environment": f"{settings.state_dir / PIPELINE_FILE} (to upload photos: {UPLOADS_FILE})",
        "release": settings.champion,
    }
    for name, value in rows.items():
        _say(f"  {name:16} {value}")
    return 0


def _airflow_rows(settings: StackSettings) -> dict[str, str]:
    return {
        "Airflow": settings.airflow_url,
        "Airflow's users": f"{', '.join(airflow_roles(settings))}; passwords in {airflow_passwords_file(settings)}",
        "PostgreSQL": "as given" if settings.external_database else f"{LOOPBACK}:{settings.postgres_port}",
    }


def _status(settings: StackSettings) -> int:
    findings = stack.inspect(settings)
    if not findings:
        _say("the stack was never started here")
        return 1
    for finding in findings:
        restarts = f", restarted {finding.restarts} times" if finding.restarts else ""
        pid = f" pid {finding.pid}" if finding.pid else ""
        _say(f"{finding.name:22} {finding.state}{pid}{restarts}{': ' if finding.problem else ''}{finding.problem}")
    return 0 if all(finding.state == "ready" for finding in findings) else 1


def _say(line: str) -> None:
    print(line, flush=True)
