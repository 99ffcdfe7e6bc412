"""A folder of JSON files, one per table, each with what its rows and columns mean.

Belongs here: the form of the files. Does not: which tables and columns there are (`exports`).
"""

from collections.abc import Iterable
from pathlib import Path

import orjson
import polars as pl

from prodlens_pipeline.reporting.exports import Exported
from prodlens_pipeline.reporting.files import write_whole


def write_folder(folder: Path, tables: Iterable[Exported]) -> list[Path]:
    """Write one file per table that is there and return them; one of a missing table from an earlier export goes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in tables:
        path = folder / f"{table.name}.json"
        if table.frame is None:
            path.unlink(missing_ok=True)
            continue
        write_whole(path, as_json(table))
        written.append(path)
    return written


def as_json(table: Exported) -> str:
    """An object of `table`, `description`, `columns` (what each means) and `rows`; unknown is null, times are UTC."""
    frame = table.frame
    content = {
        "table": table.name,
        "description": table.description,
        "columns": dict(table.columns),
        "rows": [] if frame is None else frame.with_columns(pl.selectors.decimal().cast(pl.Float64)).to_dicts(),
    }
    # Times in the lake are UTC and have no offset.
    options = orjson.OPT_INDENT_2 | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
    return orjson.dumps(content, option=options).decode() + "\n"
