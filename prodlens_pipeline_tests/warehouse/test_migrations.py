from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import (
    FOLDER,
    Migration,
    current_version,
    migrate,
    read_migrations,
    require_newest,
)
from prodlens_pipeline.warehouse.opening import Location, open_lake

ONE = Migration(1, "one", "create table ops.one (a integer);", "drop table ops.one;")
TWO = Migration(
    2, "two", "create table ops.two (a integer); alter table ops.one add column b integer;", "drop table ops.two;"
)
BAD = Migration(
    2, "bad", "create table ops.two (a integer); insert into ops.nowhere values (1);", "drop table ops.two;"
)


def tables(lake: Lake) -> set[str]:
    found = lake.rows("select table_name from duckdb_tables() where database_name = 'prodlens' and schema_name = 'ops'")
    return {name for (name,) in found}


@pytest.fixture
def empty(location: Location) -> Iterator[Lake]:
    with open_lake(location) as opened:
        yield opened


def test_up_down_and_up_again(empty: Lake) -> None:
    assert current_version(empty) == 0
    newest = migrate(empty)
    assert newest == len(read_migrations()) == current_version(empty)
    after_up = tables(empty)
    assert {"etl_runs", "landing_chunks", "dead_letters", "schema_migrations"} <= after_up
    assert migrate(empty, 0) == 0
    assert (current_version(empty), tables(empty)) == (0, {"schema_migrations"})
    assert migrate(empty) == newest
    assert tables(empty) == after_up
    assert empty.rows("select version from ops.schema_migrations order by 1") == [(n,) for n in range(1, newest + 1)]


def test_migrating_again_changes_nothing(lake: Lake) -> None:
    before = lake.value("select max(snapshot_id) from ducklake_snapshots('prodlens')")
    migrate(lake)
    assert lake.value("select max(snapshot_id) from ducklake_snapshots('prodlens')") == before


def test_a_step_at_a_time(empty: Lake) -> None:
    assert migrate(empty, 1, migrations=[ONE, TWO]) == 1
    assert tables(empty) == {"one", "schema_migrations"}
    assert migrate(empty, migrations=[ONE, TWO]) == 2
    assert tables(empty) == {"one", "two", "schema_migrations"}
    assert migrate(empty, 1, migrations=[ONE, TWO]) == 1
    assert tables(empty) == {"one", "schema_migrations"}


def test_what_needs_the_newest_version_says_how_to_get_it(empty: Lake) -> None:
    newest = migrate(empty)
    require_newest(empty)
    migrate(empty, newest - 1)
    with pytest.raises(WarehouseError, match=f"of version {newest - 1}, this program of {newest}: 'prod-lens run'"):
        require_newest(empty)


def test_a_failing_migration_rolls_back_wholly(empty: Lake) -> None:
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        migrate(empty, migrations=[ONE, BAD])
    assert (current_version(empty), tables(empty)) == (0, set())
    migrate(empty, migrations=[ONE])
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        migrate(empty, migrations=[ONE, BAD])
    assert (current_version(empty), tables(empty)) == (1, {"one", "schema_migrations"})


@pytest.mark.parametrize("target", [None, 0, 1])
def test_a_lake_newer_than_the_program_is_left_alone(empty: Lake, target: int | None) -> None:
    migrate(empty, migrations=[ONE, TWO])
    with pytest.raises(WarehouseError, match=r"at migration 2, newer than this program knows \(1\); upgrade"):
        migrate(empty, target, migrations=[ONE])
    assert current_version(empty) == 2


@pytest.mark.parametrize("target", [-1, 3])
def test_an_unknown_target_is_refused(empty: Lake, target: int) -> None:
    with pytest.raises(WarehouseError, match=f"no migration {target}; known are 0 to 2"):
        migrate(empty, target, migrations=[ONE, TWO])


GOOD_FILE = "-- up\ncreate table ops.a (x integer);\n\n-- down\ndrop table ops.a;\n"


def test_files_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "0002_second_step.sql").write_text(GOOD_FILE)
    (tmp_path / "0001_first.sql").write_text(GOOD_FILE)
    (tmp_path / "notes.txt").write_text("not a migration")
    found = read_migrations(tmp_path)
    assert [(m.version, m.name) for m in found] == [(1, "first"), (2, "second_step")]
    assert (found[0].up.strip(), found[0].down.strip()) == ("create table ops.a (x integer);", "drop table ops.a;")


@pytest.mark.parametrize("names", [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_a_gap_or_a_double_in_the_numbers_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text(GOOD_FILE)
    with pytest.raises(WarehouseError, match=r"numbered 0001, 0002"):
        read_migrations(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "create table ops.a (x integer);\n",
        "-- up\ncreate table ops.a (x integer);\n",
        "-- up\n\n-- down\ndrop table ops.a;\n",
        "-- up\ncreate table ops.a (x integer);\n\n-- down\n",
        "select 1;\n" + GOOD_FILE,
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "0001_broken.sql").write_text(text)
    with pytest.raises(WarehouseError, match=r"0001_broken\.sql: a migration needs"):
        read_migrations(tmp_path)


def test_a_file_without_a_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "first.sql").write_text(GOOD_FILE)
    with pytest.raises(WarehouseError, match=r"first\.sql"):
        read_migrations(tmp_path)


def test_every_shipped_migration_has_its_way_back() -> None:
    assert len(read_migrations()) == len(list(FOLDER.glob("*.sql"))) > 0
