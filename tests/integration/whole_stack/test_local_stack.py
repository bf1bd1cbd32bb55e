"""The local stack: starts whole, keeps to itself, survives what kills its parts, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import psycopg2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.processes import find_processes
from infra.local.stack import inspect
from infra.local.state import PartState, StateFiles
from infra.local.triton import start_triton
from screening.edges.release import load_release
from tests.integration.conftest import RunningStack, make_stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

UPLOADS, RESULTS = "screening-uploads", "screening-results"


@pytest.fixture(scope="module")
def small_stack(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Only an object store of its own: quick to stop and to start. Its Triton is the other stack's."""
    triton = stack.environment["SCREENING_TRITON_URL"]
    small = make_stack(tmp_path_factory.mktemp("small"), STACK_AIRFLOW="false", SCREENING_TRITON_URL=triton)
    small.succeed("up")
    yield small
    small.succeed("down")


def s3(environment, **changed):
    environment = environment | changed
    return boto3.client(
        "s3",
        endpoint_url=environment["SCREENING_S3_ENDPOINT"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def refusal(call, **arguments) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def pid_of(stack: RunningStack, part: str) -> int:
    pid = StateFiles(stack.settings).read_status().parts[part].pid
    assert pid is not None
    return pid


def wait_until_restarted(stack: RunningStack, part: str, pid: int) -> None:
    deadline = time.monotonic() + 180
    while True:
        status = StateFiles(stack.settings).read_status().parts[part]
        if status.state is PartState.READY and status.pid != pid:
            return
        assert time.monotonic() < deadline, f"{part} is {status}"
        time.sleep(0.1)


def processes_of(stack: RunningStack) -> list[psutil.Process]:
    session = StateFiles(stack.settings).read_status().supervisor
    return find_processes(stack.settings.state_dir, session)


def listening_addresses(pids: set[int]) -> set[tuple[str, int]]:
    open_ports = psutil.net_connections("inet")
    return {tuple(c.laddr) for c in open_ports if c.status == psutil.CONN_LISTEN and c.pid in pids}  # type: ignore[misc]


def processes_that_mention(folder: Path) -> list[str]:
    """Found by another way than the stack's own, so that both must be wrong to overlook one."""
    found = []
    for process in psutil.process_iter():
        try:
            files = [file.path for file in process.open_files()]
            words = [process.cwd(), *process.cmdline(), *files]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
    return found


def test_every_part_listens_on_loopback_only(stack):
    listening = listening_addresses({process.pid for process in processes_of(stack)})
    settings = stack.settings
    expected = {settings.s3_port, settings.triton_grpc_port, settings.postgres_port, settings.airflow_port}
    assert expected <= {port for _, port in listening}
    assert {address for address, _ in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_what_holds_credentials_is_for_its_owner_only(stack):
    state = stack.settings.state_dir
    secret_files = [state / "screening.env", state / "uploads.env", *(state / "credentials").iterdir()]
    secret_files += [state / "ceph" / "keyring", state / "run" / "settings.json"]
    assert {oct(stat.S_IMODE(file.stat().st_mode)) for file in secret_files} == {"0o600"}
    folders = [state, state / "credentials", state / "ceph", state / "postgres", state / "airflow", state / "logs"]
    assert {oct(stat.S_IMODE(folder.stat().st_mode)) for folder in folders} == {"0o700"}


def test_no_secret_is_among_the_words_of_a_process_or_in_a_log(stack):
    secrets = [value for name, value in stack.environment.items() if "SECRET" in name or "KEY" in name]
    secrets.append(stack.airflow_password)
    commands = [" ".join(process.cmdline()) for process in processes_of(stack)]
    logs = [log.read_text(errors="replace") for log in (stack.settings.state_dir / "logs").iterdir()]
    assert not [text for text in commands + logs if any(secret in text for secret in secrets)]


def test_a_wrong_secret_is_refused(stack):
    wrong = s3(stack.environment, AWS_SECRET_ACCESS_KEY="wrong" * 8)
    assert refusal(wrong.list_objects_v2, Bucket=UPLOADS) == "SignatureDoesNotMatch"


def test_a_wrong_database_password_is_refused(stack):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(
            host="127.0.0.1", port=stack.settings.postgres_port, user="airflow", password="wrong", dbname="airflow"
        )


def test_the_pipeline_reads_uploads_and_cannot_change_them(stack):
    s3(stack.uploads_environment).put_object(Bucket=UPLOADS, Key="uploads/p/photo.jpg", Body=b"photo")
    pipeline = s3(stack.environment)
    assert pipeline.get_object(Bucket=UPLOADS, Key="uploads/p/photo.jpg")["Body"].read() == b"photo"
    assert pipeline.list_objects_v2(Bucket=UPLOADS, Prefix="uploads/p/")["KeyCount"] == 1
    assert refusal(pipeline.put_object, Bucket=UPLOADS, Key="uploads/p/photo.jpg", Body=b"forged") == "AccessDenied"
    assert refusal(pipeline.delete_object, Bucket=UPLOADS, Key="uploads/p/photo.jpg") == "AccessDenied"


def test_the_pipeline_writes_results_that_uploaders_can_read(stack):
    s3(stack.environment).put_object(Bucket=RESULTS, Key="tables/part-0.parquet", Body=b"table")
    read = s3(stack.uploads_environment).get_object(Bucket=RESULTS, Key="tables/part-0.parquet")["Body"].read()
    assert read == b"table"
    s3(stack.environment).delete_object(Bucket=RESULTS, Key="tables/part-0.parquet")


def test_up_twice_is_harmless(stack):
    before = {part: status.pid for part, status in StateFiles(stack.settings).read_status().parts.items()}
    printed = stack.succeed("up")
    after = {part: status.pid for part, status in StateFiles(stack.settings).read_status().parts.items()}
    assert "already running" in printed
    assert stack.settings.s3_endpoint in printed
    assert before == after


def test_up_in_the_environment_that_it_wrote_takes_its_own_parts_for_its_own(stack):
    loaded = RunningStack(stack.settings, {**stack.variables, **stack.environment})
    assert stack.settings.s3_endpoint in loaded.succeed("up")
    assert "rgw" in loaded.succeed("status")


@pytest.mark.parametrize("part", ["rgw", "triton", "airflow-dag-processor"])
def test_a_killed_part_comes_back(stack, part):
    pid = pid_of(stack, part)
    os.kill(pid, signal.SIGKILL)
    wait_until_restarted(stack, part, pid)
    assert {finding.name: finding.state for finding in inspect(stack.settings)}[part] == "ready"


def test_a_restarted_database_is_found_again_by_airflow(stack):
    pid = pid_of(stack, "postgres")
    stack.succeed("restart", "postgres")
    assert pid_of(stack, "postgres") != pid
    deadline = time.monotonic() + 180
    while stack.run("status").returncode != 0:
        assert time.monotonic() < deadline, stack.run("status").stdout
        time.sleep(1)


def test_status_reports_a_triton_whose_member_is_dead(stack):
    server = psutil.Process(pid_of(stack, "triton"))
    # The release that a rollback leads back to is served, too, and is mended when it is needed.
    member = load_release(str(stack.settings.model_repository), stack.settings.champion).members[0].name
    commands = [(child, child.cmdline()) for child in server.children(recursive=True) if "stub" in child.name()]
    (stub,) = (child for child, command in commands if any(f"/{member}/" in word for word in command))
    supervisor = server.parent()
    assert supervisor is not None
    supervisor.suspend()  # on a busy machine it would have mended the server before the command looks
    try:
        stub.kill()
        status = stack.run("status")
    finally:
        supervisor.resume()
    assert status.returncode == 1
    assert next(line for line in status.stdout.splitlines() if line.startswith("triton")).split()[1] == "unhealthy"
    wait_until_restarted(stack, "triton", server.pid)


def test_an_unknown_part_is_named_with_those_there_are(stack):
    done = stack.run("restart", "redis")
    assert done.returncode == 1
    assert "no part redis" in done.stderr
    assert "triton" in done.stderr


def test_a_taken_port_is_named_with_its_setting(stack, tmp_path):
    port = str(stack.settings.s3_port)
    triton = stack.environment["SCREENING_TRITON_URL"]
    other = make_stack(tmp_path / "state", STACK_S3_PORT=port, STACK_AIRFLOW="false", SCREENING_TRITON_URL=triton)
    done = other.run("up")
    assert done.returncode == 1
    assert f"port {port} (STACK_S3_PORT) is taken" in done.stderr
    assert processes_that_mention(other.settings.state_dir) == []


def test_a_misspelt_setting_is_refused(stack):
    done = RunningStack(stack.settings, {**stack.variables, "STACK_S3_PROT": "1"}).run("status")
    assert done.returncode == 1
    assert "unknown settings STACK_S3_PROT" in done.stderr


def test_a_given_triton_is_used_and_not_started(stack, small_stack):
    assert small_stack.environment["SCREENING_TRITON_URL"] == stack.environment["SCREENING_TRITON_URL"]
    assert "triton" not in {finding.name for finding in inspect(small_stack.settings)}


def test_a_given_object_store_is_used_and_not_started(stack, tmp_path):
    given = {name: stack.environment[name] for name in ("SCREENING_S3_ENDPOINT", "SCREENING_TRITON_URL")}
    keys = {name: stack.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    wrong = make_stack(tmp_path / "state", STACK_AIRFLOW="false", **given, **keys, SCREENING_UPLOADS="s3://not-there")
    done = wrong.run("up")
    assert done.returncode == 1
    assert "bucket not-there (SCREENING_UPLOADS)" in done.stderr


def test_what_a_killed_supervisor_left_is_cleared_away_and_the_data_kept(small_stack):
    store = s3(small_stack.uploads_environment)
    store.put_object(Bucket=UPLOADS, Key="uploads/p/kept.jpg", Body=b"kept")
    session = StateFiles(small_stack.settings).read_status().supervisor
    assert session is not None
    os.kill(session.pid, signal.SIGKILL)
    small_stack.succeed("up")
    assert len([p for p in processes_of(small_stack) if p.name() == "radosgw"]) == 1
    assert store.get_object(Bucket=UPLOADS, Key="uploads/p/kept.jpg")["Body"].read() == b"kept"


def test_down_leaves_no_process_and_a_new_start_finds_the_data(stack):
    s3(stack.uploads_environment).put_object(Bucket=UPLOADS, Key="uploads/p/kept.jpg", Body=b"kept")
    before = stack.environment
    stack.succeed("down")
    assert processes_that_mention(stack.settings.state_dir) == []
    assert processes_of(stack) == []
    assert "nothing was running" in stack.succeed("down")
    stack.succeed("up")
    assert stack.environment == before
    read = s3(stack.environment).get_object(Bucket=UPLOADS, Key="uploads/p/kept.jpg")["Body"].read()
    assert read == b"kept"


def test_a_monitor_moves_to_another_port_with_its_data(small_stack):
    s3(small_stack.uploads_environment).put_object(Bucket=UPLOADS, Key="uploads/p/moved.jpg", Body=b"moved")
    small_stack.succeed("down")
    port = str(small_stack.settings.ceph_mon_port + 1000)
    RunningStack(small_stack.settings, {**small_stack.variables, "STACK_CEPH_MON_PORT": port}).succeed("up")
    read = s3(small_stack.environment).get_object(Bucket=UPLOADS, Key="uploads/p/moved.jpg")["Body"].read()
    assert read == b"moved"


def test_a_triton_of_its_own_ends_with_its_block():
    with start_triton() as ports:
        started = psutil.Process().children(recursive=True)
        assert ports.grpc in {port for _, port in listening_addresses({process.pid for process in started})}
        assert len(started) > 1
    assert not [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
