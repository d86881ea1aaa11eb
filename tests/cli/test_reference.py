"""dsvc add --reference and dsvc materialize, as they are typed: what they print, and their exit codes."""

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

NEXT = "next: dsvc commit -m TEXT\n"


def picture(color: int = 0) -> bytes:
    """What a PNG file of 4 x 3 pixels begins with, and a byte that tells one from another."""
    header = struct.pack(">IIBBBBB", 4, 3, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + bytes([color]) * 7


@pytest.fixture
def nas(project: Path) -> Path:
    """A folder beside the project, with two pictures."""
    folder = project.parent / "nas" / "photos"
    folder.mkdir(parents=True)
    (folder / "one.png").write_bytes(picture(color=1))
    (folder / "two.png").write_bytes(picture(color=2))
    return folder


def test_the_story(dsvc, nas: Path) -> None:
    place, size = f"{nas}/one.png", len(picture())
    os.utime(place, (0, 1_714_564_800))
    result = dsvc("add", "--reference", "--no-hash", "../nas/photos")
    assert (result.out, result.err) == (f"2 references added\n{NEXT}", "")
    line = f"  media: image/png, {size} bytes, at {place}, mtime 2024-05-01T12:00:00Z, not hashed yet\n"
    assert line in dsvc("show", "photos/one.png").out
    assert dsvc("add", "--reference", "../nas/photos").out == f"2 changed\n{NEXT}"
    assert dsvc("add", "--reference", "../nas/photos").out == "2 unchanged\n"
    shown = dsvc("show", "photos/one.png").out
    assert f"image/png, 4 x 3, {size} bytes, at {place}, mtime 2024-05-01T12:00:00Z, hash " in shown
    assert "elsewhere, by reference: 2 files\n" in dsvc("show").out
    assert dsvc("materialize", "photos/one.png", "--dry-run").out == f"would copy 1 input, {size} bytes\n"
    assert dsvc("materialize", "photos/one.png").out == f"copied 1 input, {size} bytes\n{NEXT}"
    assert dsvc("materialize", "--all").out == f"copied 1 input, {size} bytes; 3 held already\n{NEXT}"
    assert dsvc("materialize", "--all").out == "copied nothing; 4 held already\n"
    assert "elsewhere" not in dsvc("show").out


def test_what_cannot_be_taken_is_named(dsvc, nas: Path) -> None:
    os.mkfifo(nas / "pipe")
    result = dsvc("add", "--reference", nas, code=1)
    assert result.out == f"2 references added\n{NEXT}"
    reason = "is a named pipe, and only regular files are read"
    assert result.err == f"error: 1 file could not be taken\n  {nas}/pipe: {reason}\n"
    result = dsvc("add", "--reference", nas / "pipe", code=3)
    assert result.err == (
        f"error: nothing could be taken\n  {nas}/pipe: {reason}\nhint: mend what is named here, and add it again\n"
    )
    result = dsvc("add", "--reference", nas / "none", code=4)
    assert result.err == f"error: {nas}/none: there is no such file or folder\n"


def test_stored_bytes_stay(dsvc, nas: Path) -> None:
    (nas / "a.jpg").write_bytes(picture(color=9))
    result = dsvc("add", "--reference", nas / "a.jpg", "--root", nas, code=3)
    assert f"  {nas}/a.jpg: the input 'a.jpg' has other bytes, which are stored: " in result.err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--no-hash", "x"), "--no-hash goes with --reference"),
        (("--from", "x"), "--from goes with --reference"),
        (("--reference",), "no path is named"),
        ((), "no path is named"),
        (("https://ada:secret@h/x",), "https://h/x is a URL"),
    ],
)
def test_options_that_do_not_go_together(dsvc, project: Path, arguments: tuple[str, ...], error: str) -> None:
    result = dsvc("add", *arguments, code=2)
    assert result.err.startswith(f"error: {error}\nhint: ") and "secret" not in result.err


def test_secrets_are_neither_kept_nor_shown(dsvc, project: Path) -> None:
    for url in ("https://h/x?X-Amz-Signature=pass1234", "https://ada:pass1234@h/x", "s3://ada:pass1234@b/x"):
        result = dsvc("add", "--reference", url, code=3)
        assert "pass1234" not in result.err and "is not kept" in result.err
    assert "pass1234" not in dsvc("op", "log").out


def test_a_list_from_a_file_or_standard_input(dsvc, nas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"# both\n{nas}/one.png\tfirst.png\n{nas}/two.png\n"
    Path("list.txt").write_text(text)
    assert dsvc("add", "--reference", "--from", "list.txt").out == f"2 references added\n{NEXT}"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert dsvc("add", "--reference", "--from", "-").out == "2 unchanged\n"
    assert {"first.png", "photos/two.png"} < set(dsvc("show", "--inputs").out.split())
    Path("list.txt").write_text("ftp://h/x\n")
    result = dsvc("add", "--reference", "--from", "list.txt", code=3)
    assert result.err == (
        "error: list.txt: 1 error\n  line 1: ftp://h/x: no place of this kind is known\n"
        "hint: nothing was taken; mend these lines\n"
    )
    assert "there is no such file" in dsvc("add", "--reference", "--from", "none.txt", code=4).err
    assert "Is a directory" in dsvc("add", "--reference", "--from", nas, code=3).err


def test_json(dsvc, nas: Path) -> None:
    os.mkfifo(nas / "pipe")
    found = json.loads(dsvc("add", "--reference", nas, "--json", code=1).out)
    problem = {"path": f"{nas}/pipe", "reason": "is a named pipe, and only regular files are read"}
    counts = {"new": 2, "changed": 0, "unchanged": 0, "left_out": {"hidden": 0, "ignored": 0, "other": 0}}
    assert found == {"dataset": "pets", **counts, "problems": [problem], "resumed": 0}
    media = json.loads(dsvc("show", "photos/one.png", "--json").out)["input"]["media"]
    assert media["reference"]["place"] == f"{nas}/one.png" and len(media["reference"]["hash"]) == 64
    (nas / "two.png").unlink()
    found = json.loads(dsvc("materialize", "--all", "--on-error", "skip", "--json", code=1).out)
    problem = {"key": "photos/two.png", "reason": f"{nas}/two.png: is not there"}
    size = len(picture())
    head = {"dataset": "pets", "dry_run": False, "inputs": ["photos/one.png"], "bytes": size, "held": 2}
    assert found == {**head, "problems": [problem]}


def test_what_changed_is_refused(dsvc, nas: Path) -> None:
    dsvc("add", "--reference", nas)
    dsvc("commit", "-m", "photos", "--author", "Ada <ada@example.org>")
    (nas / "one.png").write_bytes(picture(color=7))
    result = dsvc("materialize", "--all", code=3)
    assert result.err == (
        "error: the bytes of 1 input cannot be copied\n"
        f"  photos/one.png: {nas}/one.png: has other bytes than when it was added\n"
        "hint: nothing was copied; copy the rest: --on-error skip, or refer to what is there now: "
        "dsvc add --reference\n"
    )
    result = dsvc("export", "--format", "coco", "--media", "-o", "out", code=3)
    assert result.err == (
        f"error: photos/one.png: {nas}/one.png: has other bytes than when it was added\n"
        f"hint: where it is meant to be so: dsvc add --reference {nas}/one.png\n"
    )
    assert not Path("out").exists()


def test_inputs_are_named_in_one_way(dsvc, project: Path) -> None:
    for arguments in ((), ("a.jpg", "--all"), ("--all", "--where", "true")):
        assert dsvc("materialize", *arguments, code=2).err.startswith("error: name the inputs in one way\n")
    assert "no input 'none' in the dataset" in dsvc("materialize", "none", code=4).err


def references(project: Path) -> list[Path]:
    return sorted((project / ".dsvc" / "cache").glob("references-*"))


def test_a_killed_run_goes_on_where_it_stopped(dsvc, project: Path, web: Any) -> None:
    web.files = {f"/set/{number:03}.png": b"%d" % number for number in range(300)}
    Path("list.txt").write_text("".join(web.url(path) + "\n" for path in web.files))
    # The first hundred come at once, and the rest so slowly that the run is killed among them.
    web.delay = lambda number: 0 if number <= 100 else 0.3
    command = [sys.executable, "-m", "dsvc.cli.main", "add", "--reference", "--from", "list.txt"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(2000):
        if process.poll() is not None or (references(project) and references(project)[0].stat().st_size > 3000):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (-signal.SIGKILL, "", "")
    assert "nothing staged" in dsvc("status").out and len(references(project)) == 1
    web.delay = lambda number: 0
    web.asked.clear()
    result = dsvc("add", "--reference", "--from", "list.txt")
    assert re.fullmatch(r"going on with \d+ references of an earlier run\n", result.err)
    assert result.out == f"300 references added\n{NEXT}" and references(project) == []
    assert f"{web.url('/set/000.png')}" in dsvc("show", "set/000.png").out
    assert not {path for _, path in web.asked} & {f"/set/{number:03}.png" for number in range(60)}
