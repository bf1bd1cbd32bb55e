"""The object store: one Ceph monitor, one OSD on a sparse file, one RADOS gateway, from Debian's packages.

Everything is on loopback and below one folder. No manager daemon: it would only report. The settings that differ from
Ceph's own suit a single disk on a small machine, and each says what it is for.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import uuid
from pathlib import Path

from infra.local.credentials import Credentials
from infra.local.errors import NotReadyError, StackError
from infra.local.files import write_private
from infra.local.object_store import OWNER, PIPELINE, RIGHTS, check_signed_request, make_buckets
from infra.local.parts import Command, Part, run_tool
from infra.local.settings import LOOPBACK, StackSettings

CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:{loopback}:{mon_port}/0]
mon initial members = a
public addr = {loopback}
cluster addr = {loopback}
ms bind port min = {osd_port}
ms bind port max = {osd_port_last}
keyring = {folder}/keyring
auth allow insecure global id reclaim = false
# one disk: one copy, few placement groups, and no warning about either
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 2
mon data avail crit = 1
# a lone monitor has nobody to wait for
paxos propose interval = 0.05
paxos min wait = 0.01
# the supervisor keeps the logs
log to stderr = true
err to stderr = true
log to file = false
mon cluster log to file = false
log file =
admin socket =
run dir = {folder}
crash dir = {folder}/crash
[mon]
keyring = {folder}/mon/keyring
mon data = {folder}/mon
[osd]
keyring = {folder}/osd/keyring
osd data = {folder}/osd
osd objectstore = bluestore
osd memory target = 939524096
bluestore block size = {bytes}
[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint={loopback}:{s3_port}
rgw thread pool size = 64
# with the cache a new bucket stalls after a gateway was killed
rgw cache enabled = false
debug rgw = 0/0
"""


class Ceph:
    """The cluster in one folder: made at the first start, then only started."""

    def __init__(self, settings: StackSettings, credentials: Credentials) -> None:
        self.settings = settings
        self.credentials = credentials
        self.folder = settings.state_dir / "ceph"
        self.configuration = self.folder / "ceph.conf"
        # Written last: a first start that was cut short has nothing worth keeping and begins anew.
        self.complete = self.folder / "complete"

    def parts(self) -> list[Part]:
        """Monitor, OSD and gateway, each needing the one before."""
        settings = self.settings
        return [
            Part(
                name="ceph-mon",
                title="Ceph monitor",
                prepare=self.prepare_monitor,
                command=lambda: self._daemon("ceph-mon", "-i", "a"),
                check=self.check_monitor,
                ports={"STACK_CEPH_MON_PORT": settings.ceph_mon_port},
            ),
            Part(
                name="ceph-osd",
                title="Ceph object storage daemon",
                needs=("ceph-mon",),
                prepare=self.prepare_osd,
                command=lambda: self._daemon("ceph-osd", "-i", "0"),
                check=self.check_osd,
                stop_within_s=40.0,
            ),
            Part(
                name="rgw",
                title="Ceph S3 gateway",
                needs=("ceph-osd",),
                prepare=self.prepare_gateway,
                command=lambda: self._daemon("radosgw", "-n", "client.rgw"),
                check=lambda _: check_signed_request(settings.s3_endpoint, self.credentials),
                finish=lambda: make_buckets(settings.s3_endpoint, self.credentials),
                ports={"STACK_S3_PORT": settings.s3_port},
            ),
        ]

    def prepare_monitor(self) -> None:
        """Write the configuration; make keys, map and store of the monitor if there are none."""
        if not self.complete.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        self.settings.folder("ceph")
        for name in ("mon", "osd", "rgw", "crash"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        fsid_file = self.folder / "fsid"
        if not fsid_file.exists():
            write_private(fsid_file, str(uuid.uuid4()))
        self._write_configuration(fsid_file.read_text())
        if not (self.folder / "mon" / "store.db").exists():
            self._make_monitor(fsid_file.read_text())
        elif self._map_port_file.read_text() != str(self.settings.ceph_mon_port):
            self._move_monitor()

    def prepare_osd(self) -> None:
        """Make the OSD's key and its sparse file if there are none."""
        osd = self.folder / "osd"
        if (osd / "ready").exists():  # BlueStore's own mark that --mkfs came to its end
            return
        for stale in osd.iterdir():
            stale.unlink()
        keyring = osd / "keyring"
        run_tool(["ceph-authtool", "--create-keyring", str(keyring), "--gen-key", "-n", "osd.0"])
        secret = run_tool(["ceph-authtool", str(keyring), "-n", "osd.0", "--print-key"]).strip()
        osd_id = str(uuid.uuid4())
        self._ceph("osd", "new", osd_id, "-i", "-", stdin=json.dumps({"cephx_secret": secret}))
        self._ceph("osd", "crush", "add", "osd.0", "1.0", "host=local", "root=default")
        run_tool(["ceph-osd", "-c", str(self.configuration), "-i", "0", "--mkfs", "--osd-uuid", osd_id])

    def prepare_gateway(self) -> None:
        """Make the two S3 users if there are none."""
        if self.complete.exists():
            return
        keys = self.credentials
        for user, access_key, secret_key, buckets in (
            (OWNER, keys.uploads_access_key, keys.uploads_secret_key, len(RIGHTS)),
            (PIPELINE, keys.pipeline_access_key, keys.pipeline_secret_key, -1),  # may make none of its own
        ):
            # The keys travel in the environment: a command's words are shown to every user of the machine.
            arguments = f"--access-key={access_key} --secret={secret_key}"
            words = ["-c", str(self.configuration), "-n", "client.rgw", "user", "create"]
            run_tool(
                ["radosgw-admin", *words, f"--uid={user}", f"--display-name={user}", f"--max-buckets={buckets}"],
                env={**os.environ, "CEPH_ARGS": arguments},
            )
        self.complete.touch()

    def check_monitor(self, _started: float) -> None:
        """The monitor accepts connections; the OSD's own start shows that it also has a quorum."""
        try:
            socket.create_connection((LOOPBACK, self.settings.ceph_mon_port), timeout=2).close()
        except OSError as error:
            raise NotReadyError(f"port {self.settings.ceph_mon_port}: {error}") from error

    def check_osd(self, _started: float) -> None:
        """The monitor counts the OSD as up."""
        try:
            state = json.loads(self._ceph("osd", "stat", "--format", "json"))
        except (StackError, ValueError) as error:
            raise NotReadyError(str(error)) from error
        if state["num_up_osds"] != 1:
            raise NotReadyError(f"{state['num_up_osds']} of {state['num_osds']} OSDs are up, 1 expected")

    @property
    def _map_port_file(self) -> Path:
        return self.folder / "mon_port"

    def _daemon(self, program: str, *words: str) -> Command:
        return Command([program, "-c", str(self.configuration), *words, "-f"])

    def _ceph(self, *words: str, stdin: str = "") -> str:
        return run_tool(["ceph", "-c", str(self.configuration), "--connect-timeout", "30", *words], stdin=stdin)

    def _write_configuration(self, fsid: str) -> None:
        settings = self.settings
        write_private(
            self.configuration,
            CONFIGURATION.format(
                fsid=fsid,
                folder=self.folder,
                loopback=LOOPBACK,
                mon_port=settings.ceph_mon_port,
                osd_port=settings.ceph_osd_port,
                osd_port_last=settings.ceph_osd_port + 15,
                s3_port=settings.s3_port,
                bytes=settings.ceph_gigabytes * 1024**3,
            ),
        )

    def _make_monitor(self, fsid: str) -> None:
        keyring, monitor_keyring = str(self.folder / "keyring"), str(self.folder / "mon_keyring")
        everything = ["--cap", "mon", "allow *", "--cap", "osd", "allow *"]
        admin_only = ["--cap", "mgr", "allow *"]
        run_tool(
            ["ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "client.admin", *everything, *admin_only]
        )
        run_tool(["ceph-authtool", keyring, "--gen-key", "-n", "client.rgw", *everything])
        shutil.copy(keyring, monitor_keyring)
        run_tool(["ceph-authtool", monitor_keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"])
        new_map = self.folder / "monmap"
        address = f"[v2:{LOOPBACK}:{self.settings.ceph_mon_port}/0]"
        run_tool(["monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, str(new_map)])
        self._monitor_tool("--mkfs", "--monmap", str(new_map), "--keyring", monitor_keyring)
        Path(monitor_keyring).unlink()
        self._map_port_file.write_text(str(self.settings.ceph_mon_port))

    def _move_monitor(self) -> None:
        """Write a new port into the monitor's own map: it takes its address from there, not from the configuration."""
        moved_map = self.folder / "monmap"
        self._monitor_tool("--extract-monmap", str(moved_map))
        address = f"[v2:{LOOPBACK}:{self.settings.ceph_mon_port}/0]"
        run_tool(["monmaptool", "--rm", "a", str(moved_map)])
        run_tool(["monmaptool", "--addv", "a", address, str(moved_map)])
        self._monitor_tool("--inject-monmap", str(moved_map))
        self._map_port_file.write_text(str(self.settings.ceph_mon_port))

    def _monitor_tool(self, *words: str) -> None:
        run_tool(["ceph-mon", "-c", str(self.configuration), "-i", "a", *words])
