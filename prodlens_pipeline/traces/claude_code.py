"""Claude Code transcripts: one JSON record a line, one file a session, subagents in files of their own.

Belongs here: which fields are kept and how they become `raw.claude_code`. Does not: joining the lines of a message.
Read from captures of versions 1.0 to 2.1; texts, prompts, commands and code are reduced to counts and markers.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from operator import methodcaller
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from prodlens_pipeline.landing.records import Count, EventTime, Format, Record, Text
from prodlens_pipeline.traces.commands import describe
from prodlens_pipeline.traces.formats import TraceFormat
from prodlens_pipeline.traces.shapes import TESTS
from prodlens_pipeline.traces.test_reports import ReportedTests, read_report
from prodlens_pipeline.warehouse.contracts import Column, Contract

_REJECTIONS = ("The user doesn't want to proceed", "User rejected tool use")
_INTERRUPTION = "[Request interrupted by user"
_EXIT_CODE = re.compile(r"Exit code (-?\d{1,9})\b")
_MARKUP = re.compile(r"\s*<([a-z][a-z_-]*)>")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _CacheCreation(_Part):
    ephemeral_1h_input_tokens: Count | None = None


class _Usage(_Part):
    input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_creation: _CacheCreation | None = None


class _Block(_Part):
    """A content block without its text. `markup` is the tag a text begins with, such as `command-name`.

    The texts (what an edit writes, what a person or the model says) are never landed with the record.
    """

    type: str | None = None
    id: str | None = None
    name: str | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None
    rejected: bool | None = None
    interrupted: bool | None = None
    markup: str | None = None
    file_path: str | None = None
    program: str | None = None
    verb: str | None = None
    exit_code: int | None = None
    tests: ReportedTests | None = None
    text: str | None = Field(None, exclude=True)
    edits: tuple[str, ...] = Field((), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _reduce(cls, block: Any) -> Any:
        if isinstance(block, str):
            block = {"type": "text", "text": block}
        if not isinstance(block, dict):
            return block
        kept = {key: block[key] for key in ("type", "id", "name", "tool_use_id", "is_error") if key in block}
        if block.get("type") == "text":
            kept |= _text_markers(block.get("text")) | {"text": _clean(block.get("text"))}
        elif block.get("type") == "tool_use":
            kept |= _tool_input(block.get("input"))
        elif block.get("type") == "tool_result":
            kept |= _tool_output(block.get("content"))
        return kept


class _Message(_Part):
    id: str | None = None
    model: str | None = None
    role: str | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None
    content: list[_Block] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_text(cls, message: Any) -> Any:
        return {"content": message} if isinstance(message, str) else message

    @field_validator("content", mode="before")
    @classmethod
    def _as_blocks(cls, content: Any) -> Any:
        return [content] if isinstance(content, str) else content


class _ToolResult(_Part):
    """What a tool reported beside its text: whether it was refused, and how many lines an edit changed."""

    rejected: bool | None = None
    file_path: str | None = None
    lines_added: int | None = None
    lines_removed: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _reduce(cls, result: Any) -> Any:
        if isinstance(result, str):
            return {"rejected": result.startswith(_REJECTIONS)}
        if not isinstance(result, dict):
            return {}
        kept: dict[str, Any] = {"file_path": result.get("filePath")} if isinstance(result.get("filePath"), str) else {}
        return kept | _changed_lines(result)


class _AgentMessage(_Part):
    requestId: str | None = None  # noqa: N815 - the source's name
    message: _Message | None = None


class _Progress(_Part):
    type: str | None = None
    agentId: str | None = None  # noqa: N815
    message: _AgentMessage | None = None

    @model_validator(mode="before")
    @classmethod
    def _reduce(cls, data: Any) -> Any:
        """Only a subagent's progress holds a message; other kinds use the name for text."""
        if isinstance(data, dict) and data.get("type") != "agent_progress":
            return {"type": data.get("type")}
        return data


class _ApiError(_Part):
    status: int | None = None
    type: str | None = None


class _Compaction(_Part):
    trigger: str | None = None
    preTokens: Count | None = None  # noqa: N815


class ClaudeCodeRecord(Record):
    """The fields of a transcript line that are kept. Records of unknown types are kept as such: they are no errors."""

    type: str | None = None
    subtype: str | None = None
    uuid: str | None = None
    sessionId: str | None = None  # noqa: N815
    timestamp: EventTime | None = None
    isSidechain: bool | None = None  # noqa: N815
    agentId: str | None = None  # noqa: N815
    requestId: str | None = None  # noqa: N815
    version: str | None = None
    cwd: str | None = None
    gitBranch: str | None = None  # noqa: N815
    isMeta: bool | None = None  # noqa: N815
    isCompactSummary: bool | None = None  # noqa: N815
    isApiErrorMessage: bool | None = None  # noqa: N815
    durationMs: float | None = None  # noqa: N815
    retryAttempt: Count | None = None  # noqa: N815
    retryInMs: float | None = None  # noqa: N815
    error: _ApiError | None = None
    compactMetadata: _Compaction | None = None  # noqa: N815
    microcompactMetadata: _Compaction | None = None  # noqa: N815
    prNumber: Count | None = None  # noqa: N815
    prRepository: str | None = None  # noqa: N815
    message: _Message | None = None
    toolUseResult: _ToolResult | None = None  # noqa: N815
    data: _Progress | None = None

    @field_validator("error", mode="before")
    @classmethod
    def _without_text(cls, error: Any) -> Any:
        """Only a refused request's error has parts; elsewhere the name holds a text."""
        return error if isinstance(error, dict) else None

    @property
    def event_time(self) -> datetime | None:
        """When the line was written; summaries and file snapshots do not say."""
        return self.timestamp

    @property
    def texts(self) -> list[Text]:
        """What the line's edits would write, by tool use; and what a person or the model says."""
        blocks = (self.message.content if self.message else None) or ()
        said: Literal["answer", "prompt"] = "answer" if self.type == "assistant" else "prompt"
        edits = [Text("edit", block.id, block.file_path, edit) for block in blocks for edit in block.edits]
        return edits + [Text(said, self.uuid, None, block.text) for block in blocks if block.text]


RAW = Contract(
    schema="raw",
    name="claude_code",
    description="One row per line of a Claude Code transcript, without its texts.",
    key=("source_name", "source_file", "chunk_id", "line"),
    owner="team:traces",
    plotted="count(*)",
    columns=(
        Column("day", "DATE", "UTC day of the line; a line without a time has its neighbour's"),
        Column("logged_at", "TIMESTAMP", "time of the line, UTC"),
        Column("source_name", "VARCHAR", "the configured source"),
        Column("source_file", "VARCHAR", "the transcript it was read from"),
        Column("line", "BIGINT", "line of that file"),
        Column("chunk_id", "VARCHAR", "the landed chunk; a file that was replaced has its lines in another one"),
        Column("type", "VARCHAR", "user, assistant, system, progress, summary, ..."),
        Column("subtype", "VARCHAR", "kind of a system line"),
        Column("uuid", "VARCHAR", "id of the line; a resumed session may copy it to another file"),
        Column("session_id", "VARCHAR", "the conversation"),
        Column("is_sidechain", "BOOLEAN", "written by a subagent"),
        Column("agent_id", "VARCHAR", "the subagent"),
        Column("version", "VARCHAR", "Claude Code version"),
        Column("cwd", "VARCHAR", "working directory"),
        Column("git_branch", "VARCHAR", "branch checked out"),
        Column("is_prompt", "BOOLEAN", "a person typed this line"),
        Column("is_api_error", "BOOLEAN", "stands in for an answer that the API refused"),
        Column("message_id", "VARCHAR", "the API's message; one message is several lines"),
        Column("request_id", "VARCHAR", "the API's request"),
        Column("model", "VARCHAR", "the model that answered"),
        Column("from_progress", "BOOLEAN", "reported by a progress line of a subagent"),
        Column("input_tokens", "BIGINT", "uncached input tokens", "tokens"),
        Column("cache_read_tokens", "BIGINT", "input tokens read from the cache", "tokens"),
        Column("cache_write_tokens", "BIGINT", "input tokens written to the cache, of any lifetime", "tokens"),
        Column("cache_write_1h_tokens", "BIGINT", "of these, kept for an hour", "tokens"),
        Column("output_tokens", "BIGINT", "output tokens; early lines of a message hold a placeholder", "tokens"),
        Column(
            "tool_uses",
            "STRUCT(id VARCHAR, name VARCHAR, file_path VARCHAR, program VARCHAR, verb VARCHAR)[]",
            "tools the model called",
        ),
        Column(
            "tool_results",
            f"STRUCT(tool_use_id VARCHAR, is_error BOOLEAN, rejected BOOLEAN, exit_code INTEGER, tests {TESTS})[]",
            "what came of tools",
        ),
        Column("lines_added", "BIGINT", "lines that an applied edit added", "lines"),
        Column("lines_removed", "BIGINT", "lines that an applied edit removed", "lines"),
        Column("duration_ms", "DOUBLE", "length of a turn", "ms"),
        Column("retry_attempt", "INTEGER", "number of a retry of a refused request"),
        Column("retry_wait_ms", "DOUBLE", "pause before it", "ms"),
        Column("retry_reason", "VARCHAR", "why the request was refused: its HTTP status or the error's type"),
        Column("compaction", "VARCHAR", "what made the program shorten its context: auto or manual"),
        Column("tokens_before_compaction", "BIGINT", "size of the context before that", "tokens"),
        Column("pr_number", "BIGINT", "pull request that the session opened"),
        Column("pr_repository", "VARCHAR", "repository of that pull request"),
    ),
)

SELECT = """
select
    _at::date as day,
    _at as logged_at,
    _source as source_name,
    _file as source_file,
    _line as line,
    _chunk as chunk_id,
    type,
    subtype,
    uuid,
    sessionId as session_id,
    coalesce(isSidechain, false) or coalesce(data.type = 'agent_progress', false) as is_sidechain,
    coalesce(agentId, data.agentId) as agent_id,
    version,
    cwd,
    gitBranch as git_branch,
    coalesce(type = 'user' and not coalesce(isMeta or isCompactSummary or isSidechain, false), false)
        and len(list_filter(coalesce(message.content, []), lambda b: b.type in ('text', 'image')
            and not coalesce(b.interrupted, false)
            -- what the program itself writes into the user's turn
            and not regexp_matches(coalesce(b.markup, ''), '^(command-|local-command-|task-|system-|ide_)'))) > 0
        as is_prompt,
    coalesce(isApiErrorMessage, false) as is_api_error,
    coalesce(message.id, data.message.message.id) as message_id,
    coalesce(requestId, data.message.requestId) as request_id,
    coalesce(message.model, data.message.message.model) as model,
    data.message is not null as from_progress,
    coalesce(message.usage, data.message.message.usage).input_tokens as input_tokens,
    coalesce(message.usage, data.message.message.usage).cache_read_input_tokens as cache_read_tokens,
    coalesce(message.usage, data.message.message.usage).cache_creation_input_tokens as cache_write_tokens,
    coalesce(message.usage, data.message.message.usage).cache_creation.ephemeral_1h_input_tokens
        as cache_write_1h_tokens,
    coalesce(message.usage, data.message.message.usage).output_tokens as output_tokens,
    [struct_pack(id := b.id, name := b.name, file_path := b.file_path, program := b.program, verb := b.verb)
        for b in coalesce(message.content, []) if b.type = 'tool_use'] as tool_uses,
    [struct_pack(
        tool_use_id := b.tool_use_id,
        is_error := coalesce(b.is_error, false),
        rejected := coalesce(b.rejected, false) or coalesce(toolUseResult.rejected, false),
        exit_code := b.exit_code,
        tests := b.tests)
        for b in coalesce(message.content, []) if b.type = 'tool_result'] as tool_results,
    toolUseResult.lines_added as lines_added,
    toolUseResult.lines_removed as lines_removed,
    durationMs as duration_ms,
    retryAttempt as retry_attempt,
    retryInMs as retry_wait_ms,
    case when subtype = 'api_error' then coalesce(error.status::varchar, error.type, 'unknown') end as retry_reason,
    coalesce(compactMetadata, microcompactMetadata).trigger as compaction,
    coalesce(compactMetadata, microcompactMetadata).preTokens as tokens_before_compaction,
    prNumber as pr_number,
    prRepository as pr_repository
from {records}
where _at >= $window_start and _at < $window_end
"""


def _text_markers(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    markup = _MARKUP.match(text)
    return {"markup": markup[1] if markup else None, "interrupted": text.startswith(_INTERRUPTION)}


def _tool_input(tool_input: Any) -> dict[str, Any]:
    """The file a tool works on, or the program a command runs; never what it writes, nor a command's arguments."""
    if not isinstance(tool_input, dict):
        return {}
    path = tool_input.get("file_path") or tool_input.get("notebook_path")
    kept: dict[str, Any] = {"file_path": path} if isinstance(path, str) else {}
    kept["edits"] = [text for text in _written(tool_input) if isinstance(text, str) and text.strip()]
    if isinstance(tool_input.get("command"), str):
        command = describe(tool_input["command"])
        kept |= {"program": command.program, "verb": command.verb}
    return kept


def _written(tool_input: dict[str, Any]) -> Iterator[Any]:
    """What an edit would write: `Edit`, `Write`, `NotebookEdit`, and each part of a `MultiEdit`."""
    for name in ("new_string", "content", "new_source"):
        yield tool_input.get(name)
    parts = tool_input.get("edits")
    for part in parts if isinstance(parts, list) else ():
        yield part.get("new_string") if isinstance(part, dict) else None


def _clean(text: Any) -> str | None:
    return text if isinstance(text, str) and text.strip() else None


def _tool_output(content: Any) -> dict[str, Any]:
    """Whether the user refused, how a command exited, and what a test run reported; never the output itself."""
    text = _plain_text(content)
    code = _EXIT_CODE.match(text)
    report = read_report(None, text)
    return {
        "rejected": text.startswith(_REJECTIONS),
        "exit_code": int(code[1]) if code else None,
        "tests": asdict(report) if report else None,
    }


def _plain_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _changed_lines(result: dict[str, Any]) -> dict[str, int]:
    """Lines of an applied edit: those its patch marks, or all of a new file."""
    patch = result.get("structuredPatch")
    if isinstance(patch, list) and patch:
        hunks = [hunk.get("lines") for hunk in patch if isinstance(hunk, dict)]
        marks = [line[:1] for hunk in hunks if isinstance(hunk, list) for line in hunk if isinstance(line, str)]
        return {"lines_added": marks.count("+"), "lines_removed": marks.count("-")}
    if result.get("type") == "create" and isinstance(result.get("content"), str):
        return {"lines_added": len(result["content"].splitlines()), "lines_removed": 0}
    return {}


CALLS = """
with lines as (
    select
        *,
        -- lines of the same instant, such as copies, are taken in the order of their files
        (logged_at, source_file, line) as place,
        -- a transcript names no person: whose home folder it was written in is all it knows
        'claude_code:' || regexp_extract(cwd, '^(?:/home/|/Users/|[A-Za-z]:\\\\Users\\\\)([^/\\\\]+)', 1) as home
    from raw.claude_code
    where day >= $window_start - interval 1 day and day < $window_end + interval 1 day
        and message_id is not null and model <> '<synthetic>' and not is_api_error and output_tokens is not null
)
select
    min(logged_at)::date as day,
    'claude_code' as source,
    arg_min(source_name, place) as source_name,
    'transcript' as observer,
    message_id || ':' || coalesce(request_id, '') as observation_id,
    ['response:' || message_id] as match_keys,
    coalesce(arg_min(session_id, place), message_id || ':' || coalesce(request_id, '')) as session_id,
    coalesce(arg_min(home, place), 'claude_code:') as identity,
    [lower(coalesce(arg_min(home, place), 'claude_code:'))] as identities,
    min(logged_at) as started_at,
    max(logged_at) as ended_at,
    'anthropic' as provider,
    max(model) as model_requested,
    max(model) as model,
    -- one message is several lines, and early ones hold placeholders: the largest of each field is the truth
    max(input_tokens) as input_tokens,
    max(cache_read_tokens) as cache_read_tokens,
    max(cache_write_tokens) as cache_write_tokens,
    max(cache_write_1h_tokens) as cache_write_1h_tokens,
    max(output_tokens) as output_tokens,
    -- the lines of a message are written as its blocks arrive: no start of the call is known, hence no latency
    1 as attempts,
    bool_and(is_sidechain) as is_sidechain,
    false as gateway_cache_hit,
    arg_min(cwd, place) as repo_path,
    arg_min(git_branch, place) as branch,
    arg_min(version, place) as client_version,
    coalesce(
        try_cast(regexp_extract(arg_min(version, place), '^2\\.1\\.(\\d+)$', 1) as integer) between 12 and 42, false
    ) as output_underreported
from lines
group by message_id, request_id
having min(logged_at) >= $window_start and min(logged_at) < $window_end
"""

ACTIVITY = """
with lines as (
    select *, coalesce(uuid, source_file || ':' || chunk_id || ':' || line::varchar) as line_id
    from raw.claude_code
    where day >= $window_start and day < $window_end and session_id is not null
    -- a resumed session copies lines to another file
    qualify uuid is null
        or row_number() over (partition by session_id, uuid order by logged_at, source_file, chunk_id, line) = 1
),
events as (
    select
        lines.*,
        case
            when is_api_error then 'error'
            when is_prompt then 'prompt'
            when subtype = 'api_error' then 'retry'
            when subtype in ('compact_boundary', 'microcompact_boundary') then 'compaction'
            when subtype = 'turn_duration' then 'turn'
            when type = 'assistant' then 'answer'
            when type = 'pr-link' then 'pull_request'
            else 'other'
        end as kind
    from lines
    where type in ('user', 'assistant', 'system', 'progress', 'pr-link')
),
uses as (
    select lines.*, use
    from lines, unnest(tool_uses) as called(use)
    where use.id is not null
    -- a subagent's progress repeats a tool use
    qualify row_number() over (partition by use.id order by logged_at, source_file, line) = 1
),
results as (
    select lines.*, result
    from lines, unnest(tool_results) as came(result)
    where result.tool_use_id is not null
    qualify row_number() over (
        partition by result.tool_use_id order by result.rejected desc, logged_at, source_file, line
    ) = 1
)
select
    day,
    'claude_code' as source,
    source_name,
    session_id,
    session_id || '/' || line_id as event_id,
    kind,
    logged_at as happened_at,
    is_sidechain,
    agent_id,
    cwd as repo_path,
    git_branch as branch,
    version as client_version,
    kind = 'error' as is_error,
    duration_ms,
    retry_wait_ms as wait_ms,
    retry_attempt as attempt,
    coalesce(retry_reason, compaction) as reason,
    tokens_before_compaction as tokens_before,
    pr_number,
    pr_repository
from events
union all by name
select
    day,
    'claude_code' as source,
    source_name,
    session_id,
    use.id as event_id,
    'tool_call' as kind,
    logged_at as happened_at,
    is_sidechain,
    agent_id,
    cwd as repo_path,
    git_branch as branch,
    version as client_version,
    use.id as tool_use_id,
    use.name as tool,
    use.name in ('Edit', 'Write', 'MultiEdit', 'NotebookEdit') as is_edit,
    use.program as program,
    use.verb as verb,
    use.file_path as file_path
from uses
union all by name
select
    day,
    'claude_code' as source,
    source_name,
    session_id,
    result.tool_use_id as event_id,
    'tool_result' as kind,
    logged_at as happened_at,
    is_sidechain,
    agent_id,
    cwd as repo_path,
    git_branch as branch,
    version as client_version,
    result.tool_use_id as tool_use_id,
    result.is_error as is_error,
    result.rejected as rejected,
    result.exit_code as exit_code,
    result.tests as tests,
    lines_added,
    lines_removed
from results
"""

FORMAT = TraceFormat(
    form=Format("claude_code", ClaudeCodeRecord, version=methodcaller("get", "version")),
    raw=RAW,
    select=SELECT,
    calls=CALLS,
    activity=ACTIVITY,
    kinds=frozenset({"claude"}),
    description="Claude Code transcripts, landed.",
)
