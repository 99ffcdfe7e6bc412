"""A day of a team whose records arrive by the hour, and an outage of a fortnight: what they cost and what they leave.

The clock is moved; the schedules, sensors, jobs and Dagster's instance are the real ones, in one process.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine

from prodlens_pipeline.automation.claims import UNFINISHED
from prodlens_pipeline.automation.run_history import prune_runs
from prodlens_pipeline.automation.staleness import DailyTables, landed_days
from prodlens_pipeline.definitions import build_assets, build_defs
from prodlens_pipeline.partitions import range_tags
from prodlens_pipeline.pipeline import dagster_instance
from prodlens_pipeline.settings import Settings, load_settings
from prodlens_pipeline.simulation.team import Team, simulate
from prodlens_pipeline.simulation.write import write
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window

pytestmark = pytest.mark.integration
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
TODAY = datetime.now(UTC).date()
WEDNESDAY = TODAY - timedelta(days=(TODAY.weekday() - 2) % 7 or 7)
"""The last whole one: on weekends little arrives."""
OUTAGE_DAYS = 14
SENSORS = ("outages", "new_records")


@dataclass
class Autopilot:
    """What the daemon does, one tick after another: evaluates, and starts what is asked for."""

    settings: Settings
    instance: dg.DagsterInstance

    def __post_init__(self) -> None:
        self.defs = build_defs(self.settings)
        self.cursors: dict[str, str | None] = {}
        self.keys: set[str | None] = set()

    def execute(self, job: str, tags: dict[str, str]) -> bool:
        return (
            self.defs.resolve_job_def(job)
            .execute_in_process(instance=self.instance, tags=tags, raise_on_error=False, run_config=QUIET)
            .success
        )

    def tick(self, name: str) -> list[dg.RunRequest]:
        """The runs that a sensor asked for, all of them done."""
        sensor = self.defs.resolve_sensor_def(name)
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursors.get(name), repository_def=self.defs.get_repository_def()
        ) as context:
            data = sensor.evaluate_tick(context)
        self.cursors[name] = data.cursor
        fresh = [request for request in data.run_requests or [] if request.run_key not in self.keys]
        for request in fresh:
            self.keys.add(request.run_key)
            assert self.execute(request.job_name or "tables", dict(request.tags))
        return fresh

    def settle(self) -> int:
        """Tick until nothing is asked for; returns the number of runs."""
        runs = 0
        while asked := [request for name in SENSORS for request in self.tick(name)]:
            runs += len(asked)
        return runs


def team_in(folder: Path, *, developers: int, days: int, last: date) -> Path:
    write(simulate(Team(developers=developers, days=days, start=last - timedelta(days=days - 1))), folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("PRODLENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def moment_of(line: str) -> datetime | None:
    """When a record of a gateway or of a transcript happened."""
    record = json.loads(line)
    if "startTime" in record:
        return datetime.fromtimestamp(record["startTime"], UTC)
    told = record.get("timestamp")
    return datetime.fromisoformat(told) if told else None


def held_back(folder: Path, since: datetime) -> Callable[[datetime], int]:
    """Take what happened from `since` on out of the sources; what is returned gives it back up to a moment."""
    waiting: dict[Path, list[tuple[datetime, str]]] = {}
    for path in folder.rglob("*.jsonl"):
        kept, later = [], []
        lines = path.read_text().splitlines(keepends=True)
        # What stands before the first line with a time was written with it.
        at = next(filter(None, map(moment_of, lines)), since - timedelta(days=1))
        for line in lines:
            at = moment_of(line) or at
            (later if at >= since else kept).append((at, line))
        if later:
            waiting[path] = later
            path.write_text("".join(line for _, line in kept))

    def arrive(until: datetime) -> int:
        count = 0
        for path, lines in waiting.items():
            due = [line for at, line in lines if at < until]
            del lines[: len(due)]
            with path.open("a") as file:
                file.writelines(due)
            count += len(due)
        return count

    return arrive


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_day_of_a_team_whose_records_arrive_by_the_hour(
    tmp_path: Path, home: Path, record_property: Callable[[str, object], None]
) -> None:
    folder = team_in(tmp_path / "team", developers=4, days=14, last=WEDNESDAY)
    midnight = datetime.combine(WEDNESDAY, datetime.min.time(), UTC)
    arrive = held_back(folder, midnight)
    settings = load_settings(folder / "prodlens.yaml")
    resident, stored, behind, arrived = [], [], [], 0
    tables = DailyTables.of(build_assets(settings))
    with dagster_instance(settings) as instance:
        pilot = Autopilot(settings, instance)
        for hour in range(24):
            now = midnight + timedelta(hours=hour, minutes=5)
            with time_machine.travel(now, tick=True):
                arrived += arrive(now)
                assert pilot.execute("collect", {})
                if hour == 2:
                    tuesday = WEDNESDAY - timedelta(days=1)
                    assert pilot.execute("daily", range_tags(Window(tuesday, WEDNESDAY)))
                pilot.settle()
            resident.append(resident_mib())
            stored.append(bytes_in(home / "dagster"))
            behind.append(days_behind(settings, tables, now))
        unfinished = [run.run_id for run in instance.get_runs() if run.status in UNFINISHED]
        runs = len(instance.get_runs())
        forgotten = prune_runs(instance, midnight + timedelta(days=9), settings.retention.landing_days)
        kept = bytes_in(home / "dagster")
    figures = {
        "records": arrived,
        "runs": runs,
        "resident MiB after 2, 12 and 24 hours": [round(resident[n]) for n in (1, 11, 23)],
        "Dagster MiB after 1 and 24 hours": [round(stored[n] / 2**20, 1) for n in (0, 23)],
        "runs forgotten a week later": forgotten,
        "Dagster MiB then": round(kept / 2**20, 1),
    }
    record_property("figures", json.dumps(figures))
    print(figures)  # noqa: T201 - what docs/sizing.md tells
    assert not unfinished
    assert arrived > 100
    assert max(behind) == 0, "what arrived is in the figures before the next hour"
    assert sum(resident[-6:]) < 1.15 * sum(resident[3:9]), "memory is flat"
    assert forgotten > 24, "of collections, and of runs whose days were made again"
    assert kept < stored[0] + (stored[23] - stored[0]) / 2


def days_behind(settings: Settings, tables: DailyTables, now: datetime) -> int:
    """Days that have a partition, and collected records that some table has not seen."""
    with open_lake(Location.of(settings), read_only=True) as lake, lake.reading():
        landed = landed_days(lake, tables, datetime(1970, 1, 1))  # noqa: DTZ001 - as `ops` has it
    return len([one for one in landed if settings.start_date <= one.day <= now.date()])


def test_an_outage_of_a_fortnight_costs_what_a_backfill_of_it_costs(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = TODAY - timedelta(days=1)
    folder = team_in(tmp_path / "team", developers=4, days=28, last=yesterday)
    outage = Window(TODAY - timedelta(days=OUTAGE_DAYS), TODAY)
    before = Window(TODAY - timedelta(days=28), outage.start)
    seconds = {}
    for way in ("plain", "healed"):
        monkeypatch.setenv("PRODLENS_HOME", str(home / way))
        settings = load_settings(folder / "prodlens.yaml")
        with dagster_instance(settings) as instance:
            pilot = Autopilot(settings, instance)
            assert pilot.execute("collect", {})
            assert pilot.execute("tables", range_tags(before))
            with later(timedelta(hours=1)):
                begin = time.process_time()
                if way == "plain":
                    assert pilot.execute("tables", range_tags(outage))
                else:
                    requests = pilot.tick("outages")
                    assert [dict(request.tags)["dagster/asset_partition_range_start"] for request in requests] == [
                        outage.start.isoformat()
                    ], "one run for all days"
                seconds[way] = time.process_time() - begin
                if way == "healed":
                    assert not pilot.tick("outages")
    print(seconds)  # noqa: T201
    assert seconds["healed"] < 1.3 * seconds["plain"]


def later(by: timedelta) -> time_machine.travel:
    return time_machine.travel(datetime.now(UTC) + by, tick=True)
