import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from prodlens_pipeline.landing.manifest import Extent, record_landing
from prodlens_pipeline.partitions import daily_partitions, range_tags
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse import resource, stretches
from prodlens_pipeline.warehouse.assets import asset_key, column_schema, sql_model_assets, table_asset
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import Lake, Query
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.models import load_models
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, PLAIN, START, on, window

# Beta parameters of Dagster that the project relies on.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

DAILY = daily_partitions(START)
COUNTED = replace(EVENTS, plotted="sum(id)")


@pytest.fixture
def warehouse(location: Location) -> Warehouse:
    return Warehouse(home=str(location.home), catalog=location.catalog, data=str(location.data), config_hash="hash")


def events(compute: Callable[[Lake, Window | None], Query | pl.DataFrame]) -> dg.AssetsDefinition:
    return table_asset(COUNTED, compute, group="core", kinds={"python"}, partitions=DAILY, code_version="7")


def source(ids: dict[int, list[int | None]]) -> Callable[[Lake, Window | None], pl.DataFrame]:
    """The rows with these ids on these days, as far as the window reaches."""

    def compute(lake: Lake, days: Window | None) -> pl.DataFrame:
        del lake
        assert days is not None
        rows = [(on(day), number, "x") for day, numbers in ids.items() for number in numbers if on(day) in days.days]
        return pl.DataFrame(rows, schema={"day": pl.Date, "id": pl.Int64, "label": pl.String}, orient="row")

    return compute


def run(
    assets: list[dg.AssetsDefinition], warehouse: Warehouse, instance: dg.DagsterInstance, days: Window | None
) -> dg.ExecuteInProcessResult:
    tags = range_tags(days) if days else None
    return dg.materialize(
        assets, resources={"warehouse": warehouse}, instance=instance, tags=tags, raise_on_error=False
    )


def values(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: item.value for key, item in metadata.items()}


def test_a_range_is_one_run_with_rows_and_numbers_for_every_day(warehouse: Warehouse, location: Location) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        done = run([events(source({0: [1, 2], 2: [3]}))], warehouse, instance, window(0, 2))
        assert done.success
        records = instance.fetch_materializations(asset_key("core.events"), limit=10).records
        days = {record.partition_key: values(dict(record.asset_materialization.metadata)) for record in records}  # type: ignore[union-attr]
        assert days.keys() == {on(day).isoformat() for day in range(3)}
        counts = {day: metadata["dagster/partition_row_count"] for day, metadata in days.items()}
        assert counts == {"2026-01-01": 2, "2026-01-02": 0, "2026-01-03": 1}
        plotted = {day: metadata.get("sum(id)") for day, metadata in days.items()}
        assert plotted == {"2026-01-01": 3.0, "2026-01-02": None, "2026-01-03": 3.0}
        assert {metadata["dagster/row_count"] for metadata in days.values()} == {3}
    evaluations = done.get_asset_check_evaluations()
    assert {e.check_name for e in evaluations} == {check.name for check in COUNTED.all_checks}
    assert all(e.passed for e in evaluations)
    with open_lake(location, read_only=True) as lake:
        assert lake.rows("select day, id from core.events order by id") == [(on(0), 1), (on(0), 2), (on(2), 3)]
        stamp = "select asset, run_id, config_hash, code_version, dagster_version from ops.etl_runs"
        assert lake.rows(stamp) == [("core.events", done.run_id, "hash", "7", dg.__version__)]


def test_a_failing_check_fails_the_step_and_changes_nothing(warehouse: Warehouse, location: Location) -> None:
    key = asset_key("core.events")
    with dg.DagsterInstance.ephemeral() as instance:
        assert run([events(source({0: [1], 1: [2]}))], warehouse, instance, window(0, 1)).success
        failed = run([events(source({0: [5], 1: [None, 7, 7]}))], warehouse, instance, window(0, 1))
        assert not failed.success
        assert failed.get_asset_materialization_events() == []
        assert len(instance.fetch_materializations(key, limit=10).records) == 2, "those of the first run"
    found = {
        e.check_name: (e.passed, values(dict(e.metadata))["failing_rows"]) for e in failed.get_asset_check_evaluations()
    }
    assert found == {"required_not_null": (False, 1), "key_unique": (False, 1)}
    failure = failed.failure_data_for_node("core__events")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description == (
        "core.events 2026-01-01..2026-01-02: required_not_null: 1 rows (id); key_unique: 1 rows; nothing was written"
    )
    with open_lake(location, read_only=True) as lake:
        assert lake.rows("select day, id from core.events order by id") == [(on(0), 1), (on(1), 2)]
        assert lake.value("select count(*) from ops.etl_runs") == 1


def test_days_with_many_records_are_made_in_stretches(
    warehouse: Warehouse, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "RECORDS", 1)
    with dg.DagsterInstance.ephemeral() as instance, open_lake(location) as lake:
        migrate(lake)
        days = (on(0), on(1), on(2))
        extent = Extent("log", "", 0, 0, 1, 0, 1, 3, 3, 0, None, None, days, days)
        record_landing(lake, source="notes", source_name="notes", chunk=None, extents=[extent], letters=[])
        assert run([events(source({0: [1], 2: [3]}))], warehouse, instance, window(0, 2)).success
        assert len(instance.fetch_materializations(asset_key("core.events"), limit=10).records) == 3
        assert lake.rows("select window_start, rows from ops.etl_runs order by 1") == [
            (on(0), 1),
            (on(1), 0),
            (on(2), 1),
        ]

        failed = run([events(source({0: [4], 1: [5, 5], 2: [6]}))], warehouse, instance, window(0, 2))
        assert failed.get_asset_materialization_events() == []
        failure = failed.failure_data_for_node("core__events")
        assert failure and failure.user_failure_data
        assert failure.user_failure_data.description == (
            "core.events 2026-01-02..2026-01-02: key_unique: 1 rows; nothing was written"
        )
        assert lake.rows("select id from core.events order by id") == [(3,), (4,)], "each stretch is all or nothing"


def test_what_reads_a_failed_table_does_not_run(warehouse: Warehouse) -> None:
    def people(lake: Lake, days: Window | None) -> Query:
        assert days is None
        assert lake.was_made(EVENTS)
        return Query("select 'ana' as name, 170 as size")

    after = table_asset(
        PLAIN, people, group="core", kinds=set(), partitions=DAILY, deps=[asset_key("core.events")], code_version="1"
    )
    with dg.DagsterInstance.ephemeral() as instance:
        failed = run([events(source({0: [None]})), after], warehouse, instance, window(0))
        assert [event.node_name for event in failed.get_step_failure_events()] == ["core__events"]
        started = [e.node_name for e in failed.all_events if e.event_type == dg.DagsterEventType.STEP_START]
        assert started == ["core__events"]


def test_a_run_has_one_connection(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Lake] = []
    used: list[Lake] = []

    @contextmanager
    def counting(location: Location) -> Any:
        with open_lake(location) as lake:
            opened.append(lake)
            yield lake

    def people(lake: Lake, days: Window | None) -> Query:
        del days
        used.append(lake)
        return Query("select 'ana' as name, 170 as size")

    def table(name: str) -> dg.AssetsDefinition:
        contract: Contract = replace(PLAIN, name=name)
        return table_asset(contract, people, group="core", kinds=set(), partitions=DAILY, code_version="1")

    monkeypatch.setattr(resource, "open_lake", counting)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run([table("a"), table("b"), table("c")], warehouse, instance, None).success
    assert len(opened) == 1
    assert len(used) == 3
    assert all(lake is opened[0] for lake in used)


def test_the_connection_is_a_duckdb_resource_with_the_lake(warehouse: Warehouse) -> None:
    @dg.asset
    def probe(warehouse: Warehouse) -> int:
        with warehouse.get_connection() as connection:
            found = connection.execute("select count(*) from ops.etl_runs").fetchone()
            assert found == (0,)
            return int(found[0])

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([probe], resources={"warehouse": warehouse}, instance=instance).success


def test_there_is_no_lake_outside_of_a_run(warehouse: Warehouse) -> None:
    with pytest.raises(RuntimeError, match=r"open_lake\(\)"):
        _ = warehouse.lake


def test_the_warehouse_of_a_project(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, home=tmp_path / "home")
    found = Warehouse.of(settings)
    assert (found.home, found.catalog) == (str(tmp_path / "home"), "sqlite")
    assert found.data == str(tmp_path / "home" / "lake")
    assert found.config_hash == settings.config_hash
    moved = Warehouse.of(Settings.model_validate({**settings.model_dump(), "warehouse": {"data": "parquet"}}))
    assert moved.data == str(tmp_path / "parquet"), "relative to the configuration's folder"


MODEL = """/*
description: Ids per day
grain: [day]
owner: team:metrics
lookback_days: 1
tags: {layer: marts}
columns:
  day: {type: DATE, description: UTC day}
  ids: {type: BIGINT, description: Ids of the day and the one before, unit: ids}
*/
select d.day, count(e.id) as ids
from (select unnest(generate_series($window_start, $window_end - interval 1 day, interval 1 day))::date as day) d
left join core.events e on e.day between d.day - 1 and d.day
group by d.day
"""


def test_a_sql_model_is_an_asset(warehouse: Warehouse, location: Location, tmp_path: Path) -> None:
    (tmp_path / "models" / "marts").mkdir(parents=True)
    (tmp_path / "models" / "marts" / "daily.sql").write_text(MODEL)
    (model,) = load_models([EVENTS], tmp_path / "models")
    (daily,) = sql_model_assets([model], DAILY)
    key = asset_key("marts.daily")
    spec = daily.get_asset_spec(key)
    assert (spec.description, spec.group_name, spec.tags, spec.owners) == (
        "Ids per day",
        "marts",
        {**spec.tags, "layer": "marts"},
        ["team:metrics"],
    )
    assert spec.metadata["dagster/column_schema"] == column_schema(model.contract)
    lineage = spec.metadata["dagster/column_lineage"].deps_by_column
    assert lineage["ids"] == [dg.TableColumnDep(asset_key("core.events"), "id")]
    mapping = daily.get_partition_mapping(asset_key("core.events"))
    assert isinstance(mapping, dg.TimeWindowPartitionMapping)
    assert (mapping.start_offset, mapping.end_offset) == (-1, 0)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run([events(source({0: [1, 2], 1: [3]})), daily], warehouse, instance, window(0, 2)).success
    with open_lake(location, read_only=True) as lake:
        assert lake.rows("select day, ids from marts.daily order by day") == [(on(0), 2), (on(1), 3), (on(2), 1)]


def test_loading_assets_warns_of_nothing_but_beta_parameters() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", dg.BetaWarning)
        assert events(source({})).key == asset_key("core.events")
