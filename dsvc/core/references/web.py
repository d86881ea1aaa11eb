"""Places on web servers: what a URL tells of its bytes, and the bytes, by Python's own client.

Nothing of a redirect's target is ever shown: it may be signed.
"""

from __future__ import annotations

import functools
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import IO, Any
from urllib.parse import quote

from dsvc.core.references.places import PIECE, Look, PlaceError, Source

TIMEOUT = 30.0  # seconds without an answer
PAUSES = (0.3, 1.5)  # seconds before a request that went wrong in passing is sent again

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})
# Servers that answer a HEAD so may well answer a GET.
_NO_HEAD = frozenset({400, 401, 403, 405, 406, 501})
_SAFE = "%/:=&?~#+!$,;'@()*[]"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, and asks there what was asked here."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request to send instead."""
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.URLError("leads to a place that is not on the web")
        kept = {name: value for name, value in req.header_items() if name.lower() == "range"}
        return urllib.request.Request(newurl, headers=kept, method=req.get_method())


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https alone, and the proxies that the environment names.

    One for all: making it reads the machine's certificates, which takes longer than most answers.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def look(url: str) -> Look:
    """What a server tells of a URL: by HEAD, or by a GET of the first byte where that is refused.

    Raises PlaceError.
    """
    try:
        with _answer(url, "HEAD") as answer:
            return _look(answer, _length(answer.headers.get("Content-Length")))
    except _StatusError as error:
        if error.status not in _NO_HEAD:
            raise
    with _answer(url, "GET", {"Range": "bytes=0-0"}) as answer:
        size = answer.headers.get("Content-Length")
        if answer.status == 206:
            size = answer.headers.get("Content-Range", "").rpartition("/")[2]
        return _look(answer, _length(size))


@contextmanager
def open_url(url: str) -> Iterator[Source]:
    """Open a URL, as a context. Raises PlaceError, then or while its pieces are taken."""
    with _answer(url, "GET") as answer:
        size = _length(answer.headers.get("Content-Length"))
        coding = answer.headers.get("Content-Encoding", "identity").lower()
        if coding != "identity":
            raise PlaceError(url, "refused", f"the server packs its bytes ({coding}), so they are not those of a file")
        yield Source(_look(answer, size), _pieces(url, answer, size))


def _pieces(url: str, answer: http.client.HTTPResponse, size: int | None) -> Iterator[bytes]:
    read = 0
    try:
        while piece := answer.read(PIECE):
            read += len(piece)
            yield piece
    except (OSError, http.client.HTTPException) as error:
        raise PlaceError(url, "unreachable", f"the connection broke after {read:,} bytes: {_why(error)}") from error
    if size is not None and read != size:
        raise PlaceError(url, "unreachable", f"the server sent {read:,} of {size:,} bytes")


class _StatusError(PlaceError):
    """A server's answer that is no success."""

    def __init__(self, url: str, status: int) -> None:
        self.status = status
        if status in _GONE:
            super().__init__(url, "gone", f"is not there: the server answers {status}")
        else:
            words = http.client.responses.get(status, "")
            trouble = "refused" if 400 <= status < 500 and status not in _PASSING else "unreachable"
            super().__init__(url, trouble, f"the server answers {status} {words}".rstrip())  # type: ignore[arg-type]


def _answer(url: str, method: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """A server's answer; asked again where it goes wrong in passing."""
    for pause in (*PAUSES, None):
        try:
            return _ask(url, method, headers or {})
        except PlaceError as error:
            passing = error.status in _PASSING if isinstance(error, _StatusError) else error.trouble == "unreachable"
            if pause is None or not passing:
                raise
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _ask(url: str, method: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(quote(url, safe=_SAFE), headers=headers, method=method)
        answer: http.client.HTTPResponse = _opener().open(request, timeout=TIMEOUT)
        return answer
    except urllib.error.HTTPError as error:
        error.close()
        raise _StatusError(url, error.code) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PlaceError(url, "unreachable", f"cannot be reached: {_why(error)}") from error


def _why(error: BaseException) -> str:
    cause = getattr(error, "reason", None)
    if isinstance(error, TimeoutError) or isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError):
        error = cause
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(cause) if isinstance(cause, str) else type(error).__name__


def _look(answer: http.client.HTTPResponse, size: int | None) -> Look:
    etag = answer.headers.get("ETag") or None
    return Look(size, etag, None if etag else _moment(answer.headers.get("Last-Modified")))


def _length(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _moment(text: str | None) -> int | None:
    """A date of a header in nanoseconds since 1970."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * 1_000_000_000 if text else None
    except (ValueError, OverflowError, TypeError):
        return None
