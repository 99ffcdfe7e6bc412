"""How much of a window is made at once? So many days that their rows fit into memory.

Belongs here: cutting a run's window. Does not: which of its days may be made at all (`retired.py`).
DuckDB holds what it groups until a table is stored: without this, a first run over years would hold all their records.
"""

from collections.abc import Iterable
from datetime import date
from functools import cached_property

from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

RECORDS = 50_000
"""Landed records that are made into a table at once: some hundreds of MiB. A day with more is made alone."""
RECORDS_READ = 500_000
"""The same of a raw table, whose rows are not grouped: a chunk with many days is read once for each stretch of them."""


class Stretches:
    """What `ops.landing_chunks` says of the records of each day, read once for a run."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def of(self, windows: Iterable[Window], contract: Contract) -> list[Window]:
        """The same days as `windows`, in windows of consecutive days with no more records than `contract` takes."""
        most = RECORDS_READ if contract.schema == "raw" else RECORDS
        return [stretch for window in windows for stretch in self._cut(window, most)]

    def _cut(self, window: Window, most: int) -> list[Window]:
        if len(window.days) == 1:
            return [window]
        starts, records = [window.start], 0.0
        for day in window.days:
            landed = self._landed.get(day, 0.0)
            if records and records + landed > most:
                starts.append(day)
                records = 0.0
            records += landed
        return [Window(start, end) for start, end in zip(starts, [*starts[1:], window.end], strict=True)]

    @cached_property
    def _landed(self) -> dict[date, float]:
        # A chunk's records are not counted by day: they are spread over the days that it holds.
        found = self._lake.rows(
            "select day, sum(records) from (select unnest(days) as day, accepted / len(days) as records "
            "from ops.landing_chunks where accepted > 0) group by day"
        )
        return dict(found)
