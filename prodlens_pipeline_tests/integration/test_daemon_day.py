"""A day of a team whose records arrive by the hour, with the daemon running: how old figures get, and what is left.

Daemon, code location and runs are processes; their clock is moved from one third of an hour to the next when nothing is
left to do, and goes on at its usual pace meanwhile. `test_day.py` does it in one process.
"""

import json
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median

import dagster as dg
import pytest
import yaml

from prodlens_pipeline import pipeline
from prodlens_pipeline.automation.claims import UNFINISHED
from prodlens_pipeline.automation.staleness import DailyTables
from prodlens_pipeline.definitions import build_assets
from prodlens_pipeline.settings import Settings, load_settings
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.integration.moved_clock import MovedClock
from prodlens_pipeline_tests.integration.processes import Processes, Watched
from prodlens_pipeline_tests.integration.test_day import WEDNESDAY, bytes_in, days_behind, held_back, team_in
from prodlens_pipeline_tests.servers import free_port, wait_until

pytestmark = pytest.mark.integration
MIDNIGHT = datetime.combine(WEDNESDAY, datetime.min.time(), UTC)
HOURS = 24
STEP = timedelta(minutes=20)
"""Less than the half hour after which the daemon takes its own threads for dead."""
ARRIVES_AT_MINUTE = 20
SENSORS = {"new_records": timedelta(minutes=1), "outages": timedelta(minutes=5)}
SCHEDULES = {"hourly": range(24), "nightly": (2,), "nightly_maintenance": (4,)}
ROLES = ("daemon", "code")


@dataclass
class Laptop:
    """A project that runs itself, whose clock is moved."""

    processes: Processes
    clock: MovedClock
    watched: Watched
    runs: int = 0

    def start(self) -> None:
        """As `prod-lens dev` does, which moreover stops a code location that was not asked anything for 45 seconds."""
        port = free_port()
        location = {"grpc_server": {"host": "127.0.0.1", "port": port, "location_name": "prodlens"}}
        workspace = self.processes.folder / "workspace.yaml"
        workspace.write_text(yaml.safe_dump({"load_from": [location]}))
        module = ("--module-name", "prodlens_pipeline.definitions")
        self.processes.start("code", "dagster", "api", "grpc", *module, "--host", "127.0.0.1", "--port", str(port))
        health = [str(Path(sys.executable).parent / "dagster"), "api", "grpc-health-check", "--port", str(port)]
        wait_until(lambda: subprocess.run(health, check=False).returncode == 0, "the code location", seconds=300)
        self.processes.start("daemon", "dagster-daemon", "run", "--workspace", str(workspace))

    def command(self, *arguments: str) -> None:
        """One command of the terminal, to its end."""
        self.processes.start("terminal", sys.executable, "-m", "prodlens_pipeline.cli", *arguments)
        assert self.processes.running.pop("terminal").wait(900) == 0, arguments

    def settle(self, since: datetime) -> None:
        """Wait until all that is due since a moment has ticked, and what it asked for is done; minute by minute."""
        hour = since.replace(minute=0)
        due = [name for name, hours in SCHEDULES.items() if since == hour and since.hour in hours]
        self._wait_for([*SENSORS, *due], since)
        while (known := self.count_runs()) != self.runs:
            self.runs = known
            since = self.clock.now + SENSORS["new_records"]
            self.clock.move_to(since)
            self._wait_for(["new_records"], since)

    def _wait_for(self, names: list[str], since: datetime) -> None:
        def is_done() -> bool:
            with self.watched.instance() as instance:
                return all(has_ticked(instance, name, since) for name in names) and not unfinished(instance)

        wait_until(is_done, f"{names} at {since:%H:%M} of the moved clock", seconds=900, pause=1)

    def count_runs(self) -> int:
        with self.watched.instance() as instance:
            return instance.get_runs_count()

    def resident_mib(self) -> dict[str, float]:
        return {role: resident_mib(self.processes.running[role].pid) for role in ROLES}


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def has_ticked(instance: dg.DagsterInstance, name: str, since: datetime) -> bool:
    """Whether the last tick of a sensor or schedule began at `since` or later, and is over."""
    for state in instance.all_instigator_state():
        if state.instigator_name == name:
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            return any(tick.timestamp >= since.timestamp() and tick.end_timestamp is not None for tick in ticks)
    return False


def unfinished(instance: dg.DagsterInstance) -> list[str]:
    return [run.run_id for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))]


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    monkeypatch.setenv("PRODLENS_HOME", str(tmp_path / "home"))
    folder = team_in(tmp_path / "team", developers=4, days=14, last=WEDNESDAY)
    settings = load_settings(folder / "prodlens.yaml")
    environment = pipeline.dagster_environment(settings)
    monkeypatch.setenv("DAGSTER_HOME", environment["DAGSTER_HOME"])
    clock = MovedClock(tmp_path, MIDNIGHT - timedelta(minutes=25))
    environment |= clock.environment
    environment |= {"PRODLENS_HOME": str(settings.home), "PRODLENS_CONFIG": str(folder / "prodlens.yaml")}
    processes = Processes(tmp_path, environment)
    try:
        yield Laptop(processes, clock, Watched(settings, Path(environment["DAGSTER_HOME"])))
    finally:
        processes.kill_all()


@dataclass
class Measured:
    """What each hour left, in MiB, and how long after it was written a record was collected and in the figures."""

    resident: list[dict[str, float]] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)
    arrivals: list[tuple[datetime, int]] = field(default_factory=list)

    def delays(self, settings: Settings) -> tuple[list[timedelta], list[timedelta]]:
        """From written, and from collected, to in the figures: for each hour in which something was written."""
        with open_lake(Location.of(settings), read_only=True) as lake, lake.reading():
            collected = [
                row[0].replace(tzinfo=UTC)
                for row in lake.rows("select distinct collected_at from ops.landing_chunks order by all")
            ]
            made = lake.rows(
                "select started_at, finished_at from ops.etl_runs where asset = $asset "
                "and window_start <= $day and window_end > $day order by started_at",
                {"asset": pipeline.LAST_DAILY_TABLE, "day": WEDNESDAY},
            )
        whole, waited = [], []
        for written, _ in self.arrivals:
            # A source is collected after the other, so the last chunk of that collection counts.
            first = bisect_right(collected, written)
            landed = max(at for at in collected if at < collected[first] + STEP)
            done = min(end.replace(tzinfo=UTC) for start, end in made if start.replace(tzinfo=UTC) > landed)
            whole.append(done - written)
            waited.append(done - landed)
        return whole, waited


def test_a_day_with_the_daemon_running(
    laptop: Laptop, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    settings = laptop.watched.settings
    arrive = held_back(settings.root, MIDNIGHT)
    laptop.command("run")
    # A schedule's first tick is the first one after the daemon has seen it.
    laptop.start()
    laptop.settle(laptop.clock.now)
    laptop.runs = laptop.count_runs()
    measured = Measured()
    for step in range(HOURS * 3 + 1):
        moment = MIDNIGHT + step * STEP
        laptop.clock.move_to(max(moment, laptop.clock.now))
        if moment.minute == ARRIVES_AT_MINUTE and (count := arrive(moment)):
            measured.arrivals.append((laptop.clock.now, count))
        laptop.settle(moment)
        if moment.minute == 0:
            measured.resident.append(laptop.resident_mib())
            measured.stored.append(bytes_in(laptop.watched.dagster_home) / 2**20)
            print(f"{moment:%H:%M}", laptop.runs, measured.resident[-1], measured.stored[-1], flush=True)  # noqa: T201
    end = laptop.clock.now
    with laptop.watched.instance() as instance:
        hanging = unfinished(instance)
        failed = [
            run.run_id for run in instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        ]
    for role in ROLES:
        laptop.processes.kill(role)
    whole, waited = measured.delays(settings)
    behind = days_behind(settings, DailyTables.of(build_assets(settings)), end)
    # What came by the hour lies in other chunks than what came at once.
    here = laptop.watched.contents(without="chunk_id")

    laptop.clock.move_to(end + timedelta(hours=25))
    laptop.command("maintain")
    pruned = bytes_in(laptop.watched.dagster_home) / 2**20
    laptop.clock.move_to(end)
    plain = Watched(settings.model_copy(update={"home": tmp_path / "alone"}), laptop.watched.dagster_home)
    laptop.processes.environment = {**laptop.processes.environment, "PRODLENS_HOME": str(plain.settings.home)}
    laptop.command("run")
    expected = plain.contents(without="chunk_id")

    figures = {
        "records": sum(count for _, count in measured.arrivals),
        "runs": laptop.runs,
        "minutes from written to in the figures, median and most": [
            round(of(whole).total_seconds() / 60, 1) for of in (median, max)
        ],
        "seconds from collected to in the figures": [round(of(waited).total_seconds()) for of in (median, max)],
        "resident MiB after 2, 12 and 24 hours": {
            role: [round(measured.resident[hour][role]) for hour in (2, HOURS // 2, HOURS)] for role in ROLES
        },
        "Dagster MiB before, after, and when maintained a day later": [
            round(size, 1) for size in (measured.stored[0], measured.stored[-1], pruned)
        ],
    }
    record_property("figures", json.dumps(figures))
    print(figures)  # noqa: T201 - what docs/sizing.md tells
    assert not hanging
    assert not failed
    assert behind == 0
    assert max(whole) < timedelta(hours=1, minutes=15), "collected by the hour, and made at once"
    for role in ROLES:
        early, late = (mean(hour[role] for hour in measured.resident[part]) for part in (slice(3, 9), slice(-6, None)))
        assert 0 < late < 1.15 * early, f"memory of {role} is flat"
    assert pruned < measured.stored[0] + (measured.stored[-1] - measured.stored[0]) * 2 / 3
    assert {name for name in expected if here[name] != expected[name]} == set()
