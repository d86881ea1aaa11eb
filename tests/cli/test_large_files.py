"""A large file on the command line: it is like any other, only that little of it is stored twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

MIB = 1 << 20
LARGE = blake3(b"large").digest(length=18 * MIB)


def stored(project: Path) -> int:
    return sum(path.stat().st_size for path in (project / ".dsvc").rglob("*") if path.is_file())


def test_a_large_file_from_end_to_end(tmp_path: Path, dsvc: Callable[..., Any]) -> None:
    dsvc("init")
    dsvc("create", "films")
    path = tmp_path / "film.bin"
    path.write_bytes(LARGE)
    dsvc("add", path)
    dsvc("commit", "-m", "one", "--author", "Ada <ada@example.org>")
    media = json.loads(dsvc("show", "film.bin", "--json").out)["input"]["media"]
    assert media["size"] == 18 * MIB and media["blob"] == blake3(LARGE).hexdigest()
    assert len(media["chunks"]) == 64 and media["chunks"] != media["blob"]
    before = stored(tmp_path)
    path.write_bytes(LARGE[: 7 * MIB] + b"one more scene" + LARGE[7 * MIB :])
    assert dsvc("add", path).code == 0
    dsvc("commit", "-m", "two", "--author", "Ada <ada@example.org>")
    assert stored(tmp_path) - before < 4 * MIB
    path.unlink()
    dsvc("checkout", "films:main~1", "laid")
    assert [found.read_bytes() for found in (tmp_path / "laid").rglob("film.bin")] == [LARGE]
    assert dsvc("check", "--media").code == 0


def test_a_damaged_chunk_is_named_with_the_file(tmp_path: Path, dsvc: Callable[..., Any]) -> None:
    dsvc("init")
    dsvc("create", "films")
    (tmp_path / "film.bin").write_bytes(LARGE)
    dsvc("add", tmp_path / "film.bin")
    dsvc("commit", "-m", "one", "--author", "Ada <ada@example.org>")
    pack = max((tmp_path / ".dsvc" / "packs").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[8 * MIB] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)
    found = dsvc("check", code=None)
    assert found.code != 0 and blake3(LARGE).hexdigest() in found.out + found.err
    broken = dsvc("checkout", "films", "laid", code=None)
    assert broken.code != 0 and not list((tmp_path / "laid").rglob("film.bin"))
