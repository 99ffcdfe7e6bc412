"""The landing zone as assets: one per kind of source, and the configuration.

Belongs here: collecting as a Dagster asset. Does not: reading formats (`traces/`, `delivery/` pass their collector in).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.config import TABLES
from prodlens_pipeline.landing.drift import drift
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.assets import POOL, table_asset
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline.warehouse.retries import try_again, trying_again

GROUP = "landing"
CONFIG_GROUP = "config"
_COUNTED = "every_line_is_accounted_for"
_AS_KNOWN = "format_is_as_known"


@dataclass
class Landing:
    """What collecting one kind of source brought, and what was wrong with it, in words."""

    collected: dict[str, Collected]
    problems: list[str]
    notes: list[str] = field(default_factory=list)
    """What is missing without being wrong, in words: such as a part that a server does not have."""
    may_pass: bool = False
    """Whether a problem is of the kind that may be over in a minute, such as a server that cannot be reached."""


Collect = Callable[[Lake], Landing]


def landing_asset(
    source: str, collect: Collect, *, description: str, kinds: set[str], owner: str, pool: str = POOL
) -> dg.AssetsDefinition:
    """An asset that collects what is new in all sources of one type.

    A source that cannot be read fails the asset after all others were collected.
    """
    key = dg.AssetKey(["landing", source])

    @dg.multi_asset(
        name=f"landing__{source}",
        specs=[
            dg.AssetSpec(
                key,
                description=description,
                group_name=GROUP,
                kinds=kinds,
                owners=[owner],
                tags={"layer": "landing"},
                metadata={"dagster/table_name": "prodlens.ops.landing_chunks"},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                _COUNTED,
                asset=key,
                blocking=True,
                description="accepted + rejected = lines read, over all chunks",
            ),
            dg.AssetCheckSpec(
                _AS_KNOWN,
                asset=key,
                blocking=False,
                description="no field or program version is new, and no field vanished, since the collection before",
            ),
        ],
        pool=pool,
    )
    def collect_source(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        with trying_again(context):
            landing = collect(warehouse.lake)
        with warehouse.lake.reading():
            checks = _check(warehouse.lake, key, source), _drift_check(warehouse.lake, key, source)
            metadata = _metadata(warehouse.lake, source, landing)
        yield from checks
        for note in landing.notes:
            context.log.warning(note)
        for problem in landing.problems:
            context.log.error(problem)
        if landing.may_pass:
            raise try_again(context)
        if landing.problems:
            raise dg.Failure("; ".join(landing.problems), allow_retries=False)
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return collect_source


def config_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The configuration as tables."""
    return [
        table_asset(
            contract,
            lambda lake, window, rows=rows: rows(settings),  # type: ignore[misc]  # noqa: ARG005
            group=CONFIG_GROUP,
            kinds={"ducklake", "python"},
            partitions=None,
            code_version="1",
            tags={"layer": "raw"},
        )
        for contract, rows in TABLES
    ]


def _check(lake: Lake, key: dg.AssetKey, source: str) -> dg.AssetCheckResult:
    lines, accepted, rejected, letters = lake.rows(
        "select coalesce(sum(lines), 0), coalesce(sum(accepted), 0), coalesce(sum(rejected), 0), "
        "(select count(*) from ops.dead_letters where source = $source and status = 'rejected') "
        "from ops.landing_chunks where source = $source",
        {"source": source},
    )[0]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=_COUNTED,
        passed=lines == accepted + rejected and rejected == letters,
        metadata={
            "lines": int(lines),
            "accepted": int(accepted),
            "rejected": int(rejected),
            "dead_letters": int(letters),
        },
    )


def _drift_check(lake: Lake, key: dg.AssetKey, source: str) -> dg.AssetCheckResult:
    found = drift(lake, source)
    changes = {
        "new_fields": {name: one.new_fields for name, one in found.items()},
        "vanished_fields": {name: one.vanished_fields for name, one in found.items()},
        "new_versions": {name: one.new_versions for name, one in found.items()},
    }
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=_AS_KNOWN,
        passed=all(one.is_none for one in found.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            change: [f"{name}: {', '.join(what)}" for name, what in by_source.items() if what]
            for change, by_source in changes.items()
        },
    )


def _metadata(lake: Lake, source: str, landing: Landing) -> dict[str, Any]:
    total = lake.value(
        "select coalesce(sum(accepted), 0) from ops.landing_chunks where source = $source", {"source": source}
    )
    news = landing.collected.values()
    return {
        "dagster/row_count": int(total),
        "new_records": sum(item.accepted for item in news),
        "new_rejected": sum(item.rejected for item in news),
        "waiting_for_the_end_of_a_line": sum(item.pending for item in news),
        "new_bytes": sum(item.bytes_read for item in news),
        "not_shown": landing.notes,
        "days_touched": len(set().union(*(item.days for item in news))),
    }
