"""Running the pipeline in this process: collect, find the days that got new records, materialise these.

Belongs here: what `prod-lens run` does with Dagster. Does not: the assets, the command line.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
from filelock import FileLock
from sqlalchemy.exc import OperationalError

from prodlens_pipeline.automation.claims import give_up_abandoned
from prodlens_pipeline.definitions import build_defs
from prodlens_pipeline.partitions import range_tags
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window, ranges

LAST_DAILY_TABLE = "marts.daily_developer"
"""A day is made when this table, which reads all others, was made."""
EVENT_BATCH_SIZE = "1000"
JOINED_GAP_DAYS = 60
"""Starting a run costs as much as passing over about so many empty days."""
DAGSTER_YAML = Path(__file__).parent / "automation" / "dagster.yaml"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the windows that were materialised, and what failed, in words.

    `landed` holds accepted and rejected records by source, over all time; `days_outside` counts days with records
    that no partition holds.
    """

    windows: list[Window]
    failures: list[str]
    landed: dict[str, tuple[int, int]]
    days_outside: int

    def summary(self) -> list[str]:
        """What was done, in a few lines."""
        lines = [
            f"{source}: {accepted:,} records, {rejected:,} refused"
            for source, (accepted, rejected) in self.landed.items()
        ]
        days = sum(len(window.days) for window in self.windows)
        lines.append(f"{_days(days)} brought up to date" if days else "Nothing new: every day is up to date.")
        if any(rejected for _, rejected in self.landed.values()):
            lines.append("See 'prod-lens dead-letters list' for what was refused, and why.")
        if self.days_outside:
            lines.append(
                f"{_days(self.days_outside)} with records before start_date or in the future: landed, not counted."
            )
        return lines


def _days(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"


OnStep = Callable[[str, int, int], None]
"""Told after each step: its name, how many are done, how many there are."""


def dagster_environment(settings: Settings) -> dict[str, str]:
    """The environment in which Dagster keeps to the project's own home, which is made where it does not exist yet.

    Raises:
        WarehouseError: Dagster's records cannot be written.
    """
    home = settings.home / "dagster"
    if not (home / "dagster.yaml").exists():
        with _records_in(home):
            _create_home(home)
    return {"DAGSTER_HOME": str(home), "DAGSTER_EVENT_BATCH_SIZE": EVENT_BATCH_SIZE}


def _create_home(home: Path) -> None:
    """By one process: of several that create Dagster's tables each notes a version, and nobody can open them then."""
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)  # by which the file tells where the tables lie
    with FileLock(home / "creating.lock"):
        if (home / "dagster.yaml").exists():
            return
        unfinished = Path(shutil.copy(DAGSTER_YAML, home / "creating.yaml"))
        with dg.DagsterInstance.from_config(str(home), unfinished.name):
            unfinished.rename(home / "dagster.yaml")


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The project's own Dagster instance, in this process.

    Raises:
        WarehouseError: Dagster's records cannot be read or written.
    """
    os.environ.update(dagster_environment(settings))
    with _records_in(settings.home / "dagster"), dg.DagsterInstance.get() as instance:
        yield instance


@contextmanager
def _records_in(home: Path) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        free_mib = shutil.disk_usage(home).free / 2**20
        raise WarehouseError(
            f"{home}: Dagster's records cannot be read or written: {error.orig} ({free_mib:,.0f} MiB of the disk are "
            "free); make room or mend it, then run again: what was made stays, what is missing is made"
        ) from error


def run(settings: Settings, first: date | None, last: date | None, on_step: OnStep) -> Outcome:
    """Collect everything, then materialise the days with new records, or `first`..`last` where given.

    What fails is reported, and nothing that does not depend on it is held up.
    """
    with dagster_instance(settings) as instance:
        give_up_abandoned(instance)
        runner = _Runner(settings, instance, on_step)
        failures = runner.materialise("landing", None)
        with open_lake(Location.of(settings)) as lake:
            migrate(lake)
            with lake.reading():
                landed, outside = _landed(lake, settings)
                wanted = _requested(first, last) if first or last else _stale_days(lake)
                made = dict(lake.rows("select asset, max(finished_at) from ops.etl_runs group by asset"))
        possible = [day for day in wanted if settings.start_date <= day <= datetime.now(UTC).date()]
        windows = ranges(possible, gap_days=JOINED_GAP_DAYS)
        for window in windows:
            failures += runner.materialise("daily", window)
        if windows or runner.lacks_analyses(made):
            failures += runner.materialise("analysis", None)
    return Outcome(windows, failures, landed, outside)


def _landed(lake: Lake, settings: Settings) -> tuple[dict[str, tuple[int, int]], int]:
    """Accepted and rejected records by source, and the days with records that no partition holds."""
    counts = lake.rows(
        "select source_name, sum(accepted), sum(rejected) from ops.landing_chunks group by all order by all"
    )
    outside = lake.value(
        "select count(distinct day) from (select unnest(days) as day from ops.landing_chunks) "
        "where day < $start or day > today()",
        {"start": settings.start_date},
    )
    return {name: (int(accepted), int(rejected)) for name, accepted, rejected in counts}, int(outside)


def _stale_days(lake: Lake) -> list[date]:
    """The days that got records after they were last materialised."""
    return [row[0] for row in lake.rows(_STALE)]


_STALE = f"""
with landed as (
    select day, max(collected_at) as collected_at
    from (select unnest(touched_days) as day, collected_at from ops.landing_chunks)
    where day not in (select day from ops.retired_days where starts_with(asset, 'landing.'))
    group by day
)
select landed.day
from landed
left join ops.etl_runs as made
    on made.asset = '{LAST_DAILY_TABLE}' and landed.day >= made.window_start and landed.day < made.window_end
group by landed.day, landed.collected_at
having coalesce(max(made.finished_at) < landed.collected_at, true)
order by landed.day
"""


def _requested(first: date | None, last: date | None) -> Sequence[date]:
    today = datetime.now(UTC).date()
    begin, end = first or last or today, last or today
    return Window(begin, end + timedelta(days=1)).days if begin <= end else []


class _Runner:
    def __init__(self, settings: Settings, instance: dg.DagsterInstance, on_step: OnStep) -> None:
        self._job = build_defs(settings).resolve_job_def("daily")
        self._instance, self._on_step = instance, on_step

    def materialise(self, phase: str, window: Window | None) -> list[str]:
        """Run one phase; returns what failed, in words."""
        keys = [key for key in self._job.asset_layer.executable_asset_keys if self._phase_of(key) == phase]
        run_id = str(uuid.uuid4())
        self._instance.add_event_listener(
            run_id,
            self._listen(phase if window is None else f"{phase} {window}", {"__".join(key.path) for key in keys}),
        )
        result = self._job.execute_in_process(
            asset_selection=keys,
            instance=self._instance,
            run_id=run_id,
            tags=range_tags(window) if window else {},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        return [_reason(event) for event in result.all_events if event.is_step_failure]

    def lacks_analyses(self, made: Mapping[str, datetime]) -> bool:
        """Whether an analysis is older than a daily table that it reads, by when which table was last made.

        So it is where the run that made these tables ended before it came to the analyses.
        """
        layer = self._job.asset_layer

        def read_at(key: dg.AssetKey) -> list[datetime]:
            daily = [parent for parent in layer.get(key).parent_keys if self._phase_of(parent) == "daily"]
            return [made[table] for table in map(_table_of, daily) if table in made]

        keys = [key for key in layer.executable_asset_keys if self._phase_of(key) == "analysis"]
        return any(at > made.get(_table_of(key), datetime.min) for key in keys for at in read_at(key))  # noqa: DTZ901

    def _phase_of(self, key: dg.AssetKey) -> str:
        group = self._job.asset_layer.get(key).group_name
        return {"config": "landing", "landing": "landing", "analysis": "analysis"}.get(str(group), "daily")

    def _listen(self, phase: str, steps: set[str]) -> Callable[[dg.EventLogEntry], None]:
        """Tell of the steps that make assets; checks across tables come on top."""
        done = 0

        def listen(entry: dg.EventLogEntry) -> None:
            nonlocal done
            event = entry.dagster_event
            ended = event and (event.is_step_success or event.is_step_failure or event.is_step_skipped)
            if event and ended and event.step_key in steps:
                done += 1
                self._on_step(phase, done, len(steps))

        return listen


def _table_of(key: dg.AssetKey) -> str:
    return ".".join(key.path)


def _reason(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    failure = event.step_failure_data.user_failure_data
    text = failure.description if failure and failure.description else (error.message if error else "unknown error")
    return f"{event.step_key}: {str(text).strip()}"
