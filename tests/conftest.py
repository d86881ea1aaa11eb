"""Fixtures that all tests share: a repository, small COCO files, and the corpus where it is at hand."""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.model.commit import Author, Moment

sys.path.insert(0, str(Path(__file__).parent))  # for what tests of several folders share

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
AUTHOR = Author("Ada", "ada@example.org")


@pytest.fixture
def corpus() -> Path:
    if not CORPUS.is_dir():
        pytest.skip("../shared/corpus, the collection of real annotation files, is not here")
    return CORPUS


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    project = tmp_path / "project"
    repository = dsvc.init(project, author=AUTHOR)
    seconds = count(int(time.time()))
    repository.now = lambda: Moment(next(seconds))
    return repository


@pytest.fixture
def pets(repo: Repository) -> Dataset:
    return repo.create("pets", "cats and dogs")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a JSON document, or text or bytes as they are, to a file."""

    def write(content: Any, name: str = "file.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def coco() -> Callable[..., dict[str, Any]]:
    """A small COCO document; keyword arguments replace its top-level fields."""

    def coco(**fields: Any) -> dict[str, Any]:
        return {
            "info": {"year": 2024},
            "licenses": [{"id": 1, "name": "Free", "url": "u"}],
            "images": [
                {"id": 1, "file_name": "a.jpg", "width": 640, "height": 480, "license": 1},
                {"id": 2, "file_name": "b.jpg", "width": 320, "height": 240},
            ],
            "annotations": [
                {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "area": 13.5, "iscrowd": 0},
                {
                    "id": 6,
                    "image_id": 2,
                    "category_id": 3,
                    "bbox": [0, 0, 9, 9],
                    "area": 81,
                    "segmentation": [[0.5, 0.5, 9, 0, 9, 9.25], [1, 1, 2, 2, 3, 1]],
                },
            ],
            "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 3, "name": "dog"}],
            **fields,
        }

    return coco


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A web server on loopback, see `loopback.Web`. Questions that go wrong in passing are asked again at once."""
    from loopback import serving

    from dsvc.core.references import web

    monkeypatch.setattr(web, "PAUSES", (0, 0))
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[Any]:
    """An S3 server on loopback with a bucket, see `remote.buckets.Bucket`; or skip."""
    from remote.buckets import serving

    with serving() as bucket:
        yield bucket


@pytest.fixture
def bucket_url(bucket_server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL below which the bucket is empty, with the environment in which it is found."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in bucket_server.environment.items():
        monkeypatch.setenv(name, value)
    return bucket_server.new_url()


@pytest.fixture
def video() -> Callable[..., bytes]:
    """Make a small video with PyAV: frames of one grey each, or skip."""
    av = pytest.importorskip("av", reason="needs the extra 'video': pip install 'dsvc[video]'")

    def video(form: str = "mp4", codec: str = "mpeg4", frames: int = 10, rate: object = 10, size=(64, 48)) -> bytes:
        out = io.BytesIO()
        with av.open(out, "w", format=form) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(frames):
                grey = np.full((size[1], size[0], 3), number * 20 % 256, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(stream.encode(None))
        return out.getvalue()

    return video


@pytest.fixture
def sound() -> Callable[..., bytes]:
    """Make a small sound with PyAV: silence of some seconds, or skip."""
    av = pytest.importorskip("av", reason="needs the extra 'video': pip install 'dsvc[video]'")

    def sound(form: str = "flac", codec: str = "flac", seconds: float = 1.0, rate: int = 48_000) -> bytes:
        out = io.BytesIO()
        with av.open(out, "w", format=form) as container:
            stream = container.add_stream(codec, rate=rate, layout="mono")
            resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, int(seconds * rate)), np.int16), format="s16", layout="mono"
            )
            silence.sample_rate, silence.pts = rate, 0
            for frame in resampler.resample(silence):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return out.getvalue()

    return sound
