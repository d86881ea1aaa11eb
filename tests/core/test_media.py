"""Media facts: right for real files, None for broken ones, never an exception, never without bound."""

from __future__ import annotations

import io
import struct
import time
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.core.media import MediaFacts, media_kind, probe

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "images"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 0)
GIF = b"GIF89a" + struct.pack("<HHBBB", 3, 4, 0, 0, 0)


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    return b"\xff\xd8" + before + b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)


def wav(seconds: float, rate: int = 8000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setparams((2, 2, rate, 0, "NONE", ""))
        sound.writeframes(bytes(int(seconds * rate) * 4))
    return out.getvalue()


def bmp(header: int, sides: bytes) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<I", header) + sides + bytes(60)


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (PNG, MediaFacts("image/png", 7, 5)),
        (GIF, MediaFacts("image/gif", 3, 4)),
        (jpeg(640, 480), MediaFacts("image/jpeg", 640, 480)),
        (jpeg(640, 480, b"\xff\xff\xff\xe1\xff\xff" + bytes(65533)), MediaFacts("image/jpeg", 640, 480)),
        (jpeg(640, 480, b"\xff\xc4\0\x09" + bytes(7)), MediaFacts("image/jpeg", 640, 480)),
        (jpeg(640, 0), MediaFacts("image/jpeg")),
        (bmp(40, struct.pack("<ii", 9, -8)), MediaFacts("image/bmp", 9, 8)),
        (bmp(12, struct.pack("<HHHH", 9, 8, 1, 24)), MediaFacts("image/bmp", 9, 8)),
        (wav(1.5), MediaFacts("audio/x-wav", duration=1.5)),
        (wav(1.5)[:-1], MediaFacts("audio/x-wav")),
        (b"", MediaFacts()),
        (b"\x93NUMPY\x01\0", MediaFacts()),
        (PNG[:16] + struct.pack(">II", 2**31, 5) + PNG[24:], MediaFacts("image/png")),
        (PNG[:20], MediaFacts("image/png")),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(50), MediaFacts("video/mp4")),
    ],
)
def test_the_bytes_tell_and_the_name_does_not(data: bytes, facts: MediaFacts) -> None:
    assert probe(data, "liar.csv") == facts
    assert probe(io.BytesIO(data), "liar.txt") == facts


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"BMW and GIF and II*", "a.txt", "text/plain"),
        (b"a,b\n1,2\n", "a.CSV", "text/csv"),
        (b"{}", "x.y/a.json", "application/json"),
        (b"<html>404", "cat.jpg", "text/plain"),
        ("é".encode() * 5000, "a.md", "text/markdown"),
        (b"x" + "é".encode() * 5000, "a.md", "text/markdown"),
        (b"caf\xe9", "a.txt", None),
        (b"a\0b", "a.txt", None),
        (b"<?xml version='1.0'?><svg width='3' height='3'>", "a.svg", "image/svg+xml"),
        (b"%PDF-1.4\n", "a", "application/pdf"),
        (b"P3 2 1 255 0 0 0", "a.txt", "text/plain"),
    ],
)
def test_text_takes_its_type_from_the_name(data: bytes, name: str, kind: str | None) -> None:
    assert probe(data, name) == MediaFacts(kind)


def test_an_anymap_has_its_size() -> None:
    assert probe(b"P6\n# by hand\n20 10\n255\n\xff\0", "a.ppm") == MediaFacts("image/x-portable-pixmap", 20, 10)


_starts = [
    b"",
    PNG,
    GIF,
    jpeg(1, 1),
    wav(0.01),
    b"II*\0\x08\0\0\0\xff\xff",
    b"\0\0\0\x18ftypheic",
    b"RIFF\0\0\0\0WEBPVP8X",
]
_starts += [b"BM", b"P6 ", b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\0\x18ftypavif\0\0\0\0", b"PK\x03\x04", b"ID3", b"MM\0*"]


@given(
    st.sampled_from(_starts),
    st.integers(0, 40),
    st.binary(max_size=200),
    st.sampled_from(["a", "a.ppm", "a.svg", "\ud800"]),
)
def test_hostile_bytes_never_raise(start: bytes, cut: int, rest: bytes, name: str) -> None:
    data = start[:cut] + rest
    facts = probe(data, name)
    assert facts == probe(io.BytesIO(data), name)
    assert (facts.width is None) == (facts.height is None)
    assert facts.width is None or 0 < facts.width < 2**31
    assert facts.duration is None or facts.duration >= 0


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 5_000_000,
        b"\xff\xd8\xff\xe0" + b"\0\x02\xff\xe0" * 1_000_000,
        b"P6 1 " + b"1" * 5_000_000,
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"\0\0\0\x08free" * 500_000,
        b"II*\0\x08\0\0\0\xff\xff" + b"\1\0\3\0\1\0\0\0\0\0\0\0" * 400_000,
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1\0\x4c\x4b\x4cmeta\0\0\0\0\0\x4c\x4b\x40ipma" + bytes(5_000_000),
        b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 500_000,
    ],
)
def test_a_header_without_end_is_given_up(data: bytes) -> None:
    source = Counted(data)
    start = time.process_time()
    facts = probe(source, "a.ppm")
    assert time.process_time() - start < 1
    assert source.reads <= 20_002 and source.total < 300_000
    assert facts.width is None and facts.duration is None


class Counted(io.BytesIO):
    """A file that counts the reads and the bytes read."""

    reads = 0
    total = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.reads += 1
        self.total += len(data)
        return data


def test_a_file_error_is_not_hidden() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        probe(Broken(PNG), "a.png")


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared corpus of images is not here")
def test_sizes_agree_with_pillow() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    compared = 0
    for path in sorted(CORPUS.iterdir()):
        facts = probe(path.read_bytes(), path.name)
        assert media_kind(facts.type) == "image", path.name
        try:
            with image.open(path) as opened:
                size = opened.size
        except (OSError, image.DecompressionBombError):
            continue
        assert (facts.width, facts.height) == size, path.name
        compared += 1
    assert compared >= 10


@pytest.mark.parametrize(
    ("type", "kind"),
    [("image/png", "image"), ("video/mp4", "video"), ("audio/x-wav", "audio"), ("text/csv", "text"), (None, "other"),
     ("application/json", "text"), ("application/pdf", "other"), ("image/svg+xml", "image")],
)  # fmt: skip
def test_the_kind_of_a_type(type: str | None, kind: str) -> None:
    assert media_kind(type) == kind
