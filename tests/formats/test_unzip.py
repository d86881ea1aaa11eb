"""Archives that cannot be trusted: each gets one error that names the entry."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.formats import unzip
from dsvc.formats.archive import kind_of
from dsvc.formats.unzip import Archive
from dsvc.formats.zip import ZipWriter


def packed(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return file.getvalue()


def opened(data: bytes) -> Archive:
    return Archive(memoryview(data), "x.zip")


def read_all(data: bytes) -> dict[str, bytes]:
    archive = opened(data)
    found = {}
    for name in archive.entries:
        with archive.open(name) as view:
            found[name] = bytes(view)
    return found


def refused(data: bytes) -> str:
    with pytest.raises(InvalidRecordsError) as caught:
        read_all(data)
    return caught.value.message


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries_are_what_they_were(method: int, tmp_path: Path) -> None:
    entries = {"mimetype": b"x", "all/é": b"abc" * 1_000_000, "empty": b""}
    data = packed(*entries.items(), method=method)
    assert read_all(data) == entries
    opened(data).extract(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in entries} == entries


def test_folders_are_no_entries() -> None:
    assert list(opened(packed(("a/", b""), ("a/b", b"x"))).entries) == ["a/b"]


def test_archives_with_64_bit_sizes() -> None:
    file = io.BytesIO()
    writer = ZipWriter(file)
    writer.begin("a", None)
    writer.write(b"content")
    writer.end()
    writer.close()
    assert read_all(file.getvalue()) == {"a": b"content"}


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "/etc/passwd", "C:\\a", "a\\..\\b", "a//b", "./a", "..", "\\\\host\\a"]
)
def test_names_that_lead_out(name: str) -> None:
    assert "which would lie outside" in refused(packed((name, b"x")))


def test_a_name_that_comes_twice() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = packed(("a", b"1"), ("a", b"2"))
    assert refused(data) == "x.zip: a is there twice"


def test_every_cut_is_told() -> None:
    data = packed(("mimetype", b"application"), ("all/000000_n1", b"content" * 50))
    for size in range(len(data)):
        assert refused(data[:size]).startswith("x.zip")


def test_every_changed_byte_is_told_or_changes_nothing() -> None:
    entries = (("mimetype", b"application"), ("all/1", b"content" * 5))
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = packed(*entries, method=method)
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 0x55
            try:
                found = read_all(bytes(changed))
            except InvalidRecordsError:
                continue
            # Times, permissions, and what nobody reads; a name may only change in both of its places.
            assert dict(entries).items() >= {n: d for n, d in found.items() if n in dict(entries)}.items()


def patched(data: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert old in data
    return data.replace(old, new, count)


def test_encrypted() -> None:
    data = bytearray(packed(("a", b"x")))
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1
    assert refused(bytes(data)) == "x.zip: a is encrypted"


def test_methods_that_are_not_known() -> None:
    assert "packed by a method that is not known here (12)" in refused(packed(("a", b"x"), method=zipfile.ZIP_BZIP2))


def sizes(data: bytes, real: int, said: int) -> bytes:
    """The archive of one entry, which says another size of itself."""
    return patched(data, struct.pack("<I", real), struct.pack("<I", said))


def test_sizes_that_lie() -> None:
    content = bytes(range(256)) * 1000
    data = packed(("a", content))
    assert "is longer than the 4,660 bytes that it says" in refused(sizes(data, len(content), 0x1234))
    assert "is cut short: it has 256,000 of 1,193,046 bytes" in refused(sizes(data, len(content), 0x123456))
    stored = packed(("a", content), method=zipfile.ZIP_STORED)
    directory = stored.index(b"PK\x01\x02")
    lying = stored[: directory + 24] + struct.pack("<I", 5) + stored[directory + 28 :]
    assert refused(lying) == "x.zip: a says two sizes of itself"


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unzip, "HARMLESS", 1 << 20)
    assert "as a ZIP bomb does" in refused(packed(("a", bytes(2 << 20))))
    # Many small ones together.
    assert "as a ZIP bomb does" in refused(packed(*((str(number), bytes(1 << 19)) for number in range(5))))


def test_entries_that_share_their_bytes() -> None:
    """As in bombs whose entries all lie over one kernel."""
    data = packed(("a", b"x" * 1000), ("b", b"x" * 1000))
    second = struct.pack("<I", data.index(b"PK\x03\x04", 4))
    directory = data.index(b"PK\x01\x02")
    assert "lies over another entry" in refused(data[:directory] + patched(data[directory:], second, bytes(4)))


def test_names_that_are_files_and_folders_at_once(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"x\.zip cannot be unpacked: "):
        opened(packed(("a", b"x"), ("a/b", b"y"))).extract(tmp_path)


def test_bytes_that_lie_beyond_the_archive() -> None:
    data = packed(("a", b"x" * 10), method=zipfile.ZIP_STORED)
    directory = data.index(b"PK\x01\x02")
    longer = struct.pack("<II", 10_000, 10_000)
    lying = data[:directory] + patched(data[directory:], struct.pack("<II", 10, 10), longer)
    assert "is cut short" in refused(lying)


def test_checksums() -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = packed(("a", b"some content"), method=method)
        wrong = patched(data, struct.pack("<I", zlib.crc32(b"some content")), bytes(4))
        assert refused(wrong) == "x.zip: a is damaged: its checksum is wrong"


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([], "x.zip is an archive without entries"),
        ([("a.txt", b"")], "it holds a.txt"),
        ([(f"{n}\n.png", b"") for n in range(9)], "it holds 0\\n.png, 1\\n.png, 2\\n.png and 6 more"),
    ],
)
def test_what_is_in_another_archive_is_told(entries: list[tuple[str, bytes]], text: str) -> None:
    with pytest.raises(InvalidRecordsError) as caught:
        kind_of(memoryview(packed(*entries)), "x.zip")
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mimetype", "clarifai"),
        ("annotations/instances.json", "coco"),
        ("train/_annotations.coco.json", "coco"),
        ("set/train/_annotations.coco.json", "coco"),
        ("set/annotations/instances_val.json", "coco"),
        ("instances.json", "coco"),
    ],
)
def test_what_is_recognised(name: str, kind: str) -> None:
    assert kind_of(memoryview(packed((name, b"{}"))), "x.zip") == kind
