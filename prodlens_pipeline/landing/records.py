"""What a landed record is: a contract that names every field that is kept, and the time of its event.

Belongs here: the base of all record contracts and their shape as DuckDB reads it.
Does not: any one format. A field that a contract does not name never reaches the disk: that is how prompts,
answers and code are kept out.
"""

import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

_FIRST_YEAR, _LAST_YEAR = 1970, 2999


def _within_the_calendar(at: datetime) -> datetime:
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise ValueError(f"must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return at


EventTime = Annotated[AwareDatetime, AfterValidator(_within_the_calendar)]
"""A time with an offset. At the edges of the calendar neither UTC nor a neighbouring day exists."""
Count = Annotated[int, Field(ge=0, lt=10**12)]
"""A number of things: no larger than what still adds up within a BIGINT."""
_SCALARS = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", AwareDatetime: "TIMESTAMPTZ"}


@dataclass(frozen=True)
class Text:
    """A text of a record that may be kept for a while: an edit that was suggested, a prompt, or an answer.

    `id` names what it belongs to, such as the tool call of an edit; `path` is the file that the edit is for.
    """

    kind: Literal["edit", "prompt", "answer"]
    id: str | None
    path: str | None
    text: str


class Record(BaseModel):
    """One line of a source. Unknown fields are dropped, a field of a wrong type is an error."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @property
    def event_time(self) -> datetime | None:
        """When it happened (aware), or None where the record itself does not say."""
        return None

    @property
    def texts(self) -> Sequence[Text]:
        """Texts that are kept apart from the record for a while, where the source may keep them.

        They come from fields with `exclude=True`, which are validated but never landed.
        """
        return ()


Split = Callable[[bytes], Iterable[bytes | dict[str, Any]]]


@dataclass(frozen=True)
class Format:
    """A source format: its name, its record contract, and which files of a folder hold it.

    `pattern` are one or more globs; compressed files (`.gz`, `.zst`) of the same names belong to it too.
    `version` tells, from a record as the source wrote it, which version of the program wrote it.
    `split` turns a line that holds several records into these, as JSON text or as objects whose text is valid
    Unicode; it raises ValueError where the line is not what it should be. Without it a line is a record.
    `excerpts` is False where not even the beginning of a refused record may be kept.
    """

    name: str
    record: type[Record]
    pattern: str | tuple[str, ...] = "**/*.jsonl"
    split: Split | None = None
    version: Callable[[dict[str, Any]], str | None] | None = None
    excerpts: bool = True


LANDED_COLUMNS = {
    "_file": "VARCHAR",
    "_line": "BIGINT",
    "_item": "BIGINT",
    "_at": "TIMESTAMP",
    "_source": "VARCHAR",
}
"""What the collector adds to every record: where it stood (file, line, and its place among the records of the line,
from 0), when it happened (UTC), and the source it came from."""
_CHUNK = "_chunk"


def duckdb_columns(record: type[BaseModel]) -> dict[str, str]:
    """The record's fields that are landed, with the DuckDB types to read them as."""
    return {
        field.alias or name: _duckdb_type(field.annotation)
        for name, field in record.model_fields.items()
        if not field.exclude
    }


def read_chunks(record: type[Record], paths: list[Path]) -> str:
    """The SQL relation of all records in the chunk files `paths`: the record's fields, `LANDED_COLUMNS`,
    and `_chunk`, the id of the chunk, which tells the contents apart that a file had one after the other.

    The paths are ours: content addresses under the project's home.
    """
    columns = LANDED_COLUMNS | duckdb_columns(record)
    if not paths:
        nothing = ", ".join(f'null::{kind} as "{name}"' for name, kind in (columns | {_CHUNK: "VARCHAR"}).items())
        return f"(select {nothing} where false)"
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    shape = ", ".join(f"\"{name}\": '{kind}'" for name, kind in columns.items())
    return (
        "(select * exclude (filename) replace (coalesce(_item, 0) as _item), "
        f"regexp_extract(filename, '[0-9a-f]{{64}}') as {_CHUNK} "
        f"from read_ndjson([{files}], columns = {{{shape}}}, compression = 'zstd', "
        "maximum_object_size = 67108864, filename = true))"
    )


def _duckdb_type(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _duckdb_type(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        (inner,) = (item for item in get_args(annotation) if item is not type(None))
        return _duckdb_type(inner)
    if origin is Literal:
        return _duckdb_type(type(get_args(annotation)[0]))
    if origin in (list, tuple):
        return f"{_duckdb_type(get_args(annotation)[0])}[]"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = ", ".join(f'"{name}" {kind}' for name, kind in duckdb_columns(annotation).items())
        return f"STRUCT({fields})"
    return _SCALARS[annotation]
