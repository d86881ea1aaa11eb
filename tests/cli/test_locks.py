"""Commands where locks don't work: writing is refused and says what to do, reading goes on."""

import errno
import os
from pathlib import Path

import pytest

fcntl = pytest.importorskip("fcntl", reason="flock is of Unix")


def test_writing_is_refused_and_reading_works(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    before = (project / ".dsvc/head").read_bytes()
    refused = dsvc("annotate", "a.jpg", "--concept", "bird", code=3)
    assert refused.out == ""
    first, hint = refused.err.splitlines()
    assert first.startswith(f"error: locks don't work on the file system of {project}/.dsvc (")
    assert first.endswith("): No locks available; nothing was changed")
    assert hint == (
        "hint: mount it with locking, or keep the repository on a local disk, "
        "and reach it from other machines through a clone; reading works as it is"
    )
    assert (project / ".dsvc/head").read_bytes() == before
    assert dsvc("show", "v1").out and dsvc("status").out and dsvc("export", "v1", "-o", "out.zip").err == ""
