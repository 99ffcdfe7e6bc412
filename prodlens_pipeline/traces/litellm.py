"""LiteLLM gateway logs: one `StandardLoggingPayload` a line.

Belongs here: which fields are kept and how they become `raw.litellm`. Does not: joining the rows of one call.
Read from LiteLLM's documentation of `StandardLoggingPayload` and from captures of 1.77 and 1.109.
"""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prodlens_pipeline.landing.records import Count, Format, Record
from prodlens_pipeline.traces.formats import TraceFormat
from prodlens_pipeline.warehouse.contracts import Column, Contract

EpochSeconds = Annotated[float, Field(ge=0, lt=32503680000)]
Usd = Annotated[float, Field(ge=0, lt=10**9)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True)


class _PromptDetails(_Part):
    cached_tokens: Count | None = None


class _Usage(_Part):
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _RequesterMetadata(_Part):
    session_id: str | None = None


class _Headers(_Part):
    claude_session: str | None = Field(None, alias="x-claude-code-session-id")


class _Metadata(_Part):
    user_api_key_alias: str | None = None
    user_api_key_user_id: str | None = None
    user_api_key_user_email: str | None = None
    user_api_key_team_alias: str | None = None
    user_agent: str | None = None
    usage_object: _Usage | None = None
    requester_metadata: _RequesterMetadata | None = None
    requester_custom_headers: _Headers | None = None


class _ErrorInformation(_Part):
    error_code: str | None = None
    error_class: str | None = None


class LiteLLMRecord(Record):
    """The fields of a `StandardLoggingPayload` that are kept. Messages, responses and error texts are not."""

    id: str | None = None
    litellm_call_id: str | None = None
    trace_id: str | None = None
    call_type: str | None = None
    status: str
    cache_hit: bool | None = None
    stream: bool | None = None
    custom_llm_provider: str | None = None
    model: str | None = None
    model_group: str | None = None
    startTime: EpochSeconds  # noqa: N815 - the source's name
    endTime: EpochSeconds  # noqa: N815
    completionStartTime: EpochSeconds | None = None  # noqa: N815
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    response_cost: Usd | None = None
    end_user: str | None = None
    metadata: _Metadata | None = None
    error_information: _ErrorInformation | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.endTime < self.startTime:
            raise ValueError("endTime lies before startTime")
        return self

    @property
    def event_time(self) -> datetime:
        """When the call started."""
        return datetime.fromtimestamp(self.startTime, UTC)


RAW = Contract(
    schema="raw",
    name="litellm",
    description="One row per record of a LiteLLM gateway log: an attempt, not yet a call.",
    key=("source_name", "source_file", "chunk_id", "line"),
    owner="team:traces",
    plotted="count(*)",
    columns=(
        Column("day", "DATE", "UTC day of the record's start"),
        Column("source_name", "VARCHAR", "the configured source"),
        Column("source_file", "VARCHAR", "the file it was read from"),
        Column("line", "BIGINT", "line of that file"),
        Column("chunk_id", "VARCHAR", "the landed chunk; a file that was replaced has its lines in another one"),
        Column("id", "VARCHAR", "the provider's response id; on failure the call id"),
        Column("litellm_call_id", "VARCHAR", "one client call; missing before 1.78"),
        Column("trace_id", "VARCHAR", "the gateway's trace"),
        Column("call_type", "VARCHAR", "anthropic_messages, acompletion, aresponses, ..."),
        Column("status", "VARCHAR", "success or failure of this attempt"),
        Column("started_at", "TIMESTAMP", "start, UTC"),
        Column("ended_at", "TIMESTAMP", "last byte, UTC"),
        Column("first_token_at", "TIMESTAMP", "first byte of the answer, UTC"),
        Column("provider", "VARCHAR", "the provider the gateway called"),
        Column("model", "VARCHAR", "the model that answered, without the provider's prefix"),
        Column("model_group", "VARCHAR", "the name the client asked for"),
        Column("stream", "BOOLEAN", "whether the answer was streamed"),
        Column("gateway_cache_hit", "BOOLEAN", "answered from the gateway's own cache: no provider was called"),
        Column("prompt_tokens", "BIGINT", "input tokens including cache reads and writes", "tokens"),
        Column("cache_read_tokens", "BIGINT", "input tokens read from the provider's cache", "tokens"),
        Column("cache_write_tokens", "BIGINT", "input tokens written to the provider's cache", "tokens"),
        Column("output_tokens", "BIGINT", "completion tokens", "tokens"),
        Column(
            "response_cost_usd",
            "DECIMAL(18,8)",
            "what the gateway computed; 0 also where it knows no price",
            "USD",
        ),
        Column("error_code", "VARCHAR", "the gateway's error code, not always a number"),
        Column("error_class", "VARCHAR", "the exception's class"),
        Column("session_id", "VARCHAR", "the client's session where header, user id or metadata name one"),
        Column("key_alias", "VARCHAR", "alias of the virtual key"),
        Column("user_id", "VARCHAR", "user of the virtual key"),
        Column("user_email", "VARCHAR", "e-mail of that user"),
        Column("team_alias", "VARCHAR", "team of the virtual key"),
        Column("user_agent", "VARCHAR", "the client program"),
    ),
)

SELECT = """
select
    _at::date as day,
    _source as source_name,
    _file as source_file,
    _line as line,
    _chunk as chunk_id,
    id,
    litellm_call_id,
    trace_id,
    call_type,
    status,
    make_timestamp((startTime * 1e6)::bigint) as started_at,
    make_timestamp((endTime * 1e6)::bigint) as ended_at,
    make_timestamp((completionStartTime * 1e6)::bigint) as first_token_at,
    coalesce(custom_llm_provider, 'unknown') as provider,
    -- '<provider>/<model>'; a model's own name may hold further slashes
    coalesce(nullif(if(
        starts_with(model, coalesce(custom_llm_provider, '') || '/'),
        substr(model, length(coalesce(custom_llm_provider, '')) + 2),
        model
    ), ''), 'unknown') as model,
    model_group,
    stream,
    coalesce(cache_hit, false) as gateway_cache_hit,
    prompt_tokens,
    coalesce(
        metadata.usage_object.cache_read_input_tokens, metadata.usage_object.prompt_tokens_details.cached_tokens
    ) as cache_read_tokens,
    metadata.usage_object.cache_creation_input_tokens as cache_write_tokens,
    completion_tokens as output_tokens,
    response_cost::decimal(18, 8) as response_cost_usd,
    error_information.error_code as error_code,
    error_information.error_class as error_class,
    coalesce(
        metadata.requester_custom_headers."x-claude-code-session-id",
        nullif(regexp_extract(end_user, '"session_id"\\s*:\\s*"([^"]+)"', 1), ''),
        nullif(regexp_extract(end_user, '^user_.*_session_([0-9a-fA-F-]+)$', 1), ''),
        metadata.requester_metadata.session_id
    ) as session_id,
    metadata.user_api_key_alias as key_alias,
    nullif(metadata.user_api_key_user_id, 'default_user_id') as user_id,
    lower(metadata.user_api_key_user_email) as user_email,
    metadata.user_api_key_team_alias as team_alias,
    metadata.user_agent as user_agent
from {records}
where _at >= $window_start and _at < $window_end
"""

CALLS = """
with attempts as (
    select
        *,
        -- before 1.78 there is no call id; ids are then those of attempts, and an answer from the cache repeats one
        coalesce(
            litellm_call_id,
            id || '@' || epoch_us(started_at)::varchar,
            source_file || ':' || line::varchar || '@' || epoch_us(started_at)::varchar
        ) as call_id
    from raw.litellm
    where day >= $window_start - interval 1 day and day < $window_end + interval 1 day
),
histories as (
    select
        call_id,
        count(distinct (status, started_at, ended_at)) as attempts,
        min(started_at) as started_at,
        arg_min(model_group, ended_at) as model_requested,
        -- the final outcome is a success if there is any; file order is no guide
        arg_max(attempts, (status = 'success', ended_at, source_name, source_file, line)) as final,
        list_sort(list(distinct 'interval:' || epoch_us(started_at)::varchar || '/' || epoch_us(ended_at)::varchar))
            as intervals,
        arg_max(coalesce(nullif(concat_ws(' ', error_class, error_code), ''), 'unknown'), ended_at)
            filter (where status <> 'success') as failure
    from attempts
    group by call_id
)
select
    started_at::date as day,
    'litellm' as source,
    final.source_name as source_name,
    'gateway' as observer,
    call_id as observation_id,
    -- an answer from the gateway's cache carries the id of the call it repeats
    if(final.status = 'success' and not final.gateway_cache_hit and final.id is not null, ['response:' || final.id], [])
        || intervals as match_keys,
    final.session_id as session_id,
    coalesce('litellm:' || final.key_alias, final.user_email, 'litellm:' || final.user_id, 'litellm:') as identity,
    [final.user_email, lower('litellm:' || final.key_alias), lower('litellm:' || final.user_id)] as identities,
    final.trace_id as trace_id,
    started_at,
    final.ended_at as ended_at,
    final.provider as provider,
    coalesce(model_requested, final.model) as model_requested,
    final.model as model,
    -- a prompt includes what was read from and written to the cache; where it is smaller, it did not
    case
        when final.gateway_cache_hit then 0
        when coalesce(final.cache_read_tokens, 0) + coalesce(final.cache_write_tokens, 0) > final.prompt_tokens
            then final.prompt_tokens
        else final.prompt_tokens - coalesce(final.cache_read_tokens, 0) - coalesce(final.cache_write_tokens, 0)
    end as input_tokens,
    case when final.gateway_cache_hit or final.prompt_tokens is not null
        then if(final.gateway_cache_hit, 0, coalesce(final.cache_read_tokens, 0)) end as cache_read_tokens,
    case when final.gateway_cache_hit or final.prompt_tokens is not null
        then if(final.gateway_cache_hit, 0, coalesce(final.cache_write_tokens, 0)) end as cache_write_tokens,
    if(final.gateway_cache_hit, 0, final.output_tokens) as output_tokens,
    final.response_cost_usd as logged_cost_usd,
    final.gateway_cache_hit as unbilled,
    epoch_us(final.ended_at - started_at) / 1000.0 as latency_ms,
    case when final.stream and final.status = 'success'
        then epoch_us(final.first_token_at - started_at) / 1000.0 end as ttft_ms,
    attempts,
    case when model_requested <> final.model_group then model_requested end as fallback_from,
    coalesce(try_cast(final.error_code as integer), if(final.status = 'success', 200, null)) as status_code,
    case when final.status <> 'success' then coalesce(final.error_class, 'unknown') end as error_type,
    case when attempts > 1 then failure end as retry_reason,
    false as is_sidechain,
    final.stream as stream,
    final.gateway_cache_hit as gateway_cache_hit,
    final.team_alias as team_alias,
    final.user_agent as client_version,
    false as output_underreported
from histories
where started_at >= $window_start and started_at < $window_end
"""

FORMAT = TraceFormat(
    form=Format("litellm", LiteLLMRecord),
    raw=RAW,
    select=SELECT,
    calls=CALLS,
    activity=None,
    kinds=frozenset({"file"}),
    description="Gateway logs of LiteLLM, landed.",
)
