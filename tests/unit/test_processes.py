"""The forked processes of a night: they have its context, hand errors back, and end with it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from screening.edges.folder_store import FolderStore
from screening.errors import AuditError
from screening.settings import load_settings
from screening.tasks import NightContext
from screening.tasks.processes import forked, run_with_context


@pytest.fixture
def context(tmp_path):
    return NightContext(load_settings(), FolderStore(tmp_path), FolderStore(tmp_path))


def write_where_i_am(name, number, context):
    context.results.put(f"{name}-{number}", str(os.getpid()).encode())
    return number


def find_a_fault(name, _context):
    raise AuditError(f"{name}: one fault")


def test_a_forked_task_works_on_the_stores_of_the_night(context):
    with forked(2, context) as pool:
        numbers = [pool.submit(run_with_context, write_where_i_am, "part", n).result() for n in range(4)]
    assert numbers == [0, 1, 2, 3]
    pids = {int(context.results.get(f"part-{n}")) for n in numbers}
    assert os.getpid() not in pids
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_an_error_of_a_forked_task_is_the_error_of_the_night(context):
    with forked(1, context) as pool, pytest.raises(AuditError, match="night: one fault"):
        pool.submit(run_with_context, find_a_fault, "night").result()


def test_a_night_that_is_killed_leaves_no_process_behind():
    night = (
        "import time; from screening.tasks.processes import forked\n"
        "with forked(2, None) as pool: print(*pool._processes, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", night], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
    until = time.monotonic() + 10
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < until, "forked processes outlived their night"
        time.sleep(0.05)
