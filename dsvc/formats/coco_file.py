"""A COCO file as its top-level parts, each still unparsed text, and what a file that is none looks like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from dsvc.errors import InvalidRecordsError

BATCH = 2048
_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')
_KEY_GAP = re.compile(rb'[\s{,]*"(?:[^"\\]|\\.)*"\s*:\s*')


class InvalidNumber:
    """What stands in a record where JSON knows no number: NaN, Infinity, or a float beyond float64."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class DuplicateKey:
    """The value of a key that an object has twice."""

    def __init__(self, key: str) -> None:
        self.key = key


def refuse(name: str, looks: str, hint: str) -> InvalidRecordsError:
    """The error for a file that is not COCO at all."""
    return InvalidRecordsError(f"{name}: {looks}", (), hint)


def split_sections(data: memoryview, name: str) -> tuple[dict[str, Any], bool]:
    """The top-level values by key, each as Raw text, and False; or, where the text is no strict JSON but Python's
    lenient parser reads it, as parsed values, and True. Raises InvalidRecordsError."""
    start = _check_head(data, name)
    body = data[start:]
    try:
        sections = msgspec.json.decode(body, type=dict[str, Raw])
    except RecursionError:
        raise refuse(name, "holds lists or objects that are nested too deeply", "export it again") from None
    except msgspec.ValidationError as error:
        hint = "a COCO file is an object with images, annotations, categories"
        raise refuse(name, f"not a COCO file: {error}", hint) from None
    except msgspec.DecodeError:
        return _lenient(body, name), True
    _refuse_twice(body, sections, name)
    return dict(sections), False


def begin_text(data: memoryview, name: str) -> int:
    """Where a file's JSON begins. Raises InvalidRecordsError for what is plainly no text that is read."""
    head = bytes(data[:512])
    if head.startswith(b"\x1f\x8b"):
        raise refuse(name, "looks gzipped", f"unpack it first: gunzip {name}")
    if head.startswith(b"PK\x03\x04"):
        raise refuse(name, "looks like a ZIP archive", "unpack it first")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or (len(head) > 3 and 0 in head[:2]):
        raise refuse(name, "looks like UTF-16 text", "save it as UTF-8")
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    if not head[start:].lstrip():
        raise refuse(name, "holds only white space", "export it again, or name another file")
    return start


def _check_head(data: memoryview, name: str) -> int:
    """Where the JSON object begins. Raises InvalidRecordsError for what is plainly something else."""
    start = begin_text(data, name)
    first = bytes(data[start:512]).lstrip()[:1]
    if first == b"[":
        hint = f"import the ground truth that it belongs to; then: dsvc evaluate REV {name}"
        raise refuse(name, "is a list, so it looks like a results file", hint)
    if first != b"{":
        raise refuse(name, "does not look like JSON", "a COCO file begins with '{'")
    return start


def _refuse_twice(body: memoryview, sections: dict[str, Raw], name: str) -> None:
    """Raise where a top-level key comes twice: then text lies between the values that are known."""
    import numpy as np

    whole = np.frombuffer(body, dtype=np.uint8)
    origin = whole.ctypes.data
    spans = sorted(_span(raw, origin) for raw in sections.values())
    at = 0
    for start, end in [*spans, (len(body), len(body))]:
        gap = bytes(body[at : min(start, at + 4096)])
        tail = start == len(body)
        if start - at > 4096 or not (gap.strip(b" \t\r\n}") in (b"", b"{") if tail else _KEY_GAP.fullmatch(gap)):
            raise refuse(name, "a key of the file comes twice" + _which(gap), "keep one of the two")
        at = end


def _span(raw: Raw, origin: int) -> tuple[int, int]:
    import numpy as np

    view = np.frombuffer(memoryview(raw), dtype=np.uint8)
    start = view.ctypes.data - origin
    return start, start + len(view)


def _which(gap: bytes) -> str:
    keys = re.findall(rb'"((?:[^"\\]|\\.)*)"\s*:', gap)
    return f": {keys[0].decode(errors='replace')!r}" if keys else ""


def _lenient(body: memoryview, name: str) -> dict[str, Any]:
    """Parse text that is not strict JSON, so that each wrong number can be named. Raises InvalidRecordsError."""
    parsed = parse_lenient(body, name)
    if not isinstance(parsed, dict):
        raise refuse(name, "is not an object", "a COCO file is an object with images, annotations, categories")
    twice = [key for key, value in parsed.items() if isinstance(value, DuplicateKey)]
    if twice:
        raise refuse(name, f"a key of the file comes twice: {twice[0]!r}", "keep one of the two")
    return parsed


def parse_lenient(body: memoryview, name: str) -> Any:
    """What Python's lenient parser makes of a text; see `load_lenient`. Raises InvalidRecordsError."""
    try:
        text = str(body, "utf-8")
    except UnicodeDecodeError as wrong:
        raise refuse(name, f"is not UTF-8 text (byte {wrong.start})", "save it as UTF-8") from None
    try:
        return load_lenient(text)
    except (json.JSONDecodeError, RecursionError) as wrong:
        if _is_cut(wrong, text):
            raise refuse(name, "is cut short: the text ends in the middle", "copy or export it again") from None
        raise refuse(name, f"is not valid JSON: {wrong}", "export it again") from None


def _is_cut(wrong: Exception, text: str) -> bool:
    """Whether a parser's error means that the text ends too early."""
    if not isinstance(wrong, json.JSONDecodeError) or wrong.msg == "Extra data":
        return False
    return wrong.msg.startswith("Unterminated") or wrong.pos >= len(text.rstrip()) - 1


def load_lenient(text: str | bytes) -> Any:
    """Parse JSON with wrong numbers as InvalidNumber and keys that come twice as DuplicateKey."""
    readers: dict[str, Any] = {
        "parse_constant": InvalidNumber,
        "parse_float": _float,
        "object_pairs_hook": _object,
    }
    try:
        return json.loads(text, **readers)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # a whole number of more digits than Python reads
        return json.loads(text, **readers, parse_int=_integer)


def _float(text: str) -> float | InvalidNumber:
    value = float(text)
    return InvalidNumber(text) if value in (float("inf"), float("-inf")) else value


def _integer(text: str) -> int | InvalidNumber:
    try:
        return int(text)
    except ValueError:
        return InvalidNumber(f"{text[:20]}... of {len(text):,} digits")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                made[key] = DuplicateKey(key)
            seen.add(key)
    return made


def records(section: Any, what: str, name: str) -> list[Any]:
    """A section that must be a list, as one item a record: Raw text, or parsed values."""
    if isinstance(section, Raw):
        try:
            return msgspec.json.decode(section, type=list[Raw])
        except msgspec.ValidationError:
            raise refuse(name, f"{what!r} is not a list", "a COCO file has lists of records") from None
    if not isinstance(section, list):
        raise refuse(name, f"{what!r} is not a list", "a COCO file has lists of records")
    return section


def value_of(section: Any, name: str = "the file") -> Any:
    """A section of a file, which errors call by `name`, parsed."""
    if not isinstance(section, Raw):
        return section
    try:
        return load_lenient(bytes(memoryview(section)))
    except UnicodeDecodeError as error:
        near = error.object[max(0, error.start - 20) : error.start + 10]
        raise refuse(name, f"is not UTF-8 text, near {near!r}", "save it as UTF-8") from None
    except RecursionError:
        raise refuse(name, "holds lists or objects that are nested too deeply", "export it again") from None


def batches(items: list[Any]) -> Iterator[list[Any]]:
    """`items` in runs of `BATCH`; what was given is dropped from the list."""
    for at in range(0, len(items), BATCH):
        yield items[at : at + BATCH]


def join_batch(batch: list[Any]) -> bytes:
    """A batch of Raw records as one JSON list."""
    return b"[" + b",".join(batch) + b"]"


def count_keys(text: bytes) -> int:
    """How many keys all objects of a JSON text have together, those that come twice included.

    Text that looks like a key inside a string counts too, so that the result may only be too large.
    """
    spaced = 0
    if b'" ' in text or b'"\n' in text or b'"\r' in text or b'"\t' in text:
        spaced = len(_SPACED_COLON.findall(text))
    return text.count(b'":') + spaced
