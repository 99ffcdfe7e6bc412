"""Ours: collecting a source and making the tables that count its calls, without Dagster around it.

`python -m bench.contenders.ours TYPE PATH HOME` makes the warehouse `HOME` anew; figures are calls, tokens, dollars and
the seconds of each phase.
"""

import resource
import shutil
import sys
import time
from datetime import timedelta
from pathlib import Path

import orjson

from prodlens_pipeline.definitions import python_contracts
from prodlens_pipeline.landing.config import TABLES as CONFIG_TABLES
from prodlens_pipeline.settings import Settings, Source
from prodlens_pipeline.traces.assets import SHAPES, common_query, price_rows, raw_contracts, raw_query
from prodlens_pipeline.traces.collect import collect_traces
from prodlens_pipeline.traces.prices import PRICES
from prodlens_pipeline.traces.registry import configured
from prodlens_pipeline.warehouse.lake import Lake, Query, Stamp
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.models import load_models
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.stretches import Stretches
from prodlens_pipeline.warehouse.windows import Window

STAMP = Stamp("bench", "bench", "bench")
TOTALS = """
select
    count(*) as calls,
    sum(input_tokens)::bigint as input_tokens,
    sum(cache_read_tokens)::bigint as cache_read_tokens,
    sum(cache_write_tokens)::bigint as cache_write_tokens,
    sum(output_tokens)::bigint as output_tokens,
    sum(cost_usd)::double as usd
from core.llm_calls
"""


def main(kind: str, path: str, home: str) -> None:
    """Read one source into a new warehouse and total it."""
    # DuckDB loads pandas where it is installed, which it is here for another contender only
    sys.modules["pandas"] = None  # type: ignore[assignment]
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings(root=Path.cwd(), home=Path(home), sources=(Source(type=kind, path=path),))
    phases: dict[str, float] = {}
    begin = time.perf_counter()

    def lap(phase: str) -> None:
        nonlocal begin
        now = time.perf_counter()
        phases[f"{phase}_s"] = now - begin
        begin = now

    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        lap("open")
        used = cpu_seconds()
        collect_traces(lake, settings, configured(settings)[0])
        lap("collect")
        window = landed_window(lake)
        write_raw(lake, settings, window)
        lap("raw")
        write_calls(lake, settings, window)
        lap("calls")
        totals = lake.frame(TOTALS).row(0, named=True)
    phases["work_s"] = sum(phases.values()) - phases["open_s"]
    phases["work_cpu_s"] = cpu_seconds() - used
    sys.stdout.write(orjson.dumps({**totals, **phases}).decode() + "\n")


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def landed_window(lake: Lake) -> Window:
    """The days with records."""
    first, last = lake.rows("select min(d), max(d) from (select unnest(days) as d from ops.landing_chunks)")[0]
    return Window(first, last + timedelta(days=1))


def write_raw(lake: Lake, settings: Settings, window: Window) -> None:
    """The raw tables of the configured formats."""
    used = configured(settings)
    for contract in raw_contracts(used):
        for part in Stretches(lake).of([window], contract):
            lake.overwrite(contract, part, raw_query(contract, used, lake, settings.landing, part), STAMP)


def write_calls(lake: Lake, settings: Settings, window: Window) -> None:
    """`core.llm_calls` and what it reads beside the raw tables."""
    used = configured(settings)
    for contract, rows in CONFIG_TABLES:
        lake.overwrite(contract, None, rows(settings), STAMP)
    calls = next(iter(SHAPES))
    parts = Stretches(lake).of([window], calls)
    for part in parts:
        lake.overwrite(calls, part, common_query(calls, used, part), STAMP)
    lake.overwrite(PRICES, None, price_rows(lake), STAMP)
    model = next(m for m in load_models(python_contracts()) if m.contract.full_name == "core.llm_calls")
    for part in parts:
        if not lake.overwrite(model.contract, part, Query(model.sql, part.parameters), STAMP).committed:
            raise SystemExit("core.llm_calls: a check failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
