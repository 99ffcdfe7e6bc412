"""Tables as Dagster assets: one factory for SQL models, one for tables that Python makes; both write the same way.

Belongs here: turning a contract into an asset with schema, lineage and blocking checks.
Does not: which assets exist (the rooms say), or when they run (`automation/`).
"""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from prodlens_pipeline.partitions import run_window
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import LAKE, CheckOutcome, Lake, Query, WriteResult
from prodlens_pipeline.warehouse.models import SqlModel
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline.warehouse.retired import Input
from prodlens_pipeline.warehouse.retries import trying_again
from prodlens_pipeline.warehouse.windows import Window

POOL = "warehouse"
COLUMNS = "dagster/column_schema"
WHOLE_TABLES_POOL = "whole_tables"
"""One at a time for good: of two runs that read whole tables, who reads first must not write last."""
Compute = Callable[[Lake, Window | None], Query | pl.DataFrame]
Event = dg.AssetCheckResult | dg.MaterializeResult[Any]


def asset_key(full_name: str) -> dg.AssetKey:
    """The asset of the table `schema.name`."""
    return dg.AssetKey(full_name.split("."))


def table_asset(
    contract: Contract,
    compute: Compute,
    *,
    group: str,
    kinds: set[str],
    partitions: dg.PartitionsDefinition[str] | None,
    deps: Sequence[dg.AssetDep | dg.AssetKey] = (),
    code_version: str,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    figures: Callable[[Lake], Mapping[str, float]] | None = None,
) -> dg.AssetsDefinition:
    """An asset whose rows `compute` returns for a window (for None where the table is not partitioned).

    `figures` reads numbers from the written table, which Dagster plots from one materialisation to the next.

    The contract's checks run inside the write; where one fails nothing is written and the step fails.
    """
    key = asset_key(contract.full_name)
    inputs = [Input.of(dep) for dep in deps]
    spec = dg.AssetSpec(
        key,
        deps=deps,
        description=contract.description,
        group_name=group,
        kinds=kinds,
        owners=[contract.owner],
        tags=tags or {},
        code_version=code_version,
        partitions_def=partitions if contract.partitioned else None,
        metadata={
            COLUMNS: column_schema(contract),
            "dagster/table_name": f"{LAKE}.{contract.full_name}",
            "grain": ", ".join(contract.key),
            **(metadata or {}),
        },
    )

    @dg.multi_asset(
        name="__".join(key.path),
        specs=[spec],
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=key, description=check.description, blocking=check.blocking)
            for check in contract.all_checks
        ],
        backfill_policy=dg.BackfillPolicy.single_run() if contract.partitioned else None,
        pool=POOL if contract.partitioned else WHOLE_TABLES_POOL,
    )
    def materialise(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Event]:
        window = run_window(context) if contract.partitioned else None
        makeable = warehouse.retired.makeable(window, inputs) if window else []
        parts = warehouse.stretches.of(makeable, contract) if window else [None]
        stamp = warehouse.stamp(context, code_version)
        results = []
        for part in parts:
            with trying_again(context):
                source = compute(warehouse.lake, part)
                results.append(warehouse.lake.overwrite(contract, part, source, stamp))
            if not results[-1].committed:
                break
        tried = [part for part in parts[: len(results)] if part]
        made = [part for part, result in zip(tried, results, strict=False) if result.committed]
        warehouse.retired.made(contract.full_name, made)
        _tell_what_is_kept(context, contract, window, makeable)
        yield from _events(context, warehouse.lake, contract, tried, _together(contract, results), figures)

    return materialise


def stored_tables(assets: Iterable[dg.AssetsDefinition]) -> list[Contract]:
    """The tables that assets write: names and columns, which is what creating them takes."""
    found = []
    for spec in (spec for asset in assets for spec in asset.specs if COLUMNS in spec.metadata):
        schema, name = spec.key.path
        columns = (Column(one.name, one.type, one.description or "") for one in spec.metadata[COLUMNS].columns)
        found.append(Contract(schema, name, spec.description or "", tuple(columns), key=()))
    return found


def sql_model_assets(models: Iterable[SqlModel], partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """One asset per SQL model, in the group of its folder."""
    models = list(models)
    whole = {model.contract.full_name for model in models if not model.contract.partitioned}
    return [_sql_model_asset(model, partitions, whole) for model in models]


def column_schema(contract: Contract) -> dg.TableSchema:
    """The contract as Dagster shows it."""
    return dg.TableSchema([dg.TableColumn(c.name, c.type, c.documentation) for c in contract.columns])


def _sql_model_asset(
    model: SqlModel, partitions: dg.PartitionsDefinition[str], unpartitioned: set[str]
) -> dg.AssetsDefinition:
    def compute(lake: Lake, window: Window | None) -> Query:
        del lake
        return Query(model.sql, window.parameters if window else {})

    lineage = {
        column: [dg.TableColumnDep(asset_key(table), name) for table, name in sources]
        for column, sources in model.lineage.items()
        if sources
    }
    return table_asset(
        model.contract,
        compute,
        group=model.contract.schema,
        kinds={"ducklake", "sql"},
        partitions=partitions,
        deps=[_dependency(model, table, unpartitioned) for table in model.dependencies],
        code_version=hashlib.sha256(model.sql.encode()).hexdigest()[:12],
        tags=model.tags,
        metadata={
            "dagster/column_lineage": dg.TableColumnLineage(lineage),
            "sql": dg.MetadataValue.md(f"```sql\n{model.sql.strip()}\n```"),
        },
    )


def neighbouring_days(full_name: str, before: int, after: int) -> dg.AssetDep:
    """A dependency on a partitioned table that reads some days before and after the window too."""
    with warnings.catch_warnings():
        # Without this beta parameter the first and the last day would need inputs that do not exist.
        warnings.simplefilter("ignore", dg.BetaWarning)
        mapping = dg.TimeWindowPartitionMapping(
            start_offset=-before, end_offset=after, allow_nonexistent_upstream_partitions=True
        )
    return dg.AssetDep(asset_key(full_name), partition_mapping=mapping)


def _dependency(model: SqlModel, table: str, unpartitioned: set[str]) -> dg.AssetDep:
    reads_beyond = model.lookback_days or model.lookahead_days
    if not (model.contract.partitioned and reads_beyond) or table in unpartitioned:
        return dg.AssetDep(asset_key(table))
    return neighbouring_days(table, model.lookback_days, model.lookahead_days)


def _events(
    context: dg.AssetExecutionContext,
    lake: Lake,
    contract: Contract,
    windows: Sequence[Window],
    result: WriteResult,
    figures: Callable[[Lake], Mapping[str, float]] | None,
) -> Iterator[Event]:
    key = asset_key(contract.full_name)
    for outcome in result.outcomes:
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=outcome.check.name,
            passed=outcome.passed,
            severity=dg.AssetCheckSeverity.ERROR if outcome.check.blocking else dg.AssetCheckSeverity.WARN,
            metadata={
                "failing_rows": outcome.failing_rows,
                "query": dg.MetadataValue.text(outcome.check.sql),
            },
        )
    if not result.committed:
        broken = "; ".join(
            f"{outcome.check.name}: {outcome.failing_rows} rows" + (f" ({outcome.broken})" if outcome.broken else "")
            for outcome in result.outcomes
            if outcome.prevents
        )
        days = "".join(f" {window}" for window in windows[-1:])
        raise dg.Failure(f"{contract.full_name}{days}: {broken}; nothing was written", allow_retries=False)
    for window in windows:
        _describe_days(context, contract, window, result)
    plotted = figures(lake) if figures else {}
    yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": result.total_rows, **plotted})


def _together(contract: Contract, results: Sequence[WriteResult]) -> WriteResult:
    """The writes of the parts of a window as one; of none, where every day is kept as it is."""
    if not results:
        outcomes = tuple(CheckOutcome(check, 0) for check in contract.all_checks)
        return WriteResult(True, 0, {}, outcomes, total_rows=0)
    checks = zip(*(result.outcomes for result in results), strict=True)
    return WriteResult(
        committed=all(result.committed for result in results),
        rows=sum(result.rows for result in results),
        rows_by_day={day: rows for result in results for day, rows in result.rows_by_day.items()},
        outcomes=tuple(
            CheckOutcome(same[0].check, sum(one.failing_rows for one in same), same[-1].broken) for same in checks
        ),
        total_rows=results[-1].total_rows,
        plotted_by_day={day: value for result in results for day, value in result.plotted_by_day.items()},
    )


def _tell_what_is_kept(
    context: dg.AssetExecutionContext, contract: Contract, window: Window | None, made: Sequence[Window]
) -> None:
    kept = len(window.days) - sum(len(part.days) for part in made) if window else 0
    if kept:
        context.log.warning(
            f"{contract.full_name}: {kept} of the days {window} are kept as they are: what they were made from was "
            "deleted after its time (retention in prodlens.yaml)"
        )


def _describe_days(context: dg.AssetExecutionContext, contract: Contract, window: Window, result: WriteResult) -> None:
    """Numbers per day: Dagster copies the metadata of a result to every partition of a range."""
    for day in window.days:
        metadata: dict[str, Any] = {"dagster/partition_row_count": result.rows_by_day.get(day, 0)}
        plotted = result.plotted_by_day.get(day)
        if plotted is not None:
            metadata[str(contract.plotted)] = plotted
        context.add_asset_metadata(metadata, asset_key=asset_key(contract.full_name), partition_key=day.isoformat())
