"""Chunks written anew without some of their records: of who is forgotten, and of what is past its time.

Belongs here: writing the new chunk, and the manifest's account of it. Does not: which records go (the caller judges).
Write the new chunks first, enter them in one transaction, then delete the old files: after a crash it is done again
from the start.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import zstandard

from prodlens_pipeline.landing.chunks import store_chunk
from prodlens_pipeline.warehouse.lake import Lake

Judge = Callable[[dict[str, Any]], dict[str, Any] | None]
"""What remains of a landed record: the same object, a changed one, or nothing."""


@dataclass(frozen=True)
class Stored:
    """A chunk that is there: the table that knows it, its path, its type of source, and the days it concerns."""

    table: str
    path: str
    source: str
    days: frozenset[date]


@dataclass
class Rewriting:
    """A chunk, what became of it, and the records dropped by file and line."""

    chunk: Stored
    new_path: str | None
    dropped: Counter[tuple[str, int]] = field(default_factory=Counter)
    changed: int = 0
    files: set[str] = field(default_factory=set)

    @property
    def differs(self) -> bool:
        """Whether anything in it was dropped or changed."""
        return self.chunk.path != self.new_path


def stored_chunks(lake: Lake) -> list[Stored]:
    """Every chunk of records and of texts."""
    rows = lake.rows(
        "select 'ops.landing_chunks', stored_path, source, flatten(list(touched_days)) from ops.landing_chunks "
        "where stored_path is not null and deleted_at is null group by stored_path, source "
        "union all select 'ops.text_chunks', stored_path, source, flatten(list(days)) from ops.text_chunks "
        "group by stored_path, source"
    )
    return [Stored(table, path, source, frozenset(days)) for table, path, source, days in rows]


def rewrite(landing: Path, chunk: Stored, judge: Judge) -> Rewriting:
    """Write what remains of a chunk as a new one, where that is not all of it; the old one stays."""
    one = Rewriting(chunk, chunk.path)
    lines = list(_lines(landing / chunk.path, one, judge))
    if one.dropped or one.changed:
        folder = str(Path(chunk.path).parent.parent)
        one.new_path = store_chunk(landing, folder, b"".join(lines)).stored_path if lines else None
    return one


def _lines(file: Path, one: Rewriting, judge: Judge) -> Iterator[bytes]:
    with file.open("rb") as compressed, zstandard.ZstdDecompressor().stream_reader(compressed) as content:
        for line in content.read().splitlines(keepends=True):
            record = orjson.loads(line)
            left = judge(record)
            if left is record:
                yield line
                continue
            one.files.add(record["_file"])
            if left is None:
                one.dropped[record["_file"], record["_line"]] += 1
            else:
                one.changed += 1
                yield orjson.dumps(left) + b"\n"


def enter(lake: Lake, one: Rewriting) -> None:
    """The manifest names the new chunk, and counts what is left of each file; call it in a transaction."""
    new = {"path": one.chunk.path, "new_path": one.new_path}
    if one.chunk.table == "ops.text_chunks":
        change = "update ops.text_chunks set stored_path = $new_path where stored_path = $path"
        lake.execute(change if one.new_path else "delete from ops.text_chunks where stored_path = $path", new)
        return
    new_id = Path(one.new_path).name.split(".")[0] if one.new_path else None
    _count_down(lake, one)
    lake.execute(
        "update ops.landing_chunks set chunk_id = $new_id, stored_path = $new_path where stored_path = $path",
        new | {"new_id": new_id},
    )


def _count_down(lake: Lake, one: Rewriting) -> None:
    """Each stretch of a file counts the records that were dropped of it no more."""
    if not one.dropped:
        return
    rows = [(file, line, count) for (file, line), count in one.dropped.items()]
    lake.connection.register("dropped", pl.DataFrame(rows, schema=["file", "line", "count"], orient="row"))
    try:
        lake.execute(
            "update ops.landing_chunks set accepted = accepted - gone.count, lines = lines - gone.count from ("
            "select extent.rowid as id, sum(dropped.count)::bigint as count from ops.landing_chunks as extent "
            "inner join dropped on extent.source_file = dropped.file "
            "and dropped.line > extent.line_start and dropped.line <= extent.line_end "
            "where extent.stored_path = $path group by extent.rowid) as gone "
            "where ops.landing_chunks.rowid = gone.id",
            {"path": one.chunk.path},
        )
    finally:
        lake.connection.unregister("dropped")


def make_stale(lake: Lake, files: list[str]) -> None:
    """The days of these files are stale, as if they were collected now; which stretch is the newest stays the same."""
    lake.execute(
        "update ops.landing_chunks set collected_at = $now + to_microseconds(ordered.place) from ("
        "select rowid as id, row_number() over (partition by source_name, source_file "
        "order by collected_at, byte_end, line_end, modified_ns nulls first) as place "
        "from ops.landing_chunks where list_contains($files, source_file)) as ordered "
        "where ops.landing_chunks.rowid = ordered.id",
        {"files": files, "now": datetime.now(UTC).replace(tzinfo=None)},
    )
