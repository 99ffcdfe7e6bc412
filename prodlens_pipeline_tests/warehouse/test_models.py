import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prodlens_pipeline.definitions import python_contracts
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake, Query
from prodlens_pipeline.warehouse.models import MODELS, ModelError, SqlModel, load_models
from prodlens_pipeline_tests.warehouse.conftest import EVENTS, STAMP, on, window

CALLS = Contract(
    "raw",
    "calls",
    "Calls",
    (
        Column("day", "DATE", ""),
        Column("id", "BIGINT", ""),
        Column("kind", "VARCHAR", ""),
        Column("cost", "DOUBLE", ""),
    ),
    key=("id",),
)
GROUPS = Contract("raw", "kinds", "Kinds", (Column("kind", "VARCHAR", ""),), key=("kind",), partitioned=False)
KNOWN = [CALLS, GROUPS]

MATTER = """/*
description: One row per call
grain: [day, id]
owner: team:metrics
columns:
  day: {type: DATE, description: UTC day}
  id: {type: BIGINT, description: Call}
*/
"""
SELECT = """select
    day,
    id
from raw.calls
where day >= $window_start and day < $window_end
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "core").mkdir()
    (tmp_path / "marts").mkdir()
    return tmp_path


def load(folder: Path, text: str, name: str = "core/model.sql") -> SqlModel:
    (folder / name).write_text(text)
    models = {model.contract.full_name: model for model in load_models(KNOWN, folder)}
    return models[name.removesuffix(".sql").replace("/", ".")]


def refused(folder: Path, text: str, name: str = "core/model.sql") -> tuple[int, str]:
    """The line and the reason of the error, which must name the file."""
    with pytest.raises(ModelError) as caught:
        load(folder, text, name)
    prefix = f"{folder / name}:"
    assert str(caught.value).startswith(prefix)
    line, _, reason = str(caught.value).removeprefix(prefix).partition(": ")
    return int(line), reason


def test_the_projects_models_load() -> None:
    known = list(python_contracts())
    models = load_models(known)
    assert len(models) == len(list(MODELS.glob("*/*.sql"))) > 0
    columns = {contract.full_name: set(contract.column_types) for contract in known}
    for model in models:
        assert set(model.dependencies) <= columns.keys(), "inputs come before those who read them"
        assert model.lineage.keys() == set(model.contract.column_types)
        for sources in model.lineage.values():
            for table, column in sources:
                assert table in model.dependencies
                assert column in columns[table]
        assert any(model.lineage.values()), f"{model.contract.full_name} is computed from nothing"
        columns[model.contract.full_name] = set(model.contract.column_types)


def test_a_model_says_what_it_is(folder: Path) -> None:
    matter = MATTER.replace("owner:", "lookback_days: 2\nlookahead_days: 1\ntags: {layer: core}\nowner:")
    model = load(folder, matter.replace("Call}", "Call, unit: calls}") + SELECT)
    assert model.contract.full_name == "core.model"
    assert model.contract.column_types == {"day": "DATE", "id": "BIGINT"}
    assert model.contract.columns[1].documentation == "Call [calls]"
    assert (model.contract.key, model.contract.partitioned, model.contract.owner) == (
        ("day", "id"),
        True,
        "team:metrics",
    )
    assert (model.lookback_days, model.lookahead_days, model.tags) == (2, 1, {"layer": "core"})
    assert model.dependencies == ("raw.calls",)
    assert model.sql.strip() == SELECT.strip()


def test_lineage_goes_through_common_tables_joins_and_expressions(folder: Path) -> None:
    select = """
        with priced as (select day, id, cost * 2 as price from raw.calls)
        select p.day, count(k.kind) + sum(p.price)::bigint as id
        from priced p left join raw.kinds k on true group by all
    """
    model = load(folder, MATTER + select)
    assert model.dependencies == ("raw.calls", "raw.kinds")
    assert model.lineage == {"day": (("raw.calls", "day"),), "id": (("raw.calls", "cost"), ("raw.kinds", "kind"))}


def test_a_star_is_known_by_its_columns(folder: Path) -> None:
    assert load(folder, MATTER + "select * exclude (kind, cost) from raw.calls").lineage["id"] == (("raw.calls", "id"),)


def test_a_model_may_read_a_model(folder: Path) -> None:
    (folder / "core" / "zebra.sql").write_text(MATTER + SELECT)
    (folder / "marts" / "ape.sql").write_text(MATTER + SELECT.replace("raw.calls", "core.zebra"))
    models = load_models(KNOWN, folder)
    assert [model.contract.full_name for model in models] == ["core.zebra", "marts.ape"]
    assert models[1].lineage["id"] == (("core.zebra", "id"),)


@pytest.mark.parametrize("text", ["", SELECT, "-- comment\n" + MATTER + SELECT, "/*\ndescription: x\n" + SELECT])
def test_front_matter_is_required(folder: Path, text: str) -> None:
    assert refused(folder, text)[0] == 1


def test_broken_yaml(folder: Path) -> None:
    line, reason = refused(folder, MATTER.replace("owner: team:metrics", "owner: [team") + SELECT)
    assert line == 5, "where the list that was opened before cannot go on"
    assert "YAML" in reason


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("owner: team:metrics\n", "", "owner"),
        ("owner:", "materialized: table\nowner:", "materialized"),
        ("grain: [day, id]", "grain: []", "grain"),
        ("type: BIGINT, ", "", "columns.id.type"),
        ("grain:", "partitioned: hour\ngrain:", "partitioned"),
    ],
)
def test_a_wrong_key_of_the_front_matter_is_named(folder: Path, old: str, new: str, key: str) -> None:
    assert f"{key}: " in refused(folder, MATTER.replace(old, new) + SELECT)[1]


def test_broken_sql(folder: Path) -> None:
    line, reason = refused(folder, MATTER + "select\n    day,\n    (id\nfrom raw.calls\n")
    assert line == 12
    assert "cannot be parsed" in reason
    assert "\x1b" not in reason


@pytest.mark.parametrize(
    "text", ["", "select day, id from raw.calls; select 1", "delete from raw.calls", "drop table raw.calls"]
)
def test_a_model_is_one_select(folder: Path, text: str) -> None:
    assert "exactly one select" in refused(folder, MATTER + text)[1]


@pytest.mark.parametrize("table", ["raw.nowhere", "nowhere"])
def test_an_unknown_table(folder: Path, table: str) -> None:
    line, reason = refused(folder, MATTER + SELECT.replace("raw.calls", table))
    assert (line, f"unknown table {table}; known are core.model, raw.calls, raw.kinds") == (12, reason)


def test_an_unknown_table_in_a_common_table(folder: Path) -> None:
    text = "with one as (select 1),\ntwo as (\n  select *\n  from raw.gone\n)\nselect day, id from raw.calls, one, two"
    line, reason = refused(folder, MATTER + text)
    assert (line, reason.partition(";")[0]) == (12, "unknown table raw.gone")


def test_an_unknown_column(folder: Path) -> None:
    line, reason = refused(folder, MATTER + SELECT.replace("    id\n", "    nothing as id\n"))
    assert line == 11
    assert "nothing" in reason


def test_a_cycle(folder: Path) -> None:
    (folder / "core" / "other.sql").write_text(MATTER + SELECT.replace("raw.calls", "core.model"))
    with pytest.raises(ModelError, match=r"in a circle: .*core\.(model -> core\.other|other -> core\.model)"):
        load(folder, MATTER + SELECT.replace("raw.calls", "core.other"))


def test_a_model_that_reads_itself(folder: Path) -> None:
    assert "circle" in refused(folder, MATTER + SELECT.replace("raw.calls", "core.model"))[1]


def test_select_and_front_matter_disagree(folder: Path) -> None:
    reason = refused(folder, MATTER + SELECT.replace("    id\n", "    kind\n"))[1]
    assert "not listed ['kind'], not selected ['id']" in reason


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("grain: [day, id]", "grain: [day, ghost]", "ghost"),
        ("*/", "tests: {not_null: [ghost]}\n*/", "ghost"),
        ("*/", "tests: {accepted_values: [{column: ghost, values: [a]}]}\n*/", "ghost"),
        ("*/", "tests: {relationships: [{column: ghost, to: raw.calls, field: id}]}\n*/", "ghost"),
        ("*/", "tests: {relationships: [{column: id, to: raw.ghosts, field: id}]}\n*/", "raw.ghosts.id"),
        ("*/", "tests: {relationships: [{column: id, to: raw.calls, field: ghost}]}\n*/", "raw.calls.ghost"),
        ("  day: {type: DATE, description: UTC day}\n", "", "day"),
        ("  id:", "  Id:", "Id"),
    ],
)
def test_the_front_matter_names_only_what_there_is(folder: Path, old: str, new: str, name: str) -> None:
    text = MATTER.replace("grain: [day, id]", "grain: [id]") if name == "day" else MATTER
    assert f"{name}" in refused(folder, text.replace(old, new) + SELECT)[1]


CHECKED = """/*
description: One row per call
grain: [day, id]
owner: team:metrics
columns:
  day: {type: DATE, description: UTC day}
  id: {type: BIGINT, description: Call}
  kind: {type: VARCHAR, description: Kind}
  cost: {type: DOUBLE, description: Cost}
tests:
  not_null: [cost]
  accepted_values:
    - {column: kind, values: [chat, "it's"]}
  relationships:
    - {column: kind, to: raw.kinds, field: kind}
  expression:
    - {name: cost_positive, sql: "cost >= 0", description: Costs are not negative}
*/
select c.* from raw.calls c left join raw.kinds k on k.kind = c.kind
where c.day >= $window_start and c.day < $window_end
"""


def test_checks_count_the_rows_that_fail(folder: Path, lake: Lake) -> None:
    model = load(folder, CHECKED)
    values = [
        (1, "chat", 1.0),
        (2, "it's", -1.0),
        (3, "edit", -2.0),
        (4, "gone", None),
        (5, None, 1.0),
        (6, "chat", None),
    ]
    rows = ", ".join(f"({number}, {_sql(kind)}, {_sql(cost)})" for number, kind, cost in values)
    select = f"select date '{on(0)}' as day, * from (values {rows}) t(id, kind, cost)"
    lake.overwrite(CALLS, window(0), Query(select), STAMP)
    # A NULL among the known values must not hide the unknown ones.
    anything = Contract("raw", "kinds", "", GROUPS.columns, key=("kind",), partitioned=False)
    lake.execute(anything.create_statement())
    lake.execute("insert into raw.kinds values ('chat'), ('it''s'), ('edit'), (null)")
    result = lake.overwrite(model.contract, window(0), Query(model.sql, window(0).parameters), STAMP)
    assert {outcome.check.name: outcome.failing_rows for outcome in result.outcomes} == {
        "required_not_null": 2,
        "key_unique": 0,
        "kind_accepted": 2,
        "kind_in_kinds": 1,
        "cost_positive": 2,
    }
    assert not lake.was_made(model.contract)


def _sql(value: object) -> str:
    return (
        "null"
        if value is None
        else f"'{value.replace(chr(39), chr(39) * 2)}'"
        if isinstance(value, str)
        else str(value)
    )


def test_a_name_that_needs_quotes_is_refused() -> None:
    for name in ("Day", "a b", 'a"b', "1a", ""):
        with pytest.raises(ValueError, match="plain lower-case"):
            Contract("core", "t", "", (Column(name, "DATE", ""),), key=("day",)).create_statement()
    assert EVENTS.create_statement().startswith('create table if not exists "core"."events" ("day" DATE')


@pytest.fixture
def sqlglot_only_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it when sqlglot may no longer be needed."""

    def refuse() -> None:
        monkeypatch.setitem(sys.modules, "prodlens_pipeline.warehouse.model_sql", None)

    return refuse


def test_what_selects_read_is_remembered(folder: Path, tmp_path: Path, sqlglot_only_once: Callable[[], None]) -> None:
    cache = tmp_path / "models.json"
    (folder / "core" / "zebra.sql").write_text(CHECKED)
    (folder / "marts" / "ape.sql").write_text(MATTER + SELECT.replace("raw.calls", "core.zebra"))
    first = load_models(KNOWN, folder, cache=cache)
    sqlglot_only_once()
    assert load_models(KNOWN, folder, cache=cache) == first
    (folder / "marts" / "ape.sql").write_text(
        MATTER.replace("One row", "A row") + SELECT.replace("raw.calls", "core.zebra")
    )
    assert load_models(KNOWN, folder, cache=cache)[1].contract.description == "A row per call"


@pytest.mark.parametrize("left", ["select", "known", "content", "folder"])
def test_a_memory_that_does_not_fit_is_made_anew(folder: Path, tmp_path: Path, left: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    cache = home / "models.json"
    load(folder, MATTER + SELECT)
    before, known = load_models(KNOWN, folder, cache=cache), KNOWN
    if left == "select":
        (folder / "core" / "model.sql").write_text(MATTER + SELECT.replace("    id\n", "    id + cost as id\n"))
    elif left == "known":
        known = [CALLS]
    elif left == "content":
        cache.write_text('{"key": 1}')
    else:
        cache.unlink()
        home.rmdir()
    after = load_models(known, folder, cache=cache)
    assert after == load_models(known, folder)
    assert (after == before) == (left != "select")
    assert load_models(known, folder, cache=cache) == after
