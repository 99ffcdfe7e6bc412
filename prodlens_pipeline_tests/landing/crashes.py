"""What the test of crashes does in a process of its own, until it is killed: collect, then write a table."""

from pathlib import Path

from prodlens_pipeline.landing import intake
from prodlens_pipeline.landing.collector import find_files
from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.landing.records import read_chunks
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Query, Stamp
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.landing.notes import NOTES, Note, land
from prodlens_pipeline_tests.pipeline import day

TABLE = Contract(
    schema="raw",
    name="notes",
    description="One row per note.",
    key=("source_file", "line"),
    columns=(
        Column("day", "DATE", "its day"),
        Column("source_file", "VARCHAR", "its file"),
        Column("line", "BIGINT", "its line"),
        Column("name", "VARCHAR", "its name"),
    ),
)
WINDOW = Window(day("2026-03-01"), day("2026-04-01"))


def collect_and_write(folder: Path, location: Location) -> None:
    """Land what is new, in small chunks, and write the table anew."""
    intake.CHUNK_BYTES = 20_000
    with open_lake(location) as lake:
        migrate(lake)
        land(lake, folder, *find_files(folder / "logs", NOTES.pattern))
        records = read_chunks(Note, chunk_paths(lake, folder / "landing", "notes", WINDOW))
        select = f"select _at::date as day, _file as source_file, _line as line, name from {records}"
        lake.overwrite(TABLE, WINDOW, Query(select), Stamp("run", "config", "code"))
