"""A small project for the tests of this room: notes are collected, and two daily tables are made of them.

Everything is real: the lake, the landing zone, the jobs, the sensors and Dagster's instance.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import orjson

from prodlens_pipeline.automation.jobs import JOBS
from prodlens_pipeline.automation.schedules import SCHEDULES
from prodlens_pipeline.automation.sensors import sensors
from prodlens_pipeline.landing.assets import Landing, landing_asset
from prodlens_pipeline.landing.collector import collect
from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.landing.records import read_chunks
from prodlens_pipeline.partitions import daily_partitions, range_tags
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.assets import asset_key, table_asset
from prodlens_pipeline.warehouse.contracts import Check, Column, Contract
from prodlens_pipeline.warehouse.lake import Lake, Query
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.landing.notes import NOTES, SOURCE, Note

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
TODAY = datetime.now(UTC).date()
NAMES = Contract(
    schema="raw",
    name="names",
    description="One row per note",
    columns=(Column("day", "DATE", "UTC day"), Column("name", "VARCHAR", "What it says")),
    key=("day", "name"),
    checks=(
        Check(
            "no_poison",
            "Nothing is poison",
            "select count(*) from raw.names where name = 'poison' and day >= $window_start and day < $window_end",
        ),
    ),
)
COUNTS = Contract(
    schema="marts",
    name="counts",
    description="One row per day",
    columns=(Column("day", "DATE", "UTC day"), Column("notes", "BIGINT", "Notes")),
    key=("day",),
)


def ago(days: int) -> date:
    """The day so many days ago."""
    return TODAY - timedelta(days=days)


@dataclass
class Project:
    """A project in a folder, with its definitions."""

    settings: Settings

    @property
    def log(self) -> Path:
        return self.settings.root / "notes.jsonl"

    @property
    def defs(self) -> dg.Definitions:
        assets = self.assets()
        return dg.Definitions(
            assets=assets,
            jobs=JOBS,
            schedules=SCHEDULES,
            sensors=sensors(self.settings, assets),
            resources={"warehouse": Warehouse.of(self.settings)},
            executor=dg.in_process_executor,
        )

    def assets(self) -> list[dg.AssetsDefinition]:
        """Landing, a raw table and a mart."""
        days = daily_partitions(self.settings.start_date)
        common: dict[str, Any] = {"partitions": days, "code_version": "1", "kinds": {"python"}}

        def land(lake: Lake) -> Landing:
            return Landing({SOURCE: collect(lake, self.settings.landing, NOTES, SOURCE, [self.log])}, [])

        def names(lake: Lake, window: Window | None) -> Query:
            assert window
            records = read_chunks(Note, chunk_paths(lake, self.settings.landing, "notes", window))
            return Query(
                f"select distinct _at::date as day, name from {records} "
                "where _at >= $window_start and _at < $window_end",
                window.parameters,
            )

        def counts(lake: Lake, window: Window | None) -> Query:
            del lake
            assert window
            return Query(
                "select day, count(*) as notes from raw.names where day >= $window_start and day < $window_end "
                "group by day",
                window.parameters,
            )

        return [
            landing_asset("notes", land, description="Notes.", kinds={"python"}, owner="team:notes"),
            table_asset(NAMES, names, group="notes", deps=[dg.AssetKey(["landing", "notes"])], **common),
            table_asset(COUNTS, counts, group="marts", deps=[asset_key("raw.names")], **common),
        ]

    def write(self, **notes: int) -> None:
        """Add notes to the source: name and how many days ago."""
        with self.log.open("ab") as file:
            for name, days in notes.items():
                file.write(orjson.dumps({"name": name, "at": f"{ago(days)}T10:00:00Z"}) + b"\n")

    def execute(
        self, instance: dg.DagsterInstance, job: str, window: Window | None = None, tags: dict[str, str] | None = None
    ) -> bool:
        """Run a job in this process; whether it succeeded."""
        return (
            self.defs.resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                tags=(range_tags(window) if window else {}) | (tags or {}),
                raise_on_error=False,
                run_config=QUIET,
            )
            .success
        )

    def answer(self, instance: dg.DagsterInstance, request: dg.RunRequest) -> bool:
        """Run what a sensor asked for."""
        return self.execute(instance, request.job_name or "tables", tags=dict(request.tags))

    @contextmanager
    def lake(self) -> Iterator[Lake]:
        with open_lake(Location.of(self.settings)) as lake:
            migrate(lake)
            yield lake

    def counts(self) -> dict[date, int]:
        """The mart."""
        with self.lake() as lake:
            return dict(lake.rows("select day, notes from marts.counts"))


def span(first: int, last: int) -> Window:
    """The days from `first` days ago to `last` days ago, both included."""
    return Window(ago(first), ago(last) + timedelta(days=1))
