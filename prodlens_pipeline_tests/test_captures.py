"""The real captures through the whole pipeline, held against totals that independent scripts computed.

Belongs here: exact agreement with `../shared/data/**/expected.json`. Does not: hand-written cases.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.pipeline import (
    build,
    collect_all,
    lake_in_memory,
    landed_window,
    materialise,
    models,
    settings_for,
    table_rows,
)

REPOSITORY = "org/sdk"
ALIASES = ("dev-amber", "dev-birch", "dev-cedar", "dev-dune", "dev-ember", "dev-fjord", "svc-ci-bot")


@dataclass(frozen=True)
class Built:
    lake: Lake
    settings: Settings

    def value(self, sql: str) -> Any:
        return self.lake.value(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.lake.rows(sql)

    def counts(self, sql: str) -> dict[Any, Any]:
        """Rows of two columns as a mapping; days as ISO text, as the expectations have them."""
        return {str(key): value for key, value in self.lake.rows(sql)}


@pytest.fixture(scope="module")
def clone(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clone") / "sdk"
    bundle = str(captures / "github" / "repo.bundle")
    subprocess.run(["git", "clone", "-q", "--bare", bundle, str(path)], check=True, capture_output=True)
    return path


def sources(captures: Path, clone: Path) -> dict[str, dict[str, Any]]:
    """The three captures as settings, by the type of their source."""
    traces = captures / "traces"
    return {
        "litellm": {
            "sources": [{"type": "litellm", "path": str(traces / "litellm" / "standard_logging.jsonl")}],
            "identities": {alias: [f"litellm:{alias}"] for alias in ALIASES},
        },
        "claude_code": {"sources": [{"type": "claude_code", "path": str(traces / "claude_code" / "projects")}]},
        "git": {"repositories": [{"type": "git", "name": REPOSITORY, "path": str(clone)}]},
    }


@pytest.fixture(scope="module")
def built(captures: Path, clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """All three captures in one lake."""
    each = sources(captures, clone)
    settings = settings_for(
        tmp_path_factory.mktemp("captures"),
        sources=[*each["litellm"]["sources"], *each["claude_code"]["sources"]],
        repositories=each["git"]["repositories"],
        identities=each["litellm"]["identities"],
    )
    with lake_in_memory() as lake:
        build(lake, settings)
        yield Built(lake, settings)


@pytest.fixture(scope="module")
def gateway(captures: Path) -> Any:
    expected = json.loads((captures / "traces" / "litellm" / "expected.json").read_text())
    return expected["litellm/standard_logging.jsonl"]


@pytest.fixture(scope="module")
def transcripts(captures: Path) -> Any:
    return json.loads((captures / "traces" / "claude_code" / "expected.json").read_text())


@pytest.fixture(scope="module")
def history(captures: Path) -> Any:
    return json.loads((captures / "github" / "expected.json").read_text())["bundle"]


class TestLanding:
    def test_every_line_is_accepted_or_refused(
        self, built: Built, gateway: Any, transcripts: Any, history: Any
    ) -> None:
        landed = built.rows(
            "select source, sum(accepted), sum(rejected), sum(lines) from ops.landing_chunks group by all order by all"
        )
        refused = transcripts["malformed_lines"]
        assert landed == [
            ("claude_code", transcripts["records"], refused, transcripts["records"] + refused),
            ("git", history["commits"], 0, history["commits"]),
            ("litellm", gateway["records"], 0, gateway["records"]),
        ]

    def test_refused_lines_are_dead_letters_with_their_place(self, built: Built) -> None:
        letters = built.rows("select parse_filename(source_file), status, line > 0, reason <> '' from ops.dead_letters")
        assert letters == [("edge_cases.jsonl", "rejected", True, True)] * 3

    def test_lines_of_every_transcript(self, built: Built, transcripts: Any) -> None:
        found = built.counts(
            "select 'projects/' || split_part(source_file, '/projects/', 2), max(line_end)::integer "
            "from ops.landing_chunks where source = 'claude_code' group by all"
        )
        assert found == transcripts["lines_per_file"]

    def test_raw_tables_hold_every_accepted_record(self, built: Built, gateway: Any, transcripts: Any) -> None:
        assert built.value("select count(*) from raw.litellm") == gateway["records"]
        assert built.value("select count(*) from raw.claude_code") == transcripts["records"]

    def test_record_types_of_transcripts(self, built: Built, transcripts: Any) -> None:
        found = built.counts(
            "select coalesce(if(subtype is null, type, type || ':' || subtype), 'None'), count(*) "
            "from raw.claude_code group by all"
        )
        assert found == transcripts["record_types"]


class TestGateway:
    def test_calls_and_attempts(self, built: Built, gateway: Any) -> None:
        found = built.rows(
            "select count(*), count(*) filter (where error_type is not null), count(*) filter (where attempts > 1) "
            "from core.llm_calls where source = 'litellm'"
        )
        outcome = gateway["call_final_outcome"]
        assert found == [(gateway["unique_calls"], outcome["failure"], gateway["calls_with_more_than_one_record"])]
        assert gateway["unique_calls"] == 513

    def test_records_by_status_and_day(self, built: Built, gateway: Any) -> None:
        assert built.counts("select status, count(*) from raw.litellm group by all") == gateway["status"]
        assert built.counts("select day, count(*) from raw.litellm group by all") == gateway["per_utc_day"]
        assert built.counts("select call_type, count(*) from raw.litellm group by all") == gateway["call_type"]

    def test_billed_tokens(self, built: Built, gateway: Any) -> None:
        expected = gateway["tokens_success_not_cachehit"]
        assert built.rows(
            "select sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens), "
            "sum(input_tokens + cache_read_tokens + cache_write_tokens), "
            "count(*) filter (where error_type is null and not gateway_cache_hit) "
            "from core.llm_calls where source = 'litellm'"
        ) == [
            (
                expected["uncached_input"],
                expected["cache_read"],
                expected["cache_creation"],
                expected["completion"],
                expected["prompt"],
                expected["records"],
            )
        ]

    def test_gateway_cache_hits_are_calls_that_bill_nothing(self, built: Built, gateway: Any) -> None:
        expected = gateway["tokens_on_cachehit_records"]
        assert built.rows(
            "select count(*), sum(prompt_tokens), sum(output_tokens) from raw.litellm where gateway_cache_hit"
        ) == [(expected["cachehit_records"], expected["cachehit_prompt"], expected["cachehit_completion"])]
        assert built.rows(
            "select count(*), sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens), "
            "sum(cost_usd) from core.llm_calls where gateway_cache_hit"
        ) == [(expected["cachehit_records"], 0, 0)]

    def test_cost(self, built: Built, gateway: Any) -> None:
        cost = built.value("select sum(cost_usd) from core.llm_calls where source = 'litellm'")
        assert cost == Decimal(str(gateway["response_cost_usd"]))

    def test_unknown_models_are_said_to_be_unpriced(self, built: Built) -> None:
        unpriced = built.rows("select distinct model from core.llm_calls where cost_usd is null and source = 'litellm'")
        assert unpriced == [("local-coder-7b",)]

    def test_sessions(self, built: Built, gateway: Any) -> None:
        sessions = built.value("select count(distinct session_id) from core.llm_calls where source = 'litellm'")
        assert sessions == gateway["sessions_from_end_user_or_requester_metadata"] == 60

    def test_developers(self, built: Built, gateway: Any) -> None:
        records = built.rows(
            "select key_alias, count(*)::integer, count(*) filter (where status = 'failure')::integer "
            "from raw.litellm group by all"
        )
        billed = built.rows(
            "select developer_id, sum(input_tokens + cache_read_tokens + cache_write_tokens)::integer, "
            "sum(output_tokens)::integer, sum(cost_usd)::double from core.llm_calls "
            "where source = 'litellm' group by all"
        )
        found = {name: {"records": count, "failure_records": failed} for name, count, failed in records}
        for name, tokens_in, tokens_out, cost in billed:
            found[name] |= {"prompt": tokens_in, "completion": tokens_out, "cost_usd": pytest.approx(cost, abs=1e-9)}
        assert found == gateway["developers"]

    def test_models(self, built: Built, gateway: Any) -> None:
        found = built.counts(
            "select provider || '/' || model, count(*) from core.llm_calls "
            "where source = 'litellm' and error_type is null and not gateway_cache_hit group by all"
        )
        assert found == gateway["models"]

    def test_failure_codes_and_clients_that_left(self, built: Built, gateway: Any) -> None:
        failures = built.counts("select error_code, count(*) from raw.litellm where status = 'failure' group by all")
        assert failures == gateway["failure_codes"]
        left = built.value("select count(*) from core.llm_calls where error_type is null and status_code = 499")
        assert left == gateway["traps"]["success_with_error_code_499"]

    def test_a_streamed_answer_takes_longer_than_its_first_token(self, built: Built, gateway: Any) -> None:
        assert built.value("select count(*) from raw.litellm where stream") == gateway["traps"]["stream_true"]
        assert built.value("select count(*) from core.llm_calls where ttft_ms < 0 or ttft_ms > latency_ms + 0.001") == 0


class TestTranscripts:
    def test_messages_are_counted_once(self, built: Built, transcripts: Any) -> None:
        assert built.value("select count(*) from core.llm_calls where source = 'claude_code'") == 598
        written = built.value(
            "select count(distinct (message_id, request_id)) from raw.claude_code "
            "where not from_progress and not is_api_error and model <> '<synthetic>' and output_tokens is not null"
        )
        assert written == transcripts["unique_api_messages"] == 593
        assert transcripts["agent_progress_only_messages"] == 598 - 593

    def test_every_kind_of_token(self, built: Built, transcripts: Any) -> None:
        expected = transcripts["tokens_max_per_message_incl_agent_progress"]
        assert built.rows(
            "select sum(input_tokens), sum(cache_write_tokens), sum(cache_read_tokens), sum(output_tokens) "
            "from core.llm_calls where source = 'claude_code'"
        ) == [
            (
                expected["input_tokens"],
                expected["cache_creation_input_tokens"],
                expected["cache_read_input_tokens"],
                expected["output_tokens"],
            )
        ]

    def test_cost_agrees_with_an_independent_program(self, built: Built, transcripts: Any) -> None:
        cost = built.value("select sum(cost_usd) from core.llm_calls where source = 'claude_code'")
        assert float(cost) == pytest.approx(transcripts["ccusage_daily_totals"]["totalCost"], abs=1e-7)
        assert float(cost) == pytest.approx(39.6223085, abs=1e-7)

    def test_cost_and_tokens_of_every_day_agree_with_an_independent_program(self, built: Built, captures: Path) -> None:
        folder = captures / "traces" / "claude_code" / "oracle_ccusage_20.0.24"
        days = json.loads((folder / "daily.json").read_text())["daily"]
        found = built.rows(
            "select day::varchar, sum(output_tokens)::integer, sum(cache_read_tokens)::integer, sum(cost_usd)::double "
            "from core.llm_calls where source = 'claude_code' group by day order by day"
        )
        assert found == [
            (day["date"], day["outputTokens"], day["cacheReadTokens"], pytest.approx(day["totalCost"], abs=1e-7))
            for day in days
        ]

    def test_messages_of_every_day(self, built: Built, transcripts: Any) -> None:
        # the calls that only progress lines report are not in this expectation
        found = built.counts(
            "select day, count(*) from core.llm_calls where source = 'claude_code' and call_id in ("
            "select message_id || ':' || coalesce(request_id, '') from raw.claude_code where not from_progress) "
            "group by all"
        )
        assert found == transcripts["messages_per_utc_day_of_first_line"]

    def test_models(self, built: Built, transcripts: Any) -> None:
        found = built.counts(
            "select model, count(*) from core.llm_calls where source = 'claude_code' and call_id in ("
            "select message_id || ':' || coalesce(request_id, '') from raw.claude_code where not from_progress) "
            "group by all"
        )
        assert found == transcripts["messages_per_model"]

    def test_sessions(self, built: Built, transcripts: Any) -> None:
        distinct = "select count(distinct session_id) from core.sessions where source = 'claude_code'"
        assert built.value(distinct) == transcripts["sessions"] == 36

    def test_edits(self, built: Built, transcripts: Any) -> None:
        names = {"accepted": "ok", "failed": "error", "undecided": "no_result", "rejected": "rejected"}
        found = built.counts("select outcome, count(*) from core.code_suggestions group by all")
        assert {names[outcome]: count for outcome, count in found.items()} == transcripts["edit_write_outcomes"]

    def test_tools(self, built: Built, transcripts: Any) -> None:
        uses = "select distinct use.id as id, use.name as name from raw.claude_code, unnest(tool_uses) as uses(use)"
        found = built.counts(f"select name, count(*) from ({uses}) group by all")
        assert found == transcripts["tool_uses_unique"]
        outcomes = built.counts(
            f"""
            with results as (
                select r.tool_use_id as id, bool_or(r.rejected) as rejected, bool_or(r.is_error) as failed
                from raw.claude_code, unnest(tool_results) as results(r) group by all
            )
            select case when results.id is null then 'no_result' when rejected then 'rejected'
                when failed then 'error' else 'ok' end, count(*)
            from ({uses}) as uses left join results on uses.id = results.id group by all
            """
        )
        assert outcomes == transcripts["tool_outcomes_all"]

    def test_prompts(self, built: Built, transcripts: Any) -> None:
        # the expectation counts every line of text; these a person did not type
        commands, command_output, interruptions, notifications, subagents = 15, 13, 7, 1, 2
        bare_text_block = 1  # which the expectation misses
        typed = transcripts["human_prompt_lines"] + bare_text_block
        typed -= commands + command_output + interruptions + notifications + subagents
        assert built.value("select count(*) from raw.claude_code where is_prompt") == typed == 91

    def test_turns_and_pull_requests(self, built: Built, transcripts: Any) -> None:
        found = built.rows(
            "select count(*), sum(duration_ms), (select count(distinct (pr_repository, pr_number)) "
            "from raw.claude_code where pr_number is not null) from raw.claude_code where subtype = 'turn_duration'"
        )
        assert found == [
            (
                transcripts["turn_duration_records"],
                transcripts["turn_duration_ms_sum"],
                transcripts["pr_links_unique"],
            )
        ]

    def test_versions_that_log_too_few_output_tokens_are_flagged(self, built: Built) -> None:
        flagged = built.counts(
            "select client_version, bool_and(output_underreported) from core.llm_calls "
            "where source = 'claude_code' group by all"
        )
        assert {version for version, flag in flagged.items() if flag} == {
            version
            for version in flagged
            if version.startswith("2.1.") and 12 <= int(version.removeprefix("2.1.")) <= 42
        }
        assert any(flagged.values()) and not all(flagged.values())


class TestCommits:
    def test_commits_and_merges(self, built: Built, history: Any) -> None:
        found = built.rows("select count(*), count(*) filter (where is_merge) from core.commits")
        assert found == [(history["commits"], history["merges"])] == [(1037, 96)]

    def test_lines_agree_with_a_log_that_does_not_follow_renames(self, built: Built, history: Any) -> None:
        changed = "from core.commits where not is_merge"
        assert built.rows(f"select sum(additions + moved_lines), sum(deletions + moved_lines) {changed}") == [
            (history["additions_nonmerge"], history["deletions_nonmerge"])
        ]

    def test_ai_assisted_by_coauthor(self, built: Built, history: Any) -> None:
        found = built.rows("select sha from core.commits where list_contains(ai_basis, 'coauthor') order by sha")
        assert [sha for (sha,) in found] == sorted(history["ai_trailer_shas"])
        assert len(found) == history["ai_trailer_commits"] == 31

    def test_pull_requests(self, built: Built, history: Any) -> None:
        found = built.counts("select merge_basis, count(*) from core.pull_requests group by all")
        assert found == {"squash": history["distinct_squash_prs"], "merge": history["merge_button_prs"]}
        assert sum(found.values()) == history["distinct_prs_total"] == 770

    def test_reverts(self, built: Built, history: Any) -> None:
        expected = history["reverts"]
        found = built.rows("select sha from core.commits where is_revert and not is_merge order by sha")
        assert [sha for (sha,) in found] == sorted(revert["sha"] for revert in expected)
        linked = {r["sha"]: (r["reverts_sha"], r["days_after"]) for r in expected if r["reverts_sha"]}
        undone = built.rows(
            "select undone.merge_commit_sha, undo.merge_commit_sha, "
            "epoch(undone.reverted_at - undone.merged_at) / 86400 "
            "from core.pull_requests as undone join core.pull_requests as undo on undo.reverts_number = undone.number"
        )
        assert {undo: (sha, pytest.approx(days, abs=1e-4)) for sha, undo, days in undone} == linked

    def test_authors_and_bots(self, built: Built, history: Any) -> None:
        authors = built.value("select count(distinct author_email) from raw.git_commits")
        assert authors == history["authors_by_email"]
        assert built.value("select count(*) from core.commits where is_bot") == history["bot_commits"]

    def test_commits_by_author_and_day(self, built: Built, history: Any) -> None:
        found = built.counts("select author_email || '|' || day, count(*) from raw.git_commits group by all")
        assert found == history["commits_per_author_email_per_day_utc_all"]

    def test_files_bytes_and_lines_of_the_head_are_those_of_the_checked_out_tree(
        self, built: Built, clone: Path, tmp_path: Path
    ) -> None:
        (found,) = built.lake.frame("select * from raw.git_codebase").to_dicts()
        tree = tmp_path / "tree"
        checkout = ["git", "clone", "-q", "--branch", "main", str(clone), str(tree)]
        subprocess.run(checkout, check=True, capture_output=True)
        head = subprocess.run(["git", "-C", str(tree), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        assert found["head_sha"] == head.stdout.strip()
        contents = {
            str(path.relative_to(tree)): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            for path in tree.rglob("*")
            if (path.is_symlink() or path.is_file()) and tree / ".git" not in path.parents
        }
        texts = {path: content for path, content in contents.items() if b"\0" not in content[:8000]}
        lines = {path: content.count(b"\n") + (content[-1:] not in (b"", b"\n")) for path, content in texts.items()}
        sizes = {path: len(content) for path, content in contents.items()}
        of_python = [path for path in contents if path.endswith(".py")]

        assert (found["files"], found["bytes"], found["lines"]) == (
            len(contents),
            sum(sizes.values()),
            sum(lines.values()),
        )
        assert found["binary_files"] == len(contents) - len(texts)
        assert found["estimated_tokens"] == sum(sizes.values()) // 4
        assert found["largest_files"][0] == max(sizes, key=lambda path: (sizes[path], path))
        (python,) = [one for one in found["file_types"] if one["extension"] == "py"]
        assert (python["file_count"], python["line_count"]) == (len(of_python), sum(lines[path] for path in of_python))

    def test_commits_written_on_another_day_than_committed(self, built: Built, history: Any) -> None:
        differ = built.value("select count(*) from core.commits where day <> committed_at::date")
        assert differ == history["author_ne_commit_day"]


class TestTogether:
    @pytest.mark.parametrize(
        ("kind", "tables"),
        [
            ("litellm", {"core.llm_calls": "source = 'litellm'", "core.sessions": "source = 'litellm'"}),
            (
                "claude_code",
                {
                    "core.llm_calls": "source = 'claude_code'",
                    "core.sessions": "source = 'claude_code'",
                    "core.code_suggestions": "true",
                },
            ),
            ("git", {"core.commits": "true", "core.pull_requests": "true"}),
        ],
    )
    def test_one_capture_alone_gives_the_same_rows_as_beside_the_others(
        self, built: Built, captures: Path, clone: Path, tmp_path: Path, kind: str, tables: dict[str, str]
    ) -> None:
        settings = settings_for(tmp_path, **sources(captures, clone)[kind])
        if kind == "claude_code":  # the configured repository gives its sessions their place
            settings = settings.model_copy(update={"repositories": built.settings.repositories})
        with lake_in_memory() as alone:
            problems = collect_all(
                alone, settings.model_copy(update={"repositories": ()}) if kind != "git" else settings
            )
            assert not problems
            materialise(alone, settings, landed_window(alone))
            for table, condition in tables.items():
                source = f"(select * from {table} where {condition})"
                rows = table_rows(alone, source)
                assert rows, table
                assert rows == table_rows(built.lake, source), table

    def test_a_second_run_adds_no_chunk_and_changes_no_row(self, built: Built) -> None:
        tables = ["ops.landing_chunks", "ops.dead_letters", "ops.git_tips"]
        tables += [model.contract.full_name for model in models()]

        def state() -> tuple[list[Path], dict[str, Any]]:
            # the texts of edits that are decided go; records stay
            texts = built.settings.landing / "texts"
            files = built.settings.landing.rglob("*")
            chunks = sorted(path for path in files if path.is_file() and texts not in path.parents)
            columns = {"ops.git_tips": "(select repository, sha from ops.git_tips)"}
            return chunks, {table: table_rows(built.lake, columns.get(table, table)) for table in tables}

        before = state()
        build(built.lake, built.settings, landed_window(built.lake))
        assert state() == before
