"""One span, whatever wrote it: OTLP/JSON, Phoenix's REST API, or the columns of a Phoenix or Arize export.

Belongs here: finding the same fact under the names that OpenInference, the GenAI semantic conventions and LiteLLM give
it. Does not: the contract of a span (`spans.py`). Texts of prompts and answers are never among the facts.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import from_json

Attributes = Mapping[str, Any]

_NAMES: dict[str, tuple[str, ...]] = {
    # OpenInference first, then GenAI (v1.37, then the names it replaced)
    "kind": ("openinference.span.kind",),
    "operation": ("gen_ai.operation.name",),
    "model": ("llm.model_name", "gen_ai.response.model", "gen_ai.request.model"),
    "model_requested": ("gen_ai.request.model",),
    "provider": ("llm.provider", "gen_ai.provider.name", "gen_ai.system"),
    "response_id": ("llm.response.id", "gen_ai.response.id"),
    "prompt_tokens": ("llm.token_count.prompt", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("llm.token_count.completion", "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cache_read_tokens": ("llm.token_count.prompt_details.cache_read", "gen_ai.usage.cache_read.input_tokens"),
    "cache_write_tokens": ("llm.token_count.prompt_details.cache_write", "gen_ai.usage.cache_creation.input_tokens"),
    "cost_usd": ("llm.cost.total",),
    "stream": ("llm.is_streaming", "gen_ai.request.stream"),
    "tool": ("tool.name", "gen_ai.tool.name"),
    "tool_call_id": ("tool_call.id", "gen_ai.tool.call.id"),
    "session": ("session.id", "gen_ai.conversation.id"),
    "client_session": (
        "metadata.requester_custom_headers.x-claude-code-session-id",
        "metadata.requester_metadata.session_id",
        "metadata.session_id",
    ),
    "user": ("user.id", "enduser.id"),
    "user_email": ("metadata.user_api_key_user_email", "user.email"),
    "key_alias": ("litellm.key_alias", "metadata.user_api_key_alias"),
    "key_user": ("metadata.user_api_key_user_id",),
    "team_alias": ("litellm.team_alias", "metadata.user_api_key_team_alias"),
    "client": ("metadata.user_agent",),
    "project": ("openinference.project.name", "service.name"),
    "error_code": ("error.code", "http.response.status_code"),
    "error_type": ("error.type",),
}
_BY_NAME = tuple((name, field) for field, names in _NAMES.items() for name in reversed(names))
"""The names with the fields they stand for; of one field, the better name comes later."""
_ASKED = {name for name, _ in _BY_NAME}
_WAYS = _ASKED | {name[:place] for name in _ASKED for place, letter in enumerate(name) if letter == "."}
"""The names above and what they may be nested in. Most attributes hold texts, and are none of these."""
_HOLDERS = frozenset({"metadata", "llm", "litellm", "error", "http", "gen_ai", "user", "session", "tool"})
"""Attributes that may be an object as JSON text."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def facts(attributes: Attributes) -> dict[str, Any]:
    """What is known of a span, by the field names of `spans.Span`."""
    found = {field: value for name, field in _BY_NAME if (value := attributes.get(name)) is not None and value != ""}
    if "stream" in found and isinstance(found["stream"], str):
        found["stream"] = found["stream"].lower() == "true"
    for field in ("session", "user", "error_code"):
        if field in found:
            found[field] = str(found[field])
    return found


def of_otlp(span: Mapping[str, Any], resource: Attributes) -> dict[str, Any]:
    """A span of an OTLP/JSON export; `resource` are the attributes of what sent it.

    Raises:
        LookupError, TypeError, ValueError: it lacks ids or times, or they are no numbers.
    """
    events = [{"attributes": dict(_otlp_pairs(event.get("attributes", ())))} for event in span.get("events", ())]
    status = {1: "OK", 2: "ERROR"}.get(int((span.get("status") or {}).get("code") or 0), "UNSET")
    return {
        "trace_id": span["traceId"],
        "span_id": span["spanId"],
        "parent_id": span.get("parentSpanId") or None,
        "name": span.get("name"),
        "start_time": _from_nanoseconds(span["startTimeUnixNano"]),
        "end_time": _from_nanoseconds(span["endTimeUnixNano"]),
        "status": status,
        **facts({**resource, **otlp_attributes(span.get("attributes", ()))}),
        **_exception(events),
    }


def of_rest(span: Mapping[str, Any]) -> dict[str, Any]:
    """A span as Phoenix's REST API and its JSONL export write it."""
    attributes = _flat(span.get("attributes") or {})
    return {
        "trace_id": span["context"]["trace_id"],
        "span_id": span["context"]["span_id"],
        "parent_id": span.get("parent_id"),
        "name": span.get("name"),
        "start_time": span["start_time"],
        "end_time": span["end_time"],
        "status": span.get("status_code") or "UNSET",
        **facts(attributes),
        **({"kind": span["span_kind"]} if span.get("span_kind") else {}),
        **_exception(span.get("events") or ()),
    }


def of_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a Phoenix or Arize export, one column an attribute; columns that hold objects hold them as JSON text."""
    prefix = "attributes."
    attributes = {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
    span_id = row.get("context.span_id") or row.get("__index_level_0__")
    return {
        "trace_id": row["context.trace_id"],
        "span_id": span_id,
        "parent_id": row.get("parent_id") or None,
        "name": row.get("name"),
        "start_time": row["start_time"],
        "end_time": row["end_time"],
        "status": row.get("status_code") or "UNSET",
        **facts(_flat(attributes)),
        **({"kind": row["span_kind"]} if row.get("span_kind") else {}),
        **_exception(_parsed(row.get("events")) or ()),
    }


def otlp_attributes(pairs: Any) -> dict[str, Any]:
    """The key-value list of an OTLP/JSON resource or span as a flat mapping, as far as it is asked for."""
    return _flat({pair["key"]: _otlp_value(pair.get("value") or {}) for pair in pairs or () if pair["key"] in _WAYS})


def _otlp_pairs(pairs: Any) -> Iterator[tuple[str, Any]]:
    for pair in pairs or ():
        yield pair["key"], _otlp_value(pair.get("value") or {})


def _otlp_value(value: Mapping[str, Any]) -> Any:
    """A protobuf `AnyValue` in JSON: 64-bit integers are text there."""
    kind, content = next(iter(value.items()), (None, None))
    if kind == "intValue":
        return int(str(content))
    if kind == "kvlistValue":
        return dict(_otlp_pairs((content or {}).get("values")))
    if kind == "arrayValue":
        return [_otlp_value(item) for item in (content or {}).get("values", ())]
    return content


def _flat(attributes: Attributes, prefix: str = "") -> dict[str, Any]:
    """Nested objects under dotted names, as far as these are asked for.

    `metadata` and what exports nest is often an object as JSON text.
    """
    flat: dict[str, Any] = {}
    for name, value in attributes.items():
        path = f"{prefix}{name}"
        if path not in _WAYS:
            continue
        content = _parsed(value) if path in _HOLDERS and isinstance(value, str) and value.startswith("{") else value
        if isinstance(content, dict):
            flat |= _flat(content, f"{path}.")
        elif content is not None:
            flat.setdefault(path, content)
    return flat


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError:
        return _leniently_parsed(value)


def _leniently_parsed(text: str) -> Any:
    """What only Python's own, slower parser takes, such as half a surrogate pair where a text was cut."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _exception(events: Any) -> dict[str, str]:
    """The class of the exception that a span recorded, never its message."""
    for event in events if isinstance(events, list | tuple) else ():
        attributes = event.get("attributes") if isinstance(event, Mapping) else None
        kind = attributes.get("exception.type") if isinstance(attributes, Mapping) else None
        if isinstance(kind, str):
            return {"exception_type": kind.rsplit(".", 1)[-1]}
    return {}


def _from_nanoseconds(nanoseconds: Any) -> datetime:
    """To the nearest microsecond: exporters make the number from a float of seconds."""
    return _EPOCH + timedelta(microseconds=(int(nanoseconds) + 500) // 1000)
