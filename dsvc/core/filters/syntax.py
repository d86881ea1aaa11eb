"""What filters and queries have in common as texts: their errors, what DuckDB's parser makes of them, and arrows."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.filters.columns import COLUMNS, JSON
from dsvc.core.filters.duck import MAX_DEPTH
from dsvc.errors import FilterError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_CHARACTERS = 1_000_000
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
# Functions that tell of the session, or run SQL, though DuckDB calls some of them consistent.
REFUSED = re.compile(
    "(current|pg|inet|has|json_(de)?serialize)_.*|__.*|(col|obj|shobj)_description|format_(pg_)?type|getvariable|getenv"
    "|version|user|session_user|in_search_path|get_block_size|error|assert_true|age"
)
# In SQL, of a row of duckdb_functions(): whether it gives the same answer every time. Some editions of DuckDB say of
# what depends on the time zone that it may change between queries; here the zone is always the same.
STEADY = """
    case coalesce(stability, 'CONSISTENT')
        when 'CONSISTENT' then true
        when 'CONSISTENT_WITHIN_QUERY' then len(parameter_types) > 0 and regexp_matches(
            concat_ws(' ', coalesce(return_type, ''), array_to_string(parameter_types, ' ')),
            'TIMESTAMPTZ|WITH TIME ZONE'
        )
        else false
    end
"""
_JSON_COLUMNS = frozenset(name.encode() for name, column in COLUMNS.items() if column.type == JSON)
_IDENTIFIER = re.compile(rb'[^\W\d][\w$]*|[\x80-\xff][\w$\x80-\xff]*|"(?:[^"]|"")+"')


class Source(NamedTuple):
    """A text that somebody wrote: `what` it is, filter or query, and an `example` of one, for hints."""

    what: str
    text: str
    example: str

    def wrong(self, message: str, position: int | None = None, hint: str | None = None) -> FilterError:
        """An error about a byte of the text."""
        at = None
        if position is not None:
            at = len(self.text.encode()[: max(position, 0)].decode(errors="ignore"))
        return FilterError(f"in the {self.what}: {message}", self.text, at, hint or self.example)

    def check(self) -> None:
        """Raise FilterError for a text that is not worth parsing."""
        what, text = self.what, self.text
        if not text.strip():
            raise FilterError(f"the {what} is empty", text, None, self.example)
        if len(text) > MAX_CHARACTERS:
            raise FilterError(
                f"the {what} has {len(text):,} characters, and {MAX_CHARACTERS:,} are the most", text[:80]
            )
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            raise FilterError(f"the {what} holds a NUL character, or is not Unicode", text[:80])
        depth = 0
        for at, char in enumerate(text):
            if char in "([{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise FilterError(f"in the {what}: {TOO_DEEP}", text, at, self.example)
            elif char in ")]}":
                depth = max(0, depth - 1)


class Bound(NamedTuple):
    """The SQL that a text stands for. `added` has the places, in its bytes, of the parentheses that the text lacks."""

    source: Source
    sql: str
    added: tuple[int, ...]

    def wrong(self, message: str, position: int | None = None, hint: str | None = None) -> FilterError:
        """An error about a byte of the SQL."""
        if position is not None and not 0 <= position <= len(self.sql.encode()):
            position = None
        if position is not None:
            position -= bisect_left(self.added, position)
        return self.source.wrong(message, position, hint)


def shape(node: Any) -> Any:
    """A parsed text without the places in it."""
    if isinstance(node, dict):
        return {name: shape(part) for name, part in node.items() if not name.startswith("query_location")}
    return list(map(shape, node)) if isinstance(node, list) else node


def maps(tree: Any) -> Iterator[dict[str, Any]]:
    """All maps of a parsed text, the outer ones first."""
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            yield part
            stack.extend(reversed(part.values()))
        elif isinstance(part, list):
            stack.extend(reversed(part))


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All expressions of a parsed text, the outer ones first."""
    return (part for part in maps(tree) if "class" in part)


def place(node: Mapping[str, Any]) -> int | None:
    """The byte of the parsed statement at which a node begins, where the parser kept it."""
    location: int = node.get("query_location", -1)
    return location if 0 <= location < 1 << 62 else None


def parameters(tree: Any) -> frozenset[str]:
    """The names of the parameters of lambdas."""
    named = (node["lhs"] for node in nodes(tree) if node["class"] == "LAMBDA")
    return frozenset(first_name(ref) for part in named for ref in nodes(part) if ref["class"] == "COLUMN_REF")


def first_name(node: Mapping[str, Any]) -> str:
    """The first of the names of a column, which may lead into it."""
    name: str = node["column_names"][0]
    return name.lower()


# What COCO and others call the tables and columns.
_OTHER_WORDS = {
    **dict.fromkeys(("image", "images", "samples"), ("inputs",)),
    **dict.fromkeys(("categories", "classes"), ("concepts",)),
    **dict.fromkeys(("image_id", "file_name", "filename", "filepath"), ("key",)),
    **dict.fromkeys(("category", "category_id", "category_name", "label", "class"), ("concept",)),
    **dict.fromkeys(("bbox", "box"), ("x", "y", "w", "h")),
    "segmentation": ("has_polygons", "has_mask"),
    "iscrowd": ("crowd",),
}


def near(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names that are most like one, or mean the same."""
    known = list(known)
    if others := [other for other in _OTHER_WORDS.get(name.lower(), ()) if other in known]:
        return others
    return difflib.get_close_matches(name.lower(), list(known), count, 0.6)


def quoted(name: str) -> str:
    """A text as SQL has it."""
    return "'" + name.replace("'", "''") + "'"


def near_functions(connection: DuckDBPyConnection, name: str) -> str | None:
    """A hint with the functions that are most like one."""
    known = connection.execute("select distinct function_name from duckdb_functions() where function_type = 'scalar'")
    found = difflib.get_close_matches(name, [row[0] for row in known.fetchall()], 3)
    return f"did you mean {', '.join(found)}?" if found else None


# ---- arrows


# Operators that match a part of a text in some editions of DuckDB, and the whole in others.
_MATCHING = (b"~", b"!~", b"~*", b"!~*")
_MATCHES = "a part of a text: regexp_matches(key, '[0-9]+'); the whole: regexp_full_match(key, '[0-9]+')"


def bind_arrows(source: Source) -> Bound:
    """The text with `metadata->'a'->>'b'` in parentheses. Raises FilterError for `~`.

    In some editions of DuckDB an arrow binds less than `=` and `and` do, so that what people write means nothing.
    """
    import duckdb

    data = source.text.encode()
    starts = [start for start, _ in duckdb.tokenize(source.text)]
    tokens = [data[start:end].strip() for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    for start, token in zip(starts, tokens, strict=True):
        if token in _MATCHING:
            raise source.wrong(f"{token.decode()} has no fixed meaning in DuckDB", start, _MATCHES)
    pieces, added, last, at = list[bytes](), list[int](), 0, 0
    while at < len(tokens):
        end = _arrows_end(tokens, at)
        if end is not None:
            stop = starts[end - 1] + len(tokens[end - 1])
            for point, mark in ((starts[at], b"("), (stop, b")")):
                pieces += (data[last:point], mark)
                added.append(point + len(added))
                last = point
            at = end
        else:
            at += 1
    return Bound(source, b"".join([*pieces, data[last:]]).decode(), tuple(added))


def _arrows_end(tokens: list[bytes], at: int) -> int | None:
    """The index behind a column of JSON and the arrows that follow it; None where there is none."""
    if not _IDENTIFIER.fullmatch(tokens[at]) or (at and tokens[at - 1] == b"."):
        return None
    end = at + 1
    while tokens[end : end + 1] == [b"."]:
        end += 2
    if not any(name.strip(b'"').lower() in _JSON_COLUMNS for name in tokens[at:end:2]):
        return None
    path = end
    while tokens[end : end + 1] in ([b"->"], [b"->>"]) and end + 1 < len(tokens) and _is_literal(tokens[end + 1]):
        end += 2
    return end if end > path else None


def _is_literal(token: bytes) -> bool:
    return token.isdigit() or (len(token) > 1 and token[:1] == b"'" == token[-1:])
