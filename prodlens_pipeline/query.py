"""Read-only queries for people: `prod-lens sql`."""

import csv
from typing import Literal, TextIO

import duckdb
import orjson

from prodlens_pipeline.warehouse.lake import Lake

Rows = tuple[list[str], list[tuple[object, ...]]]


def select(lake: Lake, query: str) -> Rows:
    """Column names and rows of one statement.

    Raises:
        ValueError: the statement is wrong, or would change something.
    """
    try:
        result = lake.execute(query)
        names = [column[0] for column in result.description or []]
        return names, result.fetchall()
    except duckdb.Error as error:
        raise ValueError(str(error)) from error


def print_rows(rows: Rows, form: Literal["table", "csv", "json"], stream: TextIO) -> None:
    """Write rows as a table, CSV with a header, or JSON (a list of objects). NULL is empty, empty and null."""
    names, values = rows
    if form == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(values)
    elif form == "json":
        objects = [dict(zip(names, row, strict=True)) for row in values]
        stream.write(orjson.dumps(objects, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print_table(names, values, stream)


def _print_table(names: list[str], values: list[tuple[object, ...]], stream: TextIO) -> None:
    # Only here: CSV and JSON are for programs, which ask often.
    from rich.console import Console
    from rich.table import Column, Table

    # An id that is cut off cannot be copied.
    table = Table(*(Column(name, overflow="fold") for name in names))
    for row in values:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(file=stream).print(table)
