"""The pipeline for tests, without Dagster: collect, then write every table in order.

Belongs here: a project's settings, a lake that opens at once, source lines of both trace formats, small clones.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from prodlens_pipeline.definitions import python_contracts
from prodlens_pipeline.delivery.assets import collect_repositories
from prodlens_pipeline.delivery.commits import RAW as RAW_COMMITS
from prodlens_pipeline.delivery.commits import commit_rows
from prodlens_pipeline.delivery.git_tables import GIT_TABLES
from prodlens_pipeline.delivery.github.collect import collect_github
from prodlens_pipeline.delivery.github.tables import TABLES as GITHUB_TABLES
from prodlens_pipeline.delivery.landed_edits import LANDED_EDITS, landed_edit_rows
from prodlens_pipeline.experience.answers import ANSWERS, answer_query
from prodlens_pipeline.experience.collect import collect_answers
from prodlens_pipeline.landing.config import TABLES as CONFIG_TABLES
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.traces.assets import (
    SHAPES,
    common_query,
    price_rows,
    raw_contracts,
    raw_query,
)
from prodlens_pipeline.traces.collect import collect_traces
from prodlens_pipeline.traces.prices import PRICES
from prodlens_pipeline.traces.registry import configured
from prodlens_pipeline.warehouse.contracts import Contract
from prodlens_pipeline.warehouse.lake import LAKE, Lake, Query, Stamp
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.models import SqlModel, load_models
from prodlens_pipeline.warehouse.opening import open_lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.places import is_cluster, temporary_location, warehouse_of

Line = dict[str, Any]
_STAMP = Stamp("test", "test", "test")


def settings_for(root: Path, **values: Any) -> Settings:
    """The settings of a project in the folder `root`."""
    home = root / ".prod-lens"
    return Settings(root=root, home=home, **({"warehouse": warehouse_of(home)} | values))


@contextmanager
def lake_in_memory() -> Iterator[Lake]:
    """A lake of plain DuckDB tables: the same SQL and the same write path, a hundred times as fast as DuckLake.

    With `--warehouse cluster` it is an empty lake on the servers all the same.
    """
    if is_cluster():
        with temporary_location() as location, open_lake(location) as lake:
            migrate(lake)
            yield lake
        return
    with duckdb.connect() as connection:
        connection.execute(f"attach ':memory:' as {LAKE}")
        connection.execute(f"use {LAKE}")
        connection.execute("set TimeZone = 'UTC'")
        lake = Lake(connection, None)
        migrate(lake)
        yield lake


@cache
def models() -> tuple[SqlModel, ...]:
    """Every SQL model, inputs first."""
    return tuple(load_models(python_contracts()))


def collect_all(lake: Lake, settings: Settings) -> list[str]:
    """Land what is new in every source; returns what was wrong, in words."""
    landings = [collect_traces(lake, settings, f) for f in configured(settings)]
    landings += [
        collect_repositories(lake, settings),
        collect_github(lake, settings),
        collect_answers(lake, settings),
    ]
    return [problem for landing in landings for problem in landing.problems]


def materialise_raw(lake: Lake, settings: Settings, windows: Iterable[Window]) -> None:
    """Write the tables that Python makes."""
    windows = list(windows)
    used = configured(settings)
    for contract, rows in CONFIG_TABLES:
        _written(lake.overwrite(contract, None, rows(settings), _STAMP), contract)
    answers = answer_query(lake, settings.landing, settings.survey)
    _written(lake.overwrite(ANSWERS, None, answers, _STAMP), ANSWERS)
    for contract, git_rows, _ in GIT_TABLES:
        _written(lake.overwrite(contract, None, git_rows(lake, settings.landing), _STAMP), contract)
    for contract, github_rows in GITHUB_TABLES:
        _written(lake.overwrite(contract, None, github_rows(lake, settings.landing), _STAMP), contract)
    for window in windows:
        for contract in raw_contracts(used):
            query = raw_query(contract, used, lake, settings.landing, window)
            _written(lake.overwrite(contract, window, query, _STAMP), contract)
        rows_of_window = commit_rows(lake, settings.landing, window)
        _written(lake.overwrite(RAW_COMMITS, window, rows_of_window, _STAMP), RAW_COMMITS)
    for window in windows:
        for shape in SHAPES:
            _written(lake.overwrite(shape, window, common_query(shape, used, window), _STAMP), shape)
    _written(lake.overwrite(PRICES, None, price_rows(lake), _STAMP), PRICES)


def materialise_model(lake: Lake, model: SqlModel, windows: Iterable[Window]) -> None:
    """Write one SQL model, window by window in the given order."""
    for window in windows if model.contract.partitioned else [None]:
        query = Query(model.sql, window.parameters if window else {})
        _written(lake.overwrite(model.contract, window, query, _STAMP), model.contract)


def materialise_models(lake: Lake, names: Iterable[str], window: Window) -> None:
    """Write some SQL models for one window, inputs first."""
    for model in models():
        if model.contract.full_name in names:
            materialise_model(lake, model, [window])


def materialise(lake: Lake, settings: Settings, window: Window) -> None:
    """Write every table for one window."""
    materialise_raw(lake, settings, [window])
    for model in models():
        materialise_model(lake, model, [window])
    _written(lake.overwrite(LANDED_EDITS, None, landed_edit_rows(lake, settings), _STAMP), LANDED_EDITS)


def build(lake: Lake, settings: Settings, window: Window | None = None) -> None:
    """Collect, and write every table for `window` (for all days with records where none is given)."""
    problems = collect_all(lake, settings)
    assert not problems, problems
    materialise(lake, settings, window or landed_window(lake))


def landed_window(lake: Lake) -> Window:
    """From the first to the last day that a landed record touches."""
    first, last = lake.rows("select min(d), max(d) from (select unnest(touched_days) as d from ops.landing_chunks)")[0]
    return Window(first, last + timedelta(days=1))


def table_rows(lake: Lake, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table, in an order that does not depend on how they were written."""
    return sorted(lake.rows(f"select * from {table}"), key=repr)


def _written(result: Any, contract: Contract) -> None:
    broken = [(o.check.name, o.failing_rows) for o in result.outcomes if not o.passed]
    assert result.committed, f"{contract.full_name}: {broken}"


# --- source lines ----------------------------------------------------------------------------------------------


def moment(text: str) -> datetime:
    """`2026-03-02 10:00` or `2026-03-02 10:00:30` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def gateway_line(
    at: str, *, call: str = "call-1", seconds: float = 1.0, alias: str | None = "ana-key", **fields: Any
) -> Line:
    """One LiteLLM record: a successful, not streamed call unless `fields` say otherwise."""
    start = moment(at).timestamp()
    line: Line = {
        "id": f"response-{call}",
        "litellm_call_id": call,
        "trace_id": "trace",
        "call_type": "anthropic_messages",
        "status": "success",
        "cache_hit": False,
        "stream": None,
        "custom_llm_provider": "anthropic",
        "model": "anthropic/claude-sonnet-4-5-20250929",
        "model_group": "claude-sonnet-4-5",
        "startTime": start,
        "endTime": start + seconds,
        "completionStartTime": start + seconds,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "response_cost": 0.25,
        "end_user": "",
        "metadata": {"user_api_key_alias": alias, "requester_metadata": {"session_id": "session-1"}},
        "error_information": {"error_code": "", "error_class": ""},
    }
    return line | fields


def gateway_failure(at: str, *, code: str = "500", **fields: Any) -> Line:
    """One LiteLLM record of a failed attempt."""
    failed: Line = {
        "status": "failure",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "response_cost": 0.0,
        "error_information": {"error_code": code, "error_class": "InternalServerError"},
    }
    return gateway_line(at, **(failed | fields))


def transcript_line(at: str | None, kind: str = "user", *, session: str = "session-1", **fields: Any) -> Line:
    """One line of a Claude Code transcript."""
    line: Line = {"type": kind, "sessionId": session, "cwd": "/home/ana/app", "version": "2.0.76", "isSidechain": False}
    if at is not None:
        line["timestamp"] = moment(at).isoformat().replace("+00:00", "Z")
    return line | fields


def prompt(at: str, **fields: Any) -> Line:
    """A line a person typed."""
    return transcript_line(at, message={"role": "user", "content": "do it"}, **fields)


def usage(input_tokens: int = 5, output_tokens: int = 7, **more: Any) -> Line:
    """Token counts as the API reports them."""
    return {"input_tokens": input_tokens, "output_tokens": output_tokens, **more}


def answer(at: str, message: str = "msg-1", *, tokens: Line | None = None, **fields: Any) -> Line:
    """A line of an answer. `content` and `model` are the message's, other fields the line's."""
    content = fields.pop("content", [{"type": "text", "text": "done"}])
    model = fields.pop("model", "claude-sonnet-4-5-20250929")
    body = {"id": message, "role": "assistant", "model": model, "content": content, "usage": tokens or usage()}
    return transcript_line(at, "assistant", message=body, **{"requestId": f"req-{message}", **fields})


def edit(use: str, path: str = "/home/ana/app/a.py") -> Line:
    """The block of an answer that proposes an edit."""
    return {"type": "tool_use", "id": use, "name": "Edit", "input": {"file_path": path, "old_string": "a"}}


def bash(use: str, command: str) -> Line:
    """The block in which an assistant runs a command."""
    return {"type": "tool_use", "id": use, "name": "Bash", "input": {"command": command}}


def tool_result(
    at: str, use: str, *, result: Any = None, is_error: bool = False, text: str = "", **fields: Any
) -> Line:
    """What came of a tool use."""
    block = {"type": "tool_result", "tool_use_id": use, "is_error": is_error, "content": text}
    return transcript_line(at, message={"role": "user", "content": [block]}, toolUseResult=result, **fields)


def otlp_line(start: float, end: float, number: int, *, session: str) -> Line:
    """An OTLP export request with one span of a call, from `start` to `end` in epoch seconds."""
    attributes = {"llm.model_name": "claude-sonnet-4-5-20250929", "llm.provider": "anthropic", "session.id": session}
    counts = {"llm.token_count.prompt": 10, "llm.token_count.completion": 2}
    span = {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "chat",
        "startTimeUnixNano": str(round(start * 1e6) * 1000),
        "endTimeUnixNano": str(round(end * 1e6) * 1000),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
        + [{"key": key, "value": {"intValue": str(value)}} for key, value in counts.items()],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def write_lines(path: Path, lines: Sequence[Line | str | bytes]) -> Path:
    """Write lines to a source file, making its folder; text and bytes are written as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(_encoded(line) + b"\n" for line in lines))
    return path


def append_lines(path: Path, lines: Sequence[Line | str | bytes]) -> None:
    """Add lines to a source file."""
    with path.open("ab") as file:
        file.write(b"".join(_encoded(line) + b"\n" for line in lines))


def _encoded(line: Line | str | bytes) -> bytes:
    if isinstance(line, bytes):
        return line
    return line.encode() if isinstance(line, str) else json.dumps(line).encode()


# --- clones ----------------------------------------------------------------------------------------------------


class Clone:
    """A small git repository whose commits have given authors and times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, at: str = "2026-03-01 00:00", author: str = "Ana <ana@example.com>") -> str:
        """Run git as `author` at `at`; returns what it printed."""
        name, _, email = author.rstrip(">").partition(" <")
        time = moment(at).isoformat()
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_AUTHOR_DATE": time,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
            "GIT_COMMITTER_DATE": time,
        }
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str, at: str, author: str = "Ana <ana@example.com>", *, lines: int = 1) -> str:
        """Add a file of `lines` lines and commit it; returns the id."""
        file = self.path / f"{len(list(self.path.iterdir()))}-{abs(hash(message)) % 10**8}.txt"
        file.write_text("line\n" * lines)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message, at=at, author=author)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str, message: str, at: str, author: str = "Ana <ana@example.com>") -> str:
        """Merge a branch by a merge commit; returns its id."""
        self.git("merge", "-q", "--no-ff", "-m", message, branch, at=at, author=author)
        return self.git("rev-parse", "HEAD")


def day(text: str) -> date:
    """An ISO day."""
    return date.fromisoformat(text)


def window(first: str, last: str) -> Window:
    """The days from `first` to `last`, both included."""
    return Window(day(first), day(last) + timedelta(days=1))
