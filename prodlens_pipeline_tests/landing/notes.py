"""A small source format for the tests of the landing zone: a note a line, or several in a list."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import zstandard

from prodlens_pipeline.landing.collected import Collected
from prodlens_pipeline.landing.collector import collect
from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.landing.records import Count, EventTime, Format, Record, read_chunks
from prodlens_pipeline.warehouse.lake import Lake

SOURCE = "notes:log"
AT = "2026-03-02T10:00:00Z"


class Note(Record):
    """What is kept of a note."""

    at: EventTime | None = None
    name: str
    tokens: Count | None = None

    @property
    def event_time(self) -> datetime | None:
        return self.at


def _members(line: bytes) -> Iterator[Any]:
    content = orjson.loads(line)
    if not isinstance(content, dict) or "notes" not in content:
        raise ValueError("there are no notes in it")
    yield from content["notes"]


NOTES = Format("notes", Note, pattern=("**/*.jsonl", "**/*.parquet"))
LISTS = Format("notes", Note, split=_members)


def note(name: str, **fields: Any) -> dict[str, Any]:
    """One note."""
    return {"name": name, "at": AT, **fields}


def text_of(notes: Iterable[Any]) -> bytes:
    """Notes (or anything else that JSON holds; bytes as they are), one a line."""
    return b"".join((one if isinstance(one, bytes) else orjson.dumps(one)) + b"\n" for one in notes)


def zstd(content: bytes) -> bytes:
    """`content` compressed."""
    return zstandard.ZstdCompressor().compress(content)


def land(lake: Lake, folder: Path, *files: Path, form: Format = NOTES, **options: Any) -> Collected:
    """Collect `files` into the landing zone of `folder`."""
    return collect(lake, folder / "landing", form, SOURCE, list(files), **options)


def landed(lake: Lake, folder: Path, columns: str = "_line, _item, name") -> list[tuple[Any, ...]]:
    """The landed notes, in order."""
    paths = chunk_paths(lake, folder / "landing", "notes", None)
    return lake.rows(f"select {columns} from {read_chunks(Note, paths)} order by _file, _line, _item")


def names(lake: Lake, folder: Path) -> list[str]:
    """The names of the landed notes, in order."""
    return [name for (name,) in landed(lake, folder, "name")]


def letters(lake: Lake) -> list[tuple[Any, ...]]:
    """Line, place in the line, status and reason of every dead letter."""
    return lake.rows("select line, item, status, reason from ops.dead_letters order by all")


def sums(lake: Lake) -> tuple[int, int, int]:
    """Records read, accepted and rejected."""
    return lake.rows(
        "select coalesce(sum(lines), 0)::integer, coalesce(sum(accepted), 0)::integer, "
        "coalesce(sum(rejected), 0)::integer from ops.landing_chunks"
    )[0]


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write `rows` as a table."""
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path
