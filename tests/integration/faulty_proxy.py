"""Proxies in front of a real server, which fail on demand as networks and servers do."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections import deque
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

_OF_ONE_CONNECTION = {"connection", "transfer-encoding", "content-length"}


class Fault(Enum):
    """What becomes of one request."""

    ANSWERS_503 = auto()
    """The server is overloaded and does nothing."""
    LOSES_THE_ANSWER = auto()
    """The server does what was asked, and its answer is 503."""
    CUTS_THE_BODY = auto()
    """The connection ends in the middle of the answer."""
    HANGS = auto()
    """No answer, until the client gives up."""


class FaultyProxy:
    """Passes requests on to ``upstream`` (``http://host:port``) unchanged, but for the faults it was told to make.

    Headers are passed as they are, ``Host`` too, so that a signature of the client stays good. ``requests`` counts what
    came in.
    """

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self._upstream = (str(address.hostname), int(address.port or 80))
        self._faults: deque[Fault] = deque()
        self._faulty_until = 0.0
        self._is_over = threading.Event()
        self.requests = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if self.raw_requestline and self.parse_request():
                    proxy._serve(self)
                else:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base class has it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def next_requests(self, *faults: Fault) -> None:
        """The next requests meet these faults, one each."""
        self._faults.extend(faults)

    def overloaded_for(self, seconds: float) -> None:
        """Every request is answered 503 for so long."""
        self._faulty_until = time.monotonic() + seconds

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        fault = self._faults.popleft() if self._faults else None
        if fault is Fault.HANGS:
            self._is_over.wait(60)
            request.close_connection = True
            return
        if fault is Fault.ANSWERS_503 or time.monotonic() < self._faulty_until:
            self._answer_503(request)
            return
        status, headers, answer = self._ask_upstream(request, body)
        if fault is Fault.LOSES_THE_ANSWER:
            self._answer_503(request)
            return
        request.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OF_ONE_CONNECTION:
                request.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), str(len(answer)))
        request.send_header("Content-Length", length)
        request.end_headers()
        if fault is Fault.CUTS_THE_BODY:
            answer = answer[: len(answer) // 2]
            request.close_connection = True
        request.wfile.write(answer)

    def _ask_upstream(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self._upstream, timeout=30)
        try:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    @staticmethod
    def _answer_503(request: BaseHTTPRequestHandler) -> None:
        text = b"<Error><Code>SlowDown</Code></Error>"
        request.send_response_only(503)
        request.send_header("Content-Length", str(len(text) if request.command != "HEAD" else 0))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(text)


class SilentProxy:
    """Passes the bytes of any protocol on, and on demand keeps them for a while: a network that swallows packets."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._flows = threading.Event()
        self._flows.set()
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def silent_for(self, seconds: float) -> None:
        """Nothing passes for so long; then everything that waited does."""
        self._flows.clear()
        threading.Timer(seconds, self._flows.set).start()

    def __enter__(self) -> SilentProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flows.set()
        for each in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._upstream)
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either side has gone
            while part := source.recv(65536):
                self._flows.wait()
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)
