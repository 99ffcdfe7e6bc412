"""A plain copy of the tables for tools that know nothing of DuckLake: one DuckDB file, or a folder of parquet files.

Belongs here: writing it, all of one snapshot. Does not: `raw` and `ops`, which only ProdLens understands.
"""

from collections.abc import Mapping
from pathlib import Path

from prodlens_pipeline.warehouse.contracts import quoted, quoted_name
from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.lake import LAKE, Lake

EXPORTED = ("core", "marts", "analysis")
_TARGET = "exported"


def export(lake: Lake, target: Path) -> dict[str, int]:
    """Write every table to `target`: a new file that ends in `.duckdb`, or else a new folder with a file per table.

    Returns the rows by table. `lake` must be reading.

    Raises:
        WarehouseError: `target` is there already, or there is no table yet.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise WarehouseError(f"{target}: is there already and is not overwritten; name another place or move it away")
    tables = _tables(lake)
    if not tables:
        raise WarehouseError("there are no tables yet to export; run 'prod-lens run' first")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".duckdb":
        _to_database(lake, tables, target)
    else:
        _to_folder(lake, tables, target)
    return tables


def _tables(lake: Lake) -> dict[str, int]:
    names = sorted(name for name in lake.tables() if name.split(".")[0] in EXPORTED)
    return {name: int(lake.value(f"select count(*) from {_in_sql(name)}")) for name in names}


def _in_sql(table: str) -> str:
    return quoted_name(f"{LAKE}.{table}")


def _to_database(lake: Lake, tables: Mapping[str, int], target: Path) -> None:
    """Under another name first: whoever sees the file sees a whole one."""
    unfinished = target.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    lake.execute(f"attach {_text(unfinished)} as {_TARGET}")
    try:
        for schema in EXPORTED:
            lake.execute(f"create schema if not exists {_TARGET}.{quoted(schema)}")
        for table in tables:
            lake.execute(f"create table {_TARGET}.{quoted_name(table)} as select * from {_in_sql(table)}")
        lake.connection.commit()
        lake.execute(f"detach {_TARGET}")
    finally:
        lake.connection.begin()
    unfinished.rename(target)


def _to_folder(lake: Lake, tables: Mapping[str, int], target: Path) -> None:
    for table in tables:
        schema, name = table.split(".")
        folder = target / schema
        folder.mkdir(parents=True, exist_ok=True)
        file = _text(folder / f"{name}.parquet")
        lake.execute(f"copy (select * from {_in_sql(table)}) to {file} (format parquet, compression zstd)")


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
