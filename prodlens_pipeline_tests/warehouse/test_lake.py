import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.lake import Lake, Query, WriteResult
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, PLAIN, STAMP, data_files, on, window

SCHEMA = {"day": pl.Date, "id": pl.Int64, "label": pl.String}
Row = tuple[date, int, str | None]


def frame(rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def write(lake: Lake, days: Window, rows: Iterable[tuple[Any, ...]]) -> WriteResult:
    return lake.overwrite(EVENTS, days, frame(rows), STAMP)


def stored(lake: Lake) -> list[tuple[Any, ...]]:
    return lake.rows("select day, id, label from core.events order by all")


def writes(lake: Lake) -> int:
    return int(lake.value("select count(*) from ops.etl_runs"))


def test_a_window_is_replaced_and_its_neighbours_stay(lake: Lake) -> None:
    write(lake, window(0, 2), [(on(0), 1, "a"), (on(1), 2, "b"), (on(1), 3, "c"), (on(2), 4, "d")])
    result = write(lake, window(1), [(on(1), 9, "new")])
    assert stored(lake) == [(on(0), 1, "a"), (on(1), 9, "new"), (on(2), 4, "d")]
    assert (result.committed, result.rows, result.total_rows) == (True, 1, 3)


def test_the_rows_of_every_day_are_counted(lake: Lake) -> None:
    result = write(lake, window(0, 2), [(on(0), 1, "a"), (on(2), 2, "b"), (on(2), 3, "c")])
    assert result.rows_by_day == {on(0): 1, on(2): 2}
    assert result.rows == 3


def test_writing_twice_changes_no_row(lake: Lake) -> None:
    rows = [(on(day), number, "x") for day in range(3) for number in range(4)]
    write(lake, window(0, 2), rows)
    before = stored(lake)
    result = write(lake, window(0, 2), rows)
    assert stored(lake) == before
    assert result.total_rows == len(rows)


def test_columns_are_matched_by_name(lake: Lake) -> None:
    swapped = Query(f"select 'text' as label, 7 as id, date '{on(0)}' as day, 'not listed' as extra")
    lake.overwrite(EVENTS, window(0), swapped, STAMP)
    assert stored(lake) == [(on(0), 7, "text")]
    lake.overwrite(EVENTS, window(1), frame([(on(1), 8, "frame")]).select("label", "id", "day"), STAMP)
    assert stored(lake) == [(on(0), 7, "text"), (on(1), 8, "frame")]


def test_an_empty_source_clears_the_window(lake: Lake) -> None:
    write(lake, window(0, 1), [(on(0), 1, "a"), (on(1), 2, "b")])
    result = write(lake, window(1), [])
    assert (result.committed, result.rows, result.rows_by_day) == (True, 0, {})
    assert stored(lake) == [(on(0), 1, "a")]


def test_an_empty_frame_without_types_clears_the_window_too(lake: Lake) -> None:
    write(lake, window(0), [(on(0), 1, "a")])
    lake.overwrite(EVENTS, window(0), pl.DataFrame({"day": [], "id": [], "label": []}), STAMP)
    assert stored(lake) == []


def test_a_query_gets_its_parameters_and_only_those(lake: Lake) -> None:
    query = Query(
        "select cast($window_start as date) as day, $number as id, 'x' as label; ",
        {**window(3).parameters, "number": 5, "not_named": 1},
    )
    lake.overwrite(EVENTS, window(3), query, STAMP)
    assert stored(lake) == [(on(3), 5, "x")]


def test_a_query_may_end_in_a_comment(lake: Lake) -> None:
    lake.overwrite(EVENTS, window(0), Query(f"select date '{on(0)}' as day, 1 as id, 'x' as label -- all"), STAMP)
    assert len(stored(lake)) == 1


def test_a_query_may_read_the_table_it_replaces(lake: Lake) -> None:
    write(lake, window(0), [(on(0), 1, "a")])
    lake.overwrite(EVENTS, window(0), Query("select day, id + 1 as id, label from core.events"), STAMP)
    assert stored(lake) == [(on(0), 2, "a")]


def test_an_unpartitioned_table_is_replaced_whole(lake: Lake) -> None:
    lake.overwrite(PLAIN, None, Query("select 'ana' as name, 170 as size union all select 'bo', null"), STAMP)
    result = lake.overwrite(PLAIN, None, Query("select 'cy' as name, 180 as size"), STAMP)
    assert lake.rows("select * from core.people") == [("cy", 180)]
    assert (result.rows, result.total_rows, result.rows_by_day) == (1, 1, {})


@pytest.mark.parametrize(("contract", "days"), [(EVENTS, None), (PLAIN, window(0))])
def test_a_window_is_for_partitioned_tables_only(lake: Lake, contract: Contract, days: Window | None) -> None:
    with pytest.raises(ValueError, match=contract.full_name):
        lake.overwrite(contract, days, Query("select 1"), STAMP)


EXTRA = replace(EVENTS, checks=(EVENTS.row_check("id_small", "ids are small", "id > 100"),))
BROKEN: dict[str, tuple[list[tuple[Any, ...]], int]] = {
    "key_unique": ([(1, 5, "x"), (1, 5, "y"), (1, 6, "x"), (2, 5, "x")], 1),
    "required_not_null": ([(1, None, "x"), (1, 2, "x"), (2, None, "y"), (2, 3, None)], 3),
    "id_small": ([(1, 101, "x"), (2, 102, "x"), (2, 3, "x")], 2),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_failing_check_leaves_everything_as_it_was(lake: Lake, name: str) -> None:
    old = [(on(day), day, "old") for day in range(4)]
    lake.overwrite(EXTRA, window(0, 3), frame(old), STAMP)
    rows, failing = BROKEN[name]
    result = lake.overwrite(EXTRA, window(1, 2), frame((on(day), *rest) for day, *rest in rows), STAMP)
    assert not result.committed
    assert {o.check.name: o.failing_rows for o in result.outcomes if not o.passed} == {name: failing}
    assert {o.check.name for o in result.outcomes} == set(BROKEN), "every check has its outcome"
    assert stored(lake) == old
    assert writes(lake) == 1


def test_a_check_of_several_columns_names_those_that_broke_it(lake: Lake) -> None:
    result = write(lake, window(0), [(on(0), 1, None), (on(0), 2, "x")])
    assert {o.check.name: o.broken for o in result.outcomes if not o.passed} == {"required_not_null": "label"}


def test_a_failing_first_write_leaves_no_table(lake: Lake) -> None:
    assert not write(lake, window(0), [(on(0), None, "x")]).committed
    assert not lake.was_made(EVENTS)
    assert writes(lake) == 0


def test_an_outcome_can_be_counted_again_with_its_query(lake: Lake) -> None:
    """What the Dagster UI shows as the check's query says the same as the pass that judged it."""
    old = [(on(day), 200 + day, "old") for day in range(4)]
    result = lake.overwrite(EXTRA, window(0, 3), frame(old), STAMP)
    lake.overwrite(EVENTS, window(0, 3), frame(old), STAMP)
    for outcome in result.outcomes:
        assert lake.value(outcome.check.sql, window(0, 3).parameters) == outcome.failing_rows


def test_a_key_without_the_day_is_unique_in_the_whole_table(lake: Lake) -> None:
    by_id = replace(EVENTS, key=("id",))
    lake.overwrite(by_id, window(0), frame([(on(0), 1, "a")]), STAMP)
    result = lake.overwrite(by_id, window(1), frame([(on(1), 1, "a"), (on(1), 2, "b")]), STAMP)
    assert [(o.check.name, o.failing_rows) for o in result.outcomes if not o.passed] == [("key_unique", 1)]


@pytest.mark.parametrize("day", [on(1), on(-1), None])
def test_rows_of_other_days_are_refused(lake: Lake, day: date | None) -> None:
    """They would be outside of what the next write deletes, so each write would add them again."""
    write(lake, window(0), [(on(0), 1, "old")])
    with pytest.raises(WarehouseError, match=rf"core\.events.*{day}"):
        write(lake, window(0), [(on(0), 2, "x"), (day, 3, "y")])
    assert stored(lake) == [(on(0), 1, "old")]


def test_a_column_that_the_contract_gained_is_added(lake: Lake) -> None:
    write(lake, window(0), [(on(0), 1, "a")])
    wider = replace(EVENTS, columns=(*EVENTS.columns, Column("cost", "DECIMAL(18,8)", "Cost", "USD")))
    rows = frame([(on(1), 2, "b")]).with_columns(cost=pl.lit("1.25"))
    assert lake.overwrite(wider, window(1), rows, STAMP).committed
    found = lake.rows("select id, cost::varchar from core.events order by id")
    assert found == [(1, None), (2, "1.25000000")]


def test_a_changed_type_is_an_error_that_says_what_to_do(lake: Lake) -> None:
    write(lake, window(0), [(on(0), 1, "a")])
    changed = replace(EVENTS, columns=(EVENTS.columns[0], Column("id", "VARCHAR", ""), EVENTS.columns[2]))
    with pytest.raises(WarehouseError, match=r"core\.events\.id is stored as BIGINT .* VARCHAR; drop the table"):
        lake.overwrite(changed, window(0), frame([(on(0), 1, "a")]), STAMP)
    assert stored(lake) == [(on(0), 1, "a")]


def test_prepared_tables_are_empty_and_no_table_was_made(lake: Lake) -> None:
    lake.prepare([EVENTS, PLAIN])
    lake.prepare([EVENTS, PLAIN])
    assert lake.rows("select (select count(*) from core.events), (select count(*) from core.people)") == [(0, 0)]
    assert not lake.was_made(EVENTS)
    write(lake, window(0), [(on(0), 1, "a")])
    assert lake.was_made(EVENTS)
    assert stored(lake) == [(on(0), 1, "a")]


def test_prepared_tables_keep_their_rows_in_files_and_ops_in_the_catalog(lake: Lake, location: Location) -> None:
    lake.prepare([EVENTS])
    write(lake, window(0), [(on(0), 1, "a")])
    folders = {Path(name).parent.name for name in data_files(lake, location)}
    assert folders == {"events"}


def test_preparing_leaves_what_is_stored_and_a_changed_type_is_still_an_error(lake: Lake) -> None:
    write(lake, window(0), [(on(0), 1, "a")])
    changed = replace(EVENTS, columns=(EVENTS.columns[0], Column("id", "VARCHAR", ""), EVENTS.columns[2]))
    lake.prepare([changed])
    with pytest.raises(WarehouseError, match=r"core\.events\.id is stored as BIGINT"):
        lake.overwrite(changed, window(0), frame([(on(0), 1, "a")]), STAMP)
    wider = replace(EVENTS, columns=(*EVENTS.columns, Column("cost", "DOUBLE", "Cost", "USD")))
    lake.prepare([wider])
    assert lake.overwrite(wider, window(1), frame([(on(1), 2, "b")]).with_columns(cost=pl.lit(1.5)), STAMP).committed
    assert lake.rows("select id, cost from core.events order by id") == [(1, None), (2, 1.5)]


def test_type_aliases_are_the_same_type(lake: Lake) -> None:
    aliased = replace(
        EVENTS,
        columns=(
            EVENTS.columns[0],
            Column("id", "INT8", ""),
            Column("label", "TEXT", ""),
            Column("n", "NUMERIC(9,2)", ""),
        ),
    )
    rows = frame([(on(0), 1, "a")]).with_columns(n=pl.lit(1))
    lake.overwrite(aliased, window(0), rows, STAMP)
    assert lake.overwrite(aliased, window(0), rows, STAMP).committed


def test_a_column_that_the_source_lacks_is_named(lake: Lake) -> None:
    with pytest.raises(duckdb.BinderException, match="label"):
        lake.overwrite(EVENTS, window(0), Query(f"select date '{on(0)}' as day, 1 as id"), STAMP)


def test_every_write_is_recorded(lake: Lake) -> None:
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(milliseconds=1)
    write(lake, window(0, 2), [(on(0), 1, "a")])
    lake.overwrite(PLAIN, None, Query("select 'ana' as name, 170 as size"), STAMP)
    rows = lake.rows(
        "select asset, window_start, window_end, run_id, rows, dagster_version, config_hash, code_version "
        "from ops.etl_runs order by started_at"
    )
    assert rows == [
        ("core.events", on(0), on(3), "run", 1, "1", "config", "code"),
        ("core.people", None, None, "run", 1, "1", "config", "code"),
    ]
    assert lake.value(
        "select bool_and($before <= started_at and started_at <= finished_at) from ops.etl_runs", {"before": before}
    )


def test_times_are_utc(lake: Lake) -> None:
    """A frame's zoned time is stored as the UTC time, whatever the zone of the machine."""
    timed = replace(PLAIN, name="timed", columns=(Column("name", "VARCHAR", ""), Column("seen_at", "TIMESTAMP", "")))
    zoned = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    lake.overwrite(timed, None, pl.DataFrame({"name": ["x"], "seen_at": [zoned]}), STAMP)
    assert lake.value("select seen_at from core.timed") == datetime(2025, 12, 31, 23)  # noqa: DTZ001


TEXTS = [
    "",
    "it's",
    '"',
    "\\",
    "\\x00",
    "\\N",
    "NULL",
    "{a}",
    "[1]",
    "a, b",
    "\n\x7f",
    "\U0001f600",
    None,
]


@pytest.mark.parametrize(
    "texts", [TEXTS[:8], TEXTS[8:], TEXTS], ids=["few: in the catalog", "others", "all: in a file"]
)
def test_any_text_is_kept_and_found(lake: Lake, texts: list[str | None]) -> None:
    kinds = {"name": "VARCHAR", "text": "VARCHAR", "list": "VARCHAR[]", "nested": "STRUCT(item VARCHAR, size BIGINT)[]"}
    contract = replace(PLAIN, name="texts", columns=tuple(Column(name, kind, "") for name, kind in kinds.items()))
    frame = pl.DataFrame(
        {
            "name": [str(number) for number in range(len(texts))],
            "text": texts,
            "list": [[text, "z"] for text in texts],
            "nested": [[{"item": text, "size": 2**60}] for text in texts],
        },
        schema_overrides={"text": pl.String},
    )
    assert lake.overwrite(contract, None, frame, STAMP).committed
    with lake.reading():
        for text in texts:
            found = lake.rows(
                "select text, list, nested from core.texts where text is not distinct from $text", {"text": text}
            )
            assert found == [(text, [text, "z"], [{"item": text, "size": 2**60}])]


def test_a_transaction_is_all_or_nothing(lake: Lake) -> None:
    write(lake, window(0), [(on(0), 1, "a")])
    with pytest.raises(KeyboardInterrupt), lake.transaction():
        lake.execute("delete from core.events")
        raise KeyboardInterrupt
    assert len(stored(lake)) == 1


def test_reading_is_of_one_snapshot(lake: Lake, location: Location) -> None:
    write(lake, window(0), [(on(0), 1, "a")])
    with open_lake(location, read_only=True) as reader, reader.reading():
        assert len(stored(reader)) == 1
        write(lake, window(1), [(on(1), 1, "a")])
        assert len(stored(reader)) == 1
    assert len(stored(lake)) == 2


def test_an_older_snapshot_can_be_read(lake: Lake, location: Location) -> None:
    write(lake, window(0), [(on(0), 1, "old")])
    then = int(lake.value("select max(snapshot_id) from ducklake_snapshots('prodlens')"))
    write(lake, window(0), [(on(0), 1, "new")])
    with open_lake(location, read_only=True, snapshot=then) as past:
        assert stored(past) == [(on(0), 1, "old")]
    with open_lake(location, read_only=True) as present:
        assert stored(present) == [(on(0), 1, "new")]


def test_a_reader_cannot_write(lake: Lake, location: Location) -> None:
    with open_lake(location, read_only=True) as reader, pytest.raises(duckdb.Error, match="read-only"):
        write(reader, window(0), [(on(0), 1, "a")])
    assert not lake.was_made(EVENTS)


def test_a_missing_lake_cannot_be_read(tmp_path: Path) -> None:
    nowhere = Location(tmp_path / "home", "sqlite", tmp_path / "lake")
    message = r"catalog\.sqlite: there is no warehouse yet; run"
    with pytest.raises(WarehouseError, match=message), open_lake(nowhere, read_only=True):
        pass
    assert list(tmp_path.iterdir()) == [], "a reader leaves no trace"


@pytest.mark.embedded("the catalog's file is broken")
def test_a_catalog_that_is_no_catalog_is_named(location: Location) -> None:
    location.catalog_file.write_text("this is not a database, it is a text that somebody left here")
    with (
        pytest.raises(WarehouseError, match=r"catalog\.sqlite: the lake's catalog cannot be attached"),
        open_lake(location),
    ):
        pass


def test_an_unreachable_postgresql_is_an_error_without_the_password(tmp_path: Path) -> None:
    there = Location(tmp_path, f"postgresql://someone:secret@/nowhere?host={tmp_path}", tmp_path / "lake")
    with pytest.raises(WarehouseError, match="cannot be attached") as caught, open_lake(there):
        pass
    assert "secret" not in str(caught.value)


def test_extensions_come_from_the_wheels_and_nothing_is_left_in_the_users_home(tmp_path: Path) -> None:
    user, home = tmp_path / "user", tmp_path / "o'home"
    user.mkdir()
    program = f"""
        from pathlib import Path
        import socket
        def refuse(*_):
            raise OSError("no network")
        socket.create_connection = socket.getaddrinfo = refuse
        from prodlens_pipeline.warehouse.opening import Location, open_lake
        home = Path({str(home)!r})
        for _ in range(2):
            with open_lake(Location(home, "sqlite", home / "lake")) as lake:
                lake.execute("create or replace table t as select 1 as a")
    """
    # A proxy that nobody listens on: DuckDB's own downloads would go through it and fail.
    proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    python([textwrap.dedent(program)], env={**os.environ, **proxy, "HOME": str(user)})
    assert list(user.iterdir()) == []
    assert not list(home.rglob("*.duckdb_extension")), "no copies"


def python(arguments: list[str], env: dict[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-c", *arguments], check=True, env=env, timeout=60)


CRASHING = """
import sys
from datetime import date, timedelta
from pathlib import Path
from prodlens_pipeline.warehouse.lake import Query
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, STAMP, window

home, catalog, data = sys.argv[1:]
with open_lake(Location.at(Path(home), catalog, data)) as lake:
    for turn in range(1, 10_000):
        rows = f"select date '2026-01-02' as day, i as id, '{turn}' as label from range(2000) t(i)"
        lake.overwrite(EVENTS, window(1), Query(rows), STAMP)
        print(turn, flush=True)
"""


def test_a_killed_writer_leaves_whole_partitions(lake: Lake, location: Location) -> None:
    chance, seen = random.Random(7), 1  # noqa: S311
    write(lake, window(0, 2), [(on(day), number, "0") for day in range(3) for number in range(2000)])
    for _ in range(4):
        place = [str(location.home), location.catalog, str(location.data)]
        child = subprocess.Popen(
            [sys.executable, "-c", CRASHING, *place], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert child.stdout is not None
        for _ in range(2):
            assert child.stdout.readline()
        time.sleep(chance.random() * 0.1)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
        with lake.reading():
            assert lake.rows(
                "select day, count(*), count(distinct label) from core.events group by day order by day"
            ) == [(on(day), 2000, 1) for day in range(3)]
            last = lake.value("select any_value(label) from core.events where day = $day", {"day": on(1)})
            # One line for each turn that was committed: rows and record come together or not at all.
            assert lake.value("select count(*) from ops.etl_runs") == seen + int(last)
            seen += int(last)
    assert write(lake, window(1), [(on(1), 1, "after")]).committed
    assert writes(lake) >= 10, "each child wrote twice before it was killed"


ids = st.integers(0, 3)
labels = st.sampled_from("abc")
spans = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: (min(pair), max(pair)))


@st.composite
def written(draw: st.DrawFn) -> tuple[int, int, list[Row]]:
    first, last = draw(spans)
    keys = draw(st.lists(st.tuples(st.integers(first, last), ids), unique=True, max_size=6))
    return first, last, [(on(day), number, draw(labels)) for day, number in keys]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(written(), min_size=1, max_size=5))
def test_any_sequence_of_writes_gives_what_the_last_write_of_each_day_said(
    lake: Lake, sequence: list[tuple[int, int, list[Row]]]
) -> None:
    if lake.was_made(EVENTS):
        lake.execute("delete from core.events")
    expected: set[Row] = set()
    for first, last, rows in sequence:
        result = write(lake, window(first, last), rows)
        expected = {row for row in expected if not on(first) <= row[0] <= on(last)} | set(rows)
        assert result.total_rows == len(expected)
    assert stored(lake) == sorted(expected)


def test_one_range_equals_its_days_in_any_order(lake: Lake) -> None:
    rows = [(on(day), number, f"{day}{number}") for day in range(5) for number in range(day)]
    write(lake, window(0, 4), rows)
    whole = stored(lake)
    lake.execute("delete from core.events")
    for day in (3, 0, 4, 1, 2):
        write(lake, window(day), [row for row in rows if row[0] == on(day)])
    assert stored(lake) == whole


def test_a_project_that_was_moved_keeps_its_tables(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    with open_lake(Location(before, "sqlite", before / "lake")) as lake:
        lake.execute("create schema raw")
        lake.execute("create table raw.moved as select n from range(1000) as numbers(n)")
    before.rename(after)
    with open_lake(Location(after, "sqlite", after / "lake"), read_only=True) as lake:
        assert lake.value("select sum(n) from raw.moved") == 499500
    with open_lake(Location(after, "sqlite", after / "lake")) as lake:
        lake.execute("insert into raw.moved values (1)")
        assert lake.value("select sum(n) from raw.moved") == 499501
