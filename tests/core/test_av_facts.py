"""Facts of videos and sounds: right for every container, none of broken ones, gained and never lost."""

from __future__ import annotations

import io
import random
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from dsvc.core import av_facts
from dsvc.core.dataset import Dataset
from dsvc.core.files import reading
from dsvc.core.media import MediaFacts, probe
from dsvc.model.records import Media
from dsvc.store.ids import Kind, object_id

Make = Callable[..., bytes]
NOTE = "width, length and frame rate: pip install 'dsvc[video]', and add"


def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


@pytest.mark.parametrize(
    ("form", "codec", "type"),
    [
        ("mp4", "mpeg4", "video/mp4"),
        ("mp4", "libx264", "video/mp4"),
        ("mov", "mjpeg", "video/quicktime"),
        ("matroska", "libx264", "video/x-matroska"),
        ("webm", "libvpx", "video/webm"),
        ("avi", "mpeg4", "video/x-msvideo"),
        ("mpegts", "libx264", "video/mp2t"),
        ("flv", "flv", "video/x-flv"),
        ("asf", "wmv2", "video/x-ms-wmv"),
    ],
)
def test_a_video_tells_its_size_length_and_rate(video: Make, form: str, codec: str, type: str) -> None:
    data = video(form, codec, frames=10, rate=10, size=(64, 48))
    assert probe(data, "liar.txt") == MediaFacts(type, 64, 48, 1.0, 10.0)
    assert probe(io.BytesIO(data), "a") == probe(data, "a")


def test_a_rate_that_is_no_whole_number_is_rounded_to_the_millionth(video: Make) -> None:
    facts = probe(video("mp4", "libx264", frames=30, rate=Fraction(30000, 1001)), "a.mp4")
    assert facts == MediaFacts("video/mp4", 64, 48, 1.001, 29.97003)


@pytest.mark.parametrize(
    ("form", "codec", "type", "slack"),
    [
        ("flac", "flac", "audio/x-flac", 0),
        ("aiff", "pcm_s16be", "audio/x-aiff", 0),
        ("ogg", "flac", "audio/ogg", 0),
        ("mp3", "libmp3lame", "audio/mpeg", 0.03),
        ("ogg", "libopus", "audio/ogg", 0.03),
        ("ipod", "aac", "audio/mp4", 0.03),
        ("adts", "aac", "audio/aac", 0.2),  # whose header has no length
    ],
)
def test_a_sound_tells_its_length(sound: Make, form: str, codec: str, type: str, slack: float) -> None:
    facts = probe(sound(form, codec, seconds=1.5), "a")
    assert facts.duration is not None and abs(facts.duration - 1.5) <= slack
    assert facts == MediaFacts(type, duration=facts.duration)


def test_the_cover_of_an_album_is_no_video(sound: Make) -> None:
    av = pytest.importorskip("av")
    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as made, av.open(io.BytesIO(sound("mp3", "libmp3lame"))) as source:
        stream = made.add_stream_from_template(source.streams[0])
        cover = made.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame(16, 16, "yuvj420p")
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                made.mux(packet)
        made.mux(cover.encode(picture))
        made.mux(cover.encode(None))
    facts = probe(out.getvalue(), "a.mp3")
    assert facts.type == "audio/mpeg" and facts.width is None and facts.duration == pytest.approx(1.0, abs=0.05)


def test_a_rotated_video_keeps_its_stored_size(video: Make) -> None:
    data = video("mp4", "libx264", size=(64, 48))
    at = data.index(b"tkhd") + 4 + 40  # the matrix of a version 0 track header
    turned = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    matrix = b"".join(number.to_bytes(4, "big", signed=True) for number in turned)
    assert data[at + 32 : at + 36] == (1 << 30).to_bytes(4, "big")
    facts = probe(data[:at] + matrix + data[at + 36 :], "a.mp4")
    assert (facts.width, facts.height) == (64, 48)


def test_without_pyav_there_is_the_type(video: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = video()
    without_pyav(monkeypatch)
    assert probe(data, "a.mp4") == MediaFacts("video/mp4")


@pytest.mark.parametrize("form", ["mp4", "matroska", "avi", "mpegts", "flv", "asf"])
def test_broken_videos_never_raise_and_never_hang(video: Make, form: str) -> None:
    data = video(form, "libx264" if form in ("mp4", "matroska", "mpegts") else "mpeg4" if form == "avi" else "flv")
    chance = random.Random(form)
    start = time.process_time()
    for _ in range(400):
        broken = bytearray(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
        for _ in range(chance.randrange(1, 20)):
            if len(broken) > 12:
                broken[chance.randrange(12, len(broken))] = chance.choice([0, 127, 128, 255])
        facts = probe(bytes(broken), "a")
        assert (facts.width is None) == (facts.height is None)
        assert facts.duration is None or 0 < facts.duration < 1e9
    assert time.process_time() - start < 60  # a bound, not a speed


def test_a_file_that_is_read_for_ever_is_given_up(video: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av_facts, "_READ_BYTES", 1000)
    assert probe(video(frames=200), "a.mp4") == MediaFacts("video/mp4")


def test_an_error_of_the_file_is_not_hidden(video: Make) -> None:
    class Broken(io.BytesIO):
        """A file whose first bytes can be read."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100:
                raise OSError("gone")
            return super().read(min(size or 0, 8192))

    data = video("mp4", frames=3000)  # its index is at its end
    assert len(data) > 40_000
    with pytest.raises(OSError, match="gone"):
        probe(Broken(data), "a.mp4")


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(b"G" + bytes(187))
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n"
    assert probe(text.encode(), "a.mp4") == MediaFacts("text/plain")


# ---- facts that are gained


def test_adding_again_gains_facts_and_never_loses_them(
    pets: Dataset, video: Make, sound: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(video())
    (folder / "b.flac").write_bytes(sound())
    (folder / "c.wav").write_bytes(b"RIFF\0\0\0\0WAVE")

    def add() -> tuple[tuple[int, ...], tuple[str, ...]]:
        report = pets.add(folder, root=folder)
        return report[:3], report.notes

    with monkeypatch.context() as patch:
        without_pyav(patch)
        note = f"1 video and 1 audio file have type and size only; for {NOTE} them again"
        assert add() == ((3, 0, 0), (note,))
    bare = [record.media for record in pets.draft().inputs()]
    assert [(one.type, one.width, one.duration) for one in bare if one] == [
        ("video/mp4", None, None), ("audio/x-flac", None, None), ("audio/x-wav", None, None)]  # fmt: skip
    assert add() == ((0, 2, 1), ())
    whole = list(pets.draft().inputs())
    assert whole[0].media is not None and (whole[0].media.width, whole[0].media.fps) == (64, 10.0)
    assert whole[1].media is not None and whole[1].media.duration == 1.0
    pets.commit("with facts")
    with monkeypatch.context() as patch:
        without_pyav(patch)
        assert add() == ((0, 0, 3), ())
    assert list(pets.draft().inputs()) == whole and not pets.has_draft()


def test_other_bytes_take_no_facts_along() -> None:
    one, two = (object_id(Kind.BLOB, data) for data in (b"1", b"2"))
    old = Media(blob=one, type="video/mp4", size=1, width=64, height=48, duration=1.0, fps=10.0)
    assert av_facts.with_known(old, Media(blob=one, type="video/mp4", size=1)) == old
    assert av_facts.with_known(old, Media(blob=two, type="video/mp4", size=1)).width is None
    assert av_facts.with_known(None, old) == old
    assert av_facts.with_known(old, Media(blob=one, type="video/mp4", size=1, fps=5.0)).fps == 5.0


def test_a_large_video_is_probed_as_it_is_streamed(
    pets: Dataset, video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(video())
    monkeypatch.setattr(reading.read_files, "__kwdefaults__", {"large": 100})
    pets.add(folder, root=folder)
    media = pets.draft()["a.mp4"].input.media
    assert media is not None and (media.width, media.duration) == (64, 1.0)


@pytest.mark.parametrize(
    ("types", "text"),
    [
        (["video/mp4"], f"1 video has type and size only; for {NOTE} it again"),
        (["video/mp4", "video/webm"], f"2 videos have type and size only; for {NOTE} them again"),
        (
            ["audio/mpeg"] * 1200,
            "1,200 audio files have type and size only; for the length: pip install 'dsvc[video]', and add them again",
        ),
        (["audio/x-wav", "image/png", None, "video/unheard-of"], None),
    ],
)
def test_what_is_told_without_pyav(types: list[str | None], text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pyav(monkeypatch)
    assert av_facts.missing_facts([Media(type=type) for type in types]) == text
