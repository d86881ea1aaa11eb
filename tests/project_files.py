"""Files of a project that tests share: how to put them there, and how to make them older than the clock's grain."""

from __future__ import annotations

import os
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x01\x08\0\0\0\0"
OLD = 1_600_000_000_000_000_000  # nanoseconds: long before any test


def put(root: Path, *names: str, data: bytes | None = None, mtime: int | None = OLD) -> None:
    """Write files, by default of the bytes `FOLDER/NAME`, with a time long ago, or, with None, of now."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(f"{path.parent.name}/{path.name}") if data is None else data)
        if mtime is not None:
            os.utime(path, ns=(mtime, mtime))
