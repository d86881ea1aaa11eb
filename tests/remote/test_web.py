"""Remotes on static web servers: read only, whatever the server knows of ranges, ETags and caches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from loopback import Web

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.errors import NotFoundError, RefusedError, RemoteError
from dsvc.remote.cloning import clone
from dsvc.remote.places import open_place
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote, find_remote
from dsvc.remote.tracking import fetch
from dsvc.store.backend import Backend

from .workspaces import ADA, head, is_whole, say

pytest.importorskip("obstore")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsvc.store.attempts.PAUSE", 0.002)
    monkeypatch.setattr("dsvc.store.attempts.PATIENCE", 0.05)
    monkeypatch.setattr("dsvc.store.attempts.FIRST_PATIENCE", 0.02)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[str]:
    """What `python -m http.server` serves of the test's folder: it answers every range with the whole file."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ranged(web: Web, tmp_path: Path) -> Callable[[], None]:
    """Publish the test's folder on a server that has ranges, and no dates or ETags; call it again after a change."""

    def answer(data: bytes, handler: Any) -> None:
        asked = handler.headers.get("Range")
        start, _, end = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(start) : int(end) + 1 if end else None]
        if asked and not part:
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(len(part)))
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}")
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(part)

    def publish() -> None:
        for path in tmp_path.rglob("*"):
            if path.is_file():
                web.rules[f"/{quote(path.relative_to(tmp_path).as_posix())}"] = partial(answer, path.read_bytes())

    return publish


@pytest.fixture(params=["plain", "ranged"])
def served(request: pytest.FixtureRequest) -> tuple[str, Callable[[], None]]:
    """The URL of the test's folder, and what publishes its changes."""
    if request.param == "plain":
        return request.getfixturevalue("plain"), lambda: None
    publish = request.getfixturevalue("ranged")
    return request.getfixturevalue("web").root, publish


def test_a_store_and_a_project_are_cloned_and_followed(
    served: tuple[str, Callable[[], None]], ours: Dataset, tmp_path: Path
) -> None:
    url, publish = served
    folder = add_remote(ours.repository, "store", str(tmp_path / "the store"))
    push(ours.repository, folder, "pets", "main")
    publish()
    for place in (f"{url}/the%20store", f"{url}/the%20store/", f"{url}/ours", f"{url}/ours/.dsvc"):
        theirs = clone(place, tmp_path / f"clone{len(place)}", ADA).repository
        assert theirs.dataset("pets").head == head(ours) and is_whole(theirs)
    theirs = clone(f"{url}/the%20store", tmp_path / "theirs", ADA).repository
    said = say(ours, "more")
    push(ours.repository, folder, "pets", "main")
    publish()
    assert fetch(theirs, find_remote(theirs)).commits == 1 and theirs.dataset("pets").repository.store.has(said)
    theirs.dataset("pets").merge("origin/pets:main")
    say(theirs.dataset("pets"), "mine")
    with pytest.raises(RemoteError, match="a web server cannot be written to") as error:
        push(theirs, find_remote(theirs), "pets", "main")
    assert error.value.hint


def backend_of(url: str, files: Path) -> Backend:
    (files / "r" / "packs").mkdir(parents=True)
    (files / "r" / "head").write_bytes(b"the head")
    (files / "r" / "packs" / "one").write_bytes(b"hello world")
    (files / "r" / "packs" / "empty").write_bytes(b"")
    return open_place(f"{url}/r", None)


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, None, b"hello world"), (0, 5, b"hello"), (6, None, b"world"), (6, 99, b"world"), (11, 3, b""), (50, 3, b""),
     (2, 0, b"")],
)  # fmt: skip
def test_ranges_end_where_the_file_ends(
    offset: int, length: int | None, expected: bytes, plain: str, tmp_path: Path
) -> None:
    backend = backend_of(plain, tmp_path)
    assert backend.read("packs/one", offset, length) == expected
    assert backend.read("packs/one", offset, length) == expected, "from the file that was kept"
    assert backend.read("packs/empty", 0, 5) == b"" and backend.size("packs/one") == 11
    for ask in (lambda: backend.read("packs/none", offset, length), lambda: backend.size("packs/none")):
        with pytest.raises(NotFoundError, match="packs/none does not exist"):
            ask()


def test_a_file_is_fetched_whole_once_where_there_are_no_ranges(web: Web) -> None:
    web.files |= {"/head": b"x", **{f"/packs/{number}": b"%2d hello" % number for number in range(12)}}
    backend = open_place(web.root, None)
    web.asked.clear()
    for _ in range(3):
        assert backend.read("packs/1", 3, 4) == b"hell" and backend.read("packs/1", 5) == b"llo"
    assert web.asked == [("GET", "/packs/1")] * 2  # the first one asked for a range
    for number in range(12):
        assert backend.read(f"packs/{number}", 0, 2) == b"%2d" % number
    assert all(backend.read(f"packs/{number}", 0, 2) == b"%2d" % number for number in (11, 0, 5))


def test_the_head_is_asked_for_past_caches(web: Web, tmp_path: Path) -> None:
    seen = []

    def answer(handler: Any) -> None:
        seen.append(handler.headers.get("Cache-Control"))
        handler.send_response(200)
        handler.send_header("Content-Length", "4")
        handler.end_headers()
        handler.wfile.write(b"head")

    web.rules["/head"] = answer
    web.files["/packs/one"] = b"x"
    backend = open_place(web.root, None)
    assert backend.read_head() == b"head" and seen == ["no-cache"], "opening has asked"
    assert backend.read_head() == b"head" and seen == ["no-cache"] * 2


def test_nothing_is_written_or_listed(web: Web) -> None:
    web.files["/head"] = b"x"
    backend = open_place(web.root, None)
    works: list[Callable[[], object]] = [
        backend.create,
        lambda: backend.delete("packs/one"),
        lambda: backend.delete_all(["packs/one"]),
        lambda: backend.swap_head(b"x", b"y"),
        backend.names,
        backend.files,
        backend.clock,
    ]
    asked = len(web.asked)
    for work in works:
        with pytest.raises(RefusedError, match="a web server cannot ") as error:
            work()
        assert error.value.hint
    with backend.turn():
        assert len(web.asked) == asked


def test_a_first_push_to_a_web_server_is_refused(web: Web, ours: Dataset) -> None:
    web.files["/head"] = b"x"
    with pytest.raises(RefusedError, match="a web server cannot be written to") as error:
        push(ours.repository, add_remote(ours.repository, "origin", web.root), "pets", "main")
    assert "as a remote of its own" in (error.value.hint or "")


def test_places_that_are_no_repositories(web: Web, tmp_path: Path) -> None:
    web.files |= {"/page/head": b"<!DOCTYPE html><html>not found</html>", "/big/head": bytes(2 << 20)}
    for path in ("/closed/head", "/closed/.dsvc/head"):
        web.rules[path] = lambda handler: handler.send_error(403)
    web.rules["/broken/head"] = lambda handler: handler.send_error(500)
    told = {
        f"{web.root}/none": f"{web.root}/none holds no dsvc repository",
        f"{web.root}/closed": f"{web.root}/closed: the credentials do not allow it",
        f"{web.root}/broken": f"{web.root}/broken: it answers 500 Internal Server Error",
        f"{web.root}/big": f"{web.root}/big: its head is no head",
        "http://127.0.0.1:9/x": "http://127.0.0.1:9/x: cannot be reached: nothing answers there",
    }
    for url, message in told.items():
        with pytest.raises(RemoteError) as error:
            clone(url, tmp_path / "clone", ADA)
        assert error.value.message == message and error.value.hint
    with pytest.raises(RemoteError, match="remote origin: ") as error:
        clone(f"{web.root}/page", tmp_path / "clone", ADA)
    assert not (tmp_path / "clone").exists()


def test_http_is_for_this_machine_and_for_who_allows_it(ours: Dataset) -> None:
    remote = add_remote(ours.repository, "origin", "http://host.invalid/pets")
    with pytest.raises(RefusedError, match="is not encrypted") as error:
        fetch(ours.repository, remote)
    assert "allow_http = true below [web]" in (error.value.hint or "")
    assert ours.repository.root is not None
    with (ours.repository.root / "dsvc.toml").open("a") as file:
        file.write("\n[web]\nallow_http = true\n")
    repository = dsvc.open(ours.repository.root)
    with pytest.raises(RemoteError, match="its name is not known"):
        fetch(repository, find_remote(repository))


def test_half_a_file_is_asked_for_again(web: Web) -> None:
    web.files["/head"] = b"x"
    answers = iter([b"hel", b"hello"])

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(next(answers))

    web.rules["/packs/one"] = answer
    assert open_place(web.root, None).read("packs/one") == b"hello"
