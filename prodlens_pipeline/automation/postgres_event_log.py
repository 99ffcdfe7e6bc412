"""Dagster's PostgreSQL event log, which keeps its connections and writes a batch of events in one transaction.

Belongs here: this one thing; the same for SQLite is `event_log.py`. Dagster opens a connection for each event, and
writes only the materializations of a batch together: what is planned for each day of each asset, and each result of a
check, is a connection and a commit of its own.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dagster import EventLogEntry
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine
from sqlalchemy.engine import Connection

_KEPT_CONNECTIONS = 1
"""For each process; more are opened while several threads ask at once."""


class BatchedPostgresEventLogStorage(PostgresEventLogStorage):
    """`PostgresEventLogStorage` with kept connections and whole batches. Configured in `dagster.yaml`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._held = threading.local()
        self._engine = create_pg_engine(
            self.postgres_url,
            self._token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=_KEPT_CONNECTIONS,
            max_overflow=-1,
            # A server that was restarted has cut off the connections that are kept.
            pool_pre_ping=True,
        )

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "BatchedPostgresEventLogStorage":
        """Called by Dagster with the `config` of `dagster.yaml`, which is that of `PostgresEventLogStorage`."""
        stock = PostgresEventLogStorage.from_config_value(inst_data, config_value)
        return cls(stock.postgres_url, stock.should_autocreate_tables, inst_data, stock._token_provider)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store all `events` or none."""
        with super()._connect() as connection:
            transacting = connection.execution_options(isolation_level="READ COMMITTED")
            with transacting.begin():
                self._held.connection = transacting
                try:
                    super().store_event_batch(events)
                finally:
                    del self._held.connection

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        held = getattr(self._held, "connection", None)
        if held is not None:
            yield held
            return
        with super()._connect() as connection:
            yield connection
