"""What the selects of models read: parsed, resolved and traced by sqlglot.

Belongs here: tables, columns and their lineage, and what is wrong with the SQL. Does not: the front matter
(`model_files.py`). Loaded only where a file is new, since it takes sqlglot longer than all else (`models.py`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from prodlens_pipeline.warehouse.model_files import Draft, Reads

_PLACE = re.compile(r"\.? Line: (\d+), Col: \d+")


def reads_of(drafts: Mapping[str, Draft], known: Mapping[str, Mapping[str, str]]) -> dict[str, Reads]:
    """What each model reads, inputs before those who read them. `known` are the columns of all other tables.

    Raises:
        ModelError: bad SQL, an unknown table or column, or a cycle; with file and line.
    """
    selects = {name: _parsed(draft) for name, draft in drafts.items()}
    schema = {**known, **{name: draft.column_types for name, draft in drafts.items()}}
    for select in selects.values():
        _refuse_unknown_tables(select, schema)
    return {name: _reads(selects[name], schema) for name in _in_order(selects)}


@dataclass(frozen=True)
class _Select:
    """A parsed select; `tables` are those it reads, with their lines."""

    draft: Draft
    tree: exp.Select | exp.SetOperation
    tables: Mapping[str, int]


def _parsed(draft: Draft) -> _Select:
    try:
        trees = [tree for tree in sqlglot.parse(draft.sql, dialect="duckdb") if tree is not None]
    except SqlglotError as error:
        line, reason = _line_and_reason(error)
        raise draft.error(draft.first_line + line - 1, f"the SQL cannot be parsed: {reason}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Select | exp.SetOperation):
        raise draft.error(draft.first_line, "a model is exactly one select")
    return _Select(draft, trees[0], _tables(trees[0], draft.first_line))


def _line_and_reason(error: SqlglotError) -> tuple[int, str]:
    """Where in the SQL the error is (1 where sqlglot does not say), and what it is in plain text."""
    if isinstance(error, ParseError) and error.errors:
        return error.errors[0].get("line") or 1, str(error.errors[0].get("description"))
    place = _PLACE.search(str(error))
    return int(place[1]) if place else 1, _PLACE.sub("", str(error))


def _tables(tree: exp.Expression, first_line: int) -> dict[str, int]:
    """The tables a tree reads, with their lines; common table expressions and table functions are none."""
    local = {common.alias_or_name for common in tree.find_all(exp.CTE)}
    found: dict[str, int] = {}
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and (table.db or table.name not in local):
            name = f"{table.db}.{table.name}" if table.db else table.name
            found.setdefault(name, first_line + table.this.meta.get("line", 1) - 1)
    return found


def _refuse_unknown_tables(select: _Select, known: Iterable[str]) -> None:
    for table, line in select.tables.items():
        if table not in known:
            raise select.draft.error(line, f"unknown table {table}; known are {', '.join(sorted(known))}")


def _in_order(selects: Mapping[str, _Select]) -> list[str]:
    graph = {name: [table for table in select.tables if table in selects] for name, select in selects.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = error.args[1]
        message = f"models read each other in a circle: {' -> '.join(cycle)}"
        raise selects[cycle[0]].draft.error(1, message) from error


def _reads(select: _Select, schema: Mapping[str, Mapping[str, str]]) -> Reads:
    tree = _qualified(select, schema)
    _refuse_wrong_columns(select.draft, [column.alias_or_name for column in tree.selects])
    return Reads(tables=tuple(sorted(select.tables)), lineage=_lineage(tree))


def _qualified(select: _Select, schema: Mapping[str, Mapping[str, str]]) -> exp.Query:
    draft = select.draft
    nested: dict[str, Any] = {}
    for full_name, columns in schema.items():
        database, table = full_name.split(".")
        nested.setdefault(database, {})[table] = dict(columns)
    try:
        tree = qualify(select.tree.copy(), schema=nested, dialect="duckdb", identify=False)
    except SqlglotError as error:
        line, reason = _line_and_reason(error)
        raise draft.error(draft.first_line + line - 1, f"a column cannot be resolved: {reason}") from error
    assert isinstance(tree, exp.Query)  # noqa: S101 - what _parsed let through
    return tree


def _refuse_wrong_columns(draft: Draft, selected: list[str]) -> None:
    listed = list(draft.matter.columns)
    extra = [name for name in selected if name not in listed]
    missing = [name for name in listed if name not in selected]
    if extra or missing:
        raise draft.error(
            draft.first_line,
            f"the select and the front matter disagree: not listed {extra or 'none'}, not selected {missing or 'none'}",
        )


def _lineage(tree: exp.Query) -> dict[str, tuple[tuple[str, str], ...]]:
    nodes = lineage(None, tree, {}, scope=build_scope(tree), dialect="duckdb", trim_selects=False, copy=False)
    assert isinstance(nodes, dict)  # noqa: S101 - no column was asked for, so all are answered
    return {name: tuple(sorted(_sources(node))) for name, node in nodes.items()}


def _sources(root: Node) -> set[tuple[str, str]]:
    return {
        (f"{node.expression.db}.{node.expression.name}", node.name.rsplit(".", 1)[-1].strip('"'))
        for node in root.walk()
        if isinstance(node.expression, exp.Table) and node.expression.db
    }
