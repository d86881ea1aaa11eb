"""Input keys: what a key may be, how a foreign file name becomes one, and how one is shown."""

from __future__ import annotations

import re
import unicodedata

from dsvc.errors import RefusedError

MAX_KEY_BYTES = 1024

_DRIVE = re.compile(r"[A-Za-z]:(?:[/\\]|$)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SEPARATORS = re.compile(r"[/\\]")
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # categories that a terminal acts on, or cannot show
_SHOWN_CHARACTERS = 120
_ABSOLUTE = "is absolute"


def check_key(text: str) -> str:
    r"""Return `text` if it can be an input key; raises RefusedError that says what is wrong with which key.

    A key is relative, of 1 to 1,024 bytes in UTF-8, in components parted by `/` that are not empty, `.` or
    `..`. Every other character is allowed, as file systems do: line ends and control characters (`display`
    escapes them) and `\`, though never in a way that would lead out of a folder on Windows. NUL and lone
    surrogates are refused.
    """
    wrong = _what_is_wrong(text)
    if wrong:
        raise _refusal(text, wrong)
    return text


def normalize_name(text: str) -> tuple[str, bool]:
    r"""The key of a file name that another tool wrote (COCO's `file_name`), and whether the two differ.

    A name that is a safe key stays as spelled. One with `\` is read as Windows wrote it, and empty and `.`
    components go (`.\a\\b.jpg` and `./a//b.jpg` are both `a/b.jpg`, since they name the same file). When the
    second value is True the caller keeps the name that came, so that it goes out as it came in. Raises
    RefusedError for what is absolute, a URL, leads upwards, ends in a separator or is no safe key otherwise.
    """
    if "\\" not in text and not _what_is_wrong(text):
        return text, False
    if _URL.match(text):
        raise _refusal(text, "is a URL", "download it first, and add the file")
    slashed = text.replace("\\", "/")
    if slashed.startswith("/") or slashed.endswith("/") or _DRIVE.match(text):
        raise _refusal(text, _what_is_wrong(slashed) or _ABSOLUTE)
    key = "/".join(part for part in slashed.split("/") if part not in ("", "."))
    wrong = _what_is_wrong(key)
    if wrong:
        raise _refusal(text, wrong)
    return key, key != text


def display(key: str) -> str:
    """`key` (or any path) for a terminal: control, bidi and other invisible characters come as escapes."""
    if key.isprintable():
        return key
    return "".join(_escape(char) for char in key)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode() if unicodedata.category(char) in _ESCAPED else char


def _what_is_wrong(text: str) -> str | None:
    """The end of a sentence that begins with the key, or None for a good key."""
    if not text:
        return "is empty"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is not Unicode: it holds bytes that are not UTF-8, or half of a surrogate pair"
    if size > MAX_KEY_BYTES:
        return f"has {size:,} bytes, and {MAX_KEY_BYTES:,} are the most"
    if "\0" in text:
        return "holds a NUL character"
    if text[0] in "/\\" or _DRIVE.match(text):
        return _ABSOLUTE
    return _wrong_component(text)


def _wrong_component(text: str) -> str | None:
    if ".." in text and ".." in _SEPARATORS.split(text):
        return "has a component `..`, which leads out of the folder"
    parts = text.split("/")
    if "" in parts:
        return "has an empty component"
    if "." in parts:
        return "has a component `.`"
    return None


def _refusal(text: str, wrong: str, hint: str | None = None) -> RefusedError:
    shown = display(text[:_SHOWN_CHARACTERS]) + ("..." if len(text) > _SHOWN_CHARACTERS else "")
    hint = hint or "a key is a relative path such as images/cat.jpg, without `..`"
    return RefusedError(f"the input key '{shown}' {wrong}", hint)
