"""The filter language: one expression of DuckDB's SQL, checked before it meets data.

What DuckDB's parser says a text is decides, never what the text looks like: it must be one expression, the same one
alone and in the place where it will stand, and made of known parts only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.filters.columns import ANNOTATION_COLUMNS, COLUMNS, INPUT_COLUMNS, JSON
from dsvc.core.filters.duck import first_line, parse
from dsvc.core.filters.syntax import (
    REFUSED,
    STEADY,
    TOO_DEEP,
    Bound,
    Source,
    bind_arrows,
    first_name,
    near,
    near_functions,
    nodes,
    parameters,
    place,
    quoted,
    shape,
)
from dsvc.errors import FilterError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLE = "a filter is an expression such as: concept = 'cat' and area > 1024"
_ONE = "a filter is one expression, with nothing before or after it"
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
# Of functions by name: whether one computes with its arguments, and none of that name does anything else.
_ALLOWED = f"""
    select lower(function_name), bool_or(function_type in ('scalar', 'macro')) and bool_and({STEADY})
    from duckdb_functions() where lower(function_name) = any(?) group by 1
"""


class Expression(NamedTuple):
    """A checked filter: the SQL that it stands for, and the columns that it names."""

    bound: Bound
    columns: frozenset[str]

    @property
    def inputs(self) -> frozenset[str]:
        """The columns of inputs among its columns."""
        return self.columns & INPUT_COLUMNS.keys()

    @property
    def annotations(self) -> frozenset[str]:
        """The columns of annotations among its columns."""
        return self.columns & ANNOTATION_COLUMNS.keys()


def check(connection: DuckDBPyConnection, text: str) -> Expression:
    """The expression of a text. Raises FilterError."""
    source = Source("filter", text, EXAMPLE)
    source.check()
    try:
        node = _parse_alone(connection, source, text)
        columns = _check_columns(source, node)
        _check_functions(connection, source, node)
        bound = bind_arrows(source)
        if shape(_parse_alone(connection, source, bound.sql)) != shape(_parse_inside(connection, bound.sql)):
            raise source.wrong(_ONE)
    except RecursionError as error:
        raise source.wrong(TOO_DEEP) from error
    return Expression(bound, columns)


# ---- what the parser says


def _parse_alone(connection: DuckDBPyConnection, source: Source, sql: str) -> dict[str, Any]:
    """The expression that some SQL is. Raises FilterError for what is none, or more than one."""
    tree = parse(connection, _START + sql)
    if tree["error"]:
        message, position = first_line(tree["error_message"]), tree.get("position")
        if position is not None:
            raise source.wrong(message, int(position) - len(_START))
        raise source.wrong(TOO_DEEP if "depth" in message else _ONE)
    plain = parse(connection, _START + "1")
    found, rest = _split(tree)
    if len(found) != 1 or found[0].get("alias") or shape(rest) != shape(_split(plain)[1]):
        raise source.wrong(_ONE)
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


def _place(node: dict[str, Any]) -> int | None:
    """The byte of the text at which a node begins, where the parser kept it."""
    found = place(node)
    return found - len(_START) if found is not None else None


# ---- what may be in it


def _check_columns(source: Source, tree: dict[str, Any]) -> frozenset[str]:
    """The columns that are named. Raises FilterError for an unknown one, and for kinds that no filter has."""
    found = list(nodes(tree))
    for node in found:
        if node["class"] not in _CLASSES:
            raise source.wrong(_OTHERS.get(node["class"], "this is no part of a filter"), _place(node))
    bound, columns = parameters(tree), set()
    for node in found:
        if node["class"] != "COLUMN_REF":
            continue
        name = first_name(node)
        # Behind a column that holds JSON, names lead into it.
        if name in COLUMNS and (len(node["column_names"]) == 1 or COLUMNS[name].type == JSON):
            columns.add(name)
        elif name not in bound:
            raise _unknown(source, node)
    return frozenset(columns)


def _unknown(source: Source, node: dict[str, Any]) -> FilterError:
    name, at = ".".join(node["column_names"]), _place(node)
    alike = near(name.rpartition(".")[2], COLUMNS)
    if at is not None and source.text.encode()[at : at + 1] == b'"':
        hint = ""
    elif alike:
        hint = f"did you mean {', '.join(alike)}? "
    else:
        hint = f"columns of inputs: {', '.join(INPUT_COLUMNS)}; of annotations: {', '.join(ANNOTATION_COLUMNS)}; "
    return source.wrong(f"no column {name!r}", at, f"{hint}a text stands in single quotes: {quoted(name)}")


def _check_functions(connection: DuckDBPyConnection, source: Source, tree: dict[str, Any]) -> None:
    """Raise FilterError for functions that are unknown, or that see more than the record or change their answer."""
    calls = {node["function_name"].lower(): node for node in nodes(tree) if node["class"] == "FUNCTION"}
    if not calls:
        return
    allowed = dict(connection.execute(_ALLOWED, [sorted(calls)]).fetchall())
    for name, node in calls.items():
        refused = REFUSED.fullmatch(name) or not allowed.get(name, True)
        if refused:
            raise source.wrong(f"{name}() cannot be used in a filter", _place(node), _same_answer(name))
        if name not in allowed and not node.get("is_operator"):
            raise source.wrong(f"no function {name}()", _place(node), near_functions(connection, name))


def _same_answer(name: str) -> str:
    if name == "random":
        return "a filter gives the same answer every time; a tenth of the inputs: md5_number_lower(key) % 10 = 0"
    return "a filter looks at one record at a time, sees nothing else, and gives the same answer every time"
