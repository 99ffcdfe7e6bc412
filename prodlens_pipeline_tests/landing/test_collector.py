"""Collecting source files: what is new is landed once, what is wrong is refused and counted, whatever a file holds."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.collector import bytes_to_read, collect, find_files
from prodlens_pipeline.landing.intake import excerpts
from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.landing.redaction import Redactor
from prodlens_pipeline.traces import claude_code, litellm
from prodlens_pipeline.traces.assets import raw_query
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.pipeline import (
    Line,
    append_lines,
    build,
    gateway_line,
    lake_in_memory,
    landed_window,
    prompt,
    settings_for,
    window,
    write_lines,
)

SOURCE = "litellm:log"
DAY = "2026-03-02"
NO_END = "the last line has no end yet; it is read again when the file grows"


def call(number: int, **fields: Any) -> Line:
    return gateway_line(f"{DAY} 10:{number // 60:02}:{number % 60:02}", call=f"call-{number}", **fields)


@pytest.fixture
def lake() -> Iterator[Lake]:
    with lake_in_memory() as lake:
        yield lake


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "gateway.jsonl"


def land(lake: Lake, *files: Path) -> Collected:
    """Collect `files` into a landing zone beside the first one's folder."""
    return collect(lake, files[0].parent.parent / "landing", litellm.FORMAT.form, SOURCE, list(files))


def landed(lake: Lake, log: Path) -> list[tuple[Any, ...]]:
    """File, line and call of every landed record."""
    query = raw_query(litellm.RAW, [litellm.FORMAT], lake, log.parent.parent / "landing", window(DAY, DAY))
    rows = lake.rows(f"select source_file, line, litellm_call_id from ({query.sql})", query.parameters)
    return sorted((Path(file).name, line, call_id) for file, line, call_id in rows)


def letters(lake: Lake) -> list[tuple[int, str]]:
    return lake.rows("select line, status from ops.dead_letters order by line")


def sums(lake: Lake) -> tuple[int, int, int]:
    return lake.rows(
        "select coalesce(sum(lines), 0)::integer, coalesce(sum(accepted), 0)::integer, "
        "coalesce(sum(rejected), 0)::integer from ops.landing_chunks"
    )[0]


def chunk_files(log: Path) -> list[Path]:
    return sorted(path for path in (log.parent.parent / "landing").rglob("*") if path.is_file())


class TestGrowingFiles:
    def test_only_new_bytes_are_read(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1), call(2)])
        land(lake, log)
        first = log.stat().st_size
        append_lines(log, [call(3)])
        assert bytes_to_read(lake, SOURCE, [log]) == log.stat().st_size - first
        again = land(lake, log)
        assert again.bytes_read == log.stat().st_size - first
        assert (again.lines, again.accepted) == (1, 1)
        assert [line for _, line, _ in landed(lake, log)] == [1, 2, 3]

    def test_nothing_new_changes_nothing(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1)])
        land(lake, log)
        before = (chunk_files(log), lake.rows("from ops.landing_chunks"))
        assert land(lake, log).bytes_read == 0
        assert (chunk_files(log), lake.rows("from ops.landing_chunks")) == before

    def test_an_unfinished_last_line_waits_for_its_end(self, lake: Lake, log: Path) -> None:
        text = json.dumps(call(2))
        write_lines(log, [call(1)])
        with log.open("a") as file:
            file.write(text[:40])
        waiting = land(lake, log)
        assert (waiting.accepted, waiting.rejected, waiting.pending) == (1, 0, 1)
        assert lake.rows("select line, status, reason from ops.dead_letters") == [(2, "pending", NO_END)]
        land(lake, log)
        assert letters(lake) == [(2, "pending")]
        with log.open("a") as file:
            file.write(text[40:] + "\n")
        assert land(lake, log).accepted == 1
        assert letters(lake) == []
        assert landed(lake, log) == [("gateway.jsonl", 1, "call-1"), ("gateway.jsonl", 2, "call-2")]
        assert sums(lake) == (2, 2, 0)

    def test_an_unfinished_line_that_turns_out_bad_is_refused(self, lake: Lake, log: Path) -> None:
        log.parent.mkdir()
        log.write_text('{"status":')
        land(lake, log)
        append_lines(log, ["broken"])
        assert land(lake, log).rejected == 1
        assert letters(lake) == [(1, "rejected")]
        assert sums(lake) == (1, 0, 1)

    def test_a_whole_last_line_without_an_end_is_landed_and_lines_keep_their_numbers(
        self, lake: Lake, log: Path
    ) -> None:
        log.parent.mkdir()
        log.write_text(json.dumps(call(1)))
        assert land(lake, log).accepted == 1
        append_lines(log, ["", call(2), "broken"])
        land(lake, log)
        assert [line for _, line, _ in landed(lake, log)] == [1, 2]
        assert letters(lake) == [(3, "rejected")]

    def test_a_record_on_the_line_of_one_that_seemed_complete_is_not_lost(self, lake: Lake, log: Path) -> None:
        log.parent.mkdir()
        log.write_text(json.dumps(call(1)))
        land(lake, log)
        append_lines(log, [call(1)])
        assert land(lake, log).accepted == 1
        assert len(landed(lake, log)) == 2

    def test_many_extents_of_one_file(self, lake: Lake, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("prodlens_pipeline.landing.intake.CHUNK_BYTES", 2000)
        write_lines(log, [call(n) if n % 3 else "broken" for n in range(30)])
        found = land(lake, log)
        assert (found.lines, found.accepted, found.rejected) == (30, 20, 10)
        assert len(chunk_files(log)) > 3
        assert len(landed(lake, log)) == 20
        extents = lake.rows("select byte_start, byte_end, line_start, line_end from ops.landing_chunks order by 1")
        assert [e[0] for e in extents[1:]] == [e[1] for e in extents[:-1]]
        assert [e[2] for e in extents[1:]] == [e[3] for e in extents[:-1]]
        assert land(lake, log).bytes_read == 0


class TestReplacedFiles:
    def test_a_rotated_file_is_read_from_its_beginning(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1), call(2)])
        land(lake, log)
        log.unlink()
        write_lines(log, [call(n) for n in range(3, 9)])
        assert land(lake, log).accepted == 6
        append_lines(log, [call(9)])
        assert land(lake, log).accepted == 1
        assert [call_id for _, _, call_id in landed(lake, log)].count("call-3") == 1
        assert len(landed(lake, log)) == 9

    def test_a_rotated_file_can_be_materialised(self, lake: Lake, tmp_path: Path) -> None:
        project = settings_for(tmp_path, sources=[{"type": "litellm", "path": "log.jsonl"}])
        write_lines(tmp_path / "log.jsonl", [call(1), call(2)])
        build(lake, project)
        write_lines(tmp_path / "log.jsonl", [call(3), call(4), call(5)])
        build(lake, project)
        assert lake.value("select count(*) from raw.litellm") == 5
        assert lake.value("select count(*) from core.llm_calls") == 5

    def test_a_truncated_file_is_read_again(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1), call(2), call(3)])
        land(lake, log)
        write_lines(log, [call(4)])
        assert land(lake, log).accepted == 1
        assert len(landed(lake, log)) == 4

    def test_a_file_of_the_same_size_but_other_content_is_noticed(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1)])
        land(lake, log)
        size = log.stat().st_size
        write_lines(log, [call(2)])
        assert log.stat().st_size == size
        assert land(lake, log).accepted == 1

    def test_records_outlive_their_source(self, lake: Lake, tmp_path: Path) -> None:
        project = settings_for(tmp_path, sources=[{"type": "litellm", "path": "logs/*.jsonl"}])
        gone = write_lines(tmp_path / "logs" / "a.jsonl", [call(1)])
        write_lines(tmp_path / "logs" / "b.jsonl", [call(2)])
        build(lake, project)
        gone.unlink()
        build(lake, project)
        assert lake.value("select count(*) from core.llm_calls") == 2

    def test_the_same_content_in_two_files_is_landed_for_each_and_counted_once(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        project = settings_for(tmp_path, sources=[{"type": "litellm", "path": "logs"}])
        write_lines(tmp_path / "logs" / "a.jsonl", [call(1), call(2)])
        write_lines(tmp_path / "logs" / "b.jsonl", [call(1), call(2)])
        build(lake, project)
        assert sums(lake) == (4, 4, 0)
        assert lake.rows("select count(*), sum(attempts) from core.llm_calls") == [(2, 2)]


class TestBadLines:
    @pytest.mark.parametrize(
        ("line", "named"),
        [
            (call(9, prompt_tokens="abc"), "prompt_tokens"),
            (call(9, completion_tokens=-1), "completion_tokens"),
            (call(9, prompt_tokens=10**30), "prompt_tokens"),
            (call(9, response_cost=1e30), "response_cost"),
            (call(9, startTime=None), "startTime"),
            ({k: v for k, v in call(9).items() if k != "startTime"}, "startTime"),
            (call(9, startTime=1.8e12), "startTime"),
            (call(9, endTime=1.0), "endTime"),
            (call(9, status=None), "status"),
            ("[]", "line"),
            ("3", "line"),
            ("null", "line"),
            ('"text"', "line"),
            ("no json", "line"),
            ('{"status": "success"', "line"),
            (b'{"status": "succ\xff\xfeess", "startTime": 1, "endTime": 2}', ""),
            (b"\x00\x00\x00\x00", "line"),
            ('{"status": "\\ud800"}', ""),
            ("[" * 5000, "line"),
        ],
        ids=lambda value: str(value)[:12] if isinstance(value, str) else None,
    )
    def test_it_is_refused_with_its_place_and_reason_and_hinders_no_other(
        self, lake: Lake, log: Path, line: Any, named: str
    ) -> None:
        write_lines(log, [call(1), line, call(2)])
        found = land(lake, log)
        assert (found.lines, found.accepted, found.rejected) == (3, 2, 1)
        assert [number for _, number, _ in landed(lake, log)] == [1, 3]
        ((at, reason, status),) = lake.rows("select line, reason, status from ops.dead_letters")
        assert (at, status) == (2, "rejected")
        assert named in reason and reason

    def test_a_dead_letter_keeps_no_more_than_an_excerpt(self, lake: Lake, log: Path) -> None:
        write_lines(log, ["x" * 300 + "secret", '{"status":"success","startTime":"' + "y" * 1000 + 'secret"}'])
        land(lake, log)
        for text, reason in lake.rows("select raw_text, reason from ops.dead_letters"):
            assert len(text) <= 200 and "secret" not in text + reason

    @given(st.binary(max_size=2000))
    def test_an_excerpt_is_short_text(self, line: bytes) -> None:
        (text,) = excerpts([line.decode(errors="replace")], Redactor())
        assert len(text) <= 200 and "\x00" not in text
        text.encode()

    def test_an_empty_file_and_blank_lines_are_no_records(self, lake: Lake, log: Path) -> None:
        empty = write_lines(log.with_name("empty.jsonl"), [])
        write_lines(log, ["", "  ", "\t", call(1), "", "\r"])
        found = land(lake, empty, log)
        assert (found.files, found.lines, found.accepted, found.rejected) == (2, 1, 1, 0)
        assert landed(lake, log) == [("gateway.jsonl", 4, "call-1")]

    def test_windows_line_ends_and_a_byte_order_mark(self, lake: Lake, log: Path) -> None:
        write_lines(log, [b"\xef\xbb\xbf" + json.dumps(call(1)).encode() + b"\r", json.dumps(call(2)) + "\r"])
        assert land(lake, log).accepted == 2
        append_lines(log, [b"\xef\xbb\xbf" + json.dumps(call(3)).encode()])
        assert land(lake, log).rejected == 1, "a mark belongs at the beginning of a file only"

    def test_nul_characters_inside_a_text(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1, id="a\x00b"), call(2)])
        found = land(lake, log)
        assert found.lines == found.accepted + found.rejected == 2
        assert len(landed(lake, log)) == found.accepted

    def test_a_line_of_twenty_megabytes(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1, messages=[{"content": "x" * 20_000_000}]), call(2), "z" * 20_000_000, call(3)])
        found = land(lake, log)
        assert (found.accepted, found.rejected) == (3, 1)
        assert len(landed(lake, log)) == 3
        assert sum(path.stat().st_size for path in chunk_files(log)) < 10_000


class TestUnreadableFiles:
    def test_one_is_named_and_hinders_no_other(self, lake: Lake, log: Path) -> None:
        folder = log.with_name("folder.jsonl")
        folder.mkdir(parents=True)
        dangling = log.with_name("dangling.jsonl")
        dangling.symlink_to(log.with_name("nowhere"))
        write_lines(log, [call(1)])
        found = land(lake, folder, dangling, log)
        assert (found.files, found.accepted) == (1, 1)
        assert [problem.split(":")[0] for problem in found.unreadable] == [str(folder), str(dangling)]
        assert all("directory" in problem or "No such file" in problem for problem in found.unreadable)

    def test_a_source_without_files_is_a_problem_that_names_it(self, lake: Lake, tmp_path: Path) -> None:
        project = settings_for(
            tmp_path,
            sources=[{"type": "litellm", "path": "missing/*.jsonl"}, {"type": "litellm", "path": "log.jsonl"}],
        )
        write_lines(tmp_path / "log.jsonl", [call(1)])
        with pytest.raises(AssertionError, match="missing"):
            build(lake, project)
        assert sums(lake) == (1, 1, 0)


class TestFindFiles:
    def test_a_file_a_folder_and_a_glob(self, tmp_path: Path) -> None:
        first = write_lines(tmp_path / "x" / "a.jsonl", [])
        deep = write_lines(tmp_path / "x" / "y" / "b.jsonl", [])
        write_lines(tmp_path / "x" / "note.txt", [])
        assert find_files(first, "**/*.jsonl") == [first]
        assert find_files(tmp_path / "x", "**/*.jsonl") == [first, deep]
        assert find_files(tmp_path / "*" / "*.jsonl", "**/*.jsonl") == [first]
        assert find_files(tmp_path / "**" / "*.jsonl", "**/*.jsonl") == [first, deep]
        assert find_files(tmp_path / "none", "**/*.jsonl") == []

    def test_a_name_with_brackets_is_a_name(self, tmp_path: Path) -> None:
        log = write_lines(tmp_path / "log[1].jsonl", [])
        assert find_files(log, "**/*.jsonl") == [log]


class TestTimes:
    def test_a_record_without_a_time_has_its_neighbours(self, lake: Lake, tmp_path: Path) -> None:
        project = settings_for(tmp_path, sources=[{"type": "claude_code", "path": "p"}])
        lines = [{"type": "summary"}, prompt("2026-03-02 23:59"), {"type": "file-history-snapshot"}]
        write_lines(tmp_path / "p" / "a.jsonl", [*lines, prompt("2026-03-03 00:01")])
        build(lake, project)
        assert lake.rows("select line, day::varchar from raw.claude_code order by line") == [
            (1, "2026-03-02"),
            (2, "2026-03-02"),
            (3, "2026-03-02"),
            (4, "2026-03-03"),
        ]

    def test_a_file_without_any_time_has_its_own(self, lake: Lake, tmp_path: Path) -> None:
        project = settings_for(tmp_path, sources=[{"type": "claude_code", "path": "p"}])
        file = write_lines(tmp_path / "p" / "a.jsonl", [{"type": "summary"}])
        os.utime(file, (1_772_445_600, 1_772_445_600))
        build(lake, project)
        assert lake.rows("select day::varchar from raw.claude_code") == [("2026-03-02",)]

    @pytest.mark.parametrize(
        "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-03-02T10:00:00", "yesterday", 1e300]
    )
    def test_a_time_that_is_none_is_refused(self, lake: Lake, tmp_path: Path, time: Any) -> None:
        file = write_lines(tmp_path / "p" / "a.jsonl", [{"type": "user", "timestamp": time}])
        found = collect(lake, tmp_path / "landing", claude_code.FORMAT.form, "claude_code:p", [file])
        assert (found.accepted, found.rejected) == (0, 1)

    def test_the_days_of_records_and_their_neighbours_are_touched(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1)])
        assert {str(day) for day in land(lake, log).days} == {DAY}
        touched = lake.value("select list_transform(touched_days, d -> d::varchar) from ops.landing_chunks")
        assert touched == ["2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]


LINES = st.one_of(
    st.integers(0, 50).map(lambda n: json.dumps(call(n)).encode()),
    st.sampled_from([b"", b" ", b"{}", b"[1]", b"null", b"\xff", b"\x00", b'{"status":1}', b"\xef\xbb\xbf", b"\r"]),
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")),
)


class TestAccounting:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(lines=st.lists(LINES, max_size=12), cuts=st.lists(st.floats(0, 1), max_size=3))
    def test_accepted_and_refused_are_all_lines_however_the_file_grew(
        self, tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[float]
    ) -> None:
        log = tmp_path_factory.mktemp("grow") / "logs" / "gateway.jsonl"
        log.parent.mkdir()
        whole = b"".join(line + b"\n" for line in lines)
        at_line_ends = [whole.rfind(b"\n", 0, int(cut * len(whole))) for cut in cuts]
        with lake_in_memory() as lake:
            for end in sorted({int(cut * len(whole)) for cut in cuts} | {max(end, 0) for end in at_line_ends}):
                log.write_bytes(whole[:end])
                land(lake, log)
            log.write_bytes(whole)
            land(lake, log)
            counted, accepted, rejected = sums(lake)
            assert counted == accepted + rejected
            assert lake.value("select count(*) from ops.dead_letters where status = 'rejected'") == rejected
            assert lake.value("select count(*) from ops.dead_letters where status = 'pending'") == 0
            assert len(landed(lake, log)) == accepted
            # the same file read at once
            with lake_in_memory() as other:
                land(other, log)
                assert sums(other) == (counted, accepted, rejected)
                assert landed(other, log) == landed(lake, log)
                assert letters(other) == letters(lake)


class TestOddPatches:
    @pytest.mark.parametrize("lines", [[1, None, {}, ["+"]], 7, "+text", None, {"+": 1}])
    def test_a_patch_of_another_shape_is_no_patch(self, lake: Lake, tmp_path: Path, lines: Any) -> None:
        result = {"structuredPatch": [{"lines": lines}, "hunk", {"lines": ["+a", "-b", ""]}]}
        file = write_lines(tmp_path / "p" / "a.jsonl", [prompt(f"{DAY} 10:00", toolUseResult=result)])
        assert collect(lake, tmp_path / "landing", claude_code.FORMAT.form, "claude_code", [file]).accepted == 1
        query = raw_query(claude_code.RAW, [claude_code.FORMAT], lake, tmp_path / "landing", window(DAY, DAY))
        assert lake.rows(f"select lines_added, lines_removed from ({query.sql})", query.parameters) == [(1, 1)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
GATEWAY_LINES = st.builds(
    lambda line, fields: line | fields,
    st.integers(0, 50).map(call),
    st.dictionaries(st.sampled_from(sorted(litellm.LiteLLMRecord.model_fields)), JSON, max_size=2),
)
BLOCKS = st.dictionaries(
    st.sampled_from(["type", "id", "name", "tool_use_id", "is_error", "text", "input", "content"]),
    JSON | st.sampled_from(["text", "tool_use", "tool_result"]),
    max_size=4,
)
PATCHES = st.fixed_dictionaries(
    {}, optional={"structuredPatch": st.lists(st.fixed_dictionaries({"lines": JSON}) | JSON, max_size=2), "type": JSON}
)
TRANSCRIPT_LINES = st.builds(
    lambda line, fields, block, result: (
        line | {"message": {"role": "user", "content": [block]}, "toolUseResult": result} | fields
    ),
    st.just(prompt(f"{DAY} 10:00")),
    st.dictionaries(st.sampled_from(sorted(claude_code.ClaudeCodeRecord.model_fields)), JSON, max_size=2),
    BLOCKS | JSON,
    PATCHES | JSON,
)


class TestAnyValueInAnyField:
    """What the contract accepts the raw table can hold; what it does not is a dead letter; nothing else happens."""

    @settings(max_examples=40, deadline=None)
    @given(gateway=st.lists(GATEWAY_LINES, max_size=4), transcript=st.lists(TRANSCRIPT_LINES, max_size=4))
    def test_it_is_accepted_and_can_be_read_or_is_refused(
        self, tmp_path_factory: pytest.TempPathFactory, gateway: list[Line], transcript: list[Line]
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        with lake_in_memory() as lake:
            for form, lines in zip((litellm.FORMAT, claude_code.FORMAT), (gateway, transcript), strict=True):
                file = write_lines(folder / form.form.name / "a.jsonl", lines)
                found = collect(lake, folder / "landing", form.form, form.form.name, [file])
                assert found.accepted + found.rejected == len(lines)
                if found.accepted:
                    assert chunk_paths(lake, folder / "landing", form.form.name, landed_window(lake))
                    query = raw_query(form.raw, [form], lake, folder / "landing", landed_window(lake))
                    assert len(lake.rows(query.sql, query.parameters)) == found.accepted


class TestChunks:
    def test_a_chunk_is_named_by_its_content_and_leaves_no_temporary_file(self, lake: Lake, log: Path) -> None:
        write_lines(log, [call(1)])
        land(lake, log)
        (path,) = chunk_files(log)
        (chunk_id, stored) = lake.rows("select chunk_id, stored_path from ops.landing_chunks")[0]
        assert path.name == f"{chunk_id}.jsonl.zst" and str(path).endswith(stored)
        line = json.loads(zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=100_000))
        assert (line["_line"], line["_source"], line["litellm_call_id"]) == (1, SOURCE, "call-1")

    def test_a_crash_before_the_manifest_loses_and_doubles_nothing(
        self, lake: Lake, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_lines(log, [call(1), call(2)])
        with monkeypatch.context() as crash:
            crash.setattr("prodlens_pipeline.landing.collector.record_landings", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                land(lake, log)
        assert len(chunk_files(log)) == 1 and sums(lake) == (0, 0, 0)
        land(lake, log)
        assert len(chunk_files(log)) == 1
        assert len(landed(lake, log)) == 2
