"""A web server on loopback whose answers a test chooses: what it says to HEAD and GET, and what it was asked."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Web:
    """`files` maps a path to its bytes; `rules` a path to a function that answers for itself; `asked` has all."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.rules: dict[str, Callable[[Any], None]] = {}
        self.asked: list[tuple[str, str]] = []
        self.delay: Callable[[int], float] = lambda number: 0
        self.root = ""

    def url(self, path: str) -> str:
        return self.root + path


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append((self.command, self.path))
            time.sleep(web.delay(len(web.asked)))
            if self.path in web.rules:
                web.rules[self.path](self)
                return
            data = web.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            if self.path in web.etags:
                self.send_header("ETag", web.etags[self.path])
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # several ask at once, and one who finds no place waits a second

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked may be gone: tests kill and break off."""


@contextmanager
def serving() -> Iterator[Web]:
    web = Web()
    server = _Server(("127.0.0.1", 0), _handler(web))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    web.root = f"http://127.0.0.1:{server.server_port}"
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
