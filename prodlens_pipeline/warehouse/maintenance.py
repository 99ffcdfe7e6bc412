"""Keeping the lake small: rows past their time, old snapshots, small files and files that nobody refers to.

Belongs here: what is done to any lake. Does not: which tables are kept for how long (`automation/upkeep.py`), or the
landing zone (`landing/retention.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from prodlens_pipeline.warehouse.contracts import quoted_name
from prodlens_pipeline.warehouse.lake import LAKE, Lake
from prodlens_pipeline.warehouse.opening import Location

LONGEST_READ = timedelta(hours=1)
"""A file that was replaced stays for those who are reading it."""
LONGEST_WRITE = timedelta(days=1)
"""A file that the catalog does not know may be about to be committed."""
REWRITTEN_FROM = 0.25
"""Below this share of deleted rows, writing a file anew costs more than it saves."""


@dataclass(frozen=True)
class Compacted:
    """What was done to the files of a lake, in numbers."""

    snapshots_expired: int
    tables_merged: int
    files_deleted: int


def retire_rows(lake: Lake, table: str, before: date) -> int:
    """Delete the rows of a daily table (`schema.name`) before a day for good; returns how many there were.

    The days that lost rows are noted in `ops.retired_days`: what reads them must not be made again without them.
    """
    if table not in lake.tables():
        return 0
    gone = lake.rows(
        f"select day, count(*) from {quoted_name(table)} where day < $before group by day", {"before": before}
    )
    if not gone:
        return 0
    with lake.transaction():
        lake.execute(f"delete from {quoted_name(table)} where day < $before", {"before": before})
        note_retired(lake, table, [day for day, _ in gone])
    return sum(int(rows) for _, rows in gone)


def note_retired(lake: Lake, asset: str, days: Iterable[date]) -> None:
    """Note, in the running transaction, that what `asset` (a table or `landing.<source>`) held of `days` is gone."""
    lake.execute(
        "insert into ops.retired_days by name select $asset as asset, day, $now as retired_at "
        "from (select distinct unnest($days::date[]) as day) "
        "where day not in (select day from ops.retired_days where asset = $asset)",
        {"asset": asset, "days": sorted(days), "now": datetime.now(UTC).replace(tzinfo=None)},
    )


def compact(
    lake: Lake,
    *,
    keep_snapshots: timedelta,
    longest_read: timedelta = LONGEST_READ,
    rewritten_from: float = REWRITTEN_FROM,
) -> Compacted:
    """Expire snapshots older than `keep_snapshots`, rewrite and merge small files, delete what nothing refers to.

    The newest snapshot is always kept. With `longest_read` 0 nobody may be reading. A file is written anew from a share
    of `rewritten_from` of deleted rows.
    """
    now = datetime.now(UTC)
    expired = _call(lake, "expire_snapshots", "older_than => $until", until=now - keep_snapshots)
    _call(lake, "flush_inlined_data", "")
    _call(lake, "rewrite_data_files", f"delete_threshold => {rewritten_from}")
    merged = _call(lake, "merge_adjacent_files", "")
    # On an SQLite catalog the times are compared as texts that differ after the day: only whole days can be told apart.
    unread = "older_than => $until" if longest_read else "cleanup_all => true"
    deleted = _call(lake, "cleanup_old_files", unread, until=now - longest_read - timedelta(days=1))
    deleted += _call(lake, "delete_orphaned_files", "older_than => $until", until=now - LONGEST_WRITE)
    return Compacted(expired, merged, deleted)


def _call(lake: Lake, function: str, arguments: str, **parameters: datetime) -> int:
    """Call a DuckLake function while nobody writes; returns the number of rows that it answers."""
    given = f", {arguments}" if arguments else ""

    def call() -> int:
        with lake.transaction():
            return len(lake.rows(f"call ducklake_{function}('{LAKE}'{given})", parameters))

    return lake.retrying(call)


def disk_use(location: Location, landing: Path) -> dict[str, int]:
    """Bytes by area of a project's home; a lake in a bucket is not among them."""
    areas = {
        "landing": [landing],
        **({"lake": [location.folder]} if location.folder else {}),
        "catalog": sorted(location.home.glob("catalog.sqlite*")),
        "dagster": [location.home / "dagster"],
    }
    return {area: sum(map(_bytes, paths)) for area, paths in areas.items()}


def _bytes(path: Path) -> int:
    """Of a file, or of all files in a folder; one that is deleted meanwhile counts nothing."""
    total = 0
    for file in path.rglob("*") if path.is_dir() else [path]:
        try:
            total += file.lstat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total
