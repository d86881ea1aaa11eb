"""A reverse proxy on loopback that counts what passes, slows it down, and breaks chosen requests.

    with Proxy(bucket.endpoint) as proxy:
        proxy.break_at(3, "lost")
        ...  # work against proxy.url
        assert proxy.requests == 7 and proxy.bytes_up < 200_000

Bytes are those of the requests' and answers' bodies and headers, as they pass.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, NamedTuple, Self
from urllib.parse import urlsplit

# What becomes of a request: the connection is closed before it is passed on; it is passed on and the answer is lost;
# half of the answer's body arrives; it waits; the server seems to say that it failed, or that it is busy.
How = Literal["drop", "lost", "half", "delay", 500, 503]
HOWS: tuple[How, ...] = ("drop", "lost", "half", "delay", 500, 503)

_PIECE = 64 << 10
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "proxy-connection", "te", "trailer", "upgrade"})


class Passed(NamedTuple):
    """One request that came: its number from 1, method, path with query, status (0 where none was sent) and bytes."""

    number: int
    method: str
    path: str
    status: int
    up: int
    down: int


class Proxy:
    """A reverse proxy for the server at `target`, from `with` to its end.

    Headers that `without` names, in lower case, are not passed on. `latency` is seconds before each answer,
    `bandwidth` bytes a second each way for each connection, `delay` the seconds that a request which is broken by
    "delay" waits.
    """

    def __init__(
        self,
        target: str,
        latency: float = 0.0,
        bandwidth: float | None = None,
        delay: float = 0.3,
        without: tuple[str, ...] = (),
    ) -> None:
        self.target = target
        self.without = without
        self.latency = latency
        self.bandwidth = bandwidth
        self.delay = delay
        self.passed: list[Passed] = []
        self._breaks: dict[int, How] = {}
        self._then: dict[int, Callable[[], object]] = {}
        self._awaited: tuple[str, str, How, Callable[[], object] | None] | None = None
        self._broken = 0
        self._number = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def break_at(self, number: int, how: How, times: int = 1, then: Callable[[], object] | None = None) -> None:
        """Break the `number`-th request from now on (1 is the next), and those that follow it, `times` in all.

        `then` is done after the first of them was passed on, or was not, and before the client learns of it.
        """
        with self._lock:
            if then is not None:
                self._then[self._number + number] = then
            self._breaks.update({self._number + number + more: how for more in range(times)})

    def break_next(self, method: str, end: str, how: How, then: Callable[[], object] | None = None) -> None:
        """Break the next request of a method whose path ends so; `then` as above."""
        self._awaited = (method, end, how, then)

    def reset(self) -> None:
        """Count from zero again; nothing is broken any more."""
        with self._lock:
            self.passed.clear()
            self._breaks.clear()
            self._then.clear()
            self._awaited = None
            self._number = self._broken = 0

    @property
    def requests(self) -> int:
        """How many requests have come."""
        return self._number

    @property
    def broken(self) -> int:
        """How many of them were broken."""
        return self._broken

    @property
    def methods(self) -> Counter[str]:
        """How many requests of each method were answered or broken."""
        return Counter(one.method for one in list(self.passed))

    @property
    def bytes_up(self) -> int:
        """Bytes that went to the server."""
        return sum(one.up for one in list(self.passed))

    @property
    def bytes_down(self) -> int:
        """Bytes that came from the server."""
        return sum(one.down for one in list(self.passed))

    def begin(self, method: str, path: str) -> tuple[int, How | None]:
        """The number of a request that has come, and how it is to be broken."""
        with self._lock:
            self._number += 1
            how = self._breaks.pop(self._number, None)
            if self._awaited and method == self._awaited[0] and path.partition("?")[0].endswith(self._awaited[1]):
                (_, _, how, then), self._awaited = self._awaited, None
                self._then[self._number] = then or (lambda: None)
            self._broken += how is not None
            return self._number, how

    def follow(self, number: int) -> None:
        """Do what was asked for after a request."""
        if then := self._then.pop(number, None):
            then()

    def pause(self, count: int) -> None:
        """Take the time that so many bytes need."""
        if self.bandwidth:
            time.sleep(count / self.bandwidth)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections are broken on purpose here."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    parts = urlsplit(proxy.target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else answers wait for an acknowledgement, 40 ms each

        def handle_any(self) -> None:
            number, how = proxy.begin(self.command, self.path)
            if how == "drop":
                self._note(number, 0, 0, 0)
                proxy.follow(number)
                self._cut()
                return
            body = self._read()
            up = len(body) + _size(self.headers) + len(self.requestline) + 2
            if how in (500, 503):
                proxy.follow(number)
                self.send_error(how, "as the test asked")
                self._note(number, how, up, 0)
                return
            if how == "delay":
                time.sleep(proxy.delay)
            answer, data = self._forward(body)
            proxy.follow(number)
            time.sleep(proxy.latency)
            if how == "lost":
                self._note(number, 0, up, 0)
                self._cut()
                return
            down = _size(answer.headers) + len(data)
            self._note(number, answer.status, up, down)
            self._answer(answer, data, half=how == "half")

        def _note(self, number: int, status: int, up: int, down: int) -> None:
            proxy.passed.append(Passed(number, self.command, self.path, status, up, down))

        def _read(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                pieces = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            left, pieces = int(self.headers.get("Content-Length", 0)), []
            while left and (piece := self.rfile.read(min(left, _PIECE))):
                pieces.append(piece)
                left -= len(piece)
                proxy.pause(len(piece))
            return b"".join(pieces)

        def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in (*_HOP, *proxy.without)}
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, body or None, kept)
                answer = connection.getresponse()
                return answer, answer.read()

        def _answer(self, answer: http.client.HTTPResponse, data: bytes, half: bool) -> None:
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP and name.lower() != "content-length":
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else str(len(data))
            if length is not None:
                self.send_header("Content-Length", length)
            self.end_headers()
            sent = data[: len(data) // 2] if half else data
            for at in range(0, len(sent), _PIECE):
                proxy.pause(len(sent[at : at + _PIECE]))
                self.wfile.write(sent[at : at + _PIECE])
            if half:
                self._cut()

        def _cut(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            self.send_response_only(code, message)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 (names that the server calls)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _size(headers: object) -> int:
    return len(str(headers).encode("utf-8", "replace"))
