"""Keys: what is refused at the door, what is kept as spelled, and what a terminal gets to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.core.keys import MAX_KEY_BYTES, check_key, display, normalize_name
from dsvc.errors import RefusedError

BAD = [
    "", "/x", "/", "C:\\x", "c:/x", "C:", "\\\\server\\x", "\\x", "..", "../x", "a/../b", "a/..", "..\\x",
    "a\\..\\b", ".", "./a", "a/./b", "a//b", "a/", "a\0b", "a\udcffb", "\ud800", "x" * 1025, "é" * 513,
]  # fmt: skip
GOOD = [
    "a",
    "a/b.jpg",
    "a b",
    "...",
    "..a",
    "a..",
    ".hidden",
    "a\\b",
    "日本/猫.jpg",
    "a\nb",
    "x" * 1024,
    "k:1",
    "é" * 512,
]


@pytest.mark.parametrize("text", BAD)
def test_a_bad_key_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_key(text)
    assert len(caught.value.message) < 400
    assert caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("text", GOOD)
def test_a_good_key_is_kept_as_spelled(text: str) -> None:
    assert check_key(text) == text


@pytest.mark.parametrize(("text", "said"), [("a/../b", "`..`"), ("/etc/x", "absolute"), ("a\0", "NUL"), ("", "empty")])
def test_a_refusal_names_the_key_and_the_fault(text: str, said: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_key(text)
    assert said in caught.value.message
    assert f"'{display(text)}'" in caught.value.message


@pytest.mark.parametrize(
    ("text", "key", "changed"),
    [
        ("a/b.jpg", "a/b.jpg", False),
        ("images\\a.jpg", "images/a.jpg", True),
        ("images\\\\a.jpg", "images/a.jpg", True),
        ("./a.jpg", "a.jpg", True),
        (".\\a.jpg", "a.jpg", True),
        ("train//a.jpg", "train/a.jpg", True),
        ("a..b\\c", "a..b/c", True),
    ],
)
def test_a_foreign_name_becomes_a_key(text: str, key: str, changed: bool) -> None:
    assert normalize_name(text) == (key, changed)


@pytest.mark.parametrize(
    "text",
    ["", "C:\\x", "..\\x", "a\\..\\..\\x", "\\\\server\\x", "\\x", "/x", "a/", "a\\", ".", "./", "http://h/a", "a\0"],
)
def test_an_unsafe_foreign_name_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        normalize_name(text)


_names = st.text(st.characters() | st.sampled_from("./\\:C\0"), max_size=30)


@given(_names)
def test_what_passes_can_never_lead_out(text: str) -> None:
    try:
        key, changed = normalize_name(text)
    except RefusedError:
        return
    assert check_key(key) == key
    assert changed == (key != text)
    assert normalize_name(key) == (key, False)
    for parts in (key.split("/"), key.replace("\\", "/").split("/")):
        assert ".." not in parts
    assert not key.startswith(("/", "\\"))
    assert "\0" not in key and 0 < len(key.encode()) <= MAX_KEY_BYTES


@given(_names)
def test_checking_a_key_says_yes_unchanged_or_refuses(text: str) -> None:
    try:
        assert check_key(text) is text
    except RefusedError as error:
        error.message.encode()


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_displayed_moves_no_cursor_and_encodes(text: str) -> None:
    shown = display(text)
    shown.encode()
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char in "\u202e\u2066\u2028" for char in shown)


def test_display_keeps_what_can_be_read() -> None:
    assert display("日本/猫 é.jpg") == "日本/猫 é.jpg"
    assert display("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"
    assert display("a\u202egpj.exe\u2066") == "a\\u202egpj.exe\\u2066"
