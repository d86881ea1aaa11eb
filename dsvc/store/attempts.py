"""Requests to an object store: what its errors mean, and trying again where the trouble passes.

The client's long texts are never shown: they may hold signed addresses, and answers that repeat a key's id.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from dsvc.errors import DsvcError, NotFoundError, RemoteError

T = TypeVar("T")

PATIENCE = 60.0  # seconds of new attempts at a place that has answered before
FIRST_PATIENCE = 6.0  # the same at a place that never has: a name or a port may be wrong
PAUSE = 0.2  # seconds before the second attempt at most; doubles with each
_LONGEST = 8.0
_AT_ONCE = 1.0  # seconds

_STATUS = re.compile(r"status code: (\d{3})(?: ([A-Za-z -]+))?")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_REGION = re.compile(r"expecting '([a-z0-9-]{1,40})'")
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_DENIED = frozenset({"PermissionDeniedError", "UnauthenticatedError"})
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_METADATA = ("169.254.169.254", "169.254.170.2", "metadata.google.internal", "/computeMetadata/")
# What a client's text holds, and how that is told.
_BROKEN = (
    ("dns error", "its name is not known"),
    ("ConnectionRefused", "nothing answers there"),
    ("certificate", "its certificate is not trusted"),
    ("TimedOut", "no answer in time"),
    ("IncompleteBody", "the connection broke"),
    ("IncompleteMessage", "the connection broke"),
    ("ConnectionReset", "the connection broke"),
    ("BrokenPipe", "the connection broke"),
)
CREDENTIALS_HINT = "log in with the cloud's own tools (S3: aws configure, or AWS_PROFILE), and see your rights there"


class RefusedConditionError(DsvcError):
    """A conditional write that was not done; `is_doubtful` where an attempt before it may have been."""

    def __init__(self, place: str, is_doubtful: bool) -> None:
        super().__init__(f"{place}: another one wrote first", "run the command again")
        self.is_doubtful = is_doubtful


class Trouble(NamedTuple):
    """What an error of the client means: whether it may pass, what is wrong as the end of a sentence, and a hint."""

    passing: bool
    what: str
    hint: str


def is_missing(error: Exception) -> bool:
    """Whether an error says that the object is not there, and not that the bucket isn't."""
    return isinstance(error, FileNotFoundError) and not any(mark in str(error) for mark in _NO_BUCKET)


def is_refused_condition(error: Exception) -> bool:
    """Whether a conditional write was refused because the object is another one by now.

    That another one writes it just then (409 at S3) does not yet say who wins.
    """
    conflict = status_of(str(error)) == 409 and "BlobAlreadyExists" not in str(error)
    return type(error).__name__ in ("AlreadyExistsError", "PreconditionError") and not conflict


def is_beyond_end(error: Exception) -> bool:
    """Whether a range that was asked for begins behind the object's last byte."""
    text = str(error)
    return status_of(text) == 416 or "StartTooLarge" in text


def status_of(text: str) -> int | None:
    """The status of the answer that an error's text tells of."""
    found = _STATUS.search(text)
    return int(found[1]) if found else None


def read_trouble(error: Exception) -> Trouble:
    """What an error of the client means."""
    text = str(error)
    if any(mark in text for mark in _METADATA):
        return Trouble(False, "no credentials were found", CREDENTIALS_HINT)
    if any(mark in text for mark in _NO_BUCKET):
        return Trouble(False, "there is no such bucket", "see its name, or make it with the cloud's own tools")
    if found := _REGION.search(text):
        return Trouble(False, f"the bucket lies in region {found[1]}", f'say so: region = "{found[1]}" below [s3]')
    if "BareRedirect" in text or "without LOCATION" in text:
        return Trouble(False, "the bucket lies in another region", 'say which: region = "..." below [s3]')
    return _read_status(error, text)


def _read_status(error: Exception, text: str) -> Trouble:
    status, found = status_of(text), _CODE.search(text)
    code = f" ({found[1]})" if found else ""
    if found and found[1] == "RequestTimeTooSkewed":
        return Trouble(False, "this machine's clock is wrong", "set the clock; requests are signed with the time")
    if type(error).__name__ in _DENIED or status in (401, 403) or (found and "Token" in found[1]):
        return Trouble(False, f"the credentials do not allow it{code}", CREDENTIALS_HINT)
    if status is None:
        return _read_connection(error, text)
    passing = status in _PASSING or (status >= 500 and status not in (501, 505))
    words = (_STATUS.search(text) or ("", "", ""))[2] or ""
    hint = "run the command again later" if passing else "see the place's own documentation for what it supports"
    return Trouble(passing, f"it answers {status} {words}".strip() + code, hint)


def _read_connection(error: Exception, text: str) -> Trouble:
    hint = "see that the place can be reached from here, and run the command again"
    for mark, what in _BROKEN:
        if mark in text:
            return Trouble(True, f"cannot be reached: {what}", hint)
    if "HTTP error" in text and "Builder" not in text:
        return Trouble(True, "cannot be reached", hint)
    lines = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    # Of the client itself, such as a key that cannot be read; values are left out.
    told = re.split(r"[:{]", lines[0].partition(" error: ")[2] or lines[0])[0]
    return Trouble(False, f"the client cannot ask: {told.strip()[:80]}", "see its settings and credentials")


_asking: list[int] = []  # the process that asked first, in this one's memory


def _require_own_client() -> None:
    """Raise RemoteError in a process that was forked from one that asked: the client's threads stayed there, and it
    would wait for them for ever."""
    if not _asking:
        _asking.append(os.getpid())
    if _asking[0] != os.getpid():
        message = "a process that was forked from one that reads from a remote cannot read from it"
        raise RemoteError(message, 'start it anew, such as: DataLoader(..., multiprocessing_context="spawn")')


class Attempts:
    """Does requests to one place, which errors name; again after a growing, random pause while the trouble may pass.

    `patience` and `first_patience` bound the time, in seconds, in which new attempts are made; `has_answered` tells
    which one counts. For several threads.
    """

    def __init__(
        self,
        place: str,
        patience: float | None = None,
        first_patience: float | None = None,
        denied_hint: str = CREDENTIALS_HINT,
    ) -> None:
        self.place = place
        self.has_answered = False
        self._denied_hint = denied_hint
        self._patience = PATIENCE if patience is None else patience
        self._first_patience = FIRST_PATIENCE if first_patience is None else first_patience

    def do(self, request: Callable[[], T]) -> T:
        """What the request gives. Raises NotFoundError, RemoteError."""
        _require_own_client()
        pauses = self._pauses()
        while True:
            try:
                found = _interruptibly(request)
            except Exception as error:
                # A bug of ours is no trouble of the place's.
                if not isinstance(error, OSError) and not type(error).__module__.startswith("obstore"):
                    raise
                self._give_up_or_wait(error, pauses)
            else:
                self.has_answered = True
                return found

    def write_if(self, request: Callable[[], T]) -> T:
        """The same for a conditional write. Raises RefusedConditionError where the condition does not hold."""
        attempts = 0

        def ask() -> T:
            nonlocal attempts
            attempts += 1
            try:
                return request()
            except Exception as error:
                if is_refused_condition(error):
                    raise RefusedConditionError(self.place, attempts > 1) from error
                raise

        return self.do(ask)

    def _give_up_or_wait(self, error: Exception, pauses: Iterator[float]) -> None:
        """Raises what the error means, unless it may pass and there is time left."""
        answered = status_of(str(error)) is not None or is_missing(error)
        self.has_answered = self.has_answered or answered
        if is_missing(error):
            raise NotFoundError(f"{self.place}: the file does not exist") from error
        trouble = read_trouble(error)
        pause = next(pauses, None) if trouble.passing else None
        if pause is None:
            raise self.told(error) from error
        time.sleep(pause)

    def _pauses(self) -> Iterator[float]:
        began, longest = time.monotonic(), PAUSE
        while True:
            pause = random.uniform(longest / 2, longest)
            patience = self._patience if self.has_answered else self._first_patience
            if time.monotonic() - began + pause > patience:
                return
            yield pause
            longest = min(longest * 2, _LONGEST)

    def told(self, error: Exception) -> DsvcError:
        """The error for people."""
        if isinstance(error, DsvcError):
            return error
        trouble = read_trouble(error)
        hint = self._denied_hint if trouble.hint == CREDENTIALS_HINT else trouble.hint
        return RemoteError(f"{self.place}: {trouble.what}", hint)


def _interruptibly(request: Callable[[], T]) -> T:
    """What the request gives. The client holds on to the main thread as long as it waits, so that nobody could
    interrupt it; there it is done in another one, which nobody waits for in the end."""
    if threading.current_thread() is not threading.main_thread():
        return request()
    found: list[T] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            found.append(request())
        except BaseException as error:  # handed to the main thread
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="dsvc-ask", daemon=True).start()
    done.wait()
    if failed:
        raise failed[0]
    return found[0]


class PeekedHead:
    """A head that is asked for by `ask`. Opening a place looks at it once; who reads it at once afterwards gets that
    answer, and every other read asks anew."""

    def __init__(self, ask: Callable[[], bytes | None]) -> None:
        self._ask = ask
        self._peeked: tuple[float, bytes | None] | None = None

    def peek(self) -> bytes | None:
        """Ask, and keep the answer for the next read."""
        raw = self._ask()
        self._peeked = time.monotonic(), raw
        return raw

    def read(self) -> bytes | None:
        """The head's bytes; None where there is none."""
        peeked, self._peeked = self._peeked, None
        if peeked is not None and time.monotonic() - peeked[0] < _AT_ONCE:
            return peeked[1]
        return self._ask()
