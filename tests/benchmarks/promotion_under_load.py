"""Promotions and rollbacks on a real Triton under load: how many requests failed, and how long a rollback takes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from infra.local.triton import start_triton
from screening.edges.model_control import loaded_models, unload_models
from screening.edges.release import load_release
from screening.settings import Settings
from screening.tasks import install_release, promote, rollback
from tests.benchmarks.requests_under_change import CLIENTS, requests_while
from tests.second_release import build_second_release, repository_of_r0001

AFTER_NIGHT_S = 5.0
"""From a rollback to the unloading, which stands for the end of the night: requests to the old release are over by then."""


def change_under_load(scratch: Path, rounds: int, requests: int) -> dict[str, str]:
    """Promote a second release and roll it back, ``rounds`` times, while so many requests at least are answered."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    repository = repository_of_r0001(scratch / "repository")
    built = build_second_release(scratch / "built")
    who = {"by": "benchmark", "why": "measured"}
    promoted_s: list[float] = []
    rolled_back_s: list[float] = []
    switched_s: list[float] = []
    with start_triton(repository) as ports:
        settings = Settings(model_repository=str(repository), triton_url=ports.url)
        install_release(built, settings)

        def change() -> None:
            for _ in range(rounds):
                began = time.monotonic()
                promote("r0002", **who, settings=settings)
                promoted_s.append(time.monotonic() - began)
                done = rollback(**who, settings=settings)
                if done.problem:
                    raise SystemExit(f"a rollback was not confirmed: {done.problem}")
                rolled_back_s.append(done.total_s)
                switched_s.append(done.switched_s)
                time.sleep(AFTER_NIGHT_S)
                unused = [model for model in loaded_models(ports.url, 10) if model.endswith("r0002")]
                unload_models(ports.url, unused, 10)

        answered, failed = requests_while(change, settings, at_least=requests)

        promote("r0002", **who, settings=settings)
        unload_models(ports.url, ["lesion_ensemble_r0001", *(_members(repository, "r0001"))], 10)
        unloaded = rollback(**who, settings=settings)
    return {
        "requests answered": f"{answered:,}",
        "requests failed": f"{len(failed)}" + (f": {failed[0]}" if failed else ""),
        "clients at once": str(CLIENTS),
        "promotions and rollbacks": f"{len(promoted_s)} each",
        "a promotion, loading included (slowest)": f"{max(promoted_s):.1f} s",
        "a rollback until the name has changed (slowest)": f"{max(switched_s):.3f} s",
        "a rollback, golden photos included (slowest)": f"{max(rolled_back_s):.1f} s",
        "a rollback to a release that was unloaded": f"{unloaded.total_s:.1f} s"
        + (f", not confirmed: {unloaded.problem}" if unloaded.problem else ""),
    }


def _members(repository: Path, release: str) -> list[str]:
    return [member.name for member in load_release(str(repository), release).members]
