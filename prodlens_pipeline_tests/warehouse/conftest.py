"""A fresh lake, one small table to write, and the servers of a lake that is scaled out."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake, Stamp
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.windows import Window
from prodlens_pipeline_tests.places import BUCKET, hand_over_keys, location_of
from prodlens_pipeline_tests.servers import postgresql_server, s3_server

START = date(2026, 1, 1)
STAMP = Stamp(run_id="run", config_hash="config", code_version="code", dagster_version="1")
EVENTS = Contract(
    schema="core",
    name="events",
    description="One row per event",
    columns=(
        Column("day", "DATE", "UTC day"),
        Column("id", "BIGINT", "Event"),
        Column("label", "VARCHAR", "What happened"),
    ),
    key=("day", "id"),
    not_null=("label",),
)
PLAIN = Contract(
    schema="core",
    name="people",
    description="One row per person",
    columns=(Column("name", "VARCHAR", "Who"), Column("size", "INTEGER", "How tall", "cm")),
    key=("name",),
    partitioned=False,
)


def window(first: int, last: int | None = None) -> Window:
    """The days `first` to `last` (both included), counted from the first of January."""
    last = first if last is None else last
    return Window(START + timedelta(days=first), START + timedelta(days=last + 1))


def on(day: int) -> date:
    """The day `day`, counted from the first of January."""
    return START + timedelta(days=day)


def data_files(lake: Lake, location: Location) -> set[str]:
    """All parquet files of a lake, also those that nothing refers to."""
    return {name for (name,) in lake.rows("select file from glob($all)", {"all": f"{location.data}/**/*.parquet"})}


@pytest.fixture(scope="session")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of DuckDB's extensions for all lakes: copying them takes longer than most tests."""
    return tmp_path_factory.mktemp("extensions")


@pytest.fixture
def location(tmp_path: Path, extensions: Path) -> Location:
    """A project whose lake does not exist yet."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "extensions").symlink_to(extensions)
    return location_of(home)


@pytest.fixture
def lake(location: Location) -> Iterator[Lake]:
    """An empty lake with its `ops` tables."""
    with open_lake(location) as opened:
        migrate(opened)
        yield opened


@pytest.fixture(scope="module")
def create_database() -> Iterator[Callable[[], str]]:
    """Makes a new database on a PostgreSQL server of this module; returns its URL."""
    with postgresql_server() as server:
        yield server.create


@pytest.fixture
def postgresql(create_database: Callable[[], str]) -> str:
    """The URL of an empty PostgreSQL database."""
    return create_database()


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The endpoint of an S3 server, which holds one bucket."""
    with s3_server(BUCKET) as endpoint:
        yield endpoint


@pytest.fixture
def bucket(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in a bucket, to which the environment holds the key."""
    hand_over_keys(monkeypatch, store)
    return f"s3://{BUCKET}/{uuid4().hex}"
