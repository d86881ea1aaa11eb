"""Places: what a text may name, what a place tells, and its bytes, read once and whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dsvc.core import media
from dsvc.core.files.extensions import TYPES, type_of_name
from dsvc.core.references import places, web
from dsvc.core.references.places import Look, PlaceError, Places, parse_place, shown_place
from dsvc.core.references.threads import THREADS, side_by_side
from dsvc.core.workspace import Workspace
from dsvc.errors import DsvcError, RefusedError, RemoteError

ROOT = os.geteuid() == 0


@pytest.fixture
def found() -> Places:
    return Places()


def read(found: Places, place: str) -> bytes:
    with found.open(place) as source:
        return b"".join(source.pieces)


# ---- texts


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a.jpg", "/here/a.jpg"),
        ("./x//a.jpg", "/here/x/a.jpg"),
        ("/nas/a b%20.jpg", "/nas/a b%20.jpg"),
        ("//nas/a.jpg", "/nas/a.jpg"),
        ("/nas/", "/nas"),
        ("a?b#c", "/here/a?b#c"),
        ("c:/x", "/here/c:/x"),
        ("file:///nas/a%20b.jpg", "/nas/a b.jpg"),
        ("FILE://localhost/nas/a", "/nas/a"),
        ("https://h/a.jpg", "https://h/a.jpg"),
        ("HTTPS://h:8080/a b?x=1#part", "https://h:8080/a b?x=1"),
        ("s3://bucket/a/b c#?.jpg", "s3://bucket/a/b c#?.jpg"),
        ("S3://bucket/photos/", "s3://bucket/photos/"),
        ("gs://bucket", "gs://bucket/"),
        ("az://$web/a", "az://$web/a"),
    ],
)
def test_a_text_becomes_a_place(text: str, place: str) -> None:
    assert parse_place(text, Path("/here")) == place


def test_links_stay_as_spelled_and_what_lies_above_them_is_asked(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    assert parse_place("link/a.jpg", tmp_path) == str(tmp_path / "link/a.jpg")
    assert parse_place("link/../a.jpg", tmp_path) == str(tmp_path.resolve() / "real/a.jpg")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "names no file"),
        ("a\0b", "names no file"),
        ("a\udcff", "is not Unicode"),
        ("ftp://h/a", "no place of this kind is known"),
        ("file://server/a", "lies on another machine"),
        ("https:///a", "is no URL"),
        ("https://[::1/a", "is no URL"),
        ("https://h:port/a", "is no URL"),
        ("https://h/a\nb", "is no URL"),
        ("s3://", "names no object"),
        ("s3:///a", "names no object"),
        ("s3://b/a//c", "names no object"),
        ("s3://b/../c", "names no object"),
        ("https://ada:pass@h/a", "holds a user name or password"),
        ("https://token@h/a", "holds a user name or password"),
        ("s3://KEY:pass@bucket/a", "holds a user name or password"),
        ("https://h/a?X-Amz-Signature=pass", "is signed or holds a token"),
        ("https://h/a?x=1&sig=pass", "is signed or holds a token"),
        ("https://h/a?access_token=pass", "is signed or holds a token"),
    ],
)
def test_what_is_no_place_is_refused_and_shows_no_secret(text: str, wrong: str) -> None:
    with pytest.raises(RefusedError, match=wrong) as refused:
        parse_place(text, Path("/here"))
    assert "pass" not in refused.value.message.replace("password", "") and refused.value.hint
    assert "pass@" not in shown_place(text) and "=pass" not in shown_place(text)


# ---- local files


def test_a_local_file_tells_its_size_and_time(found: Places, tmp_path: Path) -> None:
    path = tmp_path / "a\n.jpg"
    path.write_bytes(b"12345")
    os.utime(path, ns=(0, 1_234_567_890_123_456_789))
    assert found.look(str(path)) == Look(5, None, 1_234_567_890_123_456_789)
    assert read(found, str(path)) == b"12345"


def test_what_is_no_file_is_named_and_never_waited_for(found: Places, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, trouble, reason in (("none", "gone", "is not there"), ("pipe", "refused", "is a named pipe")):
        for ask in (found.look, lambda place: read(found, place)):
            with pytest.raises(PlaceError, match=reason) as wrong:
                ask(str(tmp_path / name))
            assert wrong.value.trouble == trouble


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_file_without_permission_is_named(found: Places, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a").chmod(0)
    assert found.look(str(tmp_path / "a")).size == 1
    with pytest.raises(PlaceError, match="cannot be read: Permission denied") as wrong:
        read(found, str(tmp_path / "a"))
    assert wrong.value.trouble == "refused"


@pytest.mark.parametrize("change", ["grows", "shrinks", "is touched"])
def test_a_file_that_changes_while_it_is_read_is_not_taken(found: Places, tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(3 * places.PIECE))
    with pytest.raises(PlaceError, match="changed while it was read"), found.open(str(path)) as source:
        next(source.pieces)
        if change == "grows":
            with path.open("ab") as file:
                file.write(b"x")
        elif change == "shrinks":
            os.truncate(path, places.PIECE + 1)
        else:
            os.utime(path, ns=(1, 1))
        list(source.pieces)


# ---- the web


def test_a_url_tells_size_and_etag_or_time(found: Places, web: Any) -> None:
    web.files = {"/a.jpg": b"12345", "/b.jpg": b""}
    web.etags = {"/a.jpg": 'W/"x"'}

    def dated(answer: Any) -> None:
        answer.send_response(200)
        answer.send_header("Last-Modified", "Wed, 01 May 2024 12:00:00 GMT")
        answer.end_headers()

    web.rules = {"/dated": dated}
    assert found.look(web.url("/a.jpg")) == Look(5, 'W/"x"', None)
    assert found.look(web.url("/b.jpg")) == Look(0, None, None)
    assert found.look(web.url("/dated")) == Look(None, None, 1_714_564_800 * 10**9)
    assert [method for method, _ in web.asked] == ["HEAD"] * 3
    assert read(found, web.url("/a.jpg")) == b"12345"


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("refusal", [403, 405, 501])
def test_where_head_is_refused_the_first_byte_is_asked_for(found: Places, web: Any, refusal: int, ranges: bool) -> None:
    def picky(answer: Any) -> None:
        if answer.command == "HEAD":
            answer.send_error(refusal)
        elif ranges:
            assert answer.headers["Range"] == "bytes=0-0"
            answer.send_response(206)
            answer.send_header("Content-Range", "bytes 0-0/12345")
            answer.send_header("Content-Length", "1")
            answer.end_headers()
            answer.wfile.write(b"x")
        else:
            answer.send_response(200)
            answer.send_header("Content-Length", "12345")
            answer.end_headers()
            answer.wfile.write(bytes(12345))

    web.rules = {"/a": picky}
    assert found.look(web.url("/a")).size == 12345
    assert [method for method, _ in web.asked] == ["HEAD", "GET"]


def test_redirects_are_followed_and_their_targets_never_shown(found: Places, web: Any) -> None:
    def to(target: str) -> Any:
        def redirect(answer: Any) -> None:
            answer.send_response(302)
            answer.send_header("Location", target)
            answer.end_headers()

        return redirect

    web.files = {"/there?sig=secret": b"123"}
    web.rules = {
        "/here": to("/there?sig=secret"),
        "/round": to("/round"),
        "/lost": to("/nowhere?sig=secret"),
        "/out": to("file:///etc/passwd?sig=secret"),
    }
    assert found.look(web.url("/here")).size == 3 and read(found, web.url("/here")) == b"123"
    assert web.asked[:2] == [("HEAD", "/here"), ("HEAD", "/there?sig=secret")]
    for path in ("/round", "/lost", "/out"):
        with pytest.raises(PlaceError, match=web.url(path)) as wrong:
            found.look(web.url(path))
        assert "secret" not in str(wrong.value) and "passwd" not in str(wrong.value)


@pytest.mark.parametrize(
    ("status", "trouble", "asked"),
    [(404, "gone", 1), (410, "gone", 1), (418, "refused", 1), (500, "unreachable", 3), (503, "unreachable", 3)],
)
def test_answers_that_are_no_success_are_named(found: Places, web: Any, status: int, trouble: str, asked: int) -> None:
    web.rules = {"/a": lambda answer: answer.send_error(status)}
    with pytest.raises(PlaceError, match=f"{web.url('/a')}: .*{status}") as wrong:
        found.look(web.url("/a"))
    assert wrong.value.trouble == trouble and len(web.asked) == asked
    error = wrong.value.told("key")
    assert error.message.startswith(f"key: {web.url('/a')}: ") and error.hint
    assert isinstance(error, RemoteError) == (trouble == "unreachable")


def test_what_goes_wrong_in_passing_is_asked_again(found: Places, web: Any) -> None:
    def once(answer: Any) -> None:
        if len(web.asked) == 1:
            answer.send_error(503)
        else:
            answer.send_response(200)
            answer.send_header("Content-Length", "7")
            answer.end_headers()

    web.rules = {"/a": once}
    assert found.look(web.url("/a")).size == 7


def test_a_body_that_breaks_off_is_no_file(found: Places, web: Any) -> None:
    def short(answer: Any) -> None:
        answer.send_response(200)
        answer.send_header("Content-Length", "100")
        answer.end_headers()
        answer.wfile.write(b"x" * 60)

    def packed(answer: Any) -> None:
        answer.send_response(200)
        answer.send_header("Content-Encoding", "gzip")
        answer.end_headers()

    web.rules = {"/short": short, "/packed": packed}
    with pytest.raises(PlaceError, match="the server sent 60 of 100 bytes") as wrong:
        read(found, web.url("/short"))
    assert wrong.value.trouble == "unreachable"
    with pytest.raises(PlaceError, match="packs its bytes"):
        read(found, web.url("/packed"))


def test_a_server_that_is_not_there_or_does_not_answer(
    found: Places, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    with pytest.raises(PlaceError, match="cannot be reached: Connection refused"):
        found.look("http://127.0.0.1:9/a")
    from dsvc.core.references import web as client

    monkeypatch.setattr(client, "TIMEOUT", 0.1)
    monkeypatch.setattr(client, "PAUSES", ())
    release = threading.Event()
    web.rules = {"/a": lambda answer: release.wait(10)}
    with pytest.raises(PlaceError, match="cannot be reached: no answer in time"):
        found.look(web.url("/a"))
    release.set()


def test_names_with_spaces_and_other_letters_are_asked_for_as_urls(found: Places, web: Any) -> None:
    web.files = {"/a%20b%C3%BC%25.jpg": b"1"}
    assert found.look(web.url("/a bü%25.jpg")).size == 1


# ---- object stores


def test_without_obstore_object_stores_are_refused_with_the_way_out(
    found: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(RefusedError, match="need the package obstore") as refused:
        found.look("s3://bucket/a")
    assert refused.value.hint == "pip install obstore"


def test_an_endpoint_that_is_not_encrypted_has_to_be_allowed(tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="the extra cloud is missing")
    folder = tmp_path / ".dsvc"
    folder.mkdir()
    (tmp_path / "dsvc.toml").write_text('[s3]\nendpoint = "http://minio.example.org"\n')
    with pytest.raises(RefusedError, match="is not encrypted") as refused:
        Places(Workspace(folder)).look("s3://bucket/a")
    assert "allow_http" in (refused.value.hint or "")


# ---- types, and threads


def test_types_by_name_are_those_that_bytes_tell() -> None:
    for extension, type in media._TEXT_TYPES.items():
        if extension not in ("css", "toml"):
            assert TYPES[extension] == type
    assert media.probe(b"\xff\xd8\xff\xe0", "x").type == type_of_name("a/b.JPG") == "image/jpeg"
    assert media.probe(b"RIFF\0\0\0\0WAVE", "x").type == type_of_name(".x.wav")
    assert [type_of_name(name) for name in ("jpg", "a.", ".jpg/a", "a/.jpg", "a.tar.xz")] == [None] * 5


def test_waiting_side_by_side_keeps_the_order_and_is_bounded() -> None:
    taken: list[int] = []

    def items() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number

    answers = side_by_side(lambda number: number * 2, items(), 2)
    assert [next(answers) for _ in range(3)] == [0, 2, 4]
    assert len(taken) <= 2 * (3 * THREADS + 1)
    assert list(answers) == list(range(6, 2000, 2))


def test_an_error_in_a_thread_comes_where_its_turn_is() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise DsvcError("three")
        return number

    answers = side_by_side(work, range(10))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DsvcError, match="three"):
        next(answers)


def test_patience_ends_after_many_failures_in_a_row_only() -> None:
    patience, failure = places.Patience(), PlaceError("https://h/a", "unreachable", "cannot be reached")
    for _ in range(3):
        for _ in range(places.ENOUGH - 1):
            patience.see(failure)
        patience.see(Look(1))
    for _ in range(places.ENOUGH - 1):
        patience.see(failure)
    with pytest.raises(RemoteError, match="50 places in a row"):
        patience.see(failure)


def test_dates_of_servers_that_make_no_sense_are_none() -> None:
    assert [web._moment(text) for text in ("", "yesterday", "Wed, 99 May 2024")] == [None, None, None]
    assert [web._length(text) for text in (None, "", "-1", "1e3", "٣", "9" * 30, "7")] == [None] * 6 + [7]
