import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage

from prodlens_pipeline.automation.event_log import BatchedSqliteEventLogStorage

DAYS = dg.DailyPartitionsDefinition("2026-01-01")
RANGE = {
    "dagster/asset_partition_range_start": "2026-01-01",
    "dagster/asset_partition_range_end": "2026-01-05",
}
BATCHED = """
event_log_storage:
  module: prodlens_pipeline.automation.event_log
  class: BatchedSqliteEventLogStorage
  config: {base_dir: {env: DAGSTER_HOME}}
"""


@dg.multi_asset(
    specs=[dg.AssetSpec("usage", partitions_def=DAYS)],
    check_specs=[dg.AssetCheckSpec("good", asset="usage")],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def usage(context: dg.AssetExecutionContext):
    for day in context.partition_keys:
        context.add_asset_metadata({"rows": int(day[-1])}, asset_key="usage", partition_key=day)
    yield dg.AssetCheckResult(check_name="good", passed=True)
    yield dg.MaterializeResult(metadata={"total": 15})


@dg.multi_asset(
    specs=[dg.AssetSpec("tail", deps=["usage"], partitions_def=DAYS)], backfill_policy=dg.BackfillPolicy.single_run()
)
def tail(context: dg.AssetExecutionContext):
    context.log.info("a message")
    for day in context.partition_keys[:2]:
        context.log_event(dg.AssetObservation("usage", partition=day))


def stored_events(tmp_path, monkeypatch, config: str) -> list[tuple[object, ...]]:
    """What Dagster itself reads back after a run over a range: type, partition and metadata of every event."""
    tmp_path.mkdir()
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + config)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        result = dg.materialize([usage], instance=instance, tags=RANGE)
        log = instance.all_logs(result.run_id)
        assert instance.get_materialized_partitions(dg.AssetKey("usage")) == {f"2026-01-0{n}" for n in range(1, 6)}
        rows = [
            (event.dagster_event.event_type_value, event.dagster_event.partition, event.dagster_event.message)
            for event in log
            if event.dagster_event and event.dagster_event.asset_key
        ]
        latest = instance.get_latest_materialization_event(dg.AssetKey("usage"))
        assert latest is not None and latest.asset_materialization is not None
        return [*sorted(rows, key=str), ("latest", str(latest.asset_materialization.metadata["total"].value), "")]


@pytest.mark.parametrize("batch_size", ["3", "1000"])
def test_batches_leave_what_the_stock_log_leaves(tmp_path, monkeypatch, batch_size):
    stock = stored_events(tmp_path / "stock", monkeypatch, "")
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", batch_size)

    assert stored_events(tmp_path / "batched", monkeypatch, BATCHED) == stock


@pytest.fixture(scope="module")
def batches(tmp_path_factory) -> list[list[dg.EventLogEntry]]:
    """What Dagster hands over: two runs over a range, the first of which also leaves an observation and a message."""
    seen: list[list[dg.EventLogEntry]] = []
    home = tmp_path_factory.mktemp("recorded")

    class Recording(SqliteEventLogStorage):
        def store_event(self, event):
            seen.append([event])
            super().store_event(event)

        def store_event_batch(self, events):
            seen.append(list(events))
            for event in events:
                super().store_event(event)

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
        with dg.instance_for_test(temp_dir=str(home)) as instance:
            instance._event_storage = Recording(str(home / "recorded"))
            instance._event_storage.register_instance(instance)
            for _ in range(2):
                assert dg.materialize([usage, tail], instance=instance, tags=RANGE).success
    return seen


def contents(folder: Path) -> dict[str, list[object]]:
    """All rows of all files, without the clock of the database."""
    found = {}
    for path in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(path)) as file:
            file.row_factory = sqlite3.Row
            for table in ("event_logs", "asset_keys", "asset_event_tags"):
                rows = map(dict, file.execute(f"select * from {table} order by id"))
                found[f"{path.name} {table}"] = [row | {"create_timestamp": None} for row in rows]
    return found


def test_every_row_is_the_stock_logs(tmp_path, batches):
    assert max(map(len, batches)) > 1
    assert {event.run_id for batch in batches for event in batch if batch[1:]} == {
        batches[0][0].run_id,
        batches[-1][0].run_id,
    }
    stock, ours = SqliteEventLogStorage(str(tmp_path / "stock")), BatchedSqliteEventLogStorage(str(tmp_path / "ours"))
    planned = [batch for batch in batches if batch[1:]]
    # also batches that Dagster does not make today: of several assets, of several types, of several runs
    mixed = [event for batch in planned for event in batch if event.dagster_event_type in ASSET_EVENTS]
    for batch in (*batches, mixed[: len(planned[0])], mixed):
        SqliteEventLogStorage.store_event_batch(stock, batch)
        ours.store_event_batch(batch)
    ours.dispose()
    expected = contents(tmp_path / "stock")
    assert sum(map(len, expected.values())) > 100
    assert contents(tmp_path / "ours") == expected


def test_a_check_of_many_days_is_one_row(tmp_path, batches):
    """Dagster's own log keeps a planned row a day beside it for good."""
    log = BatchedSqliteEventLogStorage(str(tmp_path / "log"))
    for batch in batches:
        log.store_event_batch(batch)
    key = dg.AssetCheckKey(dg.AssetKey("usage"), "good")
    found = log.get_asset_check_execution_history(key, limit=100)
    log.dispose()
    assert [(record.status.value, record.partition, record.run_id) for record in found] == [
        ("SUCCEEDED", None, batches[-1][0].run_id),
        ("SUCCEEDED", None, batches[0][0].run_id),
    ]


def _no_checks(batch: list[dg.EventLogEntry]) -> bool:
    return not any("CHECK" in str(event.dagster_event_type) for event in batch)


def test_a_wiped_log_goes_on(tmp_path, batches):
    log = BatchedSqliteEventLogStorage(str(tmp_path / "log"))
    events = [batch for batch in batches if batch[0].run_id == batches[0][0].run_id and _no_checks(batch)]
    for batch in events:
        log.store_event_batch(batch)
    before = contents(tmp_path / "log")
    # by another process
    BatchedSqliteEventLogStorage(str(tmp_path / "log")).wipe()
    assert not any(contents(tmp_path / "log").values())
    for batch in events:
        log.store_event_batch(batch)
    log.dispose()
    kept = {name: rows for name, rows in contents(tmp_path / "log").items() if not name.startswith("index")}
    assert kept == {name: rows for name, rows in before.items() if not name.startswith("index")}


def test_a_batch_that_fails_is_stored_event_by_event(tmp_path, monkeypatch):
    calls = []
    original = BatchedSqliteEventLogStorage.store_event_batch

    def broken_once(self, events):
        calls.append(len(events))
        if len(calls) == 1:
            raise OSError("disk hiccup")
        original(self, events)

    monkeypatch.setattr(BatchedSqliteEventLogStorage, "store_event_batch", broken_once)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")

    events = stored_events(tmp_path / "batched", monkeypatch, BATCHED)

    assert len(calls) >= 2
    assert sum(kind == "ASSET_MATERIALIZATION" for kind, _, _ in events) == 5
