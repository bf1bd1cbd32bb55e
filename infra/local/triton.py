"""Triton on CPUs without Docker: the server of the nvidia-pytriton wheel, in a Python environment of its own.

``triton_part`` is Triton as a part of the stack; ``start_triton`` runs one for the length of a ``with`` block.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import NotReadyError, StackError
from infra.local.packages import find_libpython
from infra.local.parts import Command, Part
from infra.local.settings import LOOPBACK, REPOSITORY, SHIPPED_MODELS, StackSettings
from screening.edges.model_server import ModelServer
from screening.edges.release import load_release
from screening.edges.release_history import releases_to_serve
from screening.errors import ScreeningError

PYTHON = "3.11"
CANARY_S = 30.0
"""An answer takes milliseconds; a full queue or a starved machine must not pass for a dead server."""
DRAIN_S = 20
"""How long a stopping server may finish the requests that it has."""


@dataclass(frozen=True)
class TritonPorts:
    """The three ports of a server, all on loopback."""

    http: int
    grpc: int
    metrics: int

    @property
    def url(self) -> str:
        """What a gRPC client is given."""
        return f"{LOOPBACK}:{self.grpc}"


def triton_part(settings: StackSettings) -> Part:
    """Triton with the champion, what a rollback leads back to, and the shadow; a promotion loads another while it runs."""
    ports = TritonPorts(settings.triton_http_port, settings.triton_grpc_port, settings.triton_metrics_port)
    environment, repository = settings.triton_environment, settings.model_repository
    return Part(
        name="triton",
        title="Triton",
        command=lambda: triton_command(
            environment, repository, settings.champion, ports, beside=releases_to_serve(str(repository))
        ),
        check=lambda _: triton_is_ready(ports.url, repository, settings.champion),
        ports={
            "STACK_TRITON_HTTP_PORT": ports.http,
            "STACK_TRITON_GRPC_PORT": ports.grpc,
            "STACK_TRITON_METRICS_PORT": ports.metrics,
        },
        stop_within_s=DRAIN_S + 10.0,
        # A dead python process behind a model goes unnoticed by the server, and it does not start another.
        recheck_s=10.0,
    )


def triton_command(
    environment: Path, repository: Path, release: str, ports: TritonPorts, beside: Sequence[str] = ()
) -> Command:
    """The command that serves the ensemble of a release, and of those ``beside`` that the repository has.

    Raises:
        StackError: the environment or the repository is not complete.
    """
    site = environment / "lib" / f"python{PYTHON}" / "site-packages"
    server = site / "pytriton" / "tritonserver"
    libpython = find_libpython()
    if not (server / "bin" / "tritonserver").exists():
        raise StackError(f"no Triton in {environment}; `make setup` installs it")
    if libpython is None:
        raise StackError(
            f"Triton's python backend needs libpython{PYTHON}.so.1.0; Debian's package is libpython{PYTHON}"
        )
    if not (repository / f"lesion_ensemble_{release}").is_dir():
        raise StackError(f"{repository} has no lesion_ensemble_{release}, which the release {release} needs")
    _link_stub(server)
    others = [name for name in beside if name != release and (repository / f"lesion_ensemble_{name}").is_dir()]
    return Command(
        [
            str(server / "bin" / "tritonserver"),
            f"--backend-directory={server / 'backends'}",
            f"--model-repository={repository}",
            "--model-control-mode=explicit",
            *(f"--load-model=lesion_ensemble_{name}" for name in (release, *others)),
            # configs/cpu.pbtxt of each model: the python backend with onnxruntime instead of a GPU
            "--model-config-name=cpu",
            "--disable-auto-complete-config",
            "--exit-on-error=false",
            "--strict-readiness=false",
            "--allow-gpu-metrics=false",
            f"--exit-timeout-secs={DRAIN_S}",
            *(f"--{kind}-address={LOOPBACK}" for kind in ("http", "grpc", "metrics")),
            f"--http-port={ports.http}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-port={ports.metrics}",
        ],
        {
            "LD_LIBRARY_PATH": f"{libpython}:{site / 'nvidia_pytriton.libs'}",
            # the stub runs the first python3 that it finds
            "PATH": f"{environment / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        },
    )


def triton_is_ready(url: str, repository: Path, release: str) -> None:
    """Triton answers a canary inference with the release.

    Its own ready flag is not enough: it stays up when the python process behind a model has died.

    Raises:
        NotReadyError: it does not answer, or not as it should.
    """
    try:
        asked = load_release(str(repository), release)
        with ModelServer(url, asked, timeout_s=CANARY_S, attempts=1, in_flight=1, batch_photos=1) as server:
            server.canary()
    except ScreeningError as error:
        raise NotReadyError(str(error)) from error


@contextmanager
def start_triton(
    repository: Path = SHIPPED_MODELS,
    release: str | None = None,
    environment: Path = REPOSITORY / ".venv-triton",
    log: Path | None = None,
    ready_within_s: float = 120.0,
    beside: Sequence[str] = (),
) -> Iterator[TritonPorts]:
    """Run a Triton on free ports until the block ends.

    Args:
        repository: the model repository.
        release: what to serve; None is the repository's champion.
        environment: Triton's Python environment.
        log: where its output goes; None is a file of its own that is removed when all went well.
        ready_within_s: how long it may take until its canary inference is answered.
        beside: other releases to serve.

    Raises:
        StackError: it did not start; the message has the last lines of its log.
    """
    release = release or StackSettings(model_repository=repository).champion
    with ExitStack() as cleanup:
        if log is None:
            folder = Path(tempfile.mkdtemp(prefix="triton-"))
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
            log = folder / "triton.log"
        ports = find_free_ports()
        repository = repository.absolute()
        command = triton_command(environment, repository, release, ports, beside)
        with log.open("ab") as output:
            server = subprocess.Popen(
                [*_dies_with_its_parent(), *command.words],
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        cleanup.callback(_stop, server)
        _wait_until_ready(server, ports, repository, release, log, ready_within_s)
        yield ports


def find_free_ports() -> TritonPorts:
    """Three ports that nobody listens on, held open together so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return TritonPorts(*(each.getsockname()[1] for each in sockets))


def _link_stub(server: Path) -> None:
    """Put the python backend's stub where Triton looks for it; the wheel leaves it aside, one for each Python."""
    link = server / "backends" / "python" / "triton_python_backend_stub"
    target = Path("../../python_backend_stubs") / PYTHON / link.name
    if link.is_symlink() and link.readlink() == target:
        return
    # Two starts at once may both come here; the rename makes either of them right.
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _dies_with_its_parent() -> list[str]:
    """Let the kernel end the server when this process is killed and cannot do it itself."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _wait_until_ready(
    server: subprocess.Popen[bytes],
    ports: TritonPorts,
    repository: Path,
    release: str,
    log: Path,
    within_s: float,
) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            return triton_is_ready(ports.url, repository, release)
        except NotReadyError as error:
            code = server.poll()
            if code is None and time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            what = f"ended with {code}" if code is not None else f"is not ready after {within_s:.0f} s ({error})"
            last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise StackError(f"Triton {what}; its last lines:\n{last_lines}") from error


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and the python processes of its models, which share its session."""
    server.terminate()
    try:
        server.wait(DRAIN_S + 10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
