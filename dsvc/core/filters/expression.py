"""The filter language: one expression of DuckDB's SQL, checked before it meets data.

What DuckDB's parser says a text is decides, never what the text looks like: it must be one expression, the same one
alone and in the place where it will stand, and made of known parts only.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.filters.columns import ANNOTATION_COLUMNS, COLUMNS, INPUT_COLUMNS, JSON
from dsvc.core.filters.duck import MAX_DEPTH, first_line, parse
from dsvc.errors import FilterError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_CHARACTERS = 1_000_000
EXAMPLE = "a filter is an expression such as: concept = 'cat' and area > 1024"
_ONE = "a filter is one expression, with nothing before or after it"
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_START, _BEFORE, _AFTER = "select ", "select 1 where (\n", "\n)"
# Kinds of expressions that compute with one record and nothing else.
_COMPUTING = "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR TYPE"
_CLASSES = frozenset(_COMPUTING.split())
_OTHERS = {
    "SUBQUERY": "a filter has no subquery",
    "STAR": "a filter has no *",
    "WINDOW": "a filter looks at one record at a time",
    "PARAMETER": "a filter has no parameters",
}
# Functions that tell of the session, or run SQL, though DuckDB calls some of them consistent.
_REFUSED = re.compile(
    "(current|pg|inet|has|json_(de)?serialize|(col|obj|shobj)_description|format_(pg_)?type)_.*|__.*|getvariable|getenv"
    "|version|user|session_user|in_search_path|get_block_size|error|assert_true"
)
# Of functions by name: whether one computes with its arguments, and none of that name does anything else.
_ALLOWED = """
    select lower(function_name),
        bool_or(function_type in ('scalar', 'macro')) and bool_and(coalesce(stability, 'CONSISTENT') = 'CONSISTENT')
    from duckdb_functions() where lower(function_name) = any(?) group by 1
"""


class Expression(NamedTuple):
    """A checked filter: its text, the SQL that it stands for, and the columns that it names.

    `added` has the places, in bytes of the SQL, of the parentheses that the text does not have.
    """

    text: str
    sql: str
    columns: frozenset[str]
    added: tuple[int, ...]

    @property
    def inputs(self) -> frozenset[str]:
        """The columns of inputs among its columns."""
        return self.columns & INPUT_COLUMNS.keys()

    @property
    def annotations(self) -> frozenset[str]:
        """The columns of annotations among its columns."""
        return self.columns & ANNOTATION_COLUMNS.keys()

    def wrong(self, message: str, position: int | None = None, hint: str | None = None) -> FilterError:
        """An error about a byte of the SQL."""
        if position is not None:
            position -= bisect_left(self.added, position)
        return _wrong(message, self.text, position, hint)


def check(connection: DuckDBPyConnection, text: str) -> Expression:
    """The expression of a text. Raises FilterError."""
    _check_text(text)
    try:
        node = _parse_alone(connection, text)
        columns = _check_columns(text, node)
        _check_functions(connection, text, node)
        sql, added = _bind_arrows(text)
        if _shape(_parse_alone(connection, sql)) != _shape(_parse_inside(connection, sql)):
            raise _wrong(_ONE, text)
    except RecursionError as error:
        raise _wrong(_TOO_DEEP, text) from error
    return Expression(text, sql, columns, added)


def _wrong(message: str, text: str, position: int | None = None, hint: str | None = None) -> FilterError:
    at = None
    if position is not None:
        at = len(text.encode()[: max(position, 0)].decode(errors="ignore"))
    return FilterError(f"in the filter: {message}", text, at, hint or EXAMPLE)


def _check_text(text: str) -> None:
    if not text.strip():
        raise FilterError("the filter is empty", text, None, EXAMPLE)
    if len(text) > MAX_CHARACTERS:
        raise FilterError(f"the filter has {len(text):,} characters, and {MAX_CHARACTERS:,} are the most", text[:80])
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise FilterError("the filter holds a NUL character, or is not Unicode", text[:80])
    depth = 0
    for at, char in enumerate(text):
        if char in "([{":
            depth += 1
            if depth > MAX_DEPTH:
                raise FilterError(f"in the filter: {_TOO_DEEP}", text, at, EXAMPLE)
        elif char in ")]}":
            depth = max(0, depth - 1)


# ---- what the parser says


def _parse_alone(connection: DuckDBPyConnection, text: str) -> dict[str, Any]:
    """The expression that a text is. Raises FilterError for a text that is none, or more than one."""
    tree = parse(connection, _START + text)
    if tree["error"]:
        message, position = first_line(tree["error_message"]), tree.get("position")
        if position is not None:
            raise _wrong(message, text, int(position) - len(_START))
        raise _wrong(_TOO_DEEP if "depth" in message else _ONE, text)
    plain = parse(connection, _START + "1")
    found, rest = _split(tree)
    if len(found) != 1 or found[0].get("alias") or _shape(rest) != _shape(_split(plain)[1]):
        raise _wrong(_ONE, text)
    expression: dict[str, Any] = found[0]
    return expression


def _parse_inside(connection: DuckDBPyConnection, sql: str) -> Any:
    """The expression where it will stand: in the parentheses of a WHERE; None where they hold none."""
    tree = parse(connection, _BEFORE + sql + _AFTER)
    if tree["error"] or len(tree["statements"]) != 1:
        return None
    return tree["statements"][0]["node"].get("where_clause")


def _split(tree: dict[str, Any]) -> tuple[list[Any], Any]:
    """What a parsed text selects, and all else that it holds."""
    statements = [dict(statement) for statement in tree["statements"]]
    node = statements[0]["node"] = dict(statements[0]["node"])
    return node.pop("select_list", []), statements


def _shape(node: Any) -> Any:
    """A parsed text without the places in it."""
    if isinstance(node, dict):
        return {name: _shape(part) for name, part in node.items() if not name.startswith("query_location")}
    return list(map(_shape, node)) if isinstance(node, list) else node


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All expressions of a parsed text, the outer ones first."""
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            if "class" in part:
                yield part
            stack.extend(reversed(part.values()))
        elif isinstance(part, list):
            stack.extend(reversed(part))


def _place(node: Mapping[str, Any]) -> int | None:
    """The byte of the text at which a node begins, where the parser kept it."""
    location: int = node.get("query_location", -1)
    return location - len(_START) if 0 <= location < 1 << 62 else None


# ---- what may be in it


def _check_columns(text: str, tree: dict[str, Any]) -> frozenset[str]:
    """The columns that are named. Raises FilterError for an unknown one, and for kinds that no filter has."""
    nodes = list(_nodes(tree))
    for node in nodes:
        if node["class"] not in _CLASSES:
            raise _wrong(_OTHERS.get(node["class"], "this is no part of a filter"), text, _place(node))
    parameters = {
        _name(ref)
        for node in nodes
        if node["class"] == "LAMBDA"
        for ref in _nodes(node["lhs"])
        if ref["class"] == "COLUMN_REF"
    }
    columns = set()
    for node in nodes:
        if node["class"] != "COLUMN_REF":
            continue
        name = _name(node)
        # Behind a column that holds JSON, names lead into it.
        if name in COLUMNS and (len(node["column_names"]) == 1 or COLUMNS[name].type == JSON):
            columns.add(name)
        elif name not in parameters:
            raise _unknown(text, node)
    return frozenset(columns)


def _name(node: dict[str, Any]) -> str:
    name: str = node["column_names"][0]
    return name.lower()


def _unknown(text: str, node: dict[str, Any]) -> FilterError:
    name, place = ".".join(node["column_names"]), _place(node)
    near = difflib.get_close_matches(name.lower().rpartition(".")[2], COLUMNS, 3, 0.6)
    if place is not None and text.encode()[place : place + 1] == b'"':
        hint = ""
    elif near:
        hint = f"did you mean {', '.join(near)}? "
    else:
        hint = f"columns of inputs: {', '.join(INPUT_COLUMNS)}; of annotations: {', '.join(ANNOTATION_COLUMNS)}; "
    return _wrong(f"no column {name!r}", text, place, f"{hint}a text stands in single quotes: {_quoted(name)}")


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _check_functions(connection: DuckDBPyConnection, text: str, tree: dict[str, Any]) -> None:
    """Raise FilterError for functions that are unknown, or that see more than the record or change their answer."""
    calls = {node["function_name"].lower(): node for node in _nodes(tree) if node["class"] == "FUNCTION"}
    if not calls:
        return
    allowed = dict(connection.execute(_ALLOWED, [sorted(calls)]).fetchall())
    for name, node in calls.items():
        refused = _REFUSED.fullmatch(name) or not allowed.get(name, True)
        if refused:
            raise _wrong(f"{name}() cannot be used in a filter", text, _place(node), _same_answer(name))
        if name not in allowed and not node.get("is_operator"):
            raise _wrong(f"no function {name}()", text, _place(node), _near_functions(connection, name))


def _same_answer(name: str) -> str:
    if name == "random":
        return "a filter gives the same answer every time; a tenth of the inputs: md5_number_lower(key) % 10 = 0"
    return "a filter looks at one record at a time, sees nothing else, and gives the same answer every time"


def _near_functions(connection: DuckDBPyConnection, name: str) -> str | None:
    known = connection.execute("select distinct function_name from duckdb_functions() where function_type = 'scalar'")
    near = difflib.get_close_matches(name, [row[0] for row in known.fetchall()], 3)
    return f"did you mean {', '.join(near)}?" if near else None


# ---- arrows


# Operators that match a part of a text in some editions of DuckDB, and the whole in others.
_MATCHING = (b"~", b"!~", b"~*", b"!~*")
_MATCHES = "a part of a text: regexp_matches(key, '[0-9]+'); the whole: regexp_full_match(key, '[0-9]+')"


def _bind_arrows(text: str) -> tuple[str, tuple[int, ...]]:
    """The text with `metadata->'a'->>'b'` in parentheses, and where these are. Raises FilterError for `~`.

    In some editions of DuckDB an arrow binds less than `=` and `and` do, so that what people write means nothing.
    """
    import duckdb

    data = text.encode()
    starts = [start for start, _ in duckdb.tokenize(text)]
    tokens = [data[start:end].strip() for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    for start, token in zip(starts, tokens, strict=True):
        if token in _MATCHING:
            raise _wrong(f"{token.decode()} has no fixed meaning in DuckDB", text, start, _MATCHES)
    pieces, added, last, at = list[bytes](), list[int](), 0, 0
    while at < len(tokens):
        end = _arrows_end(tokens, at)
        if end is not None:
            stop = starts[end - 1] + len(tokens[end - 1])
            for place, mark in ((starts[at], b"("), (stop, b")")):
                pieces += (data[last:place], mark)
                added.append(place + len(added))
                last = place
            at = end
        else:
            at += 1
    return b"".join([*pieces, data[last:]]).decode(), tuple(added)


def _arrows_end(tokens: list[bytes], at: int) -> int | None:
    """The index behind a column of JSON and the arrows that follow it; None where there is none."""
    name = tokens[at].strip(b'"').lower().decode()
    if name not in COLUMNS or COLUMNS[name].type != JSON or (at and tokens[at - 1] == b"."):
        return None
    end = at + 1
    while tokens[end : end + 1] == [b"."]:
        end += 2
    path = end
    while tokens[end : end + 1] in ([b"->"], [b"->>"]) and end + 1 < len(tokens) and _is_literal(tokens[end + 1]):
        end += 2
    return end if end > path else None


def _is_literal(token: bytes) -> bool:
    return token.isdigit() or (len(token) > 1 and token[:1] == b"'" == token[-1:])
