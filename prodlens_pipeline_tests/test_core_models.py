"""The SQL models on small hand-written sources: what is counted, once, on which day, and for whom."""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from prodlens_pipeline.definitions import build_assets
from prodlens_pipeline.partitions import range_tags
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.traces.assets import SHAPES
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.pipeline import (
    Clone,
    Line,
    answer,
    append_lines,
    bash,
    build,
    collect_all,
    edit,
    gateway_failure,
    gateway_line,
    lake_in_memory,
    landed_window,
    materialise,
    materialise_model,
    materialise_raw,
    models,
    moment,
    otlp_line,
    prompt,
    settings_for,
    table_rows,
    tool_result,
    transcript_line,
    usage,
    window,
    write_lines,
)

HAIKU, SONNET, OPUS = "claude-haiku-4-5-20251001", "claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101"


def unknown(identity: str) -> str:
    return "unknown:" + hashlib.sha256(identity.encode()).hexdigest()[:12]


def project(root: Path, gateway: list[Any] | None = None, transcript: list[Any] | None = None, **more: Any) -> Settings:
    """A project whose gateway log and transcript hold these lines."""
    sources = []
    if gateway is not None:
        write_lines(root / "gateway.jsonl", gateway)
        sources.append({"type": "litellm", "path": "gateway.jsonl"})
    if transcript is not None:
        write_lines(root / "claude" / "session.jsonl", transcript)
        sources.append({"type": "claude_code", "path": "claude"})
    return settings_for(root, **({"sources": sources} | more))


@contextmanager
def built(
    root: Path, gateway: list[Any] | None = None, transcript: list[Any] | None = None, **more: Any
) -> Iterator[Lake]:
    """The lake of such a project, every table written."""
    with lake_in_memory() as lake:
        build(lake, project(root, gateway, transcript, **more))
        yield lake


def in_session(name: str | None) -> Line:
    return {"metadata": {"user_api_key_alias": "ana-key", "requester_metadata": {"session_id": name}}}


class TestGatewayCalls:
    @pytest.mark.parametrize("turned", [False, True], ids=["failure first", "success first"])
    def test_retries_and_fallbacks_are_one_call_in_either_order(self, tmp_path: Path, turned: bool) -> None:
        retry = [
            gateway_failure("2026-03-02 10:00", call="retry", seconds=4.0),
            gateway_line("2026-03-02 10:00", call="retry", seconds=3.0),
        ]
        opus = {"model": f"anthropic/{OPUS}", "model_group": "claude-opus-4-5"}
        fallback = [
            gateway_failure("2026-03-02 11:00", call="fallback", code="429", **opus),
            gateway_line("2026-03-02 11:00", call="fallback", seconds=5.0),
        ]
        lost = [
            gateway_failure("2026-03-02 12:00", call="lost", code="429"),
            gateway_failure("2026-03-02 12:00", call="lost", seconds=9.0, code="server_error"),
        ]
        lines = [*retry, *fallback, *lost]
        with built(tmp_path, lines[::-1] if turned else lines) as lake:
            found = lake.rows(
                "select call_id, attempts, status_code, error_type, model, model_requested, fallback_from, latency_ms, "
                "cost_usd, cost_source from core.llm_calls order by started_at"
            )
        paid, free = (Decimal("0.25"), "gateway"), (Decimal(0), "gateway")
        short = "claude-sonnet-4-5"
        assert found == [
            ("retry", 2, 200, None, SONNET, short, None, 3000.0, *paid),
            ("fallback", 2, 200, None, SONNET, "claude-opus-4-5", "claude-opus-4-5", 5000.0, *paid),
            ("lost", 2, None, "InternalServerError", SONNET, short, None, 9000.0, *free),
        ]

    def test_a_call_over_midnight_belongs_to_the_day_it_began(self, tmp_path: Path) -> None:
        lines = [
            gateway_failure("2026-03-02 23:59", call="late"),
            gateway_line("2026-03-03 00:01", call="late", seconds=10.0),
        ]
        for days in ([window("2026-03-02", "2026-03-03")], [window(d, d) for d in ("2026-03-03", "2026-03-02")]):
            with lake_in_memory() as lake:
                settings = project(tmp_path, lines)
                assert collect_all(lake, settings) == []
                materialise_raw(lake, settings, days)
                materialise_model(lake, model_named("core.llm_calls"), days)
                assert lake.rows("select call_id, day::varchar, attempts, latency_ms from core.llm_calls") == [
                    ("late", "2026-03-02", 2, 130_000.0)
                ]

    def test_what_was_billed(self, tmp_path: Path) -> None:
        cached = {"usage_object": {"cache_read_input_tokens": 60, "cache_creation_input_tokens": 30}}
        metadata = in_session("session-1")["metadata"] | cached
        detail = in_session("session-1")["metadata"] | {
            "usage_object": {"prompt_tokens_details": {"cached_tokens": 40}}
        }
        lines = [
            gateway_line("2026-03-02 10:00", call="cached", metadata=metadata),
            gateway_line("2026-03-02 10:01", call="detail", metadata=detail),
            gateway_line("2026-03-02 10:02", call="hit", cache_hit=True, response_cost=0.0, metadata=metadata),
            gateway_line(
                "2026-03-02 10:03", call="free", model="openai/local", custom_llm_provider="openai", response_cost=0
            ),
            gateway_line("2026-03-02 10:04", call="zero", response_cost=0.0, prompt_tokens=10**6, completion_tokens=0),
            gateway_line(
                "2026-03-02 10:05", call="mute", prompt_tokens=None, completion_tokens=None, response_cost=None
            ),
        ]
        with built(tmp_path, lines) as lake:
            found = lake.rows(
                "select call_id, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, "
                "cost_usd::double, cost_source from core.llm_calls order by started_at"
            )
            assert lake.rows("select unpriced_calls, cost_usd from marts.daily_model where model = 'local'") == [
                (1, None)
            ]
        assert found == [
            ("cached", 10, 60, 30, 10, 0.25, "gateway"),
            ("detail", 60, 40, 0, 10, 0.25, "gateway"),
            ("hit", 0, 0, 0, 0, 0.0, "gateway_cache"),
            ("free", 100, 0, 0, 10, None, "unpriced"),
            ("zero", 10**6, 0, 0, 0, 6.0, "list_price"),  # longer than 200,000: 6 USD per million instead of 3
            ("mute", None, None, None, None, None, "unpriced"),
        ]

    def test_without_a_call_id_every_record_is_a_call(self, tmp_path: Path) -> None:
        lines = [
            gateway_line("2026-03-02 10:00", litellm_call_id=None, id="response-1"),
            gateway_line("2026-03-02 10:01", litellm_call_id=None, id="response-2"),
            gateway_line("2026-03-02 10:02", litellm_call_id=None, id=None),
            gateway_line("2026-03-02 10:03", litellm_call_id=None, id=None),
        ]
        with built(tmp_path, lines) as lake:
            assert lake.value("select count(*) from core.llm_calls") == 4

    def test_where_a_session_is_named(self, tmp_path: Path) -> None:
        def at(minute: int, call: str, **fields: Any) -> Line:
            metadata = {"user_api_key_alias": call} | fields.pop("metadata", {})
            return gateway_line(f"2026-03-02 10:{minute:02}", call=call, metadata=metadata, **fields)

        lines = [
            at(0, "header", metadata={"requester_custom_headers": {"x-claude-code-session-id": "s-header"}}),
            at(1, "json", end_user='{"device_id": "d", "session_id": "s-json"}'),
            at(2, "legacy", end_user="user_abc_account_1-2_session_0a1b-2c"),
            at(3, "metadata", metadata={"requester_metadata": {"session_id": "s-metadata"}}),
            at(4, "nobody", end_user="u-17"),
        ]
        with built(tmp_path, lines) as lake:
            assert dict(lake.rows("select call_id, session_id from core.llm_calls")) == {
                "header": "s-header",
                "json": "s-json",
                "legacy": "0a1b-2c",
                "metadata": "s-metadata",
                "nobody": f"calls-of:{unknown('litellm:nobody')}",
            }

    def test_a_call_without_a_session_joins_its_callers_nearest_within_the_pause(self, tmp_path: Path) -> None:
        lines = [
            gateway_line("2026-03-02 23:50", call="named", **in_session("s-1")),
            gateway_line("2026-03-03 00:10", call="after midnight", **in_session(None)),
            gateway_line("2026-03-03 00:20", call="at the pause", **in_session(None)),
            gateway_line("2026-03-03 00:20:01", call="too late", **in_session(None)),
            gateway_line("2026-03-03 12:00", call="before", **in_session(None)),
            gateway_line("2026-03-03 12:30", call="next", **in_session("s-2")),
            gateway_line("2026-03-03 12:31", call="other", alias="bo", metadata={"user_api_key_alias": "bo"}),
        ]
        with built(tmp_path, lines, identities={"ana": ["litellm:ana-key"], "bo": ["litellm:bo"]}) as lake:
            assert dict(lake.rows("select call_id, session_id from core.llm_calls")) == {
                "named": "s-1",
                "after midnight": "s-1",
                "at the pause": "s-1",
                "too late": "calls-of:ana",
                "before": "s-2",
                "next": "s-2",
                "other": "calls-of:bo",
            }


class TestTranscriptCalls:
    def test_a_message_of_many_lines_and_files_is_counted_once_with_its_largest_figures(self, tmp_path: Path) -> None:
        lines = [
            answer("2026-03-02 10:00:00", tokens=usage(5, 1), uuid="l-1"),
            answer("2026-03-02 10:00:02", tokens=usage(5, 1, cache_read_input_tokens=100), uuid="l-2"),
            answer("2026-03-02 10:00:04", tokens=usage(5, 70), uuid="l-3"),
            answer("2026-03-02 10:01:00", "msg-2", tokens=usage(1, 2), uuid="l-4"),
        ]
        copied = [line | {"sessionId": "session-2"} for line in lines]
        write_lines(tmp_path / "claude" / "zz-resumed.jsonl", [*copied, answer("2026-03-02 12:00", "msg-3")])
        with built(tmp_path, transcript=lines) as lake:
            found = lake.rows(
                "select session_id, input_tokens, cache_read_tokens, output_tokens, "
                "epoch(ended_at - started_at)::integer, latency_ms from core.llm_calls order by started_at"
            )
        assert found == [
            ("session-1", 5, 100, 70, 4, None),
            ("session-1", 1, None, 2, 0, None),
            ("session-1", 5, None, 7, 0, None),
        ]

    def test_a_subagent_known_from_progress_only_is_counted_once(self, tmp_path: Path) -> None:
        def progress(at: str, message: str, tokens: Line) -> Line:
            body = {"id": message, "model": HAIKU, "role": "assistant", "content": [], "usage": tokens}
            data = {
                "type": "agent_progress",
                "agentId": "a-1",
                "message": {"requestId": f"req-{message}", "message": body},
            }
            return transcript_line(at, "progress", data=data)

        lines = [
            answer("2026-03-02 10:00", "msg-main"),
            progress("2026-03-02 10:01", "msg-only", usage(3, 1)),
            progress("2026-03-02 10:02", "msg-only", usage(3, 9)),
            progress("2026-03-02 10:03", "msg-main", usage(5, 7)),
            answer("2026-03-02 10:04", "msg-file", isSidechain=True, model=HAIKU),
            transcript_line("2026-03-02 10:05", "progress", data={"type": "hook_progress", "message": "text"}),
        ]
        with built(tmp_path, transcript=lines) as lake:
            found = lake.rows("select call_id, output_tokens, is_sidechain from core.llm_calls order by started_at")
            assert lake.rows("select calls, models from core.sessions") == [(3, [HAIKU, SONNET])]
        assert found == [
            ("msg-main:req-msg-main", 7, False),
            ("msg-only:req-msg-only", 9, True),
            ("msg-file:req-msg-file", 7, True),
        ]

    def test_what_is_no_call(self, tmp_path: Path) -> None:
        lines = [
            answer("2026-03-02 10:00", "real"),
            answer("2026-03-02 10:01", "synthetic", model="<synthetic>"),
            answer("2026-03-02 10:02", "refused", isApiErrorMessage=True),
            transcript_line(
                "2026-03-02 10:03", "assistant", message={"id": "no-usage", "model": SONNET, "content": "x"}
            ),
            {"type": "summary"},
        ]
        with built(tmp_path, transcript=lines) as lake:
            assert lake.rows("select call_id from core.llm_calls") == [("real:req-real",)]

    def test_list_prices(self, tmp_path: Path) -> None:
        million = 10**6
        hour = {"cache_creation_input_tokens": million, "cache_creation": {"ephemeral_1h_input_tokens": million}}
        lines = [
            answer("2026-03-02 10:00", "minutes", model=OPUS, tokens=usage(0, 0, cache_creation_input_tokens=million)),
            answer("2026-03-02 10:01", "hour", model=OPUS, tokens=usage(0, 0, **hour)),
            answer("2026-03-02 10:02", "short", tokens=usage(200_000, 0)),
            answer("2026-03-02 10:03", "long", tokens=usage(200_001, 0)),
            answer("2026-03-02 10:04", "unknown", model="house-model"),
        ]
        with built(tmp_path, transcript=lines) as lake:
            found = lake.rows("select split_part(call_id, ':', 1), cost_usd::double, cost_source from core.llm_calls")
        assert {name: (pytest.approx(cost) if cost else None, basis) for name, cost, basis in found} == {
            "minutes": (6.25, "list_price"),
            "hour": (10.0, "list_price"),
            "short": (0.6, "list_price"),
            "long": (1.200006, "list_price"),
            "unknown": (None, "unpriced"),
        }

    @pytest.mark.parametrize(
        ("version", "flag"),
        [("2.1.11", False), ("2.1.12", True), ("2.1.42", True), ("2.1.43", False), ("2.2.20", False)],
    )
    def test_versions_that_log_too_few_output_tokens(self, tmp_path: Path, version: str, flag: bool) -> None:
        with lake_in_memory() as lake:
            settings = project(tmp_path, transcript=[answer("2026-03-02 10:00", version=version)])
            assert collect_all(lake, settings) == []
            materialise_raw(lake, settings, [landed_window(lake)])
            materialise_model(lake, model_named("core.llm_calls"), [landed_window(lake)])
            assert lake.value("select output_underreported from core.llm_calls") is flag


class TestSuggestions:
    def test_what_became_of_an_edit(self, tmp_path: Path) -> None:
        patch = {"structuredPatch": [{"lines": ["+a", "+b", "-c", " d"]}], "filePath": "/x"}
        no = "The user doesn't want to proceed with this tool use."
        lines = [
            answer("2026-03-02 23:58", content=[edit("yes"), edit("no"), edit("broken"), edit("open"), edit("later")]),
            tool_result("2026-03-02 23:59", "yes", result=patch),
            tool_result("2026-03-02 23:59", "no", result="User rejected tool use", is_error=True, text=no),
            tool_result("2026-03-02 23:59", "broken", result="Error: no match", is_error=True, text="no match"),
            tool_result("2026-03-03 00:05", "later", result={"type": "create", "content": "a\nb\nc"}),
            answer(
                "2026-03-03 00:06", "msg-2", content=[{"type": "tool_use", "id": "ls", "name": "Bash", "input": {}}]
            ),
        ]
        resumed = [line | {"sessionId": "session-2"} for line in lines]
        write_lines(tmp_path / "claude" / "zz-resumed.jsonl", resumed)
        with built(tmp_path, transcript=lines) as lake:
            found = lake.rows(
                "select suggestion_id, session_id, outcome, accepted_flag, lines_added, lines_removed, day::varchar "
                "from core.code_suggestions order by suggestion_id"
            )
            session = lake.rows(
                "select suggestions, decided_suggestions, accepted_suggestions, accepted_lines, accepted_flag "
                "from core.sessions"
            )
        place = "2026-03-02"
        assert found == [
            ("broken", "session-1", "failed", None, None, None, place),
            ("later", "session-1", "accepted", True, 3, 0, place),
            ("no", "session-1", "rejected", False, None, None, place),
            ("open", "session-1", "undecided", None, None, None, place),
            ("yes", "session-1", "accepted", True, 2, 1, place),
        ]
        assert session == [(5, 3, 2, 5, True)]


class TestSessions:
    def test_a_session_is_cut_where_the_pause_is_longer_than_set(self, tmp_path: Path) -> None:
        lines = [
            gateway_line("2026-03-02 10:00:00", call="1"),
            gateway_line("2026-03-02 10:30:00", call="2"),
            gateway_line("2026-03-02 11:00:01", call="3"),
        ]
        with built(tmp_path, lines) as lake:
            assert lake.rows("select calls, wall_ms from core.sessions order by started_at") == [
                (2, 1_801_000.0),
                (1, 1_000.0),
            ]
        with built(tmp_path, lines, session_idle_minutes=31) as lake:
            assert lake.rows("select calls from core.sessions") == [(3,)]

    def test_prompts_and_tools_keep_a_session_alive_and_only_people_take_turns(self, tmp_path: Path) -> None:
        text = {"role": "user"}
        lines = [
            prompt("2026-03-02 10:00", uuid="p-1"),
            prompt("2026-03-02 10:00", uuid="p-1"),
            answer("2026-03-02 10:01", "m-1"),
            tool_result("2026-03-02 10:25", "t"),
            prompt("2026-03-02 10:50", uuid="p-2"),
            prompt("2026-03-02 10:51", isMeta=True),
            prompt("2026-03-02 10:51", isSidechain=True),
            prompt("2026-03-02 10:51", isCompactSummary=True),
            prompt("2026-03-02 10:52") | {"message": text | {"content": "<command-name>/clear</command-name>"}},
            prompt("2026-03-02 10:52") | {"message": text | {"content": "[Request interrupted by user]"}},
            answer("2026-03-02 10:53", "m-2"),
        ]
        write_lines(tmp_path / "claude" / "zz-resumed.jsonl", lines[4:5])
        with built(tmp_path, transcript=lines) as lake:
            assert lake.rows("select calls, turns, wall_ms from core.sessions") == [(2, 2, 53 * 60_000.0)]

    def test_what_a_session_says_of_its_calls(self, tmp_path: Path) -> None:
        haiku: Line = {"model": f"anthropic/{HAIKU}", "completion_tokens": 30}
        lines = [
            gateway_line("2026-03-02 10:00", call="1", seconds=1.0, **haiku),
            gateway_line("2026-03-02 10:01", call="2", seconds=3.0, stream=True),
            gateway_failure("2026-03-02 10:02", call="3", seconds=9.0),
        ]
        with built(tmp_path, lines) as lake:
            verdict = (3, 500, True, None, None, "unknown")
            assert lake.rows(
                "select model, models, calls, failed_calls, tokens_in, tokens_out, cost_usd, latency_ms, ttft_ms, "
                "api_ms, turns, status_code, error_flag, accepted_flag, policy_model_ok, repo, source "
                "from core.sessions"
            ) == [
                (HAIKU, [HAIKU, SONNET], 3, 1, 200, 40, Decimal("0.5"), 2000.0, 3000.0, 13_000.0, *verdict, "litellm")
            ]
            assert lake.rows("select sessions, error_sessions from marts.daily_developer") == [(1, 1)]

    def test_a_transcript_that_ends_in_a_refused_answer_ends_in_an_error(self, tmp_path: Path) -> None:
        lines = [answer("2026-03-02 10:00"), answer("2026-03-02 10:01", "x", isApiErrorMessage=True)]
        with built(tmp_path, transcript=lines) as lake:
            assert lake.rows("select calls, error_flag from core.sessions") == [(1, True)]

    def test_work_without_a_pause_is_cut_so_that_two_days_hold_a_session(self, tmp_path: Path) -> None:
        start = moment("2026-03-02 22:00")
        times = [start + timedelta(minutes=20 * n) for n in range(3 * 72)]
        lines = [gateway_line(str(at)[:16], call=str(n)) for n, at in enumerate(times)]
        with built(tmp_path, lines) as lake:
            found = lake.rows(
                "select started_at::varchar, ended_at::date::varchar, calls from core.sessions order by 1"
            )
        assert found == [
            ("2026-03-02 22:00:00", "2026-03-03", 6 + 72),
            ("2026-03-04 00:00:00", "2026-03-04", 72),
            ("2026-03-05 00:00:00", "2026-03-05", 66),
        ]

    def test_a_subagent_opens_no_session_of_its_own(self, tmp_path: Path) -> None:
        lines = [
            answer("2026-03-02 10:00", "m-1"),
            answer("2026-03-02 10:40", "m-2", isSidechain=True),
            answer("2026-03-02 10:41", "m-3"),
        ]
        with built(tmp_path, transcript=lines) as lake:
            assert lake.rows("select calls from core.sessions") == [(3,)]

    def test_a_session_opens_where_a_person_and_a_subagent_act_at_once(self, tmp_path: Path) -> None:
        lines = [
            answer("2026-03-02 10:00", "m-1"),
            answer("2026-03-02 10:40", "m-2", isSidechain=True),
            answer("2026-03-02 10:40", "m-3"),
        ]
        with built(tmp_path, transcript=lines) as lake:
            assert lake.rows("select calls from core.sessions order by started_at") == [(1,), (2,)]

    def test_where_a_session_worked_and_which_models_are_allowed_there(self, tmp_path: Path) -> None:
        places = {
            "inside": ("/srv/web/src", HAIKU),
            "nested": ("/srv/web/vendor/app/src", SONNET),
            "by-name": ("/home/ana/code/app/tests", HAIKU),
            "windows": ("C:\\Users\\ana\\app", SONNET),
            "similar": ("/srv/website", SONNET),
            "nowhere": ("/srv", SONNET),
        }
        lines = [
            answer(f"2026-03-02 10:{n:02}", f"m-{n}", session=name, cwd=cwd, model=model)
            for n, (name, (cwd, model)) in enumerate(places.items())
        ]
        settings: dict[str, Any] = {
            "model_policy": [
                {"repo": "org/a*", "allow": ["claude-sonnet-*"]},
                {"repo": "org/*", "allow": ["claude-haiku-*", "claude-sonnet-4-5*"]},
            ]
        }
        with lake_in_memory() as lake:
            config = project(tmp_path, transcript=lines, **settings)
            assert collect_all(lake, config) == []
            repositories = [
                {"type": "git", "name": "org/web", "path": "/srv/web"},
                {"type": "git", "name": "org/app", "path": "/srv/web/vendor/app"},
            ]
            config = settings_for(tmp_path, sources=config.sources, repositories=repositories, **settings)
            materialise(lake, config, landed_window(lake))
            found = {
                name: rest for name, *rest in lake.rows("select session_id, repo, policy_model_ok from core.sessions")
            }
        assert found == {
            "inside": ["org/web", True],
            "nested": ["org/app", True],
            "by-name": ["org/app", False],
            "windows": ["org/app", True],
            "similar": ["unknown", None],
            "nowhere": ["unknown", None],
        }


class TestIdentities:
    def test_who_called(self, tmp_path: Path) -> None:
        def by(alias: str | None, email: str | None = None, user: str | None = None) -> Line:
            who = {"user_api_key_alias": alias, "user_api_key_user_email": email, "user_api_key_user_id": user}
            return {"metadata": who}

        gateway = [
            gateway_line("2026-03-02 10:00", call="email", **by("some-key", "ANA@example.com")),
            gateway_line("2026-03-02 10:01", call="alias", **by("Bo-Key", "else@example.com")),
            gateway_line("2026-03-02 10:02", call="user", **by(None, None, "u-cy")),
            gateway_line("2026-03-02 10:03", call="stranger", **by("Key-X", "x@example.com")),
            gateway_line("2026-03-02 10:04", call="nobody", **by(None, None, "default_user_id")),
        ]
        transcript = [
            answer("2026-03-02 10:00", "home", cwd="/home/dan/app"),
            answer("2026-03-02 10:01", "mac", cwd="/Users/dan/app", session="s-2"),
            answer("2026-03-02 10:02", "other", cwd="/home/eve/app", session="s-3"),
        ]
        write_lines(
            tmp_path / "fay" / "a.jsonl", [answer("2026-03-02 10:03", "declared", cwd="/home/eve2", session="s-4")]
        )
        config = project(tmp_path, gateway, transcript)
        declared = {"type": "claude_code", "path": "fay", "developer": "fay"}
        identities = {
            "ana": "ana@example.com",
            "bo": ["litellm:bo-key"],
            "cy": ["litellm:u-cy"],
            "dan": ["claude_code:dan"],
        }
        with lake_in_memory() as lake:
            build(lake, settings_for(tmp_path, sources=[*config.sources, declared], identities=identities))
            calls = dict(lake.rows("select split_part(call_id, ':', 1), developer_id from core.llm_calls"))
            people = {
                name: rest for name, *rest in lake.rows("select identity, developer_id, is_mapped from core.developers")
            }
            assert set(calls.values()) == set(
                lake.connection.sql("select developer_id from core.developers").pl()["developer_id"]
            )
        assert calls == {
            "email": "ana",
            "alias": "bo",
            "user": "cy",
            "stranger": unknown("litellm:key-x"),
            "nobody": unknown("litellm:"),
            "home": "dan",
            "mac": "dan",
            "other": unknown("claude_code:eve"),
            "declared": "fay",
        }
        assert people == {
            "ana@example.com": ["ana", True],
            "litellm:bo-key": ["bo", True],
            "litellm:u-cy": ["cy", True],
            "litellm:key-x": [unknown("litellm:key-x"), False],
            "litellm:": [unknown("litellm:"), False],
            "claude_code:dan": ["dan", True],
            "claude_code:eve": [unknown("claude_code:eve"), False],
            "claude_code:eve2": ["fay", True],
        }


BOT = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"
BO = "Bo <17+bo-dev@users.noreply.github.com>"


def with_clone(root: Path, clone: Clone, **more: Any) -> Settings:
    return settings_for(root, repositories=[{"type": "git", "name": "org/app", "path": str(clone.path)}], **more)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    root = tmp_path_factory.mktemp("delivery")
    clone = Clone(root / "app")
    clone.commit("Start", "2026-03-01 10:00")
    squash = clone.commit("Add a feature (#1)", "2026-03-02 10:00", lines=3)
    clone.git("checkout", "-q", "-b", "topic")
    clone.commit("Step one\n\nCo-authored-by: Claude <noreply@anthropic.com>", "2026-03-03 09:00", BO)
    clone.commit("Step two", "2026-03-04 09:00", BO)
    clone.git("checkout", "-q", "main")
    clone.merge("topic", "Merge pull request #2 from org/topic\n\nA topic", "2026-03-20 12:00")
    clone.commit(f'Revert "Add a feature" (#3)\n\nThis reverts commit {squash[:9]}.', "2026-03-21 10:00", BO)
    clone.commit("Bump x (#4)", "2026-03-21 11:00", BOT)
    clone.commit("Stranger", "2026-03-21 12:00", "Cy <Cy@Example.com>")
    with lake_in_memory() as lake:
        build(lake, with_clone(root, clone, identities={"ana": "ana@example.com", "bo": ["github:bo-dev"]}))
        yield lake


class TestDelivery:
    def test_pull_requests(self, delivered: Lake) -> None:
        assert delivered.rows(
            "select number, merge_basis, author_id, merged_at::date::varchar, first_commit_at::date::varchar, commits, "
            "additions, ai_assisted, is_bot, is_revert, reverts_number, reverted_at::date::varchar "
            "from core.pull_requests order by number"
        ) == [
            (1, "squash", "ana", "2026-03-02", None, None, 3, False, False, False, None, "2026-03-21"),
            (2, "merge", "bo", "2026-03-20", "2026-03-03", 2, 2, True, False, False, None, None),
            (3, "squash", "bo", "2026-03-21", None, None, 1, False, False, True, 1, None),
            (4, "squash", "bot:dependabot[bot]", "2026-03-21", None, None, 1, False, True, False, None, None),
        ]

    def test_commits(self, delivered: Lake) -> None:
        assert delivered.rows(
            "select subject, author_id, pr_number, ai_assisted, is_merge, is_revert, is_bot "
            "from core.commits order by authored_at"
        ) == [
            ("Start", "ana", None, False, False, False, False),
            ("Add a feature (#1)", "ana", 1, False, False, False, False),
            ("Step one", "bo", 2, True, False, False, False),
            ("Step two", "bo", 2, False, False, False, False),
            ("Merge pull request #2 from org/topic", "ana", 2, False, True, False, False),
            ('Revert "Add a feature" (#3)', "bo", 3, False, False, True, False),
            ("Bump x (#4)", "bot:dependabot[bot]", 4, False, False, False, True),
            ("Stranger", unknown("cy@example.com"), None, False, False, False, False),
        ]

    def test_bots_and_merges_are_apart(self, delivered: Lake) -> None:
        assert delivered.rows(
            "select day::varchar, commits, ai_commits, bot_commits, merge_commits, authors, prs_merged, ai_prs_merged, "
            "reverts from marts.daily_repo where day >= '2026-03-03' order by day"
        ) == [
            ("2026-03-03", 1, 1, 0, 0, 1, 0, 0, 0),
            ("2026-03-04", 1, 0, 0, 0, 1, 0, 0, 0),
            ("2026-03-20", 0, 0, 0, 1, 0, 1, 1, 0),
            ("2026-03-21", 2, 0, 1, 0, 2, 1, 0, 1),
        ]
        assert delivered.rows("select developer_id from marts.daily_developer where is_bot") == [
            ("bot:dependabot[bot]",)
        ]

    def test_developers_are_known_by_login_too(self, delivered: Lake) -> None:
        assert dict(delivered.rows("select identity, developer_id from core.developers")) == {
            "ana@example.com": "ana",
            "17+bo-dev@users.noreply.github.com": "bo",
            "cy@example.com": unknown("cy@example.com"),
        }

    def test_a_later_merge_reaches_back_to_the_days_of_its_commits(self, tmp_path: Path) -> None:
        clone = Clone(tmp_path / "app")
        clone.commit("Start", "2026-03-01 10:00")
        clone.git("checkout", "-q", "-b", "topic")
        clone.commit("Step", "2026-03-02 09:00")
        settings = with_clone(tmp_path, clone)
        number = "select pr_number from core.commits where subject = 'Step'"
        with lake_in_memory() as lake:
            build(lake, settings)
            assert lake.value(number) is None
            clone.git("checkout", "-q", "main")
            clone.merge("topic", "Merge pull request #7 from org/topic", "2026-03-30 12:00")
            assert collect_all(lake, settings) == []
            touched = lake.value("select touched_days from ops.landing_chunks order by collected_at desc")
            assert {"2026-03-02", "2026-03-30"} <= set(map(str, touched))
            # the older day alone, before the merge's own day is written
            old = [window("2026-03-02", "2026-03-02")]
            materialise_raw(lake, settings, old)
            materialise_model(lake, model_named("core.commits"), old)
            assert lake.value(number) == 7

    def test_a_repository_is_read_once(self, tmp_path: Path) -> None:
        clone = Clone(tmp_path / "app")
        clone.commit("One", "2026-03-01 10:00")
        settings = with_clone(tmp_path, clone)
        with lake_in_memory() as lake:
            build(lake, settings)
            build(lake, settings)
            clone.commit("Two", "2026-03-02 10:00")
            build(lake, settings)
            assert lake.rows("select count(*), sum(lines) from ops.landing_chunks") == [(2, 2)]
            assert lake.value("select count(*) from core.commits") == 2

    def test_a_repository_that_cannot_be_read_hinders_no_other(self, tmp_path: Path) -> None:
        clone = Clone(tmp_path / "app")
        clone.commit("One", "2026-03-01 10:00")
        missing = {"type": "git", "name": "org/gone", "path": "gone"}
        settings = settings_for(tmp_path, repositories=[missing, {"type": "git", "name": "org/app", "path": "app"}])
        with lake_in_memory() as lake:
            (problem,) = collect_all(lake, settings)
            assert "org/gone" in problem
            assert lake.value("select sum(accepted) from ops.landing_chunks") == 1


def a_fortnight(root: Path) -> Settings:
    """Two weeks of three people's work with what crosses midnight, from both trace formats and a clone."""
    dice = random.Random(7)  # noqa: S311
    gateway: list[Any] = []
    for number, (day, alias) in enumerate(itertools.product(range(1, 9), ("ana-key", "bo-key"))):
        for step in range(5):
            at = moment(f"2026-03-{day:02} 23:40") + timedelta(minutes=step * 7 + dice.randrange(5), seconds=number)
            who: Line = {"metadata": {"user_api_key_alias": alias, "requester_metadata": {"session_id": f"g-{alias}"}}}
            if step == 3:
                who = {"metadata": {"user_api_key_alias": alias}}
            call = f"{number}-{step}"
            if step == 2:
                gateway.append(gateway_failure(str(at)[:19], call=call, **who))
            gateway.append(gateway_line(str(at)[:19], call=call, seconds=dice.randrange(1, 200), **who))
    transcript: list[Any] = []
    for day in range(1, 9):
        for step in range(6):
            time = str(moment(f"2026-03-{day:02} 23:30") + timedelta(minutes=step * 11))[:19]
            use = f"use-{day}-{step}"
            transcript += [
                prompt(time, uuid=f"p-{day}-{step}"),
                answer(time, f"m-{day}-{step}", content=[edit(use)], model=dice.choice([HAIKU, SONNET])),
                tool_result(
                    str(moment(time) + timedelta(minutes=2))[:19], use, result={"structuredPatch": [{"lines": ["+"]}]}
                ),
            ]
        transcript += [
            answer(f"2026-03-{day:02} 23:59", f"t-{day}", content=[bash(f"test-{day}", "cd app && pytest -q")]),
            tool_result(
                f"2026-03-{day + 1:02} 00:01",
                f"test-{day}",
                text=f"FAILED t.py::test_{day % 2} - boom\n1 failed, {day} passed in 0.50s",
            ),
            transcript_line(f"2026-03-{day + 1:02} 00:02", "system", subtype="api_error", retryAttempt=1, error={}),
        ]
    # one conversation without a pause over three days
    start = moment("2026-03-03 20:00")
    for n in range(3 * 24 * 3):
        time = str(start + timedelta(minutes=20 * n))[:19]
        transcript.append(answer(time, f"long-{n}", session="long", isSidechain=n % 5 == 4))
    spans = [
        otlp_line(line["startTime"], line["endTime"], number, session=f"o-{number % 3}")
        for number, line in enumerate(gateway)
    ]
    clone = Clone(root / "app")
    clone.commit("Start", "2026-03-01 10:00")
    clone.git("checkout", "-q", "-b", "topic")
    clone.commit("Step (again)", "2026-03-02 23:59")
    clone.git("checkout", "-q", "main")
    clone.merge("topic", "Merge pull request #2 from org/topic", "2026-03-08 12:00")
    clone.commit("More (#3)", "2026-03-08 13:00")
    write_lines(root / "gateway.jsonl", gateway)
    write_lines(root / "claude" / "a.jsonl", transcript)
    write_lines(root / "spans" / "a.jsonl", spans)
    return with_clone(
        root,
        clone,
        sources=[
            {"type": "litellm", "path": "gateway.jsonl"},
            {"type": "claude_code", "path": "claude"},
            {"type": "otlp", "path": "spans"},
        ],
        identities={"ana": ["ana@example.com", "litellm:ana-key", "claude_code:ana"]},
    )


def model_named(name: str) -> Any:
    return next(model for model in models() if model.contract.full_name == name)


def all_tables(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    names = [*(shape.full_name for shape in SHAPES), "raw.git_commits", *(m.contract.full_name for m in models())]
    return {name: table_rows(lake, name) for name in names}


def by_day(whole: Window) -> list[Window]:
    return [Window(day, day + timedelta(days=1)) for day in whole.days]


def shuffled(seed: int) -> Callable[[Window], list[Window]]:
    """Random ranges in a random order that together cover the window."""

    def cut(whole: Window) -> list[Window]:
        dice = random.Random(seed)  # noqa: S311
        inner = sorted(dice.sample(whole.days[1:], dice.randrange(len(whole.days))))
        edges = [whole.start, *inner, whole.end]
        windows = [Window(first, last) for first, last in itertools.pairwise(edges)]
        dice.shuffle(windows)
        return windows

    return cut


@pytest.fixture(scope="module")
def fortnight(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return a_fortnight(tmp_path_factory.mktemp("fortnight"))


@pytest.fixture(scope="module")
def whole(fortnight: Settings) -> Iterator[Lake]:
    with lake_in_memory() as lake:
        build(lake, fortnight)
        yield lake


NOT_IN_THE_STORY = {
    "core.deployments",
    "core.github_accounts",
    "core.pull_request_events",
    "core.releases",
    "core.reviews",
    "survey.responses",
}
"""Tables that are empty here: there is no GitHub repository and no survey."""


class TestPartitions:
    @pytest.mark.parametrize(
        "cut",
        [lambda whole: by_day(whole)[::-1], shuffled(1), shuffled(2)],
        ids=["day by day, backwards", "shuffled 1", "shuffled 2"],
    )
    def test_the_rows_do_not_depend_on_how_the_days_are_cut_and_ordered(
        self, whole: Lake, fortnight: Settings, cut: Callable[[Window], list[Window]]
    ) -> None:
        with lake_in_memory() as lake:
            assert collect_all(lake, fortnight) == []
            windows = cut(landed_window(lake))
            materialise_raw(lake, fortnight, windows)
            for model in models():
                materialise_model(lake, model, windows)
            found, expected = all_tables(lake), all_tables(whole)
        for name, rows in expected.items():
            assert (rows or name in NOT_IN_THE_STORY) and found[name] == rows, name

    def test_a_session_at_midnight_belongs_to_its_first_day(self, whole: Lake) -> None:
        found = whole.rows(
            "select day::varchar, strftime(started_at, '%H:%M'), ended_at::date - started_at::date from core.sessions "
            "where session_id = 'session-1' order by day"
        )
        assert found == [(f"2026-03-0{day}", "23:30", 1) for day in range(1, 9)]

    def test_the_sum_by_call_by_session_and_by_day_is_the_same(self, whole: Lake) -> None:
        totals = {
            "core.llm_calls": "count(*), sum(input_tokens), sum(output_tokens), sum(cost_usd)",
            "core.sessions": "sum(calls), sum(tokens_in), sum(tokens_out), sum(cost_usd)",
            "marts.daily_developer": "sum(calls), sum(input_tokens), sum(output_tokens), sum(cost_usd)",
            "marts.daily_model": "sum(calls), sum(input_tokens), sum(output_tokens), sum(cost_usd)",
        }
        found = {table: whole.rows(f"select {sums} from {table}")[0] for table, sums in totals.items()}
        assert len(set(found.values())) == 1, found
        assert found["core.llm_calls"][0] == 16 * 5 + 8 * 7 + 216

    def test_the_marts_add_up(self, whole: Lake) -> None:
        def value(sql: str) -> Any:
            return whole.value(f"select {sql}")

        assert (
            value("count(*) from core.sessions")
            == value("sum(sessions) from marts.daily_developer")
            == value("sum(sessions) from marts.daily_repo")
        )
        assert value("sum(cost_usd) from core.sessions") == value("sum(cost_usd) from marts.daily_repo")
        assert (
            value("count(*) from core.commits where not is_merge")
            == value("sum(commits) from marts.daily_developer")
            == value("sum(commits + bot_commits) from marts.daily_repo")
        )
        assert (
            value("count(*) from core.pull_requests")
            == value("sum(prs_merged) from marts.daily_developer")
            == value("sum(prs_merged) from marts.daily_repo")
            == 2
        )
        assert (
            value("count(*) from core.code_suggestions where accepted_flag")
            == value("sum(accepted_suggestions) from core.sessions")
            == value("sum(accepted_suggestions) from marts.daily_developer")
            == 48
        )

    def test_late_records_change_only_what_they_touch(self, tmp_path: Path) -> None:
        settings = project(tmp_path, [gateway_line(f"2026-03-{day:02} 10:00", call=str(day)) for day in range(1, 20)])
        with lake_in_memory() as lake, lake_in_memory() as other:
            build(lake, settings)
            append_lines(tmp_path / "gateway.jsonl", [gateway_line("2026-03-10 10:05", call="late")])
            assert collect_all(lake, settings) == []
            touched = lake.value("select touched_days from ops.landing_chunks order by byte_end desc")
            materialise(lake, settings, Window(min(touched), max(touched) + timedelta(days=1)))
            build(other, settings)
            assert all_tables(lake)["core.sessions"] == all_tables(other)["core.sessions"]
            assert lake.value("select calls from core.sessions where day = '2026-03-10'") == 2


class TestDagster:
    def test_the_assets_write_what_the_models_say(self, tmp_path: Path) -> None:
        lines = [
            gateway_failure("2026-03-02 23:59", call="1"),
            gateway_line("2026-03-03 00:01", call="1"),
            gateway_line("2026-03-03 00:05", call="2"),
        ]
        transcript = [
            prompt("2026-03-02 23:58"),
            answer("2026-03-02 23:59", content=[edit("e")]),
            tool_result("2026-03-03 00:01", "e"),
        ]
        settings = project(tmp_path, lines, transcript)
        clone = Clone(tmp_path / "app")
        clone.commit("One (#1)", "2026-03-02 10:00")
        settings = with_clone(tmp_path, clone, sources=settings.sources, start_date="2026-03-01")
        whole = window("2026-03-01", "2026-03-05")
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                build_assets(settings),
                resources={"warehouse": Warehouse.of(settings)},
                instance=instance,
                tags=range_tags(whole),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        assert result.success
        checks = result.get_asset_check_evaluations()
        assert all(check.passed for check in checks if check.severity == dg.AssetCheckSeverity.ERROR)
        # the gateway did not see the call that the transcript has of the same session: a doubt, not an obstacle
        assert {check.check_name for check in checks if not check.passed} == {"nothing_is_lost"}
        with open_lake(Location.of(settings), read_only=True) as lake, lake.reading(), lake_in_memory() as other:
            build(other, settings, whole)
            assert all_tables(lake) == all_tables(other)
