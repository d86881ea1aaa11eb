"""Servers on loopback that answer as Google Cloud Storage and Azure Blob Storage do, as far as a repository asks.

What differs from S3 is what matters: Google writes on the condition of a generation and says 404 where nothing is to be
deleted; Azure says 409 where a blob exists, and deletes many in one multipart request.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "box"


class Held(NamedTuple):
    """An object: its bytes, its number among all that were written, and when that was."""

    data: bytes
    number: int
    time: datetime

    @property
    def etag(self) -> str:
        """What names this content; every write has another one."""
        return f'"0x{self.number:X}"'


class Cloud:
    """The objects of a bucket, by path."""

    def __init__(self) -> None:
        self.objects: dict[str, Held] = {}
        self.numbers = itertools.count(1000)
        self.lock = threading.Lock()
        self.root = ""

    def keep(self, path: str, data: bytes) -> Held:
        """Write an object."""
        held = self.objects[path] = Held(data, next(self.numbers), datetime.now(UTC))
        return held

    def google(self) -> Any:
        """A client of obstore that takes this for Google."""
        from obstore.store import GCSStore

        return GCSStore(
            BUCKET,
            base_url=self.root,
            credential_provider=lambda: {"token": "t", "expires_at": None},
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def azure(self) -> Any:
        """A client of obstore that takes this for Azure."""
        from obstore.store import AzureStore

        return AzureStore(
            BUCKET,
            account_name="team",
            endpoint=f"{self.root}/azure",
            skip_signature=True,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )


def _handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            path = unquote(parts.path).lstrip("/")
            self.is_azure = path.startswith("azure/")
            path = path.removeprefix("azure/").removeprefix(BUCKET).lstrip("/")
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            with cloud.lock:
                self.answer(*self.act(path, query, body))

        def act(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
            """Do what is asked: the status, body and headers of the answer."""
            if query.get("comp") == "batch":
                return self.delete_many(body)
            if not path:
                return self.list(query)
            if self.command == "PUT":
                return self.put(path, body)
            held = cloud.objects.get(path)
            if held is None:
                return 404, b"", {}
            if self.command == "DELETE":
                del cloud.objects[path]
                return 202 if self.is_azure else 204, b"", {}
            return self.get(held)

        def put(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            held = cloud.objects.get(path)
            if self.is_azure:
                if self.headers.get("If-None-Match") == "*" and held:
                    return 409, b"<Error><Code>BlobAlreadyExists</Code></Error>", {}
                if (wanted := self.headers.get("If-Match")) and (held is None or held.etag != wanted):
                    return 412, b"<Error><Code>ConditionNotMet</Code></Error>", {}
            else:
                wanted = self.headers.get("x-goog-if-generation-match")
                if wanted is not None and int(wanted) != (held.number if held else 0):
                    return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
            return 201 if self.is_azure else 200, b"", self.told(cloud.keep(path, body))

        def told(self, held: Held) -> dict[str, str]:
            told = {"ETag": held.etag, "Last-Modified": format_datetime(held.time, usegmt=True)}
            return told if self.is_azure else told | {"x-goog-generation": str(held.number)}

        def get(self, held: Held) -> tuple[int, bytes, dict[str, str]]:
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if found is None:
                return 200, held.data, self.told(held)
            start = int(found[1])
            if start >= len(held.data):
                return 416, b"", {}
            part = held.data[start : int(found[2]) + 1 if found[2] else None]
            span = f"bytes {start}-{start + len(part) - 1}/{len(held.data)}"
            return 206, part, self.told(held) | {"Content-Range": span}

        def delete_many(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            answers = []
            for id, path in re.findall(rb"Content-ID: (\d+)\r\n\r\nDELETE /azure/box/(\S+) HTTP", body):
                gone = cloud.objects.pop(unquote(path.decode()), None) is None
                said = b"404 The specified blob does not exist." if gone else b"202 Accepted"
                code = b"x-ms-error-code: BlobNotFound\r\n" if gone else b""
                answers.append(
                    b"--part\r\nContent-Type: application/http\r\nContent-ID: " + id + b"\r\n\r\n"
                    b"HTTP/1.1 " + said + b"\r\n" + code + b"Content-Length: 0\r\n\r\n\r\n"
                )
            return 202, b"".join(answers) + b"--part--\r\n", {"Content-Type": "multipart/mixed; boundary=part"}

        def list(self, query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
            prefix, mark = query.get("prefix", ""), query.get("delimiter")
            files, folders = [], set()
            for path in sorted(cloud.objects):
                if path.startswith(prefix):
                    below = path[len(prefix) :]
                    if mark and mark in below:
                        folders.add(prefix + below.partition(mark)[0] + mark)
                    else:
                        files.append((path, cloud.objects[path]))
            return 200, (_azure_list if self.is_azure else _google_list)(files, sorted(folders)).encode(), {}

        def answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 (names that the server calls)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _google_list(files: list[tuple[str, Held]], folders: list[str]) -> str:
    rows = "".join(
        f"<Contents><Key>{escape(path)}</Key><Size>{len(held.data)}</Size><ETag>{held.etag}</ETag>"
        f"<LastModified>{held.time.isoformat()}</LastModified></Contents>"
        for path, held in files
    )
    rows += "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders)
    return f"<ListBucketResult>{rows}</ListBucketResult>"


def _azure_list(files: list[tuple[str, Held]], folders: list[str]) -> str:
    rows = "".join(
        f"<Blob><Name>{escape(path)}</Name><Properties><Content-Length>{len(held.data)}</Content-Length>"
        f"<Last-Modified>{format_datetime(held.time, usegmt=True)}</Last-Modified><Etag>{held.etag}</Etag>"
        "<Content-Type>application/octet-stream</Content-Type></Properties></Blob>"
        for path, held in files
    )
    rows += "".join(f"<BlobPrefix><Name>{escape(folder)}</Name></BlobPrefix>" for folder in folders)
    return f"<EnumerationResults><Blobs>{rows}</Blobs><NextMarker/></EnumerationResults>"


@contextmanager
def serving() -> Iterator[Cloud]:
    """Start a server for both kinds of clients."""
    cloud = Cloud()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cloud))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    cloud.root = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cloud
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
