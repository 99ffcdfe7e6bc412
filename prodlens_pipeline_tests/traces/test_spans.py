"""Spans as calls: conventions, what stands in the way of counting once, and what is refused."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlens_pipeline.traces.otlp import OtlpSpan, split
from prodlens_pipeline.traces.span_attributes import facts, otlp_attributes
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.pipeline import (
    Line,
    answer,
    collect_all,
    gateway_failure,
    gateway_line,
    lake_in_memory,
    landed_window,
    materialise_models,
    materialise_raw,
    prompt,
    settings_for,
    usage,
    write_lines,
)

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
SONNET = "claude-sonnet-4-5-20250929"
TABLES = ("core.llm_calls", "core.tool_calls", "core.code_suggestions", "core.sessions", "marts.source_overlap")


def nanoseconds(seconds: float) -> str:
    return str(int((START.timestamp() + seconds) * 1_000_000) * 1000)


def span(
    number: int, *, parent: int | None = None, at: float = 0, seconds: float = 1, status: int = 1, **attributes: Any
) -> Line:
    """One OTLP span; attributes by their names with `__` for a dot."""
    found: Line = {
        "traceId": "a" * 32,
        "spanId": f"{number:016x}",
        "name": "call",
        "startTimeUnixNano": nanoseconds(at),
        "endTimeUnixNano": nanoseconds(at + seconds),
        "status": {"code": status},
        "attributes": [
            {"key": key.replace("__", "."), "value": otlp_value(value)} for key, value in attributes.items()
        ],
    }
    return found | ({"parentSpanId": f"{parent:016x}"} if parent is not None else {})


def deep_list(levels: int) -> Line:
    """An attribute's value that holds lists within lists."""
    value: Line = {"stringValue": "x"}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return value


def otlp_value(value: Any) -> Line:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def export(*spans: Line, **resource: str) -> Line:
    attributes = [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in resource.items()]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}]}


LLM: Line = {"openinference__span__kind": "LLM", "llm__model_name": SONNET, "llm__provider": "anthropic"}
TOKENS: Line = {"llm__token_count__prompt": 100, "llm__token_count__completion": 7}


@contextmanager
def built(root: Path, lines: Sequence[Any], **sources: Sequence[Any]) -> Iterator[Lake]:
    """The trace tables of OTLP lines, and of lines of other formats by their name."""
    configured = []
    for kind, content in {"otlp": lines, **sources}.items():
        write_lines(root / kind / "a.jsonl", list(content))
        configured.append({"type": kind, "path": str(root / kind)})
    project = settings_for(root, sources=configured)
    with lake_in_memory() as lake:
        assert collect_all(lake, project) == []
        window = landed_window(lake)
        materialise_raw(lake, project, [window])
        materialise_models(lake, TABLES, window)
        yield lake


class TestConventions:
    @pytest.mark.parametrize(
        "attributes",
        [
            {
                "openinference__span__kind": "LLM",
                "llm__model_name": "gpt-4o-2024-08-06",
                "llm__provider": "openai",
                "llm__token_count__prompt": 1000,
                "llm__token_count__completion": 50,
                "llm__token_count__prompt_details__cache_read": 600,
                "llm__token_count__prompt_details__cache_write": 100,
                "session__id": "s-1",
                "user__id": "Ana@example.com",
            },
            {
                "gen_ai__operation__name": "chat",
                "gen_ai__request__model": "gpt-4o",
                "gen_ai__response__model": "gpt-4o-2024-08-06",
                "gen_ai__provider__name": "openai",
                "gen_ai__usage__input_tokens": 1000,
                "gen_ai__usage__output_tokens": 50,
                "gen_ai__usage__cache_read__input_tokens": 600,
                "gen_ai__usage__cache_creation__input_tokens": 100,
                "gen_ai__conversation__id": "s-1",
                "enduser__id": "Ana@example.com",
            },
            {
                "gen_ai__system": "openai",
                "gen_ai__response__model": "openai/gpt-4o-2024-08-06",
                "gen_ai__usage__prompt_tokens": 300,
                "gen_ai__usage__completion_tokens": 50,
                # an instrumentation that does not count the cache as part of the prompt
                "gen_ai__usage__cache_read__input_tokens": 600,
                "gen_ai__usage__cache_creation__input_tokens": 100,
                "gen_ai__conversation__id": "s-1",
                "enduser__id": "Ana@example.com",
            },
        ],
        ids=["OpenInference", "GenAI", "GenAI before 1.37"],
    )
    def test_the_same_call_under_every_convention(self, tmp_path: Path, attributes: Line) -> None:
        with built(tmp_path, [export(span(1, **attributes))]) as lake:
            assert lake.rows(
                "select model, provider, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, "
                "session_id, latency_ms, cost_source, seen_in from core.llm_calls"
            ) == [("gpt-4o-2024-08-06", "openai", 300, 600, 100, 50, "s-1", 1000.0, "list_price", ["otlp"])]
            assert lake.value("select list_contains(identities, 'ana@example.com') from core.observed_calls")

    def test_the_resource_names_the_project(self, tmp_path: Path) -> None:
        with built(tmp_path, [export(span(1, **LLM, **TOKENS), service__name="ide")]) as lake:
            assert lake.value("select project from raw.spans") == "ide"

    def test_a_tool_span_is_a_tool_call_of_its_conversation(self, tmp_path: Path) -> None:
        tool = span(2, parent=1, at=1, seconds=2, status=2, openinference__span__kind="TOOL", tool__name="grep")
        with built(tmp_path, [export(span(1, **LLM, **TOKENS, session__id="s-1"), tool)]) as lake:
            assert lake.rows("select session_id, tool, outcome, duration_ms from core.tool_calls") == [
                ("s-1", "grep", "error", 2000.0)
            ]


class TestCountingOnce:
    def test_the_outermost_span_that_bears_tokens_is_the_call(self, tmp_path: Path) -> None:
        chain = span(1, seconds=9, openinference__span__kind="CHAIN")
        gateway = span(2, parent=1, at=1, seconds=5, **LLM, **TOKENS)
        between = span(3, parent=2, at=1, seconds=5, openinference__span__kind="CHAIN")
        provider = span(4, parent=3, at=2, seconds=3, **LLM, **TOKENS)
        with built(tmp_path, [export(provider, chain), export(between), export(gateway)]) as lake:
            assert lake.rows("select input_tokens, output_tokens, latency_ms from core.llm_calls") == [(100, 7, 5000.0)]

    def test_parents_in_a_circle_end(self, tmp_path: Path) -> None:
        with built(tmp_path, [export(span(1, parent=2, **LLM, **TOKENS), span(2, parent=1))]) as lake:
            assert lake.value("select sum(output_tokens) from core.llm_calls") == 7

    def test_a_span_that_is_delivered_again_is_one(self, tmp_path: Path) -> None:
        line = export(span(1, **LLM, **TOKENS))
        with built(tmp_path, [line, line]) as lake:
            assert lake.rows("select count(*) from raw.spans") == [(2,)]
            assert lake.rows("select count(*), sum(output_tokens) from core.llm_calls") == [(1, 7)]

    def test_a_failed_call_is_its_innermost_span(self, tmp_path: Path) -> None:
        outer = span(1, status=2, seconds=3, **LLM, error__code="529", error__type="OverloadedError")
        inner = span(2, parent=1, status=2, seconds=2, **LLM, error__code="529", error__type="OverloadedError")
        with built(tmp_path, [export(outer, inner)]) as lake:
            assert lake.rows("select latency_ms, status_code, error_type, output_tokens from core.llm_calls") == [
                (2000.0, 529, "OverloadedError", None)
            ]

    def test_an_answer_from_a_cache_costs_nothing(self, tmp_path: Path) -> None:
        first = span(1, **LLM, **TOKENS, llm__response__id="r-1", llm__cost__total=0.5)
        again = span(2, at=60, **LLM, **TOKENS, llm__response__id="r-1", llm__cost__total=0.0) | {"traceId": "b" * 32}
        unknown = span(3, at=90, **LLM, **TOKENS, llm__response__id="r-2", llm__cost__total=0.0) | {"traceId": "c" * 32}
        with built(tmp_path, [export(first, again, unknown)]) as lake:
            found = lake.rows("select cost_usd::double, cost_source from core.llm_calls order by started_at")
            assert found[:2] == [(0.5, "trace"), (0.0, "trace")]
            assert found[2][1] == "list_price" and found[2][0] > 0


class TestSeenByAll:
    """One call in a gateway's log, a span and a transcript: one row with the best of each."""

    AT = "2026-03-02 10:00:00"

    def spans(self, **attributes: Any) -> list[Line]:
        return [export(span(1, seconds=2, **LLM, **TOKENS, **attributes))]

    def test_by_response_and_by_time(self, tmp_path: Path) -> None:
        gateway = [gateway_line(self.AT, call="c-1", seconds=2, id="msg-1", model=f"anthropic/{SONNET}")]
        transcript = [
            prompt("2026-03-02 09:59:58"),
            answer("2026-03-02 10:00:02", "msg-1", tokens=usage(1, 2), isSidechain=True),
        ]
        with built(tmp_path, self.spans(), litellm=gateway, claude_code=transcript) as lake:
            assert lake.value("select count(*) from core.observed_calls") == 3
            (row,) = lake.rows(
                "select call_id, source, session_id, seen_in, is_sidechain, latency_ms, trace_id, cost_source "
                "from core.llm_calls"
            )
            assert row == (
                "c-1",
                "litellm",
                "session-1",
                ["claude_code", "litellm", "otlp"],
                True,
                2000.0,
                "a" * 32,
                "gateway",
            )
            logged = lake.value("select output_tokens from core.observed_calls where source = 'litellm'")
            assert lake.value("select output_tokens from core.llm_calls") == logged
            assert lake.rows("select calls, len(models) from core.sessions") == [(1, 1)]

    def test_a_failed_attempt_that_a_span_shows_is_no_call_of_its_own(self, tmp_path: Path) -> None:
        gateway = [
            gateway_failure(self.AT, call="c-1", seconds=2),
            gateway_line("2026-03-02 10:00:02", call="c-1", seconds=5),
        ]
        failed = [export(span(1, seconds=2, status=2, **LLM, error__type="Overloaded"))]
        with built(tmp_path, failed, litellm=gateway) as lake:
            assert lake.rows("select call_id, attempts, error_type, seen_in from core.llm_calls") == [
                ("c-1", 2, None, ["litellm", "otlp"])
            ]

    def test_who_calls_at_the_same_time_is_not_mixed_up(self, tmp_path: Path) -> None:
        gateway = [gateway_line(self.AT, call=f"c-{n}", seconds=2 + n, id=f"msg-{n}") for n in range(4)]
        transcript = [answer("2026-03-02 10:00:02", f"msg-{n}") for n in range(2, 6)]
        with built(tmp_path, self.spans(), litellm=gateway, claude_code=transcript) as lake:
            assert lake.rows("select seen_in, sum(calls) from marts.source_overlap group by all order by 2, 1") == [
                (["litellm"], 1),
                (["litellm", "otlp"], 1),
                (["claude_code"], 2),
                (["claude_code", "litellm"], 2),
            ]

    def test_a_call_that_crosses_midnight_is_one(self, tmp_path: Path) -> None:
        gateway = [gateway_line("2026-03-02 23:59:59", call="c-1", seconds=5, id="msg-1")]
        transcript = [answer("2026-03-03 00:00:04", "msg-1")]
        with built(tmp_path, [], litellm=gateway, claude_code=transcript) as lake:
            assert lake.rows("select day::varchar, seen_in from core.llm_calls") == [
                ("2026-03-02", ["claude_code", "litellm"])
            ]


class TestRefused:
    def test_a_bad_span_hinders_no_other_of_its_line(self, tmp_path: Path) -> None:
        backwards = span(3, seconds=-1, **LLM)
        nameless = {key: value for key, value in span(4).items() if key != "spanId"}
        negative = span(5, **LLM, llm__token_count__prompt=-5)
        lines = [export(span(1, **LLM, **TOKENS), backwards, nameless, negative, 7), {"no": "spans"}, "no json"]
        with built(tmp_path, lines) as lake:
            assert lake.value("select count(*) from raw.spans") == 1
            assert lake.rows("select sum(lines), sum(accepted), sum(rejected) from ops.landing_chunks") == [(7, 1, 6)]
            reasons = " ".join(row[0] for row in lake.rows("select reason from ops.dead_letters"))
            assert "lies before" in reasons and "'spanId' is missing" in reasons and "prompt_tokens" in reasons

    def test_what_no_field_asks_for_is_not_judged(self, tmp_path: Path) -> None:
        odd = span(1, **LLM, **TOKENS)
        odd["attributes"].append({"key": "input.value", "value": {"intValue": "many"}})
        with built(tmp_path, [export(odd)]) as lake:
            assert lake.value("select count(*) from raw.spans") == 1

    def test_an_object_as_text_that_is_nested_too_deep_is_a_text(self, tmp_path: Path) -> None:
        deep = span(1, metadata='{"a":' * 100_000, **LLM, **TOKENS)
        lists = span(2, at=5, **LLM, **TOKENS)
        lists["attributes"].append({"key": "metadata", "value": deep_list(300)})
        with built(tmp_path, [export(deep, lists)]) as lake:
            assert lake.value("select count(*) from raw.spans") == 2

    JSON = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=12,
    )

    @settings(max_examples=60, deadline=None)
    @given(
        attributes=st.lists(JSON | st.fixed_dictionaries({"key": st.text(max_size=8), "value": JSON}), max_size=4),
        events=JSON,
        status=JSON,
    )
    def test_any_content_is_taken_or_refused_with_a_reason(self, attributes: Any, events: Any, status: Any) -> None:
        line = json.dumps(export(span(1) | {"attributes": attributes, "events": events, "status": status})).encode()
        for part in split(line):
            try:
                assert OtlpSpan.model_validate(part).span_id == f"{1:016x}"
            except ValueError as error:
                assert "span" in str(error) or "validation" in str(error)


MODEL_NAMES = ("llm.model_name", "gen_ai.response.model", "gen_ai.request.model")


@given(
    st.permutations(MODEL_NAMES).flatmap(
        lambda names: st.fixed_dictionaries({name: st.sampled_from(["", None, "a", "b", "c"]) for name in names})
    )
)
def test_the_best_name_that_says_something_counts(attributes: dict[str, str | None]) -> None:
    said = [attributes[name] for name in MODEL_NAMES if attributes[name]]
    assert facts(attributes).get("model") == (said[0] if said else None)
    assert facts(attributes).get("model_requested") == (attributes["gen_ai.request.model"] or None)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters()) | st.floats() | st.integers() | st.lists(st.floats(), max_size=3))
def test_an_object_as_text_is_read_whatever_stands_beside(beside: Any) -> None:
    text = json.dumps({"beside": beside, "user_api_key_alias": "key"})
    assert otlp_attributes([{"key": "metadata", "value": {"stringValue": text}}]) == {
        "metadata.user_api_key_alias": "key"
    }


def test_times_are_rounded_to_the_microsecond(tmp_path: Path) -> None:
    exact = span(1, **LLM, **TOKENS)
    skewed = exact | {"startTimeUnixNano": str(int(exact["startTimeUnixNano"]) - 400)}
    with built(tmp_path, [export(skewed)]) as lake:
        assert lake.value("select started_at from core.llm_calls") == START.replace(tzinfo=None)
        assert lake.value("select ended_at from core.llm_calls") == START.replace(tzinfo=None) + timedelta(seconds=1)
