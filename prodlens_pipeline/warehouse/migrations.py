"""Numbered changes of the `ops` tables, each with its way back.

Belongs here: applying and undoing `migrations/NNNN_name.sql`. Does not: tables that have a contract, which follow it.
A file has two parts, `-- up` and `-- down`; each runs in one transaction with its line in `ops.schema_migrations`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from prodlens_pipeline.warehouse.errors import WarehouseError
from prodlens_pipeline.warehouse.lake import SCHEMAS, Lake

FOLDER = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Migration:
    """One numbered change: `up` applies it, `down` undoes it."""

    version: int
    name: str
    up: str
    down: str


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """All migrations, ascending.

    Raises:
        WarehouseError: a file lacks a part, or a number is missing or used twice.
    """
    found = [_read(path) for path in sorted(folder.glob("*.sql"))]
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise WarehouseError(f"{folder}: migrations must be numbered 0001, 0002, ... without a gap")
    return found


def current_version(lake: Lake) -> int:
    """The number of the newest migration that is applied; 0 for an empty lake."""
    try:
        return int(lake.value("select coalesce(max(version), 0) from ops.schema_migrations"))
    except duckdb.CatalogException:  # asking whether there is the table would load all tables' columns first
        return 0


def migrate(lake: Lake, target: int | None = None, *, migrations: list[Migration] | None = None) -> int:
    """Bring the lake to `target` (the newest by default), forward or back; returns the version it is at.

    Raises:
        WarehouseError: the lake is newer than this program, or `target` is unknown.
    """
    known = read_migrations() if migrations is None else migrations
    newest = len(known)
    target = newest if target is None else target
    if not 0 <= target <= newest:
        raise WarehouseError(f"there is no migration {target}; known are 0 to {newest}")
    if current_version(lake) == target:
        return target
    lake.retrying(lambda: _move(lake, target, known))
    return target


def require_newest(lake: Lake) -> None:
    """For reading what only the newest migration knows.

    Raises:
        WarehouseError: the lake is older than this program.
    """
    version, newest = current_version(lake), len(read_migrations())
    if version < newest:
        raise WarehouseError(
            f"the warehouse is of version {version}, this program of {newest}: 'prod-lens run' brings it up to date"
        )


def _move(lake: Lake, target: int, known: list[Migration]) -> None:
    newest = len(known)
    with lake.transaction():
        _ensure_schemas(lake)
        version = current_version(lake)
        if version > newest:
            raise WarehouseError(
                f"the lake is at migration {version}, newer than this program knows ({newest}); upgrade ProdLens"
            )
        for migration in known[version:target]:
            lake.execute(migration.up)
            lake.execute(
                "insert into ops.schema_migrations values ($version, $name, $at)",
                {
                    "version": migration.version,
                    "name": migration.name,
                    "at": datetime.now(UTC).replace(tzinfo=None),
                },
            )
        for migration in reversed(known[target:version]):
            lake.execute(migration.down)
            lake.execute("delete from ops.schema_migrations where version = $version", {"version": migration.version})


def _ensure_schemas(lake: Lake) -> None:
    for schema in SCHEMAS:
        lake.execute(f"create schema if not exists {schema}")
    lake.execute(
        "create table if not exists ops.schema_migrations (version integer, name varchar, applied_at timestamp)"
    )


def _read(path: Path) -> Migration:
    text = path.read_text(encoding="utf-8")
    head, marker, down = text.partition("\n-- down\n")
    before, up_marker, up = head.partition("-- up\n")
    if not (marker and up_marker and up.strip() and down.strip()) or before.strip():
        raise WarehouseError(f"{path}: a migration needs a '-- up' part and then a '-- down' part")
    number, _, name = path.stem.partition("_")
    if not number.isdecimal():
        raise WarehouseError(f"{path}: the name of a migration starts with its number, like 0001_name.sql")
    return Migration(int(number), name, up, down)
