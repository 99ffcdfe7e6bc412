"""The lake: how it is read, and the one way to write a table.

Belongs here: queries, and replacing a window of a table atomically. Does not: connecting (`opening.py`), which tables
there are (`contracts.py`, `models.py`), nor Dagster (`resource.py`, `assets.py`).
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from typing import Any, TypeVar

import duckdb
import polars as pl
from filelock import FileLock, Timeout

from prodlens_pipeline.warehouse.contracts import Check, Contract, quoted
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.windows import Window

LAKE = "prodlens"
SCHEMAS = ("raw", "core", "marts", "survey", "analysis", "ops")
STAGED = "temp.main.staged"
INLINED_ROWS = 10
"""Most rows of one write to a table of ops that are kept in the catalog."""
LOCK_TIMEOUT_SECONDS = 300

Parameters = Mapping[str, Any]
_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Query:
    """A select and the values of the parameters it names."""

    sql: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class Stamp:
    """Who writes: stored with every write in `ops.etl_runs`."""

    run_id: str
    config_hash: str
    code_version: str
    dagster_version: str | None = None


@dataclass(frozen=True)
class CheckOutcome:
    """How one check ended: `failing_rows` is 0 where it passed; `broken` says in words what failed, where it can."""

    check: Check
    failing_rows: int
    broken: str = ""

    @property
    def passed(self) -> bool:
        """Whether no row broke the promise."""
        return self.failing_rows == 0

    @property
    def prevents(self) -> bool:
        """Whether nothing may be written."""
        return self.check.blocking and not self.passed


@dataclass(frozen=True)
class WriteResult:
    """What a write did. Where a blocking check failed nothing was written and `committed` is False."""

    committed: bool
    rows: int
    rows_by_day: Mapping[date, int]
    outcomes: tuple[CheckOutcome, ...]
    total_rows: int
    plotted_by_day: Mapping[date, float | None] = field(default_factory=dict)
    """What the contract's `plotted` comes to, where it has one."""


class Lake:
    """One open connection to the lake; use `open_lake`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, lock: FileLock | None) -> None:
        self.connection = connection
        self._lock = lock
        self._agreed: set[str] = set()
        """The tables that are stored as their contract says."""

    def execute(self, sql: str, parameters: Parameters | None = None) -> duckdb.DuckDBPyConnection:
        """Run one statement. Parameters that the statement does not name are left out."""
        wanted = set(_PARAMETER.findall(sql)) if parameters else set()
        named = {key: value for key, value in (parameters or {}).items() if key in wanted}
        return self.connection.execute(sql, named) if named else self.connection.execute(sql)

    def frame(self, sql: str, parameters: Parameters | None = None) -> pl.DataFrame:
        """The rows of a select as a polars frame."""
        return self.execute(sql, parameters).pl()

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
        """The rows of a select."""
        return self.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Parameters | None = None) -> Any:
        """The first column of the first row, or None where there is no row."""
        row = self.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def tables(self) -> set[str]:
        """The names of all tables of the lake, as `schema.table`."""
        # duckdb_tables() would read the statistics of every table, which takes longer than most of what is asked next.
        found = self.rows(
            "select distinct schema_name || '.' || table_name from duckdb_columns() where database_name = $lake",
            {"lake": LAKE},
        )
        return {name for (name,) in found}

    def was_made(self, contract: Contract) -> bool:
        """Whether the table was ever written."""
        return bool(self.value("select count(*) from ops.etl_runs where asset = $table", {"table": contract.full_name}))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Reads that belong together: all of one snapshot, whatever is written meanwhile.

        Also the way to read quickly: outside of a transaction each statement loads the catalog anew (~100 ms).
        """
        self.connection.begin()
        try:
            yield
        finally:
            self.connection.rollback()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and one writer at a time where the catalog needs it.

        Raises:
            WarehouseError: another process holds the write lock for too long.
        """
        with self._write_lock():
            self.connection.begin()
            try:
                yield
            except BaseException:
                self._agreed.clear()
                self.connection.rollback()
                raise
            self.connection.commit()

    def prepare(self, contracts: Sequence[Contract]) -> None:
        """Create the tables that do not exist yet, in a way that makes small statements quick.

        All in one transaction: one by one, each would make a version of the schema, and DuckLake loads the version that
        a table was made in before it writes to it (~30 ms). And with their rows in files: rows kept in the catalog cost
        whoever reads their table two questions more. Only ops keeps them, where a write adds a few to several tables.
        """
        stored = self._stored_columns()
        missing = [contract for contract in contracts if contract.full_name not in stored]
        if missing:
            self.retrying(lambda: self._create(missing))
            stored = self._stored_columns()
        declared = self._declared_types(contracts)
        self._agreed = {
            contract.full_name
            for contract in contracts
            if stored[contract.full_name] == {name: declared[kind] for name, kind in contract.column_types.items()}
        }

    def _create(self, contracts: Iterable[Contract]) -> None:
        with self.transaction():
            self.execute(f"call {LAKE}.set_option('data_inlining_row_limit', 0)")
            self.execute(f"call {LAKE}.set_option('data_inlining_row_limit', {INLINED_ROWS}, schema => 'ops')")
            for contract in contracts:
                self.execute(contract.create_statement())

    def overwrite(
        self, contract: Contract, window: Window | None, source: Query | pl.DataFrame, stamp: Stamp
    ) -> WriteResult:
        """Replace the rows of `window` (of the whole table where it is None) by `source`, or change nothing.

        Delete, insert by name, the checks of the whole table and the line in `ops.etl_runs` are one transaction: a
        crash or a failing check leaves the old rows whole. A column that the contract gained is added first.

        Raises:
            WarehouseError: the stored table and the contract disagree in a way that a write cannot mend, or the
                source has rows outside of the window.
        """
        if (window is not None) != contract.partitioned:
            raise ValueError(f"{contract.full_name} is {'' if contract.partitioned else 'not '}partitioned by day")
        started_at = datetime.now(UTC)
        staged = self._stage(contract, window, source)
        try:
            return self.retrying(lambda: self._replace(contract, window, staged, stamp, started_at))
        finally:
            self.connection.execute(f"drop table if exists {STAGED}")

    def _stage(self, contract: Contract, window: Window | None, source: Query | pl.DataFrame) -> "_Staged":
        """Compute and check rows before the lock is taken, so that writers wait for each other only while they write.

        In one transaction, for each would ask the catalog for its newest snapshot (~10 ms).
        """
        self.connection.begin()
        try:
            self._compute(contract, source)
            staged = self._staged(contract, window)
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()
        return staged

    def _staged(self, contract: Contract, window: Window | None) -> "_Staged":
        days = self._staged_days(contract, window) if window else {}
        checks = [check for check in contract.all_checks if check.counted is not None]
        counted, named = (str(check.counted) for check in checks), (check.named or "''" for check in checks)
        rows, *found = self.rows(f"select {', '.join(['count(*)', *counted, *named])} from {STAGED}")[0]
        judged = zip(checks, found[: len(checks)], found[len(checks) :], strict=True)
        outcomes = {check: CheckOutcome(check, int(failing), broken) for check, failing, broken in judged}
        return _Staged(
            int(rows),
            rows_by_day={day: count for day, (count, _) in days.items()},
            plotted_by_day={day: plotted for day, (_, plotted) in days.items()},
            outcomes=outcomes,
        )

    def _compute(self, contract: Contract, source: Query | pl.DataFrame) -> None:
        columns = ", ".join(f"source.{quoted(c.name)}::{c.type} as {quoted(c.name)}" for c in contract.columns)
        order = "order by day" if contract.partitioned else ""
        text, parameters = "staged_frame", None
        if isinstance(source, pl.DataFrame):
            self.connection.register("staged_frame", source)
        else:
            text, parameters = f"({source.sql.rstrip().rstrip(';')}\n)", source.parameters
        try:
            self.execute(
                f"create or replace temp table staged as select {columns} from {text} source {order}", parameters
            )
        finally:
            if isinstance(source, pl.DataFrame):
                self.connection.unregister("staged_frame")

    def _staged_days(self, contract: Contract, window: Window) -> dict[date, tuple[int, float | None]]:
        """Number of rows of each day, and what is plotted of it."""
        plotted = contract.plotted or "null"
        by_day = {
            day: (count, None if value is None else float(value))
            for day, count, value in self.rows(f"select day, count(*), {plotted} from {STAGED} group by day")
        }
        foreign = sorted(str(day) for day in by_day if day is None or not window.start <= day < window.end)
        if foreign:
            raise WarehouseError(
                f"{contract.full_name}: a write of {window} got rows of other days ({', '.join(foreign[:3])}), which "
                "a second write would add again; its source must select the days of $window_start to $window_end only"
            )
        return by_day

    def _replace(
        self, contract: Contract, window: Window | None, staged: "_Staged", stamp: Stamp, started_at: datetime
    ) -> WriteResult:
        parameters = window.parameters if window else {}
        outcomes: tuple[CheckOutcome, ...] = ()
        try:
            with self.transaction():
                self._ensure_table(contract)
                self.execute(f"delete from {contract.table} where {contract.scope}", parameters)
                self.execute(f"insert into {contract.table} by name select * from {STAGED}")
                outcomes = tuple(
                    staged.outcomes.get(check) or CheckOutcome(check, int(self.value(check.sql, parameters)))
                    for check in contract.all_checks
                )
                if any(outcome.prevents for outcome in outcomes):
                    raise _ChecksFailedError
                total = int(self.value(f"select count(*) from {contract.table}")) if window else staged.rows
                self._record(contract, window, staged.rows, stamp, started_at)
        except _ChecksFailedError:
            return WriteResult(False, staged.rows, staged.rows_by_day, outcomes, total_rows=0)
        return WriteResult(True, staged.rows, staged.rows_by_day, outcomes, total, staged.plotted_by_day)

    def _ensure_table(self, contract: Contract) -> None:
        if contract.full_name in self._agreed:
            return
        stored = self._stored_columns().get(contract.full_name)
        if not stored:
            self.execute(contract.create_statement())
            return
        declared = self._declared_types([contract])
        for column in contract.columns:
            if column.name not in stored:
                self.execute(f"alter table {contract.table} add column {quoted(column.name)} {column.type}")
            elif stored[column.name] != declared[column.type]:
                raise WarehouseError(
                    f"{contract.full_name}.{column.name} is stored as {stored[column.name]} but its contract says "
                    f"{column.type}; drop the table ({contract.full_name}) and"
                    " materialise it again from the landing zone"
                )

    def _stored_columns(self) -> dict[str, dict[str, str]]:
        """Name and type of the columns of every table."""
        stored: dict[str, dict[str, str]] = {}
        for table, column, kind in self.rows(
            "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
            "where database_name = $lake order by table_oid, column_index",
            {"lake": LAKE},
        ):
            stored.setdefault(table, {})[column] = kind
        return stored

    def _declared_types(self, contracts: Iterable[Contract]) -> dict[str, str]:
        """How DuckDB spells the types that the contracts declare."""
        types = sorted({column.type for contract in contracts for column in contract.columns})
        return dict(
            zip(types, self.rows(f"select {', '.join(f'typeof(null::{one})' for one in types)}")[0], strict=True)
        )

    def _record(self, contract: Contract, window: Window | None, rows: int, stamp: Stamp, started_at: datetime) -> None:
        self.connection.execute(
            "insert into ops.etl_runs by name select $asset as asset, $window_start as window_start, "
            "$window_end as window_end, $run_id as run_id, $rows as rows, $dagster_version as dagster_version, "
            "$config_hash as config_hash, $code_version as code_version, $started_at as started_at, "
            "$finished_at as finished_at",
            {
                "asset": contract.full_name,
                "window_start": window.start if window else None,
                "window_end": window.end if window else None,
                "run_id": stamp.run_id,
                "rows": rows,
                "dagster_version": stamp.dagster_version,
                "config_hash": stamp.config_hash,
                "code_version": stamp.code_version,
                "started_at": started_at.replace(tzinfo=None),
                "finished_at": datetime.now(UTC).replace(tzinfo=None),
            },
        )

    @contextmanager
    def _write_lock(self) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        try:
            acquired = self._lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        except Timeout as error:
            raise WarehouseError(
                f"{self._lock.lock_file}: another process has been writing for {LOCK_TIMEOUT_SECONDS} s; "
                "let it finish or stop it, then run again"
            ) from error
        with acquired:
            yield

    def retrying(self, write: Callable[[], _Result]) -> _Result:
        """A PostgreSQL catalog has no lock of ours: when two commits to one table collide, the loser writes again.

        DuckLake finds conflicts by table, not by day, so busy writers lose about every other time.

        Raises:
            WarehouseError: it lost for too long.
        """
        until = time.monotonic() + LOCK_TIMEOUT_SECONDS
        for attempt in count():
            try:
                return write()
            except duckdb.TransactionException as error:
                if "conflict" not in str(error).lower():
                    raise
                if time.monotonic() > until:
                    raise WarehouseError(
                        f"others wrote to the same table for {LOCK_TIMEOUT_SECONDS} s; run again when there are fewer "
                        f"writers: {error}"
                    ) from error
                # By chance, or those who collided once would wait alike and collide again.
                time.sleep(random.uniform(0.01, 0.05 * 2 ** min(attempt, 4)))  # noqa: S311
        raise AssertionError("unreachable")


@dataclass(frozen=True)
class _Staged:
    """What the rows tell that are about to be written, with the outcomes of the checks that they answer."""

    rows: int
    rows_by_day: Mapping[date, int]
    plotted_by_day: Mapping[date, float | None]
    outcomes: Mapping[Check, CheckOutcome]


class _ChecksFailedError(Exception):
    """Leaves the transaction so that it rolls back."""
