"""Spans of any tool that speaks OpenTelemetry: what of a span is kept, and how spans become calls and activity.

Belongs here: the record contract, `raw.spans`, and which spans of a trace are a call. Does not: the three ways spans
arrive (`otlp.py`, `phoenix.py`, `arize.py`).
"""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from prodlens_pipeline.landing.records import EventTime, Record
from prodlens_pipeline.warehouse.contracts import Column, Contract

Tokens = Annotated[float, Field(ge=0, lt=10**12)]
"""A number of tokens: exports hold them as floating-point columns."""
Usd = Annotated[float, Field(ge=0, lt=10**9)]


class Span(Record):
    """A span, or what somebody said of one: an annotation has the span it judges as its parent."""

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str | None = None
    kind: str | None = None
    operation: str | None = None
    start_time: EventTime
    end_time: EventTime
    status: str
    error_code: str | None = None
    error_type: str | None = None
    exception_type: str | None = None
    project: str | None = None
    provider: str | None = None
    model: str | None = None
    model_requested: str | None = None
    response_id: str | None = None
    stream: bool | None = None
    prompt_tokens: Tokens | None = None
    cache_read_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cost_usd: Usd | None = None
    session: str | None = None
    client_session: str | None = None
    user: str | None = None
    user_email: str | None = None
    key_alias: str | None = None
    key_user: str | None = None
    team_alias: str | None = None
    client: str | None = None
    tool: str | None = None
    tool_call_id: str | None = None
    annotation: str | None = None
    annotator: str | None = None
    label: str | None = None
    score: float | None = None

    @classmethod
    def facts_of(cls, data: Any) -> Any:
        """The fields of the contract in `data`, as the source writes a span."""
        return data

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        try:
            return cls.facts_of(data)
        except KeyError as error:
            raise ValueError(f"is no span: {error.args[0]!r} is missing") from None
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
            # the message of the error may hold the value
            raise ValueError(f"is no span as this format writes it ({type(error).__name__})") from None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end_time < self.start_time:
            raise ValueError("end_time lies before start_time")
        return self

    @property
    def event_time(self) -> datetime:
        """When the span started."""
        return self.start_time


RAW = Contract(
    schema="raw",
    name="spans",
    description="One row per landed span or annotation of one; what is delivered twice has two rows.",
    key=("source_name", "source_file", "chunk_id", "line", "item"),
    owner="team:traces",
    plotted="count(*)",
    columns=(
        Column("day", "DATE", "UTC day of the start"),
        Column("source", "VARCHAR", "configured type of the source"),
        Column("source_name", "VARCHAR", "the configured source"),
        Column("source_file", "VARCHAR", "the file or address it was read from"),
        Column("line", "BIGINT", "line of that file, or number of the record"),
        Column("item", "BIGINT", "place among the spans of the line"),
        Column("chunk_id", "VARCHAR", "the landed chunk"),
        Column("trace_id", "VARCHAR", "the trace"),
        Column("span_id", "VARCHAR", "the span"),
        Column("parent_id", "VARCHAR", "its parent; the span that an annotation judges"),
        Column("name", "VARCHAR", "its name, which clients may choose"),
        Column("kind", "VARCHAR", "LLM, TOOL, CHAIN, AGENT, ... or ANNOTATION"),
        Column("started_at", "TIMESTAMP", "start", "UTC"),
        Column("ended_at", "TIMESTAMP", "end", "UTC"),
        Column("status", "VARCHAR", "OK, ERROR or UNSET"),
        Column("status_code", "INTEGER", "HTTP status of a failed call; NULL where not said"),
        Column("error_type", "VARCHAR", "class of the error"),
        Column("project", "VARCHAR", "project or service that sent it"),
        Column("provider", "VARCHAR", "provider that was called"),
        Column("model", "VARCHAR", "model that answered, without the provider's prefix"),
        Column("model_requested", "VARCHAR", "model the client asked for"),
        Column("response_id", "VARCHAR", "the provider's response id"),
        Column("stream", "BOOLEAN", "whether the answer was streamed; NULL where not said"),
        Column("input_tokens", "BIGINT", "uncached input", "tokens"),
        Column("cache_read_tokens", "BIGINT", "input read from the provider's cache", "tokens"),
        Column("cache_write_tokens", "BIGINT", "input written to the provider's cache", "tokens"),
        Column("output_tokens", "BIGINT", "output", "tokens"),
        Column("cost_usd", "DECIMAL(18,8)", "cost that the exporter computed", "USD"),
        Column("session_id", "VARCHAR", "the conversation, where an attribute names it"),
        Column("user_id", "VARCHAR", "user of the application or of the gateway's key"),
        Column("user_email", "VARCHAR", "e-mail of that user, lower case"),
        Column("key_alias", "VARCHAR", "alias of the gateway's key"),
        Column("team_alias", "VARCHAR", "team of that key"),
        Column("client", "VARCHAR", "the client program"),
        Column("tool", "VARCHAR", "tool that a span of a tool ran"),
        Column("tool_call_id", "VARCHAR", "the tool call"),
        Column("annotation", "VARCHAR", "name of an annotation"),
        Column("annotator", "VARCHAR", "HUMAN, LLM or CODE"),
        Column("label", "VARCHAR", "what the annotation says"),
        Column("score", "DOUBLE", "its score"),
    ),
)

SELECT = r"""
select
    _at::date as day,
    '{source}' as source,
    _source as source_name,
    _file as source_file,
    _line as line,
    _item as item,
    _chunk as chunk_id,
    trace_id,
    span_id,
    parent_id,
    name,
    upper(coalesce(kind, case
        when operation in ('chat', 'text_completion', 'generate_content') then 'LLM'
        when operation = 'execute_tool' then 'TOOL'
        when operation in ('invoke_agent', 'create_agent') then 'AGENT'
    end)) as kind,
    timezone('UTC', start_time) as started_at,
    timezone('UTC', end_time) as ended_at,
    upper(status) as status,
    try_cast(error_code as integer) as status_code,
    coalesce(error_type, exception_type, if(upper(status) = 'ERROR', coalesce(error_code, 'unknown'), null))
        as error_type,
    project,
    lower(provider) as provider,
    nullif(if(
        starts_with(model, coalesce(provider, '') || '/'), substr(model, length(coalesce(provider, '')) + 2), model
    ), '') as model,
    model_requested,
    response_id,
    stream,
    -- a prompt includes what was read from and written to the cache; where it is smaller, it did not
    (prompt_tokens - if(
        coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) > prompt_tokens,
        0,
        coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0)
    ))::bigint as input_tokens,
    case when prompt_tokens is not null then coalesce(cache_read_tokens, 0)::bigint end as cache_read_tokens,
    case when prompt_tokens is not null then coalesce(cache_write_tokens, 0)::bigint end as cache_write_tokens,
    coalesce(output_tokens, if(prompt_tokens is not null, 0, null))::bigint as output_tokens,
    cost_usd::decimal(18, 8) as cost_usd,
    -- a gateway puts the end user into session.id: a person, or a client's text that names the session
    coalesce(
        client_session,
        nullif(regexp_extract(session, '"session_id"\s*:\s*"([^"]+)"', 1), ''),
        nullif(regexp_extract(session, '^user_.*_session_([0-9a-fA-F-]+)$', 1), ''),
        if(key_alias is null and key_user is null, session, null)
    ) as session_id,
    nullif(coalesce(key_user, "user"), 'default_user_id') as user_id,
    lower(user_email) as user_email,
    key_alias,
    team_alias,
    client,
    tool,
    tool_call_id,
    annotation,
    annotator,
    label,
    score
from {records}
where _at >= $window_start and _at < $window_end
"""

CALLS = r"""
with recursive known as (
    select
        *,
        input_tokens is not null as bears_tokens,
        -- a gateway's cache answers with the response, and the id, of an earlier call
        arg_min(trace_id, (started_at, trace_id)) over (partition by source, response_id) <> trace_id as answers_again
    from raw.spans
    where day >= $window_start - interval 1 day and day < $window_end + interval 1 day and annotation is null
    qualify row_number() over (
        partition by source, trace_id, span_id order by source_name, source_file, chunk_id, line, item
    ) = 1
),
climb as (
    -- the same tokens stand on a gateway's span and on its child: the outermost span that bears them is the call
    select source, trace_id, span_id, parent_id, span_id as outermost, 0 as steps
    from known
    where bears_tokens
    union all
    select
        climb.source,
        climb.trace_id,
        climb.span_id,
        above.parent_id,
        if(above.bears_tokens, above.span_id, climb.outermost),
        climb.steps + 1
    from climb
    inner join known as above
        on climb.source = above.source and climb.trace_id = above.trace_id and climb.parent_id = above.span_id
    where climb.steps < 64
),
tops as (
    select source, trace_id, span_id, arg_max(outermost, steps) as outermost
    from climb
    group by source, trace_id, span_id
),
refused as (
    -- a call that failed bears no tokens: the innermost span that tells of it
    select source, trace_id, span_id, span_id as outermost
    from known
    where status = 'ERROR' and not bears_tokens and (kind = 'LLM' or model is not null)
        and not exists (
            from known as below
            where below.source = known.source and below.trace_id = known.trace_id and below.parent_id = known.span_id
                and (below.bears_tokens or (below.status = 'ERROR' and (below.kind = 'LLM' or below.model is not null)))
        )
),
members as (
    select
        top.*,
        call.source_name,
        call.started_at as outer_at,
        call.ended_at as outer_end,
        call.model as outer_model
    from (select * from tops union all select * from refused) as top
    inner join known as call
        on top.source = call.source and top.trace_id = call.trace_id and top.outermost = call.span_id
),
calls as (
    -- an old gateway tells of one call in two traces: same start, end and model are the same call
    select
        members.source,
        min(members.trace_id || '/' || members.outermost) as observation_id,
        arg_min(span, (span.span_id <> members.outermost, members.trace_id, members.outermost)) as best,
        min(members.source_name) as source_name,
        -- unlike ||, it takes a list that is not there for an empty one
        list_sort(list_concat(
            list(distinct 'interval:' || epoch_us(span.started_at)::varchar || '/' || epoch_us(span.ended_at)::varchar),
            list(distinct 'response:' || span.response_id) filter (where span.response_id is not null),
            list(distinct 'span:' || span.trace_id || '/' || span.span_id)
        )) as match_keys,
        arg_min(span.session_id, (span.span_id <> members.outermost, span.span_id)) as session_id,
        bool_and(span.answers_again) filter (where span.response_id is not null) as answers_again
    from members
    inner join known as span
        on members.source = span.source and members.trace_id = span.trace_id and members.span_id = span.span_id
    group by members.source, members.outer_at, members.outer_end, members.outer_model
)
select
    best.started_at::date as day,
    source,
    source_name,
    'trace' as observer,
    observation_id,
    match_keys,
    session_id,
    coalesce('litellm:' || best.key_alias, best.user_email, 'user:' || best.user_id, 'user:') as identity,
    [
        best.user_email,
        lower('litellm:' || best.key_alias),
        lower('litellm:' || best.user_id),
        lower('user:' || best.user_id),
        lower(best.user_id)
    ] as identities,
    best.trace_id as trace_id,
    best.span_id as span_id,
    best.started_at as started_at,
    best.ended_at as ended_at,
    coalesce(best.provider, 'unknown') as provider,
    coalesce(best.model_requested, best.model, 'unknown') as model_requested,
    coalesce(best.model, 'unknown') as model,
    best.input_tokens as input_tokens,
    best.cache_read_tokens as cache_read_tokens,
    best.cache_write_tokens as cache_write_tokens,
    best.output_tokens as output_tokens,
    best.cost_usd as logged_cost_usd,
    best.cost_usd = 0 and coalesce(answers_again, false) as unbilled,
    epoch_us(best.ended_at - best.started_at) / 1000.0 as latency_ms,
    1 as attempts,
    best.status_code as status_code,
    case when best.status = 'ERROR' then best.error_type end as error_type,
    false as is_sidechain,
    best.stream as stream,
    false as gateway_cache_hit,
    best.team_alias as team_alias,
    best.client as client_version,
    false as output_underreported
from calls
where best.started_at >= $window_start and best.started_at < $window_end
"""

ACTIVITY = """
with known as (
    select * from raw.spans
    where day >= $window_start - interval 1 day and day < $window_end + interval 1 day
    qualify row_number() over (
        partition by source, trace_id, span_id, annotation is null
        order by ended_at desc, source_name, source_file, chunk_id, line, item
    ) = 1
),
conversations as (
    select source, trace_id, coalesce(min(session_id), trace_id) as session_id
    from known
    where annotation is null
    group by source, trace_id
),
tools as (
    select known.*, coalesce(known.session_id, conversations.session_id) as conversation
    from known
    inner join conversations on known.source = conversations.source and known.trace_id = conversations.trace_id
    where known.kind = 'TOOL' and known.annotation is null
)
select
    started_at::date as day,
    source,
    source_name,
    conversation as session_id,
    trace_id || '/' || span_id as event_id,
    'tool_call' as kind,
    started_at as happened_at,
    false as is_sidechain,
    coalesce(tool_call_id, trace_id || '/' || span_id) as tool_use_id,
    coalesce(tool, name) as tool,
    false as is_edit
from tools
where started_at >= $window_start and started_at < $window_end
union all by name
select
    ended_at::date as day,
    source,
    source_name,
    conversation as session_id,
    trace_id || '/' || span_id as event_id,
    'tool_result' as kind,
    ended_at as happened_at,
    false as is_sidechain,
    coalesce(tool_call_id, trace_id || '/' || span_id) as tool_use_id,
    status = 'ERROR' as is_error,
    epoch_us(ended_at - started_at) / 1000.0 as duration_ms
from tools
where ended_at >= $window_start and ended_at < $window_end
union all by name
select
    said.started_at::date as day,
    said.source,
    said.source_name,
    coalesce(judged.session_id, conversations.session_id, said.parent_id) as session_id,
    said.span_id as event_id,
    'feedback' as kind,
    said.started_at as happened_at,
    false as is_sidechain,
    said.parent_id as tool_use_id,
    said.annotation as reason,
    case lower(said.label) when 'accepted' then true when 'rejected' then false end as accepted
from known as said
left join known as judged
    on said.source = judged.source and said.parent_id = judged.span_id and judged.annotation is null
left join conversations on judged.source = conversations.source and judged.trace_id = conversations.trace_id
where said.annotation is not null and said.annotator = 'HUMAN'
    and said.started_at >= $window_start and said.started_at < $window_end
"""
