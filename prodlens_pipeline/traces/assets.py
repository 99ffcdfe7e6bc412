"""Trace formats as assets: collecting them, their raw tables, the two common shapes, and the prices of the models."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import dagster as dg
import polars as pl

from prodlens_pipeline.landing.assets import landing_asset
from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.landing.records import read_chunks
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.traces.collect import collect_traces
from prodlens_pipeline.traces.formats import TraceFormat
from prodlens_pipeline.traces.prices import PRICES, SeenModel, model_prices
from prodlens_pipeline.traces.registry import configured
from prodlens_pipeline.traces.shapes import ACTIVITY, CALLS
from prodlens_pipeline.traces.spans import RAW as SPANS
from prodlens_pipeline.warehouse.assets import asset_key, neighbouring_days, table_asset
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import Lake, Query
from prodlens_pipeline.warehouse.windows import Window

GROUP = "traces"
OWNER = "team:traces"
SHAPES: dict[Contract, Callable[[TraceFormat], str | None]] = {
    CALLS: lambda trace_format: trace_format.calls,
    ACTIVITY: lambda trace_format: trace_format.activity,
}
"""The common shapes, and which of a format's selects makes each."""


def trace_assets(settings: Settings, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """All assets of this room: landing and raw tables of the configured formats, and what all formats become."""
    used = configured(settings)
    landed = [
        landing_asset(
            f.name,
            lambda lake, f=f: collect_traces(lake, settings, f),  # type: ignore[misc]
            description=f.description,
            kinds=set(f.kinds),
            owner=OWNER,
        )
        for f in used
    ]
    raw = [_raw_asset(contract, used, settings.landing, partitions) for contract in raw_contracts(used)]
    return [*landed, *raw, *(_common_asset(shape, used, partitions) for shape in SHAPES), _prices_asset()]


def raw_contracts(used: Iterable[TraceFormat]) -> list[Contract]:
    """The raw tables of some formats, each once; that of spans is always there, since `core.spans` reads it."""
    return list(dict.fromkeys((*(f.raw for f in used), SPANS)))


def raw_query(contract: Contract, used: Iterable[TraceFormat], lake: Lake, landing: Path, window: Window) -> Query:
    """The rows of a raw table for the days of `window`."""
    selects = (
        f.select.replace("{records}", read_chunks(f.form.record, chunk_paths(lake, landing, f.name, window)))
        for f in used
        if f.raw == contract
    )
    return _union(contract, selects, window)


def common_query(shape: Contract, used: Iterable[TraceFormat], window: Window) -> Query:
    """The rows of `CALLS` or `ACTIVITY` for the days of `window`, of all formats."""
    texts = dict.fromkeys(text for f in used if (text := SHAPES[shape](f)))
    return _union(shape, texts, window)


def _union(contract: Contract, selects: Iterable[str], window: Window) -> Query:
    """The rows of all selects; NULL where a select leaves a column of the table out."""
    columns = ", ".join(f"null::{column.type} as {column.name}" for column in contract.columns)
    nothing = f"select {columns} where false"
    return Query("\nunion all by name\n".join([nothing, *(f"({select})" for select in selects)]), window.parameters)


def price_rows(lake: Lake) -> pl.DataFrame:
    """The rows of `PRICES` for every model that a trace names."""
    seen = lake.rows(
        "select provider, model, min(day), max(day) from core.observed_calls "
        "where provider is not null group by all order by all"
    )
    return model_prices(SeenModel(*row) for row in seen)


def _raw_asset(
    contract: Contract, used: Sequence[TraceFormat], landing: Path, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    formats = [f for f in used if f.raw == contract]

    def compute(lake: Lake, window: Window | None) -> Query:
        assert window is not None  # noqa: S101 - raw tables are partitioned
        return raw_query(contract, formats, lake, landing, window)

    return table_asset(
        contract,
        compute,
        group=GROUP,
        kinds={"ducklake"}.union(*(f.kinds for f in formats)),
        partitions=partitions,
        deps=[dg.AssetKey(["landing", f.name]) for f in formats],
        code_version=_version(f.select for f in formats),
        tags={"layer": "raw"},
    )


def _common_asset(
    shape: Contract, used: Sequence[TraceFormat], partitions: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    def compute(lake: Lake, window: Window | None) -> Query:
        del lake
        assert window is not None  # noqa: S101 - both shapes are partitioned
        return common_query(shape, used, window)

    return table_asset(
        shape,
        compute,
        group=GROUP,
        kinds={"ducklake", "sql"},
        partitions=partitions,
        # the lines of a call may stand on both sides of midnight
        deps=[neighbouring_days(contract.full_name, 1, 1) for contract in raw_contracts(used)],
        code_version=_version(filter(None, (SHAPES[shape](f) for f in used))),
        tags={"layer": "core"},
    )


def _version(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def _prices_asset() -> dg.AssetsDefinition:
    def compute(lake: Lake, window: Window | None) -> pl.DataFrame:
        del window
        return price_rows(lake)

    return table_asset(
        PRICES,
        compute,
        group=GROUP,
        kinds={"ducklake", "python"},
        partitions=None,
        deps=[asset_key(CALLS.full_name)],
        code_version="2",
        tags={"layer": "core"},
    )
