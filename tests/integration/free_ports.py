"""Ports for what the tests start, also when several processes of tests look for some at the same time."""

from __future__ import annotations

import contextlib
import socket

from infra.local.settings import LOOPBACK

BLOCK = 20
_claims: list[socket.socket] = []


def find_ports(count: int, candidates: range) -> list[int]:
    """Up to 19 adjacent ports that nobody listens on; not of the range from which outgoing connections take theirs.

    The candidates are dealt in blocks. The first port of a block stays taken while this process lives: that tells others,
    who look for ports before anybody listens on these, that the block is ours.
    """
    assert count < BLOCK
    for first in candidates[: 1 - BLOCK : BLOCK]:
        claim = socket.socket()
        with contextlib.suppress(OSError):
            claim.bind((LOOPBACK, first))
            ports = list(range(first + 1, first + 1 + count))
            if all(_is_free(port) for port in ports):
                _claims.append(claim)
                return ports
        claim.close()
    raise AssertionError(f"no block with {count} free ports in {candidates}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
