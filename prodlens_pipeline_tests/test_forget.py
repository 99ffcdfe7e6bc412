from pathlib import Path

import duckdb
import pytest
import zstandard

from prodlens_pipeline.forget import Person, forget
from prodlens_pipeline.landing.manifest import positions
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.pipeline import (
    Clone,
    append_lines,
    collect_all,
    gateway_line,
    prompt,
    settings_for,
    write_lines,
)
from prodlens_pipeline_tests.places import bring_home

PLANTED = ("zoe@example.com", "zoe-key", "Zoe Planted", "session-zoe", "zoedev")
MINE = {"metadata": {"user_api_key_alias": "zoe-key", "requester_metadata": {"session_id": "session-zoe"}}}


def content_of(home: Path) -> str:
    """Everything that a project keeps, unpacked."""
    found = []
    bring_home(home)
    for file in home.rglob("*"):
        if not file.is_file() or "extensions" in file.parts:
            continue
        if file.suffix == ".zst":
            found.append(zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read().decode())
        elif file.suffix == ".parquet":
            found.append(str(duckdb.sql(f"select * from read_parquet('{file}')").fetchall()))
        found.append(file.read_bytes().decode("latin-1"))
    return "\n".join(found).lower()


@pytest.fixture
def settings(tmp_path):
    clone = Clone(tmp_path / "app")
    clone.commit("Start", "2026-03-01 09:00")
    clone.commit("Add a parser", "2026-03-02 09:00", author="Zoe Planted <zoe@example.com>")
    clone.commit("Fix what Zoe Planted left", "2026-03-02 10:00")
    return settings_for(
        tmp_path,
        sources=[
            {"type": "litellm", "path": "gateway.jsonl"},
            {"type": "claude_code", "path": "transcripts"},
        ],
        repositories=[{"type": "git", "name": "org/app", "path": "app"}],
        identities={"zoedev": ["zoe@example.com", "litellm:zoe-key"], "ana": ["ana@example.com", "litellm:ana-key"]},
    )


@pytest.fixture
def lake(settings, tmp_path):
    """A project in which Zoe worked beside Ana: landed in two goes, with tables and one refused record."""
    log = tmp_path / "gateway.jsonl"
    write_lines(log, [gateway_line("2026-03-02 10:00", call="a"), gateway_line("2026-03-02 11:00", call="z", **MINE)])
    write_lines(tmp_path / "transcripts" / "one.jsonl", [prompt("2026-03-02 10:00", session="session-zoe")])
    with open_lake(Location.of(settings)) as opened:
        migrate(opened)
        collect_all(opened, settings)
        append_lines(log, [gateway_line("2026-03-05 10:00", call="b"), {"startTime": "zoe@example.com"}, b"{}"])
        collect_all(opened, settings)
        with opened.transaction():
            opened.execute(
                "create table core.llm_calls as select * from (values "
                "('zoedev', 'session-zoe', ['zoe-key']), ('ana', 'session-1', ['ana-key'])) "
                "as made(developer_id, session_id, identities)"
            )
        with opened.transaction():
            opened.execute("create table marts.daily_developer as select developer_id, 1 as calls from core.llm_calls")
        yield opened


def sums(lake) -> list:
    return lake.rows(
        "select source, sum(lines)::int, sum(accepted)::int, sum(rejected)::int from ops.landing_chunks "
        "group by source order by source"
    )


def test_nothing_of_a_forgotten_developer_is_left_anywhere(lake, settings):
    before = content_of(settings.home)
    assert all(word.lower() in before for word in PLANTED)

    done = forget(lake, settings, "zoedev")

    after = content_of(settings.home)
    assert [word for word in PLANTED if word.lower() in after] == []
    assert "ana-key" in after and "ana@example.com" in after
    assert done.dropped == 2  # the call and the line of the transcript
    assert done.changed == 2  # the commit, and the one that names her
    assert lake.rows("select developer_id from core.llm_calls") == [("ana",)]
    assert lake.rows("select developer_id from marts.daily_developer") == [("ana",)]


def test_the_numbers_still_add_up_and_nothing_is_collected_again(lake, settings):
    forget(lake, settings, "zoedev")

    assert sums(lake) == [("claude_code", 0, 0, 0), ("git", 3, 3, 0), ("litellm", 4, 2, 2)]
    known = positions(lake, settings.sources[0].name)
    assert not collect_all(lake, settings)
    assert positions(lake, settings.sources[0].name) == known
    assert sums(lake) == [("claude_code", 0, 0, 0), ("git", 3, 3, 0), ("litellm", 4, 2, 2)]


def test_the_days_are_stale_and_forgetting_twice_changes_nothing(lake, settings):
    made = lake.value("select max(collected_at) from ops.landing_chunks")

    done = forget(lake, settings, "zoedev")

    assert {str(day) for day in done.days} >= {"2026-03-02"}
    assert lake.value("select max(collected_at) from ops.landing_chunks where source = 'litellm'") > made
    again = forget(lake, settings, "zoedev")
    assert (again.dropped, again.changed, again.chunks, again.rows) == (0, 0, 0, 0)


@pytest.mark.parametrize("text", ["zoe", "by Zoe.", "ZOE, Ana", "(zoe)", "session-zoe"])
def test_a_name_is_found_as_a_word(text):
    assert Person(["zoe"], ["session-zoe"], []).named_in(text)


@pytest.mark.parametrize("text", ["zoey", "zoe-ann", "zoe@other.org", "big.zoe", "zoe.example", ""])
def test_a_name_in_another_is_not_hers(text):
    assert not Person(["zoe"], [], []).named_in(text)


def test_names_are_replaced_and_the_rest_stays():
    assert Person(["zoe", "zoe@example.com"], [], []).without("Zoe <zoe@example.com>: x") == "forgotten <forgotten>: x"
