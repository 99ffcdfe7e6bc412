"""Which days are not what the landing zone says: missing, failed, or older than what they are made from.

Belongs here: the questions to `ops.landing_chunks` and `ops.etl_runs`. Does not: asking for runs (`sensors.py`).
A table's day is made when a write that covers it was committed; a step that fails commits nothing. So a failed day is
a missing one, or one that is older than its inputs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import dagster as dg

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window


@dataclass(frozen=True)
class DailyTables:
    """The tables that have a partition for each day, and which of them each one reads."""

    inputs: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, assets: Iterable[dg.AssetsDefinition]) -> "DailyTables":
        """Those among `assets`."""
        specs = {".".join(spec.key.path): spec for asset in assets for spec in asset.specs if spec.partitions_def}
        read = {name: {".".join(dep.asset_key.path) for dep in spec.deps} for name, spec in specs.items()}
        return cls({name: frozenset(found & specs.keys()) for name, found in read.items()})

    @property
    def names(self) -> list[str]:
        """Their names, `schema.table`."""
        return sorted(self.inputs)

    @property
    def edges(self) -> list[str]:
        """Which table reads which, as `reader<input`."""
        return sorted(f"{reader}<{read}" for reader, inputs in self.inputs.items() for read in inputs)


@dataclass(frozen=True)
class LandedDay:
    """A day with records that some table has not seen, and when the first and the last chunk of them came (UTC)."""

    day: date
    first_landed_at: datetime
    last_landed_at: datetime


@dataclass(frozen=True)
class UnmadeDay:
    """A day that must be made, why in words, and the tables that it is about."""

    day: date
    reason: str
    tables: tuple[str, ...]


def landed_days(lake: Lake, tables: DailyTables, since: datetime) -> list[LandedDay]:
    """The days with chunks collected after `since` that not every table was made from yet, ascending."""
    rows = lake.rows(_LANDED, {"since": since, "tables": tables.names, "count": len(tables.names)})
    return [LandedDay(*row) for row in rows]


_LANDED = """
with landed as (
    select day, min(collected_at) as first_landed_at, max(collected_at) as last_landed_at
    from (select unnest(touched_days) as day, collected_at from ops.landing_chunks where collected_at > $since)
    where day not in (select day from ops.retired_days where starts_with(asset, 'landing.'))
    group by day
)
select landed.day, landed.first_landed_at, landed.last_landed_at
from landed
left join ops.etl_runs as made
    on list_contains($tables, made.asset)
    and landed.day >= made.window_start and landed.day < made.window_end
    and made.started_at > landed.last_landed_at
group by all
having count(distinct made.asset) < $count
order by landed.day
"""


def last_collected_at(lake: Lake) -> datetime | None:
    """When the newest chunk was collected (UTC), or None where nothing ever was."""
    found: datetime | None = lake.value("select max(collected_at) from ops.landing_chunks")
    return found


def unmade_days(
    lake: Lake, tables: DailyTables, window: Window, *, over_by: date, landed_before: datetime
) -> list[UnmadeDay]:
    """The days of `window` that some table lacks, or where one is older than a chunk or than a table it reads.

    A day without records is missed only if it is before `over_by`. Days of chunks collected after `landed_before` are
    left out: who watches new chunks comes first, also where both look at the same moment.
    """
    rows = lake.rows(
        _UNMADE,
        {
            "tables": tables.names,
            "edges": tables.edges,
            "window_start": window.start,
            "window_end": window.end,
            "over_by": over_by,
            "landed_before": landed_before,
        },
    )
    return [UnmadeDay(day, _reason(kinds, names), tuple(names)) for day, kinds, names in rows]


def _reason(kinds: Sequence[str], names: Sequence[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{' and '.join(kinds)}: {', '.join(names[:2])}{more}"


_UNMADE = """
with days as (
    select unnest(generate_series($window_start::date, $window_end::date - 1, interval 1 day))::date as day
),
wanted as (select day, unnest($tables) as name from days),
made as (
    select wanted.day, wanted.name, max(runs.started_at) as started_at, max(runs.finished_at) as finished_at
    from wanted
    left join ops.etl_runs as runs
        on runs.asset = wanted.name and wanted.day >= runs.window_start and wanted.day < runs.window_end
    group by wanted.day, wanted.name
),
landed as (
    select day, max(collected_at) as collected_at
    from (select unnest(touched_days) as day, collected_at from ops.landing_chunks where collected_at <= $landed_before)
    where day not in (select day from ops.retired_days where starts_with(asset, 'landing.'))
    group by day
),
edges as (
    select split_part(edge, '<', 1) as reader, split_part(edge, '<', 2) as input
    from (select unnest($edges::varchar[]) as edge)
),
unmade as (
    select made.day, made.name, 'missing' as kind
    from made
    left join landed on made.day = landed.day
    where made.started_at is null and (made.day < $over_by or landed.day is not null)
    union all
    select made.day, made.name, 'older than its records'
    from made
    inner join landed on made.day = landed.day and made.started_at < landed.collected_at
    union all
    select made.day, made.name, 'older than a table it reads'
    from made
    inner join edges on made.name = edges.reader
    inner join made as input on input.name = edges.input and input.day = made.day
    where made.started_at < input.finished_at
)
select day, list_sort(list(distinct kind)), list_sort(list(distinct name))
from unmade
where day not in (select unnest(touched_days) from ops.landing_chunks where collected_at > $landed_before)
group by day
order by day
"""
