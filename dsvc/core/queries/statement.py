"""The query language: one SELECT of DuckDB's SQL, checked before it meets data.

What DuckDB's parser says a text is decides, never what the text looks like. Everything in it has to be on a list of
what is known to compute with the tables and nothing else; all that is not is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.filters.duck import first_line, parse
from dsvc.core.filters.syntax import (
    REFUSED,
    STEADY,
    TOO_DEEP,
    Bound,
    Source,
    bind_arrows,
    maps,
    near,
    near_functions,
    nodes,
    place,
)
from dsvc.core.queries.tables import TABLES
from dsvc.errors import FilterError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLE = "a query is such as: select concept, count(*) from annotations group by 1"
ONE = "a query is one SELECT, and nothing else"
SEES = "a query sees its tables and nothing else: no files, no network, no settings"
_NO_PART = "this is no part of a query"
_OTHERS = {"PARAMETER": "a query has no parameters", "DEFAULT": "a query has no default"}
_COMPUTING = "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR TYPE"
_EXPRESSIONS = frozenset([*_COMPUTING.split(), "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "WINDOW"])
# Words that call a function where no column has their name.
_CALLS = re.compile("(current|session|local)_?(catalog|date|role|schema|time|timestamp|user)|user")
# What else a SELECT is made of: its parts, where it takes rows from, how it orders them.
_PARTS = re.compile(
    "(SELECT|SET_OPERATION|CTE|RECURSIVE_CTE)_NODE|BASE_TABLE|SUBQUERY|JOIN|EMPTY|EXPRESSION_LIST|TABLE_FUNCTION|PIVOT"
    "|(ORDER|LIMIT|LIMIT_PERCENT|DISTINCT)_MODIFIER|ORDER_DEFAULT|ASCENDING|DESCENDING|[A-Z_]+_TYPE_INFO"
)
_TABLE_FUNCTIONS = frozenset(("range", "generate_series", "unnest", "json_each", "json_tree"))
# A function that DuckDB's list has for tables alone, though it can stand in an expression.
_SPREADING = frozenset(("unnest",))
# Of functions by name: whether those that can stand in an expression compute with their arguments alone.
_ALLOWED = f"""
    select lower(function_name), bool_and({STEADY})
    from duckdb_functions()
    where function_type in ('scalar', 'macro', 'aggregate', 'window') and lower(function_name) = any(?) group by 1
"""
_VIEWS = "select lower(view_name) from duckdb_views() union select lower(table_name) from duckdb_tables()"
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")

# A table as a query names it: schema, which is "" where it names none, and table.
Name = tuple[str, str]


class Statement(NamedTuple):
    """A checked query, and of the tables that it reads the columns that it may need; None stands for all."""

    bound: Bound
    tables: Mapping[Name, frozenset[str] | None]


def check(connection: DuckDBPyConnection, text: str, schemas: Iterable[str]) -> Statement:
    """The statement of a text that may name the tables of these schemas. Raises FilterError."""
    source = Source("query", text, EXAMPLE)
    source.check()
    try:
        _parse(connection, Bound(source, text, ()))
        bound = bind_arrows(source)
        tree = _parse(connection, bound)  # of what will be executed
        _check_parts(bound, tree)
        ctes = _check_ctes(connection, bound, tree)
        tables = _check_tables(bound, tree, ctes, frozenset(schemas))
        _check_functions(connection, bound, tree)
    except RecursionError as error:
        raise source.wrong(TOO_DEEP) from error
    return Statement(bound, _needed(tree, tables))


def _parse(connection: DuckDBPyConnection, source: Bound) -> dict[str, Any]:
    """The one statement that a text is. Raises FilterError."""
    tree = parse(connection, source.sql)
    if tree["error"]:
        message, position = first_line(tree["error_message"]), tree.get("position")
        if "depth" in message:
            raise source.wrong(TOO_DEEP)
        if tree.get("error_type") == "not implemented":  # a statement, but no SELECT
            raise source.wrong(ONE)
        raise source.wrong(message, int(position) if position is not None else None)
    if len(tree["statements"]) != 1:
        raise source.wrong(ONE)
    statement: dict[str, Any] = tree["statements"][0]
    return statement


# ---- what may be in it


def _check_parts(source: Bound, tree: dict[str, Any]) -> None:
    for part in maps(tree):
        kind = part.get("type")
        if "class" in part:
            if part["class"] not in _EXPRESSIONS:
                raise source.wrong(_OTHERS.get(part["class"], _NO_PART), place(part), ONE)
            if part["class"] == "COLUMN_REF" and _CALLS.fullmatch(name := part["column_names"][-1].lower()):
                raise source.wrong(f"{name} cannot be used in a query", place(part), _reason(name))
        elif isinstance(kind, str) and not _PARTS.fullmatch(kind):
            raise source.wrong(_NO_PART, place(part), ONE)


def _check_ctes(connection: DuckDBPyConnection, source: Bound, tree: dict[str, Any]) -> frozenset[str]:
    """The names of what WITH makes. None is that of something else, so that it is clear what each means."""
    names = set()
    for part in maps(tree):
        if "cte_map" in part:
            names |= {entry["key"].lower() for entry in part["cte_map"]["map"]}
        names |= {part[field].lower() for field in ("ctename", "cte_name") if isinstance(part.get(field), str)}
    names -= {""}
    if names:
        taken = {row[0] for row in connection.execute(_VIEWS).fetchall()} - TABLES.keys()
        for name in sorted(names):
            if name in taken or not _PLAIN_NAME.fullmatch(name):
                raise source.wrong(f"{name!r} cannot be the name of a part of a query", None, "choose another name")
    return frozenset(names)


def _check_tables(
    source: Bound, tree: dict[str, Any], ctes: frozenset[str], schemas: frozenset[str]
) -> dict[Name, bool]:
    """The tables that are named, each with whether its columns get other names."""
    found: dict[Name, bool] = {}
    for part in maps(tree):
        if part.get("type") == "TABLE_FUNCTION":
            function = part["function"]["function_name"].lower()
            if function not in _TABLE_FUNCTIONS:
                raise source.wrong(f"{function}() cannot be used in a query", place(part), SEES)
        if part.get("type") != "BASE_TABLE":
            continue
        schema, table = part["schema_name"].lower(), part["table_name"].lower()
        if part.get("catalog_name") or part.get("at_clause") or (schema and schema not in schemas):
            raise _unknown(source, part, schemas)
        if table in TABLES:
            found[schema, table] = found.get((schema, table), False) or bool(part.get("column_name_alias"))
        elif schema or table not in ctes:
            raise _unknown(source, part, schemas)
    return found


def _unknown(source: Bound, part: dict[str, Any], schemas: frozenset[str]) -> FilterError:
    names = [part.get("catalog_name"), part.get("schema_name"), part["table_name"]]
    name = ".".join(filter(None, names))
    known = [*TABLES, *(f"{schema}.{table}" for schema in sorted(schemas) for table in TABLES)]
    alike = near(name, known)
    hint = f"did you mean {', '.join(alike)}?" if alike else f"there is: {', '.join(known[:9])}"
    return source.wrong(f"no table {name!r}", place(part), hint)


def _check_functions(connection: DuckDBPyConnection, source: Bound, tree: dict[str, Any]) -> None:
    """Raise FilterError for functions that are unknown, see more than their arguments, or change their answer."""
    of_tables = {id(part["function"]) for part in maps(tree) if part.get("type") == "TABLE_FUNCTION"}
    calls = {
        node["function_name"].lower(): node
        for node in nodes(tree)
        if node["class"] in ("FUNCTION", "WINDOW") and node.get("function_name") and id(node) not in of_tables
    }
    if not calls:
        return
    allowed = dict(connection.execute(_ALLOWED, [sorted(calls)]).fetchall())
    for name, node in calls.items():
        if REFUSED.fullmatch(name) or not allowed.get(name, True):
            raise source.wrong(f"{name}() cannot be used in a query", place(node), _reason(name))
        known = name in allowed or name in _SPREADING or node.get("is_operator") or node["class"] == "WINDOW"
        if not known:
            raise source.wrong(f"no function {name}()", place(node), near_functions(connection, name))


def _reason(name: str) -> str:
    if name == "random":
        return "a query gives the same answer every time; in no order: order by md5_number_lower(key)"
    return f"{SEES}; and it gives the same answer every time"


# ---- what is needed


def _needed(tree: dict[str, Any], tables: Mapping[Name, bool]) -> dict[Name, frozenset[str] | None]:
    """Of each table the columns that are named anywhere, or all where some may be meant without being named."""
    names, whole, rows = set[str](), any(tables.values()), {table for _, table in tables}
    for part in maps(tree):
        kind = part.get("class") or part.get("type")
        names.update(name.lower() for name in part.get("using_columns") or ())
        if kind == "COLUMN_REF":
            names.update(name.lower() for name in part["column_names"])
        elif kind == "BASE_TABLE" and part.get("alias"):
            rows.add(part["alias"].lower())
        elif kind in ("STAR", "PIVOT") or part.get("ref_type") == "NATURAL":
            whole = True
    # The name of a table in the place of a column means a row of it.
    whole = whole or any(
        len(node["column_names"]) == 1 and node["column_names"][0].lower() in rows
        for node in nodes(tree)
        if node["class"] == "COLUMN_REF"
    )
    return {name: None if whole else frozenset(names & TABLES[name[1]].keys()) for name in tables}
