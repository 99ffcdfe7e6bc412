"""What a table promises: its columns, its grain and the checks that every write must pass.

Belongs here: the contract and the SQL that follows from it (DDL, checks). Does not: the rows.
"""

import re
from dataclasses import dataclass
from functools import cached_property

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(identifier: str) -> str:
    """`identifier` safe for SQL text; only plain lower-case names are allowed at all.

    Raises:
        ValueError: the name is not a plain lower-case identifier.
    """
    if not _IDENTIFIER.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is not a plain lower-case SQL name")
    return f'"{identifier}"'


def quoted_name(full_name: str) -> str:
    """`schema.table`, or a longer such name, safe for SQL text; errors as `quoted`."""
    return ".".join(map(quoted, full_name.split(".")))


@dataclass(frozen=True)
class Column:
    """One column: DuckDB type, what it means, and its unit where it has one."""

    name: str
    type: str
    description: str
    unit: str | None = None

    @property
    def documentation(self) -> str:
        """The description with its unit."""
        return f"{self.description} [{self.unit}]" if self.unit else self.description


@dataclass(frozen=True)
class Check:
    """A query that counts the rows that break a promise.

    `sql` may name `$window_start` and `$window_end`; a check passes when the count is 0. Where the rows of a write
    tell by themselves, `counted` is the aggregate that counts those that break it: such checks share one pass over
    the rows, before they are written; `named` may be an aggregate that says in words what is broken.
    A check that is not `blocking` warns and lets the write through.
    """

    name: str
    description: str
    sql: str
    counted: str | None = None
    named: str | None = None
    blocking: bool = True


@dataclass(frozen=True)
class Contract:
    """A table: `key` names its grain, `partitioned` whether it has a `day` that a write replaces."""

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partitioned: bool = True
    not_null: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    owner: str = "team:prodlens"
    plotted: str | None = None
    """A SQL aggregate that is drawn over the partitions in the Dagster UI."""

    @property
    def table(self) -> str:
        """The name in SQL text, quoted."""
        return quoted_name(self.full_name)

    @property
    def full_name(self) -> str:
        """`schema.name`, as people write it."""
        return f"{self.schema}.{self.name}"

    @property
    def scope(self) -> str:
        """The condition that limits a query to the rows that a write replaces."""
        return "day >= $window_start and day < $window_end" if self.partitioned else "true"

    @cached_property
    def column_types(self) -> dict[str, str]:
        """Column name to DuckDB type, in order."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def all_checks(self) -> tuple[Check, ...]:
        """The key is unique and never NULL; then what the contract adds.

        There is none for the `day` of a partitioned table: a write refuses rows that are not of its days.
        """
        required = dict.fromkeys((*self.key, *self.not_null))
        if self.partitioned:
            required.pop("day", None)
        not_null = [self._not_null_check(list(required))] if required else []
        return (*not_null, self._unique_check(), *self.checks)

    def row_check(self, name: str, description: str, failing: str, *, blocking: bool = True) -> Check:
        """A check of the rows that a write replaces: a row for which the condition `failing` is true breaks it."""
        return self._of_written(name, description, f"count(*) filter (where {failing})", blocking=blocking)

    def create_statement(self) -> str:
        """`create table` for a table that does not exist yet."""
        columns = ", ".join(f"{quoted(c.name)} {c.type}" for c in self.columns)
        return f"create table if not exists {self.table} ({columns})"

    def _of_written(
        self, name: str, description: str, counted: str, named: str | None = None, *, blocking: bool = True
    ) -> Check:
        sql = f"select {counted} from {self.table} where {self.scope}"
        return Check(name, description, sql, counted, named, blocking)

    def _not_null_check(self, required: list[str]) -> Check:
        """One for all columns: a check of its own for each would be most of what a run has to record."""
        unknown = [f"{quoted(name)} is null" for name in required]
        broken = (f"if(bool_or({test}), '{name}', null)" for test, name in zip(unknown, required, strict=True))
        return self._of_written(
            "required_not_null",
            f"always known: {', '.join(required)}",
            f"count(*) filter (where {' or '.join(unknown)})",
            f"concat_ws(', ', {', '.join(broken)})",
        )

    def _unique_check(self) -> Check:
        """A key without the day may repeat across days, so its rows are held against the whole table."""
        keys = ", ".join(quoted(name) for name in self.key)
        name, description = "key_unique", f"one row per {', '.join(self.key)}"
        if not self.partitioned or "day" in self.key:
            return self._of_written(name, description, f"count(*) - count(distinct row({keys}))")
        rows = f"({keys}) in (select ({keys}) from {self.table} where {self.scope})"
        return Check(
            name,
            description,
            f"select count(*) from (select {keys} from {self.table} where {rows} group by all having count(*) > 1)",
        )
