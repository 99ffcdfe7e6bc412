"""The processes of a project that runs itself, outside of containers: daemon, code location, workers.

Belongs here: starting them, killing them, and asking the instance what became of runs. Does not: any expectation.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from prodlens_pipeline.automation.claims import UNFINISHED
from prodlens_pipeline.automation.staleness import DailyTables, unmade_days
from prodlens_pipeline.definitions import build_assets
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.lake import LAKE
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window

ROOT = Path(__file__).parents[2]
IMPATIENT = "prodlens_pipeline_tests.integration.impatient"


@dataclass
class Processes:
    """Processes with the same environment, each the leader of its own group, with a log of its own."""

    folder: Path
    environment: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PRODLENS_", "DAGSTER_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**clean, "PATH": path, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """`kill -9` of the process and of all that it started."""
        process = self.running.pop(name)
        with_children(process.pid, signal.SIGKILL)
        process.wait()

    def kill_all(self) -> None:
        for name in list(self.running):
            self.kill(name)


def with_children(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, its group, and every process below it, whatever group that is in."""
    below = descendants(pid)
    for one in (pid, *below):
        try:
            os.kill(one, number)
        except ProcessLookupError:
            continue


def descendants(pid: int) -> list[int]:
    """All processes below one, by /proc."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found, open_ends = [], [pid]
    while open_ends:
        children = parents.get(open_ends.pop(), [])
        found += children
        open_ends += children
    return found


@dataclass
class Watched:
    """A project whose runs somebody else starts."""

    settings: Settings
    dagster_home: Path

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.dagster_home)) as opened:
            yield opened

    def unmade(self) -> list[Any]:
        """The days until yesterday that are missing or out of date."""
        today = datetime.now(UTC).date()
        tables = DailyTables.of(build_assets(self.settings))
        window = Window(self.settings.start_date, today)
        later = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
        with open_lake(Location.of(self.settings), read_only=True) as lake, lake.reading():
            return unmade_days(lake, tables, window, over_by=today, landed_before=later)

    def is_healed(self) -> bool:
        """Whether nobody makes anything, and nothing is left to be made."""
        with self.instance() as opened:
            runs = opened.get_runs()
            if not any(run.job_name == "tables" for run in runs) or any(run.status in UNFINISHED for run in runs):
                return False
        return not self.unmade()

    def contents(self, *, without: str | None = None) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of every table but `ops`, in an order of their own; of a column `without` nothing is said.

        Sums of floats depend on the order of the files in their last digits, so nine decimals are compared.
        """
        with open_lake(Location.of(self.settings), read_only=True) as lake, lake.reading():
            tables: dict[str, list[str]] = {}
            for schema, table, column, kind in lake.rows(
                "select schema_name, table_name, column_name, data_type from duckdb_columns() "
                "where database_name = $lake and schema_name <> 'ops' order by all",
                {"lake": LAKE},
            ):
                if column == without:
                    continue
                shown = f'round("{column}", 9)' if kind == "DOUBLE" else f'"{column}"'
                tables.setdefault(f"{schema}.{table}", []).append(shown)
            return {name: lake.rows(f"select {', '.join(c)} from {name} order by all") for name, c in tables.items()}


def compose() -> dict[str, Any]:
    """`docker-compose.yml`."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded
