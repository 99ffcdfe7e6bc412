"""Backfilling a simulated team's days, after its sources were landed: three ways to make the same tables.

`python -m bench.contenders.backfill range|singles|stock TEAM HOME DAYS` makes the warehouse `HOME` anew, lands all
sources, and times `DAYS` days: in one range, with one run per partition, or with the IO manager of dagster-duckdb.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl

from prodlens_pipeline.definitions import build_defs, python_contracts
from prodlens_pipeline.delivery.assets import collect_repositories
from prodlens_pipeline.delivery.commits import RAW as RAW_COMMITS
from prodlens_pipeline.delivery.commits import commit_rows
from prodlens_pipeline.delivery.git_tables import GIT_TABLES
from prodlens_pipeline.landing.config import TABLES as CONFIG_TABLES
from prodlens_pipeline.partitions import daily_partitions, range_tags
from prodlens_pipeline.pipeline import dagster_environment
from prodlens_pipeline.settings import Settings, load_settings
from prodlens_pipeline.traces.assets import SHAPES, common_query, price_rows, raw_contracts, raw_query
from prodlens_pipeline.traces.collect import collect_traces
from prodlens_pipeline.traces.prices import PRICES
from prodlens_pipeline.traces.registry import configured
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import LAKE, SCHEMAS, Lake, Query
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.models import SqlModel, load_models
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window

Way = Callable[[Settings, Sequence[Window]], int]
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_NOT_DAILY = {"config", "landing", "analysis"}


def main(way: str, team: str, home: str, days: str) -> None:
    """Land, then backfill in one way; prints the seconds and the partitions of assets that were made."""
    shutil.rmtree(home, ignore_errors=True)
    os.environ["PRODLENS_HOME"] = home
    settings = load_settings(Path(team) / "prodlens.yaml")
    os.environ.update(dagster_environment(settings))
    first = settings.start_date
    window = Window(first, first + timedelta(days=int(days)))
    singles = [Window(day, day + timedelta(days=1)) for day in window.days]
    land(settings)
    begin, used = time.perf_counter(), time.process_time()
    assets = {"range": ours, "singles": ours, "stock": stock}[way](settings, singles if way == "singles" else [window])
    seconds = time.perf_counter() - begin
    cpu_seconds = time.process_time() - used
    print(json.dumps({"work_s": seconds, "work_cpu_s": cpu_seconds, "assets": assets, "partitions": len(window.days)}))


def land(settings: Settings) -> None:
    """Copy all sources into the landing zone, and write down the configuration."""
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        for trace_format in configured(settings):
            collect_traces(lake, settings, trace_format)
        collect_repositories(lake, settings)
    with dg.DagsterInstance.get() as instance:
        job = build_defs(settings).resolve_job_def("daily")
        keys = [key for key in job.asset_layer.executable_asset_keys if job.asset_layer.get(key).group_name == "config"]
        _finished(job.execute_in_process(asset_selection=keys, instance=instance, run_config=_QUIET))


def ours(settings: Settings, windows: Sequence[Window]) -> int:
    """One run per window of every table that a day has; returns how many assets are partitioned."""
    with dg.DagsterInstance.get() as instance:
        job = build_defs(settings).resolve_job_def("daily")
        layer = job.asset_layer
        keys = [key for key in layer.executable_asset_keys if layer.get(key).group_name not in _NOT_DAILY]
        for window in windows:
            tags = range_tags(window)
            _finished(job.execute_in_process(asset_selection=keys, instance=instance, tags=tags, run_config=_QUIET))
        return sum(layer.get(key).partitions_def is not None for key in keys)


def stock(settings: Settings, windows: Sequence[Window]) -> int:
    """The same tables as polars frames, stored by dagster-duckdb's IO manager, as its documentation shows."""
    from dagster_duckdb_polars import DuckDBPolarsIOManager

    file = settings.home / "stock.duckdb"
    with open_lake(Location.of(settings)) as landed:
        tables = list(_frames(settings, landed, file))
        with _lake_of(file) as lake:
            for schema in SCHEMAS:
                lake.execute(f"create schema {schema}")
            for contract in {*python_contracts(), *(contract for contract, _ in tables)}:
                columns = ", ".join(f"{column.name} {column.type}" for column in contract.columns)
                lake.execute(f"create table {contract.full_name} ({columns})")
        assets = [_stock_asset(settings, contract, frame) for contract, frame in tables]
        with dg.DagsterInstance.get() as instance:
            for window in windows:
                _finished(
                    dg.materialize(
                        assets,
                        instance=instance,
                        tags=range_tags(window),
                        run_config=_QUIET,
                        resources={"io_manager": DuckDBPolarsIOManager(database=str(file))},
                    )
                )
    return sum(asset.partitions_def is not None for asset in assets)


Frame = Callable[[Window], pl.DataFrame]


def _frames(settings: Settings, landed: Lake, file: Path) -> Iterator[tuple[Contract, Frame]]:
    """Every table and what makes its frame for a window, inputs first."""
    used = configured(settings)

    def asked(rows: Callable[[Window], Query | pl.DataFrame]) -> Frame:
        def frame(window: Window) -> pl.DataFrame:
            found = rows(window)
            if isinstance(found, pl.DataFrame):
                return found
            with _lake_of(file) as lake:
                return lake.frame(found.sql, found.parameters)

        return frame

    for contract, rows in CONFIG_TABLES:
        yield contract, asked(lambda _, rows=rows: rows(settings))
    for contract, git_rows, _ in GIT_TABLES:
        yield contract, asked(lambda _, git_rows=git_rows: git_rows(landed, settings.landing))
    for contract in raw_contracts(used):
        yield contract, asked(lambda w, contract=contract: raw_query(contract, used, landed, settings.landing, w))
    yield RAW_COMMITS, asked(lambda window: commit_rows(landed, settings.landing, window))
    for shape in SHAPES:
        yield shape, asked(lambda window, shape=shape: common_query(shape, used, window))

    def prices(window: Window) -> pl.DataFrame:
        del window
        with _lake_of(file) as lake:
            return price_rows(lake)

    yield PRICES, prices
    for model in load_models(python_contracts()):
        yield model.contract, asked(lambda window, model=model: _model_query(model, window))


def _model_query(model: SqlModel, window: Window) -> Query:
    return Query(model.sql, window.parameters if model.contract.partitioned else {})


def _stock_asset(settings: Settings, contract: Contract, frame: Frame) -> dg.AssetsDefinition:
    names = [column.name for column in contract.columns]
    partitions = daily_partitions(settings.start_date) if contract.partitioned else None

    @dg.asset(
        key=contract.full_name.split("."),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        metadata={"partition_expr": "day"} if partitions else None,
    )
    def made(context: dg.AssetExecutionContext) -> pl.DataFrame:
        if not partitions:
            return frame(Window(settings.start_date, settings.start_date + timedelta(days=1))).select(names)
        covered = context.partition_time_window
        return frame(Window(covered.start.date(), covered.end.date())).select(names)

    return made


@contextmanager
def _lake_of(file: Path) -> Iterator[Lake]:
    """A plain DuckDB file to ask as if it were the lake."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{file}' as {LAKE}")
        connection.execute(f"use {LAKE}")
        connection.execute("set TimeZone = 'UTC'")
        yield Lake(connection, None)


def _finished(result: dg.ExecuteInProcessResult) -> None:
    if not result.success:
        raise SystemExit("; ".join(str(event.message) for event in result.all_events if event.is_step_failure))


if __name__ == "__main__":
    main(*sys.argv[1:])
