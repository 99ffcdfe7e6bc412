"""Secrets planted in every text of a line of every format: none is found in the home, the lake or the logs."""

import logging
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from prodlens_pipeline.traces.registry import formats
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.pipeline import (
    Line,
    answer,
    bash,
    collect_all,
    edit,
    gateway_failure,
    gateway_line,
    landed_window,
    materialise,
    otlp_line,
    prompt,
    settings_for,
    tool_result,
    write_lines,
)
from prodlens_pipeline_tests.places import bring_home
from prodlens_pipeline_tests.traces import test_codex, test_events

AT = "2026-03-02 10:00:00"
# Assembled, so that no scanner of this repository takes them for real ones.
SECRETS = (
    "AKIA" + "Q3EGRIZ5KDU4PLWX",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "sk-ant-api03-" + "Zx9" * 31 + "-AAAAAAAA",
    "xoxb-" + "123456789012-1234567890123-" + "aBcDeFgHiJkLmNoPqRsTuVwX",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
)


def rest_span(number: int) -> Line:
    return {
        "name": "chat",
        "context": {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"},
        "span_kind": "LLM",
        "start_time": "2026-03-02T10:00:00+00:00",
        "end_time": "2026-03-02T10:00:01+00:00",
        "status_code": "OK",
        "attributes": {
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 3,
            "session.id": "s",
            "user.id": "u",
            "tool.name": "t",
            "metadata": {"user_agent": "x", "user_api_key_alias": "k"},
            "input.value": "a prompt",
        },
    }


def exported_row(number: int) -> Line:
    return {
        "name": "chat",
        "context.trace_id": f"{number:032x}",
        "context.span_id": f"{number:016x}",
        "span_kind": "LLM",
        "start_time": "2026-03-02T10:00:00+00:00",
        "end_time": "2026-03-02T10:00:01+00:00",
        "attributes.llm.model_name": "gpt-4o",
        "attributes.session.id": "s",
        "attributes.metadata": '{"user_agent": "x"}',
        "attributes.input.value": "a prompt",
    }


SAMPLES: dict[str, list[Line]] = {
    "litellm": [gateway_line(AT, call="1"), gateway_failure(AT, call="2")],
    "claude_code": [
        prompt(AT),
        answer(AT, content=[bash("u-1", "git push"), edit("u-2") | {"name": "Write"}]),
        tool_result(AT, "u-1", text="Exit code 1\n1 failed, 2 passed in 0.1s", is_error=True),
    ],
    "otlp": [otlp_line(1772445600.0, 1772445601.0, 1, session="s")],
    "phoenix": [rest_span(1)],
    "arize": [exported_row(1)],
    "codex": [
        test_codex.meta(),
        test_codex.context(1),
        test_codex.call(2, "c-1", "shell", command=["bash", "-lc", "ls"]),
    ],
    "events": [test_events.event("tool", "e-1", tool="Bash", program="git", repo="org/app", branch="main")],
}


def planted(value: Any, secrets: Iterator[str]) -> Iterator[Any]:
    """Copies of a JSON value, in each of which one text ends in a secret."""
    if isinstance(value, str):
        yield f"{value} {next(secrets)}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: copy} for copy in planted(inner, secrets))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from ([*value[:place], copy, *value[place + 1 :]] for copy in planted(inner, secrets))


def contents(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompress(raw, max_output_size=100_000_000)
    if path.suffix == ".parquet":
        return repr(duckdb.sql(f"from read_parquet('{path}')").fetchall()).encode()
    return raw


def test_there_is_a_sample_of_every_format() -> None:
    assert SAMPLES.keys() == formats().keys()


@pytest.mark.parametrize("capture", ["edits", "text"])
def test_no_secret_is_found_anywhere(tmp_path: Path, capture: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = cycle(SECRETS)
    for kind, lines in SAMPLES.items():
        copies = [copy for line in lines for copy in planted(line, secrets)]
        assert len(copies) > 4, kind
        write_lines(tmp_path / kind / "rollout-a.jsonl", [*lines, *copies])
    settings = settings_for(tmp_path, sources=[{"type": kind, "path": kind, "capture": capture} for kind in SAMPLES])
    with open_lake(Location.of(settings)) as lake:
        migrate(lake)
        assert collect_all(lake, settings) == []
        materialise(lake, settings, landed_window(lake))
        lake.execute("call ducklake_flush_inlined_data('prodlens')")
        counted = dict(lake.rows("select source, sum(accepted) from ops.landing_chunks group by all"))
        assert all(counted[kind] >= len(lines) for kind, lines in SAMPLES.items()), counted
    bring_home(settings.home)
    extensions = settings.home / "extensions"
    files = [path for path in settings.home.rglob("*") if path.is_file() and extensions not in path.parents]
    everything = {str(path.relative_to(settings.home)): contents(path) for path in files}
    everything["the log"] = caplog.text.encode()
    assert b"[redacted:" in b"".join(everything.values())
    found = {(name, secret[:8]) for name, text in everything.items() for secret in SECRETS if secret.encode() in text}
    assert found == set()
