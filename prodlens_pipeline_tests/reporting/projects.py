"""Made-up warehouses for the tests of reports."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from prodlens_pipeline.reporting.data import Report, read_report
from prodlens_pipeline.settings import Settings, Team
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.models import SqlModel
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.places import warehouse_of

START = date(2026, 1, 5)


@dataclass(frozen=True)
class Work:
    """What a made-up developer left behind: so many AI sessions of one call, and so many commits, day by day."""

    sessions: list[int]
    commits: list[int]
    developer: str = "ana"
    repo: str = "org/app"
    model: str = "claude-a"
    cost: float | None = 0.01
    commits_start: date = START
    pull_requests: int = 0


@dataclass(frozen=True)
class Project:
    """A warehouse that stays open, because opening one takes longer than reading it."""

    settings: Settings
    lake: Lake
    known: dict[tuple[object, ...], Report] = field(default_factory=dict)

    def report(self, repo: str | None = None, since: date | None = None, compared: str | None = None) -> Report:
        """What the warehouse holds now; one report of a snapshot is read once."""
        with self.lake.reading():
            snapshot = self.lake.value("select id from prodlens.current_snapshot()")
            key = (snapshot, repo, since, compared)
            if key not in self.known:
                self.known[key] = read_report(self.lake, self.settings, repo=repo, since=since, compared=compared)
            return self.known[key]


def working(*, effect: bool, days: int = 84) -> Work:
    """Weekday sessions at random; commits follow those of the working day before, or are random too."""
    random = np.random.default_rng(11)
    weekday = [(START + timedelta(days=n)).weekday() < 5 for n in range(days)]
    sessions = [int(random.poisson(8)) + 1 if open_ else 0 for open_ in weekday]
    commits, before = [], 8
    for count, open_ in zip(sessions, weekday, strict=True):
        commits.append((before if effect else int(random.poisson(8))) if open_ else 0)
        before = count if open_ else before
    return Work(sessions, commits)


def settings_of(folder: Path, team: str = "platform") -> Settings:
    home = folder / "home"
    return Settings(root=folder, home=home, team=Team(name=team), warehouse=warehouse_of(home))


@contextmanager
def opened(folder: Path, team: str = "platform") -> Iterator[Project]:
    settings = settings_of(folder, team)
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        yield Project(settings, lake)


def made_report(folder: Path, models: dict[str, SqlModel], work: Work, team: str = "platform") -> Report:
    with opened(folder, team) as project:
        fill(project.lake, models, work)
        return project.report()


def fill(lake: Lake, models: dict[str, SqlModel], work: Work, more_commits: Sequence[dict[str, object]] = ()) -> None:
    """Core tables by hand, marts by their own SQL, and the run that wrote them."""
    core = {
        "llm_calls": calls(work),
        "sessions": sessions(work),
        "commits": [*commits(work), *more_commits],
        "pull_requests": pull_requests(work),
        "rework": [],
        "code_survival": [],
    }
    window = Window(START, START + timedelta(days=400))
    with lake.transaction():
        for name, rows in core.items():
            lake.execute(models[f"core.{name}"].contract.create_statement())
            insert(lake, f"core.{name}", rows)
        for name in ("marts.daily_developer", "marts.daily_repo", "marts.daily_model"):
            lake.execute(models[name].contract.create_statement())
            lake.execute(f"insert into {name} by name ({models[name].sql})", window.parameters)
        lake.execute(
            "insert into ops.etl_runs by name select 'marts.daily_repo' as asset, 'run-1' as run_id, 1 as rows, "
            "'0' as config_hash, '1' as code_version, now()::timestamp as started_at, now()::timestamp as finished_at"
        )


def insert(lake: Lake, table: str, rows: list[dict[str, object]]) -> None:
    if rows:
        lake.connection.register("made_up", pl.DataFrame(rows))
        lake.execute(f"insert into {table} by name select * from made_up")


def moments(counts: list[int], start: date) -> Iterator[tuple[int, date, datetime]]:
    days = (start + timedelta(days=n) for n in range(len(counts)))
    each = ((day, number) for day, count in zip(days, counts, strict=True) for number in range(count))
    for position, (day, number) in enumerate(each):
        yield position, day, datetime.combine(day, time(8)) + timedelta(minutes=7 * number)


def calls(work: Work) -> list[dict[str, object]]:
    return [
        {
            "call_id": f"c{n}", "source": "litellm", "session_id": f"s{n}", "developer_id": work.developer, "day": day,
            "started_at": at, "provider": "anthropic", "model": work.model, "input_tokens": 100,
            "cache_read_tokens": 10, "cache_write_tokens": 0, "output_tokens": 50, "cost_usd": work.cost,
            "cost_source": "list_price" if work.cost is not None else "unpriced", "latency_ms": 900.0,
            "gateway_cache_hit": False, "attempts": 1,
        }
        for n, day, at in moments(work.sessions, START)
    ]  # fmt: skip


def sessions(work: Work) -> list[dict[str, object]]:
    return [
        {
            "session_id": f"s{n}", "started_at": at, "ended_at": at, "day": day, "source": "litellm",
            "developer_id": work.developer, "repo": work.repo, "error_flag": False, "suggestions": 1,
            "decided_suggestions": 1, "accepted_suggestions": 1, "accepted_lines": 3, "tokens_in": 100,
            "tokens_out": 50, "cost_usd": work.cost,
        }
        for n, day, at in moments(work.sessions, START)
    ]  # fmt: skip


def commits(work: Work) -> list[dict[str, object]]:
    return [
        {
            "sha": f"{n:040x}", "repo": work.repo, "author_id": work.developer, "authored_at": at, "committed_at": at,
            "day": day, "additions": 5, "deletions": 1, "ai_assisted": False, "is_merge": False, "is_revert": False,
            "is_bot": False,
        }
        for n, day, at in moments(work.commits, work.commits_start)
    ]  # fmt: skip


def pull_requests(work: Work) -> list[dict[str, object]]:
    """Opened one a day; of four, one is reviewed, approved and merged, one merged unseen, one closed, one open."""
    return [_pull_request(work, n) for n in range(work.pull_requests)]


def _pull_request(work: Work, n: int) -> dict[str, object]:
    opened_at = datetime.combine(START + timedelta(days=n), time(9))
    state = ("merged", "merged", "closed", "open")[n % 4]
    reviewed = n % 4 == 0
    ended_at = None if state == "open" else opened_at + timedelta(hours=6)
    return {
        "repo": work.repo, "number": n, "state": state, "title": "=1+1", "author_id": work.developer,
        "created_at": opened_at, "ready_at": opened_at, "first_commit_at": opened_at - timedelta(hours=3),
        "first_review_at": opened_at + timedelta(hours=1) if reviewed else None,
        "approved_at": opened_at + timedelta(hours=4) if reviewed else None,
        "merged_at": ended_at if state == "merged" else None,
        "merged_day": ended_at.date() if ended_at and state == "merged" else None,
        "closed_at": ended_at, "ai_assisted": False, "is_bot": False, "is_revert": False,
    }  # fmt: skip


def add_tables(lake: Lake, models: dict[str, SqlModel], tables: dict[str, list[dict[str, object]]]) -> None:
    """Make tables of their models and fill them."""
    with lake.transaction():
        for name, rows in tables.items():
            lake.execute(models[name].contract.create_statement())
            insert(lake, name, rows)


def refuse(lake: Lake, count: int) -> None:
    """Write something that a report shows."""
    rows = [
        {
            "source": "litellm", "source_name": "litellm:logs", "source_file": "a.jsonl", "line": number,
            "raw_text": "", "reason": "no start time", "status": "rejected",
            "collected_at": datetime.combine(START, time()),
        }
        for number in range(count)
    ]  # fmt: skip
    insert(lake, "ops.dead_letters", rows)
