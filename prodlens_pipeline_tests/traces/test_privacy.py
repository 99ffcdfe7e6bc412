"""Which texts reach the disk: none but suggested edits by default, those apart from all else; and never a secret."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.pipeline import (
    Line,
    answer,
    collect_all,
    gateway_failure,
    gateway_line,
    landed_window,
    materialise_raw,
    prompt,
    settings_for,
    tool_result,
    transcript_line,
    write_lines,
)
from prodlens_pipeline_tests.places import bring_home

MARK = "MARKER7f3a"
EDIT = "EDITED91bc"


def gateway_lines() -> list[Any]:
    message = {"role": "user", "content": [{"type": "text", "text": MARK}, MARK]}
    texts: Line = {
        "messages": [message],
        "response": {"choices": [{"message": {"content": MARK}}], "content": [{"text": MARK}]},
        "error_str": MARK,
        "model_parameters": {"system": MARK, "tools": [{"description": MARK}]},
        "request_tags": [MARK],
        "guardrail_information": {"text": MARK},
        "api_base": MARK,
        "requester_ip_address": MARK,
        "hidden_params": {"additional_headers": {"x": MARK}},
        "error_information": {"error_code": "500", "error_class": "X", "error_message": MARK, "traceback": MARK},
        "new_field": MARK,
    }
    metadata: Line = {
        "user_api_key_alias": "ana-key",
        "user_api_key_hash": MARK,
        "requester_ip_address": MARK,
        "requester_metadata": {"session_id": "session-1", "user_id": MARK, "prompt": MARK},
        "requester_custom_headers": {"x-app": MARK, "authorization": MARK},
        "spend_logs_metadata": {"text": MARK},
        "usage_object": {"text": MARK, "prompt_tokens_details": {"text": MARK}},
        "prompt_management_metadata": MARK,
    }
    at = "2026-03-02 10:00"
    return [
        gateway_line(at, call="a", metadata=metadata, **texts),
        gateway_failure(at, call="b", metadata=metadata, **texts),
        # refused for its tokens: a long line's excerpt ends before the texts
        gateway_line(at, call="c", metadata=metadata, **(texts | {"prompt_tokens": "abc"})),
    ]


def transcript_lines() -> list[Any]:
    at = "2026-03-02 10:00"
    patch = [{"oldStart": 1, "lines": [f"+{MARK}", f"-{MARK}", f" {MARK}"]}]
    path = "/home/ana/app/a.py"
    edited = {"file_path": path, "old_string": MARK, "new_string": f"y = {EDIT!r}", "new": MARK}
    refusal = f"The user doesn't want to proceed with this tool use. {MARK}"
    blocks = [
        {"type": "text", "text": MARK},
        {"type": "thinking", "thinking": MARK, "signature": MARK},
        {"type": "image", "source": {"data": MARK}},
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": f"cat {MARK}", "description": MARK}},
        {"type": "tool_use", "id": "t2", "name": "Edit", "input": edited},
        {"type": "tool_use", "id": "t3", "name": "Write", "input": {"file_path": path, "content": f"x = {EDIT!r}"}},
        MARK,
    ]
    agent = {"type": "agent_progress", "prompt": MARK, "agentId": "a1"}
    subagent = {"message": {"role": "assistant", "content": [{"type": "text", "text": MARK}]}, "requestId": "r"}
    return [
        prompt(at) | {"message": {"role": "user", "content": f"{MARK} please"}},
        prompt(at) | {"message": {"role": "user", "content": [{"type": "text", "text": f"<b>{MARK}"}]}},
        prompt(at) | {"message": f"a bare {MARK}"},
        answer(at, content=blocks),
        tool_result(at, "t1", result={"stdout": MARK, "stderr": MARK, "filePath": path}, text=MARK),
        tool_result(at, "t2", result={"structuredPatch": patch, "originalFile": MARK, "oldString": MARK}, text=MARK),
        tool_result(at, "t3", result={"type": "create", "content": f"{MARK}\n{MARK}"}, text=MARK),
        tool_result(at, "t3", result=f"Error: {MARK}", is_error=True, text=refusal),
        transcript_line(at, "summary", summary=MARK, leafUuid="u"),
        transcript_line(at, "system", subtype="api_error", content=MARK, error={"message": MARK}),
        transcript_line(at, "progress", data=agent | {"message": subagent}),
        transcript_line(at, "progress", data={"type": "hook_progress", "command": MARK, "message": MARK}),
        transcript_line(at, "queue-operation", operation="enqueue", content=MARK),
        transcript_line(at, "file-history-snapshot", snapshot={"trackedFileBackups": {MARK: MARK}}),
        transcript_line(at, "new-type", newField=MARK),
    ]


@pytest.fixture(params=["none", "edits", "text"])
def capture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project_home(tmp_path: Path, capture: str) -> Path:
    """The home of a project whose every text is marked, with all its tables as parquet files."""
    project = settings_for(
        tmp_path / "project",
        sources=[{"type": "litellm", "path": "g"}, {"type": "claude_code", "path": "c", "capture": capture}],
    )
    write_lines(project.root / "g" / "a.jsonl", gateway_lines())
    write_lines(project.root / "c" / "a.jsonl", transcript_lines())
    with open_lake(Location.of(project)) as lake:
        migrate(lake)
        assert collect_all(lake, project) == []
        _all_accepted_but_one(lake)
        materialise_raw(lake, project, [landed_window(lake)])
        lake.execute("call ducklake_flush_inlined_data('prodlens')")
        assert lake.value("select count(*) from raw.claude_code") == len(transcript_lines())
    bring_home(project.home)
    return project.home


def _all_accepted_but_one(lake: Lake) -> None:
    letters = lake.rows("select source, reason from ops.dead_letters")
    assert [source for source, _ in letters] == ["litellm"], letters


def contents(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompress(raw, max_output_size=10_000_000)
    if path.suffix == ".parquet":
        return repr(duckdb.sql(f"from read_parquet('{path}')").fetchall()).encode()
    return raw


def holders(project_home: Path, mark: str) -> set[str]:
    """The areas of a home in which a text is found."""
    extensions = project_home / "extensions"
    files = [p for p in project_home.rglob("*") if p.is_file() and extensions not in p.parents]
    assert {p.suffix for p in files} >= {".zst", ".parquet"} and any(p.stem == "catalog" for p in files)
    return {"/".join(p.relative_to(project_home).parts[:2]) for p in files if mark.encode() in contents(p)}


def test_texts_lie_nowhere_but_where_the_source_allows(project_home: Path, capture: str) -> None:
    assert holders(project_home, EDIT) == ({"landing/texts"} if capture != "none" else set())
    assert holders(project_home, MARK) == ({"landing/texts"} if capture == "text" else set())


def test_what_metrics_need_is_kept(project_home: Path) -> None:
    chunks = b"".join(contents(p) for p in project_home.rglob("*.zst"))
    for kept in (b'"rejected":true', b'"lines_added":1', b'"lines_added":2', b'"markup":"b"', b"/home/ana/app/a.py"):
        assert kept in chunks
