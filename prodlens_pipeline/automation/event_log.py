"""Dagster's SQLite event log, which writes a batch of events at once and keeps its files open.

Belongs here: this one thing. Dagster opens three SQLite connections for each event of each (asset, partition), which
costs more than all the work of a 90-day range (docs/adr/0004). It hands events over in batches where
`DAGSTER_EVENT_BATCH_SIZE` is set, but its SQLite storage then still writes them one by one.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as db
from dagster import EventLogEntry
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy.dialects.sqlite import insert

_OPEN_FILES = 4
"""The index and the runs that were written last."""


@dataclass(frozen=True)
class _File:
    """An open database and its inode: whoever wipes the storage removes the file."""

    engine: db.Engine
    inode: int


class BatchedSqliteEventLogStorage(SqliteEventLogStorage):
    """`SqliteEventLogStorage` that inserts a batch of asset events at once. Configured in `dagster.yaml`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open: OrderedDict[str, _File] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)
        self._db_lock = threading.RLock()  # type: ignore[assignment]  # a batch holds two connections, each of which takes it

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedSqliteEventLogStorage":
        """Called by Dagster with the `config` of `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store `events`; of those that follow each other and are a run's about its assets all or none."""
        for (_, is_of_assets), group in groupby(events, lambda event: (event.run_id, _is_of_an_asset(event))):
            if is_of_assets:
                self._store_asset_events(list(group))
            else:
                super().store_event_batch(list(group))

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """One row, which the evaluation completes: a check judges a write, however many days it has.

        Of a run over a range Dagster plans a row a day for each check, and nothing ever completes these.
        """
        found = event.get_dagster_event()
        planned = AssetCheckEvaluationPlanned(
            asset_key=found.asset_check_planned_data.asset_key, check_name=found.asset_check_planned_data.check_name
        )
        whole = event._replace(dagster_event=found._replace(event_specific_data=planned))
        super()._store_asset_check_evaluation_planned(whole, event_id)

    def dispose(self) -> None:
        """Called by Dagster when it is done."""
        super().dispose()
        with self._db_lock:
            while self._open:
                self._open.popitem()[1].engine.dispose()

    def has_table(self, table_name: str) -> bool:
        """Asked for every event of an asset; a table that is there stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _store_asset_events(self, events: Sequence[EventLogEntry]) -> None:
        """What `store_event` leaves of each, in a few statements."""
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(events[0].run_id) as run, self.index_connection() as index:
            run.execute(SqlEventLogStorageTable.insert(), rows)
            index.execute(SqlEventLogStorageTable.insert(), rows)
            # nobody else writes before the commit: SQLite numbers the rows of a transaction without a gap
            last = index.execute(db.select(db.func.max(SqlEventLogStorageTable.c.id))).scalar_one()
            ids = range(last - len(rows) + 1, last + 1)
            self._store_asset_event_tags(index, events, ids)
            for row in self._asset_rows(index, events, ids):
                added = insert(AssetKeyTable).values(row)
                index.execute(added.on_conflict_do_update(index_elements=["asset_key"], set_=row))

    def _asset_rows(
        self, index: db.Connection, events: Sequence[EventLogEntry], ids: Sequence[int]
    ) -> Iterable[dict[str, Any]]:
        """What the events leave in the table of assets: each sets the columns of its type, and the last one stays."""
        has_times = self._has_asset_key_index_cols_on_connection(index)
        last: dict[tuple[str, Any], tuple[int, EventLogEntry]] = {}
        for number, event in zip(ids, events, strict=True):
            last[_asset_key(event), event.dagster_event_type] = number, event
        rows: dict[str, dict[str, Any]] = {}
        for (key, _), (number, event) in sorted(last.items(), key=lambda item: item[1][0]):
            row = rows.setdefault(key, {"asset_key": key})
            row |= self._get_asset_entry_values(event, number, has_times)
        return rows.values()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock, self._file(shard).engine.begin() as connection:
            yield connection

    def _file(self, shard: str) -> _File:
        """The database of a run, or the index. The last connection that closes it would flush all of it."""
        path = Path(self.path_for_shard(shard))
        held = self._open.pop(shard, None)
        if held and (not path.exists() or path.stat().st_ino != held.inode):
            held.engine.dispose()
            held = None
        self._open[shard] = held or self._opened(shard, path)
        if len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].engine.dispose()
        return self._open[shard]

    def _opened(self, shard: str, path: Path) -> _File:
        engine = db.create_engine(
            self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        )
        db.event.listen(engine, "connect", _flush_less)
        if not path.exists() or shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return _File(engine, path.stat().st_ino)


def _flush_less(connection: sqlite3.Connection, _: object) -> None:
    """With a write-ahead log a power cut can then cost the last events, but never the file."""
    connection.execute("pragma synchronous = normal")


def _is_of_an_asset(event: EventLogEntry) -> bool:
    found = event.dagster_event
    return bool(found and found.asset_key and event.dagster_event_type in ASSET_EVENTS)


def _asset_key(event: EventLogEntry) -> str:
    key = event.get_dagster_event().asset_key
    assert key is not None  # noqa: S101 - what _is_of_an_asset let through
    return key.to_string()
