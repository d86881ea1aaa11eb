"""`check --media`: what is broken or lies is named; what is sound, or cannot be decoded here, is not."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core import decoding
from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.decoding import wrong_name
from dsvc.model.records import Media

Make = Callable[..., bytes]
needs_pillow = pytest.mark.usefixtures("pillow")


@pytest.fixture
def pillow() -> Any:
    return pytest.importorskip("PIL.Image", reason="needs the extra 'images': pip install 'dsvc[images]'")


@pytest.fixture
def look(pets: Dataset, tmp_path: Path) -> Callable[..., dict[str, list[str]]]:
    """Add files by name and check them: what is found of each, and under "" the notes."""

    def look(**options: bytes) -> dict[str, list[str]]:
        for name, data in options.items():
            path = tmp_path / "data" / name.replace("__", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        pets.add(tmp_path / "data", root=tmp_path / "data", all_files=True)
        report = check(pets.repository, media=True)
        assert report.damage == ()
        found: dict[str, list[str]] = {"": list(report.notes)} if report.notes else {}
        for finding in report.findings:
            found.setdefault(finding.name, []).append(finding.text)
        return found

    return look


def picture(image: Any, form: str, mode: str = "RGB", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    out = io.BytesIO()
    image.effect_noise(size, 50).convert(mode).save(out, form, **options)
    return out.getvalue()


def png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


# ---- images


@needs_pillow
def test_the_corpus(pets: Dataset, corpus: Path) -> None:
    pets.add(corpus / "images", root=corpus / "images")
    report = check(pets.repository, media=True)
    assert {finding.name: finding.text for finding in report.findings} == {
        "broken.png": "cannot be decoded: its header cannot be read",
        "broken_data_stream.png": "cannot be decoded: unrecognized data stream contents when reading image file",
        "decompression_bomb.gif":
            "its header promises 4,364,696,535 pixels, and more than 89,478,485 are not decoded",
    }  # fmt: skip
    assert report.notes in ((), ("1 image was not decoded, since there is no decoder for image/avif here",))


def test_sound_images_of_every_kind(look: Any, pillow: Any) -> None:
    files = {
        f"{form}__{ending}": picture(pillow, form, mode)
        for form, ending, mode in (
            ("JPEG", "jpg", "RGB"), ("PNG", "png", "RGBA"), ("GIF", "gif", "P"), ("TIFF", "tif", "I;16"),
            ("BMP", "BMP", "RGB"), ("WEBP", "webp", "RGB"), ("PPM", "ppm", "RGB"), ("MPO", "mpo", "RGB"))
    }  # fmt: skip
    files["cmyk__jpeg"] = picture(pillow, "JPEG", "CMYK")
    assert look(**files) == {}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_truncated_image_is_named(form: str, look: Any, pillow: Any) -> None:
    ending = {"TIFF": "tif", "JPEG": "jpg"}.get(form, form.lower())
    options = {"compression": "raw"} if form == "TIFF" else {}
    data = picture(pillow, form, **options)
    # A TIFF's directory is at its end: there, the pixels are cut out of the middle.
    cut = data[:8] + data[-400:] if form == "TIFF" else data[: len(data) // 2]
    (text,) = look(**{f"a__{ending}": cut, f"b__{ending}": data}).pop(f"a.{ending}")
    assert text.startswith("cannot be decoded: ") and "0x" not in text


def test_a_false_size_takes_no_memory(look: Any, pillow: Any) -> None:
    files = {"a__png": png(2**31 - 1, 2**31 - 1), "b__png": png(30_000, 30_000, bytes(100))}
    gif = bytearray(picture(pillow, "GIF", "P", (4, 4)))
    at = gif.index(b",\0\0\0\0\x04\0\x04\0")
    gif[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    tracemalloc.start()
    found = look(**files, c__gif=bytes(gif))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    tail = "pixels, and more than 89,478,485 are not decoded"
    assert found == {
        "a.png": [f"its header promises 2,147,483,647 x 2,147,483,647 {tail}"],
        "b.png": [f"its header promises 30,000 x 30,000 {tail}"],
        "c.gif": [f"its header promises 4,294,836,225 {tail}"],
    }
    assert peak < 64 << 20


def test_what_pillow_has_no_decoder_for_is_told_and_no_finding(look: Any, pillow: Any) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    found = look(a__heic=heic, b__heic=heic + b"x", c__svg=b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert found == {
        "": [
            "2 images were not decoded, since there is no decoder for image/heic here",
            "1 image was not decoded, since there is no decoder for image/svg+xml here",
        ]
    }


def test_without_the_decoder_for_avif(look: Any, pillow: Any, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import features

    real = features.check
    monkeypatch.setattr(features, "check", lambda name: name != "avif" and real(name))
    found = look(a__avif=(corpus / "images/avif_hopper.avif").read_bytes())
    assert found == {"": ["1 image was not decoded, since there is no decoder for image/avif here"]}


def test_without_pillow_it_says_so(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    found = look(a__png=png(4, 3, bytes(15)), b__png=png(4, 4), c__png=b"\x89PNG\r\n\x1a\n", d__jpg=b"")
    assert found == {
        "": ["2 images were not decoded, since Pillow is not here: pip install 'dsvc[images]'"],
        "c.png": ["cannot be decoded: its header tells no size"],
        "d.jpg": ["has no bytes"],
    }


@needs_pillow
def test_one_blob_is_decoded_once_and_told_of_every_key(
    look: Any, pets: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = decoding._wrong_image
    monkeypatch.setattr(decoding, "_wrong_image", lambda file: decoded.append(file) or real(file))
    broken = png(4, 4, bytes(3))
    found = look(a__png=broken, b__png=broken)
    assert len(decoded) == 1 and set(found) == {"a.png", "b.png"} and found["a.png"] == found["b.png"]
    pets.commit("one")
    pets.create_version("v1")
    assert look(c__png=broken).keys() == {"a.png", "b.png", "c.png"}
    assert len(decoded) == 2 and all(len(texts) == 1 for texts in look().values())


# ---- names


@pytest.mark.parametrize(
    ("key", "type", "text"),
    [
        ("photo.jpg", "image/png", "named .jpg, but its bytes are image/png"),
        ("x/photo.JPG", "text/plain", "named .jpg, but its bytes are text/plain"),
        ("photo.png", None, "named .png, but its bytes are of no known type"),
        ("a.txt", "image/png", "named .txt, but its bytes are image/png"),
        ("a.csv", None, "named .csv, but its bytes are of no known type"),
        ("a.mp4", "video/x-matroska", "named .mp4, but its bytes are video/x-matroska"),
        ("a.wav", "audio/mpeg", "named .wav, but its bytes are audio/mpeg"),
        ("a.mp3", "text/html", "named .mp3, but its bytes are text/html"),
        ("photo.jpeg", "image/jpeg", None),
        ("a.mp4", "video/quicktime", None),
        ("a.m4a", "video/mp4", None),
        ("a.webm", "video/x-matroska", None),
        ("a.json", "application/json", None),
        ("a.txt", "text/csv", None),
        ("a.mpo", "image/jpeg", None),
        ("a.npy", None, None),
        ("jpg", "text/plain", "named .jpg, but its bytes are text/plain"),
        ("a.jpg/b", "text/plain", None),
    ],
)
def test_a_name_that_promises_other_bytes(key: str, type: str | None, text: str | None) -> None:
    assert wrong_name(key, Media(type=type)) == text


def test_a_lying_name_is_told_and_the_bytes_are_looked_at_as_what_they_are(look: Any, pillow: Any) -> None:
    found = look(a__jpg=picture(pillow, "PNG"), b__jpg=b"<html>404</html>", c__txt=b"caf\xe9 au lait", d__md=b"")
    assert found == {
        "a.jpg": ["named .jpg, but its bytes are image/png"],
        "b.jpg": ["named .jpg, but its bytes are text/plain"],
        "c.txt": ["named .txt, but its bytes are of no known type"],
        "d.md": ["has no bytes"],
    }


# ---- videos, sounds, texts


def test_sound_videos_and_sounds(look: Any, video: Make, sound: Make) -> None:
    assert (
        look(
            a__mp4=video("mp4", "libx264"),
            b__mkv=video("matroska", "mpeg4"),
            c__avi=video("avi", "mpeg4"),
            d__webm=video("webm", "libvpx"),
            e__mp3=sound("mp3", "libmp3lame"),
            f__flac=sound(),
            g__wav=sound("wav", "pcm_s16le"),
            h__m4a=sound("ipod", "aac"),
        )
        == {}
    )


def test_broken_videos_and_sounds_are_named(look: Any, video: Make, sound: Make, capfd: Any) -> None:
    whole, flac = video("mp4", "libx264"), sound()
    at = whole.index(b"mdat") + 4
    garbled = whole[:at] + bytes(200) + whole[at + 200 :]
    found = look(
        a__mp4=whole[:40],
        b__mp4=garbled,
        c__flac=flac[:60],
        d__mp4=whole,
        e__flac=flac,
        f__mkv=video("matroska", "libx264")[:400],
        g__wav=b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(16) + b"data\0\0\0\0",
    )
    assert set(found) == {"a.mp4", "b.mp4", "c.flac", "f.mkv", "g.wav"}
    assert all(text.startswith("cannot be decoded: ") for texts in found.values() for text in texts)
    assert capfd.readouterr().err == ""


def test_a_video_of_a_false_size_is_not_decoded(look: Any, video: Make) -> None:
    data = video("mp4", "libx264", size=(64, 48))
    at = data.index(b"avc1", data.index(b"stsd")) + 4 + 24
    assert data[at : at + 4] == b"\0\x40\0\x30"
    found = look(a__mp4=data[:at] + b"\xff\xf0\xff\xf0" + data[at + 4 :])
    assert found == {"a.mp4": ["its header promises 65,520 x 65,520 pixels, and more than 89,478,485 are not decoded"]}


def test_without_pyav_it_says_so(look: Any, video: Make, sound: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a__mp4": video()[:50], "b__flac": sound(), "c__flac": sound() + b"\0"}
    monkeypatch.setitem(sys.modules, "av", None)
    why = "since PyAV is not here: pip install 'dsvc[video]'"
    assert look(**files) == {"": [f"2 audio files were not decoded, {why}", f"1 video was not decoded, {why}"]}


@pytest.mark.parametrize("at", [9_000, 3 << 20])
def test_text_that_stops_being_utf8(at: int, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    good = ("é" * (at // 2)).encode()
    assert len(good) == at
    found = look(a__txt=good + b"\xff and more", b__txt=good, c__txt=good + "é".encode()[:1])
    assert found == {
        "a.txt": [f"is no UTF-8 text from byte {at:,} on"],
        "c.txt": [f"is no UTF-8 text from byte {at:,} on"],
    }


def test_without_media_nothing_is_decoded(pets: Dataset, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.png").write_bytes(png(4, 4))
    (tmp_path / "data/b.jpg").write_bytes(b"text")
    pets.add(tmp_path / "data", root=tmp_path / "data")
    report = check(pets.repository)
    assert report.findings == () and report.notes == ()
