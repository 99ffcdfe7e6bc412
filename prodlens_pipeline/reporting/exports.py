"""The tables that are handed out as CSV: which rows and columns, and what each column means.

Belongs here: the declaration of each table and reading it. Does not: writing files (`csv_folder`).
A table of the lake is exported with the columns and words of its own model; the others are declared here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from pydantic import BaseModel

from prodlens_pipeline.reporting.data import Figures
from prodlens_pipeline.reporting.document import (
    Association,
    ComparedEntry,
    Day,
    PanelAssociation,
    ScorecardEntry,
    SurveyAssociation,
    SurveyScore,
    compared_rows,
)
from prodlens_pipeline.reporting.panel import Panel
from prodlens_pipeline.reporting.tables import result
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

MODELS = Path(__file__).resolve().parents[2] / "dbt_like_sql"


@dataclass(frozen=True)
class Exported:
    """A table as it is handed out; `columns` says what each column means. Without a frame, `missing` says why."""

    name: str
    description: str
    columns: Mapping[str, str] = field(default_factory=dict)
    frame: pl.DataFrame | None = None
    missing: str = ""


@dataclass(frozen=True)
class _Query:
    """A table that is computed for export from `needs`; `sql` names `$window_start` and `$window_end`."""

    name: str
    description: str
    needs: tuple[str, ...]
    columns: Mapping[str, str]
    sql: str


_WHOLE = {
    "daily_developer": ("marts.daily_developer", "day"),
    "daily_repo": ("marts.daily_repo", "day"),
    "daily_model": ("marts.daily_model", "day"),
    "source_quality": ("marts.source_quality", "day"),
    "pull_requests": ("core.pull_requests", "coalesce(merged_day, closed_at::date, created_at::date)"),
    "pull_request_scores": ("marts.pull_request_scores", "merged_day"),
    "runs": ("core.sessions", "day"),
    "run_scores": ("marts.session_scores", "day"),
}
"""Tables of the lake that are handed out as they are, and the day by which they are chosen."""

_ISSUES = _Query(
    "issues",
    "One row per pull request that was merged or closed in the window: the piece of work that was asked for, and how "
    "it went.",
    ("core.pull_requests", "core.rework", "core.sessions", "core.session_pull_requests", "marts.pull_request_scores"),
    {
        "repo": "Repository",
        "number": "Number of the pull request",
        "author_id": "Developer",
        "state": "merged, or closed without a merge",
        "finished_at": "When it was merged or closed (UTC)",
        "hours_open": "Hours from opening to merge or close; empty where the opening is not known",
        "commits": "Commits it brought in",
        "lines_added": "Lines added",
        "lines_removed": "Lines removed",
        "changed_files": "Files changed",
        "review_comments": "Comments on its code",
        "changes_requested": "Reviews that asked for changes",
        "failing_checks": "Check runs that failed; empty where GitHub does not show checks",
        "ai_assisted": "A commit of it was, or an assistant opened it",
        "reworked_21d": "Reverted or fixed up within 21 days; empty where it is not known (yet)",
        "sessions": "AI sessions that worked for it",
        "input_tokens": "Uncached input of these sessions, as far as they count for it; empty where none is known",
        "output_tokens": "Output of these sessions, as far as they count for it; empty where none is known",
        "cost_usd": "Cost of these sessions in USD, as far as prices are known; empty where none is",
        "debugging_cycles": "Debugging cycles of these sessions",
        "first_time_right": "Merged with nothing to mend; empty where that is not known",
        "complexity": "From 0 to 100; empty where nothing of it is known",
    },
    """
    with spent as (
        select
            part.repo, part.number,
            round(sum(part.share * session.tokens_in))::bigint as input_tokens,
            round(sum(part.share * session.tokens_out))::bigint as output_tokens
        from core.session_pull_requests as part
        inner join core.sessions as session
            on part.session_id = session.session_id and part.started_at = session.started_at
        group by all
    )
    select
        pull.repo, pull.number, pull.author_id, pull.state, pull.closed_at as finished_at,
        epoch(pull.closed_at - pull.created_at) / 3600 as hours_open, pull.commits,
        pull.additions as lines_added, pull.deletions as lines_removed, pull.changed_files, pull.review_comments,
        pull.changes_requested, pull.failing_checks, pull.ai_assisted, rework.reworked_21d, score.sessions,
        spent.input_tokens, spent.output_tokens, score.cost_usd, score.debugging_cycles, score.first_time_right,
        score.complexity
    from core.pull_requests as pull
    left join core.rework as rework on pull.repo = rework.repo and pull.number = rework.number
    left join marts.pull_request_scores as score on pull.repo = score.repo and pull.number = score.number
    left join spent on pull.repo = spent.repo and pull.number = spent.number
    where not pull.is_bot and pull.closed_at >= $window_start and pull.closed_at < $window_end
    order by finished_at, repo, number
    """,
)
_AGENTS = _Query(
    "agents",
    "One row per day, conversation, agent (the main one, or its subagents together) and model.",
    ("core.llm_calls",),
    {
        "day": "UTC day",
        "session_id": "The conversation",
        "developer_id": "Developer",
        "agent": "main or subagent",
        "model": "Model that answered",
        "calls": "Calls to models",
        "failed_calls": "Calls whose final attempt failed",
        "attempts": "Attempts, with those that were retried",
        "input_tokens": "Uncached input",
        "cache_read_tokens": "Input read from the cache",
        "cache_write_tokens": "Input written to the cache",
        "output_tokens": "Output",
        "cost_usd": "Cost in USD of the calls whose price is known; empty where none is",
        "unpriced_calls": "Calls without a known price",
        "api_seconds": "Sum of the latencies in seconds; empty where none is measured",
    },
    """
    select
        day, session_id, developer_id, if(is_sidechain, 'subagent', 'main') as agent, model, count(*) as calls,
        count(*) filter (where error_type is not null) as failed_calls, sum(attempts)::bigint as attempts,
        sum(input_tokens)::bigint as input_tokens, sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(cache_write_tokens)::bigint as cache_write_tokens, sum(output_tokens)::bigint as output_tokens,
        sum(cost_usd) as cost_usd, count(*) filter (where cost_source = 'unpriced') as unpriced_calls,
        sum(latency_ms::decimal(18, 3)) / 1000 as api_seconds
    from core.llm_calls
    where day >= $window_start and day < $window_end
    group by all
    order by day, session_id, developer_id, agent, model
    """,
)
_PIPELINES = _Query(
    "pipelines",
    "One row per test run that an assistant saw the report of.",
    ("core.test_runs",),
    {
        "day": "UTC day",
        "session_id": "The conversation",
        "tool_use_id": "The tool call that ran the tests",
        "attempt": "Place among the test runs of the conversation, from 1",
        "finished_at": "When the report came (UTC)",
        "framework": "Test framework",
        "succeeded": "No test failed and the command did not fail",
        "passed": "Tests that passed; empty where not counted",
        "failed": "Tests that failed; empty where not counted",
        "skipped": "Tests that were skipped; empty where not counted",
        "exit_code": "Exit status of the command; empty where not said",
        "duration_seconds": "How long the tests took as the report says",
    },
    """
    select
        day, session_id, tool_use_id,
        row_number() over (partition by session_id order by finished_at, tool_use_id) as attempt,
        finished_at, framework, succeeded, passed, failed, skipped, exit_code, duration_ms / 1000 as duration_seconds
    from core.test_runs
    where day >= $window_start and day < $window_end
    order by finished_at, session_id, tool_use_id
    """,
)
_TOOL_USAGE = _Query(
    "tool_usage",
    "One row per day, conversation and tool.",
    ("core.tool_calls",),
    {
        "day": "UTC day",
        "session_id": "The conversation",
        "tool": "Tool",
        "calls": "Calls",
        "succeeded": "Calls that succeeded",
        "failed": "Calls that ended in an error",
        "rejected": "Calls that the user rejected",
        "without_result": "Calls that were interrupted, or whose result was not logged",
        "median_seconds": "Median from call to result, with the time the user took to allow it; empty where not known",
        "lines_added": "Lines that applied edits added",
        "lines_removed": "Lines that applied edits removed",
    },
    """
    select
        day, session_id, tool, count(*) as calls, count(*) filter (where outcome = 'ok') as succeeded,
        count(*) filter (where outcome = 'error') as failed, count(*) filter (where outcome = 'rejected') as rejected,
        count(*) filter (where outcome = 'none') as without_result, median(duration_ms) / 1000 as median_seconds,
        sum(lines_added)::bigint as lines_added, sum(lines_removed)::bigint as lines_removed
    from core.tool_calls
    where day >= $window_start and day < $window_end
    group by all
    order by day, session_id, tool
    """,
)
_DEBUGGING = _Query(
    "debugging_cycles",
    "One row per debugging cycle: an applied edit, a test run or command that then failed, and the next applied edit.",
    ("core.sessions", "core.tool_calls", "core.test_runs"),
    {
        "day": "UTC day of the failure",
        "session_id": "The conversation",
        "run_started_at": "Start of the run in runs.csv (UTC)",
        "cycle": "Place in the run, from 1",
        "edited_at": "Last edit before the failure (UTC)",
        "failed_at": "First failure after it (UTC)",
        "failures": "Test runs and commands that failed until the next edit",
        "repaired_at": "Next edit (UTC)",
        "program": "Program that failed first; empty where not known",
        "minutes": "From the failure to the next edit",
    },
    """
    with runs as (
        -- a resumed conversation is several runs, as in core.sessions
        select
            session_id, started_at,
            lead(started_at, 1, timestamp '9999-12-31') over (partition by session_id order by started_at) as next_at
        from core.sessions
        where day >= $window_start and day < $window_end
    ),
    failed_tests as (
        select distinct source, tool_use_id from core.test_runs where not succeeded
    ),
    steps as (
        select
            runs.session_id, runs.started_at, used.called_at, used.tool_use_id, used.program,
            used.is_edit and used.outcome = 'ok' as edits,
            failed_tests.tool_use_id is not null or (used.program is not null and used.outcome = 'error') as fails
        from runs
        inner join core.tool_calls as used
            on runs.session_id = used.session_id
            and used.called_at >= runs.started_at and used.called_at < runs.next_at
        left join failed_tests on used.source = failed_tests.source and used.tool_use_id = failed_tests.tool_use_id
    ),
    numbered as (
        select
            *,
            count(*) filter (where edits)
                over (partition by session_id, started_at order by called_at, tool_use_id) as edit_number
        from steps
        where edits or fails
    ),
    stretches as (
        select
            session_id, started_at, edit_number,
            min(called_at) filter (where edits) as edited_at,
            min(called_at) filter (where not edits) as failed_at,
            count(*) filter (where not edits) as failures,
            arg_min(program, (called_at, tool_use_id)) filter (where not edits) as program
        from numbered
        where edit_number > 0
        group by session_id, started_at, edit_number
    ),
    followed as (
        select *, lead(edited_at) over (partition by session_id, started_at order by edit_number) as repaired_at
        from stretches
    )
    select
        failed_at::date as day, session_id, started_at as run_started_at,
        row_number() over (partition by session_id, started_at order by edit_number) as cycle,
        edited_at, failed_at, failures, repaired_at, program, epoch(repaired_at - failed_at) / 60 as minutes
    from followed
    where failures > 0 and repaired_at is not null
    order by failed_at, session_id, cycle
    """,
)
_ERRORS = _Query(
    "errors",
    "One row per thing that failed: a call to a model, a call of a tool, or an attempt that had to be made again.",
    ("core.llm_calls", "core.tool_calls", "core.retries"),
    {
        "happened_at": "When (UTC)",
        "day": "UTC day",
        "kind": "model_call, tool_call or retry",
        "source": "Type of the source",
        "session_id": "The conversation",
        "subject": "Model or tool; empty for a retry, whose source may not say",
        "error": "Class of the error, or why it was tried again",
        "recovered": "A later attempt succeeded; empty where not known",
    },
    """
    select started_at as happened_at, day, 'model_call' as kind, source, session_id, model as subject,
        error_type as error, false as recovered
    from core.llm_calls
    where day >= $window_start and day < $window_end and error_type is not null
    union all
    select called_at, day, 'tool_call', source, session_id, tool,
        concat_ws(' ', program, if(exit_code is null, 'error', 'exit status ' || exit_code)), null
    from core.tool_calls
    where day >= $window_start and day < $window_end and outcome = 'error'
    union all
    select happened_at, day, 'retry', source, session_id, null, coalesce(error, reason), succeeded
    from core.retries
    where day >= $window_start and day < $window_end
    order by happened_at, kind, session_id, subject, error
    """,
)
PANEL = "panel_associations"
SURVEYS = ("survey_scores", "survey_associations")
QUERIES = (_ISSUES, _AGENTS, _PIPELINES, _TOOL_USAGE, _DEBUGGING, _ERRORS)
NAMES = (
    *("scorecard", "daily_team", "associations", PANEL, "comparison", *SURVEYS),
    *_WHOLE,
    *(query.name for query in QUERIES),
)
"""Every table that can be exported."""


def exported(lake: Lake, figures: Figures) -> list[Exported]:
    """All tables over the window of `figures`, in the order of `NAMES`.

    Those read from the lake are of all repositories. Call it within the same `lake.reading()` as the report.
    """
    tables = lake.tables()
    return [
        *_of_report(figures),
        *_of_surveys(figures),
        *(_whole(lake, figures.window, tables, name) for name in _WHOLE),
        *(_queried(lake, figures.window, tables, query) for query in QUERIES),
    ]


def _of_report(figures: Figures) -> list[Exported]:
    scores = pl.concat([figures.scorecard, figures.by_developer])
    compared = "comparison", "One row per metric in both windows."
    shown = [
        _described("scorecard", "One row per metric of the team and of each developer.", ScorecardEntry, scores),
        _described("daily_team", "One row per UTC day of the whole team without bots.", Day, figures.days),
        _described("associations", "One row per AI use, delivery and lag.", Association, _judged(figures.associations)),
        _panel(figures.panel),
    ]
    if figures.comparison is None:
        return [*shown, Exported(*compared, missing="no --compare was asked for")]
    frame = pl.DataFrame(compared_rows(figures.comparison), infer_schema_length=None)
    return [*shown, _described(*compared, ComparedEntry, frame)]


def _panel(panel: Panel | None) -> Exported:
    words = "One row per AI use, delivery and lag: developers compared with themselves and with colleagues."
    if panel is None:
        missing = "too few developers can be compared, or the comparison is of another window or of all repositories"
        return Exported(PANEL, words, missing=missing)
    return _described(PANEL, words, PanelAssociation, _judged(panel.rows))


def _judged(associations: pl.DataFrame) -> pl.DataFrame:
    """With what may be said of each row."""
    results = [result(row) for row in associations.iter_rows(named=True)]
    return associations.with_columns(result=pl.Series(results, dtype=pl.String))


def _of_surveys(figures: Figures) -> list[Exported]:
    """No table of single answers: a group that is too small is in none of the figures."""
    about = "One row for all surveys and one for each.", "One row per AI use, question and side of the answer."
    found = figures.experience
    if found is None:
        missing = "nobody answered a survey in the window"
        return [Exported(name, words, missing=missing) for name, words in zip(SURVEYS, about, strict=True)]
    return [
        _described(SURVEYS[0], about[0], SurveyScore, found.scores),
        _described(SURVEYS[1], about[1], SurveyAssociation, found.associations),
    ]


def _described(name: str, description: str, entry: type[BaseModel], frame: pl.DataFrame) -> Exported:
    """With the columns and words of the JSON document's entry."""
    columns = {key: about.description or "" for key, about in entry.model_fields.items()}
    return Exported(name, description, columns, frame.select(list(columns)))


def _whole(lake: Lake, window: Window, tables: set[str], name: str) -> Exported:
    table, day = _WHOLE[name]
    matter = _front_matter(table)
    if table not in tables:
        return Exported(name, matter["description"], missing=f"the warehouse has no table {table} yet")
    stored = [column for column, *_ in lake.rows(f"describe {table}")]
    columns = {key: _words(about) for key, about in matter["columns"].items() if key in stored}
    frame = lake.frame(
        f"select {', '.join(columns)} from {table} where {day} >= $window_start and {day} < $window_end order by all",
        window.parameters,
    )
    return Exported(name, matter["description"], columns, frame)


def _queried(lake: Lake, window: Window, tables: set[str], query: _Query) -> Exported:
    lacking = [table for table in query.needs if table not in tables]
    if lacking:
        return Exported(query.name, query.description, missing=f"the warehouse has no table {' or '.join(lacking)} yet")
    frame = lake.frame(query.sql, window.parameters)
    return Exported(query.name, query.description, query.columns, frame.select(list(query.columns)))


def _front_matter(table: str) -> dict[str, Any]:
    """The words of a SQL model about itself; that they are well-formed is judged where models are loaded."""
    schema, name = table.split(".")
    text = (MODELS / schema / f"{name}.sql").read_text(encoding="utf-8")
    matter: dict[str, Any] = yaml.safe_load(text.partition("*/")[0].removeprefix("/*"))
    return matter


def _words(column: Mapping[str, str]) -> str:
    unit = column.get("unit")
    return f"{column['description']} ({unit})" if unit else column["description"]
